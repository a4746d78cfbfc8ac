"""``ComputerCluster.config`` → hosts: what a host says itself, else what its group says, else the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tm.config import cluster, host_keys
from tm.config.document import Document
from tm.config.host_keys import KEYS, MERGED
from tm.model.host import HostConfig
from tm.places import valid_name

NAME = "ComputerCluster.config"
DEFAULTS, GROUPS, HOSTS = "defaults", "host_groups", "hosts"
_EXPECTED = f"expected [{DEFAULTS}], [{GROUPS}.NAME], [{HOSTS}.NAME], " + " or ".join(
    f"[{one}]" for one in cluster.TABLES
)


class _Layer(NamedTuple):
    """A table and where it stands."""

    where: tuple[str, ...]
    table: Mapping[str, Any]


def read_hosts(document: Document) -> tuple[HostConfig, ...]:
    """Return the hosts that *document* describes; what is wrong goes to its complaints."""
    for key in document.data:
        if key not in (DEFAULTS, GROUPS, HOSTS, *cluster.TABLES):
            document.complain(_EXPECTED, key)
    defaults = document.data.get(DEFAULTS, {})
    if not isinstance(defaults, dict):
        document.complain(f"expected a table [{DEFAULTS}]", DEFAULTS)
        defaults = {}
    groups = document.tables(GROUPS)
    layers = {name: _Layer((GROUPS, name), table) for name, table in groups.items()}
    bottom = _Layer((DEFAULTS,), defaults)
    for layer in (bottom, *layers.values()):
        _check_layer(document, layer)
    hosts = []
    for name, table in document.tables(HOSTS).items():
        if not valid_name(name):
            document.complain("a host's name has letters, digits, '_', '.' and '-'", HOSTS, name)
        document.only({*KEYS, "address", "group"}, HOSTS, name)
        hosts.append(_host(document, name, table, layers, bottom))
    _check_addresses(document, hosts)
    return tuple(hosts)


def merged(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the keys that hold for the host *name*, as TOML has them: its own, its group's, the defaults'."""
    own = data[HOSTS][name]
    group = data.get(GROUPS, {}).get(own.get("group", ""), {})
    return _over(_over(data.get(DEFAULTS, {}), group), own)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = {**below, **above}
    for key in MERGED:
        parts = [layer.get(key, {}) for layer in (below, above)]
        if any(parts) and all(isinstance(part, dict) for part in parts):
            found[key] = {**parts[0], **parts[1]}
    return found


def _check_layer(document: Document, layer: _Layer) -> None:
    if layer.table:
        document.only(set(KEYS), *layer.where)
    for key, value in layer.table.items():
        if key in KEYS:
            _read(document, layer, key, value)


def _host(
    document: Document, name: str, own: Mapping[str, Any], groups: Mapping[str, _Layer], defaults: _Layer
) -> HostConfig:
    top = _Layer((HOSTS, name), own)
    layers = [defaults, *_group(document, top, groups), top]
    values: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.table.items():
            if key in KEYS:
                read = _read(document, layer, key, value)
                if read is not None or key == "memory":
                    values[key] = {**values.get(key, {}), **read} if key in MERGED else read
    if values.get("program") and values.get("root"):
        document.complain("expected 'program' or 'root', not both", HOSTS, name, "program")
    address = _read(document, top, "address", own.get("address", name), host_keys.address)
    group = own.get("group", "")
    return HostConfig(
        name=name, address=address or "localhost", group=group if isinstance(group, str) else "", **values
    )


def _group(document: Document, host: _Layer, groups: Mapping[str, _Layer]) -> list[_Layer]:
    name = host.table.get("group", "")
    if name == "":
        return []
    if isinstance(name, str) and name in groups:
        return [groups[name]]
    known = f"one of {', '.join(groups)}" if groups else f"a group, which a table [{GROUPS}.NAME] makes"
    document.complain(f"'{name}' is no group of hosts; expected {known}", *host.where, "group")
    return []


def _read(document: Document, layer: _Layer, key: str, value: object, reader: Any = None) -> Any:
    """Return *value* as it is meant, or None with a complaint at its place."""
    try:
        return (reader or KEYS[key])(value)
    except ValueError as error:
        document.complain(str(error), *layer.where, key)
        return None


def _check_addresses(document: Document, hosts: list[HostConfig]) -> None:
    """Two hosts at one address, port and account are one computer that is counted twice."""
    known: dict[tuple[object, ...], str] = {}
    for host in hosts:
        if host.launcher == "local":
            continue
        place = (host.address.lower(), host.options.get("port"), host.options.get("user"), host.options.get("config"))
        other = known.setdefault(place, host.name)
        if other != host.name:
            document.complain(
                f"expected an address of its own; {other} has the same, {host.address}", HOSTS, host.name, "address"
            )
