"""``ComputerCluster.config`` → hosts, and the one change that a running dispatcher makes in it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tm.config.document import Document, find_header, find_key, replace_file
from tm.errors import ConfigError
from tm.model.host import LAUNCHERS, HostConfig
from tm.model.resources import parse_memory
from tm.places import valid_name

NAME = "ComputerCluster.config"
_DEFAULTS = {"launcher", "options", "cores", "memory", "active"}
_ADDRESS = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,252}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_ACTIVE = re.compile(r"(\s*[\"']?active[\"']?\s*=\s*)(?:true|false)(?![A-Za-z0-9_])")


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


def set_active(path: str, host: str, active: bool) -> None:
    """Write that *host* is *active* or not into the file *path*; comments and all else stay as they are.

    Raises `ConfigError` when the file cannot be read or written, or does not have a table ``[hosts.HOST]``.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        changed = _with_active(text, host, active)
        before, after = tomllib.loads(text), tomllib.loads(changed)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"], "config.read") from None
    except (KeyError, ValueError):
        raise ConfigError([f"{path}: expected a table [hosts.{host}] of its own"]) from None
    before["hosts"][host]["active"] = active
    if before != after:
        raise ConfigError(
            [f"{path}: expected 'active = true' or 'active = false' on a line of its own in [hosts.{host}]"]
        )
    if changed != text:
        replace_file(path, changed)


def _with_active(text: str, host: str, active: bool) -> str:
    lines = text.splitlines(keepends=True)
    header = find_header(lines, ("hosts", host))
    if header is None:
        raise KeyError(host)
    word = "true" if active else "false"
    key = find_key(lines, header + 1, "active")
    if key is not None:
        lines[key] = _ACTIVE.sub(lambda found: found.group(1) + word, lines[key], count=1)
        return "".join(lines)
    end = "\r\n" if lines[header].endswith("\r\n") else "\n"
    if not lines[header].endswith("\n"):
        lines[header] += end
    lines.insert(header + 1, f"active = {word}{end}")
    return "".join(lines)


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
            if not isinstance(one, str | int) or (
                isinstance(one, str) and (_UNPRINTABLE.search(one) or one[:1] == "-")
            ):
                self._complain(
                    "options",
                    f"option '{key}': expected a number, true, false or a text without '-' in front",
                )
        port = value.get("port", 22)
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            self._complain("options", "option 'port': expected a number from 1 to 65535")
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
