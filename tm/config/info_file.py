"""``TaskDispatcher.info`` as one who changes it sees it: values change, comments and all else stay."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from tm import places
from tm.config import host_keys
from tm.config.editing import replace_file
from tm.errors import ConfigError

NAME = "TaskDispatcher.info"
_LINE = re.compile(r"([ \t]*([A-Za-z_]+)[ \t]*=[ \t]*)([^#\r\n]*?)([ \t]*(?:#[^\r\n]*)?)(?=\r?\n|\Z)")


class InfoFile:
    """The file ``TaskDispatcher.info`` in the folder *etc*. Every failure is a `ConfigError`."""

    def __init__(self, etc: str) -> None:
        self._path = os.path.join(etc, NAME)

    def table(self) -> dict[str, Any]:
        """Return what stands there now; the port is a number."""
        return _table(places.read_info(self._path))

    def edit(self, wanted: Mapping[str, Any]) -> Callable[[], None]:
        """Give the keys of *wanted*, which are there, other values; return what takes this back."""
        self.table()
        before = self._text()
        changed = "".join(_changed(line, wanted) for line in before.splitlines(keepends=True))
        complaints = _complaints(wanted)
        if complaints:
            raise ConfigError(complaints)
        if _table(places.info_of(self._path, changed.splitlines())) != {**self.table(), **wanted}:
            raise ConfigError([f"{self._path}: cannot be changed safely; change it by hand"])
        replace_file(self._path, changed)
        return lambda: self._take_back(before, changed)

    def _text(self) -> str:
        try:
            with open(self._path, encoding="utf-8", newline="") as file:
                return file.read()
        except OSError as error:
            raise ConfigError([f"{self._path}: {error.strerror}"], "config.read") from None

    def _take_back(self, before: str, changed: str) -> None:
        if self._text() != changed:
            raise ConfigError([f"{self._path}: was changed by somebody else meanwhile"])
        replace_file(self._path, before)


def _table(values: Mapping[str, str]) -> dict[str, Any]:
    return {**values, "port": int(values["port"])}


def _changed(line: str, wanted: Mapping[str, Any]) -> str:
    found = _LINE.match(line)
    if found is None or found.group(2) not in wanted:
        return line
    return f"{found.group(1)}{wanted[found.group(2)]}{found.group(4)}{line[found.end() :]}"


def _complaints(wanted: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with values before they are written, by the names of the properties."""
    found = []
    port = wanted.get("port", 1)
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        found.append("dispatcher.port: expected a port from 1 to 65535; nothing was changed")
    try:
        host_keys.address(wanted.get("host", "localhost"))
    except ValueError as error:
        found.append(f"dispatcher.host: {error}; nothing was changed")
    return found
