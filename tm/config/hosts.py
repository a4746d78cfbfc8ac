"""``ComputerCluster.config`` → hosts."""

from __future__ import annotations

import re
from typing import Any

from tm.config.document import Document
from tm.model.host import LAUNCHERS, HostConfig
from tm.model.resources import parse_memory
from tm.places import valid_name

NAME = "ComputerCluster.config"
_DEFAULTS = {"launcher", "options", "cores", "memory", "active"}
_ADDRESS = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,252}\Z")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}\Z")
_PATH = re.compile(r"(?:/|~/)[^\x00-\x1f\x7f\"\\$%]*\Z")
_OPTIONS = {
    "port": "a number from 1 to 65535",
    "user": "the name of an account",
    "identity": "a path that begins with '/' or '~/'",
    "known_hosts": "a path that begins with '/' or '~/'",
    "config": "a path that begins with '/' or '~/'",
}


def read_hosts(document: Document) -> tuple[HostConfig, ...]:
    """Return the hosts that *document* describes; what is wrong goes to its complaints."""
    for key in document.data:
        if key not in ("defaults", "hosts"):
            document.complain("expected [defaults] or [hosts.NAME]", key)
    defaults = document.data.get("defaults", {})
    if not isinstance(defaults, dict):
        document.complain("expected a table [defaults]", "defaults")
        defaults = {}
    elif defaults:
        document.only(_DEFAULTS, "defaults")
    hosts = []
    for name, table in document.tables("hosts").items():
        if not valid_name(name):
            document.complain("a host's name has letters, digits, '_', '.' and '-'", "hosts", name)
        document.only(_DEFAULTS | {"address"}, "hosts", name)
        hosts.append(_host(document, name, table, defaults))
    return tuple(hosts)


def _host(document: Document, name: str, table: dict[str, Any], defaults: dict[str, Any]) -> HostConfig:
    merged = {**defaults, **table}
    read = _Reader(document, name, table)
    return HostConfig(
        name=name,
        address=read.address(merged.get("address", name)),
        launcher=read.launcher(merged.get("launcher", "openssh")),
        options={**read.options(defaults.get("options", {})), **read.options(table.get("options", {}))},
        cores=read.cores(merged.get("cores")),
        memory=read.memory(merged.get("memory")),
        active=read.active(merged.get("active", True)),
    )


class _Reader:
    """The values of one host. A wrong one gives a complaint and a harmless value, so that reading goes on."""

    def __init__(self, document: Document, name: str, table: dict[str, Any]) -> None:
        self._document = document
        self._name = name
        self._table = table

    def _complain(self, key: str, expected: str) -> None:
        own = key in self._table or key == "address"
        self._document.complain(expected, *(("hosts", self._name, key) if own else ("defaults", key)))

    def address(self, value: object) -> str:
        if isinstance(value, str) and _ADDRESS.match(value):
            return value
        self._complain("address", "expected a host name or address of letters, digits, '_', '.', ':' and '-'")
        return "localhost"

    def launcher(self, value: object) -> str:
        if isinstance(value, str) and value in LAUNCHERS:
            return value
        self._complain("launcher", f"expected one of {', '.join(LAUNCHERS)}")
        return LAUNCHERS[0]

    def options(self, value: object) -> dict[str, str | int | bool]:
        if not isinstance(value, dict):
            self._complain(
                "options", "expected a table of the launcher's options, like options = { port = 2222 }"
            )
            return {}
        for key, one in value.items():
            if key not in _OPTIONS:
                self._complain("options", f"option '{key}' is not known; expected {', '.join(_OPTIONS)}")
            elif not _fits(key, one):
                self._complain("options", f"option '{key}': expected {_OPTIONS[key]}")
        return value

    def cores(self, value: object) -> int | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65536):
            return value
        self._complain(
            "cores", "expected a number of cores from 1 to 65536; without the line the machine is asked"
        )
        return None

    def memory(self, value: object) -> int | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 2**62):
            return value
        if isinstance(value, str):
            try:
                return parse_memory(value) or None
            except ValueError as error:
                self._complain("memory", str(error))
                return None
        self._complain("memory", 'expected a size like "64G" or a number of bytes')
        return None

    def active(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        self._complain("active", "expected true or false")
        return False


def _fits(option: str, value: object) -> bool:
    if option == "port":
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
    pattern = _ACCOUNT if option == "user" else _PATH
    return isinstance(value, str) and pattern.match(value) is not None
