"""``ComputerCluster.config`` as one who changes it sees it: one table at a time, checked before it is written.

What would be wrong is never written, and the rest of the file stays as somebody wrote it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tm.config import cluster, hosts
from tm.config.document import Document, line_of
from tm.config.editing import replace_file
from tm.config.table_editing import edited, table_of
from tm.errors import ConfigError
from tm.ports import Edited

KINDS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "host": lambda name: (hosts.HOSTS, name),
    "host group": lambda name: (hosts.GROUPS, name),
    "defaults": lambda name: (hosts.DEFAULTS,),
    cluster.SCHEDULING: lambda name: (cluster.SCHEDULING,),
    cluster.LICENSES: lambda name: (cluster.LICENSES,),
    cluster.MAIL: lambda name: (cluster.MAIL,),
}
"""The kinds of things in the file, and where each stands; from ``defaults`` on there is one of each."""
_ABSENT = object()


class HostsFile:
    """The file ``ComputerCluster.config`` in the folder *etc*."""

    def __init__(self, etc: str, uid: int | None = None) -> None:
        self._path = os.path.join(etc, hosts.NAME)
        self._owners = (os.getuid() if uid is None else uid, 0)
        self._read: tuple[tuple[int, ...], Document] | None = None

    def table(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the keys that stand in the file for the thing *name* of *kind* now, None when it is not there."""
        return table_of(self._document().data, KINDS[kind](name))

    def merged(self, host: str) -> dict[str, Any]:
        """Return the keys that hold for *host*: its own, its group's, the defaults'; none when it is not there."""
        data = self._document().data
        return hosts.merged(data, host) if table_of(data, (hosts.HOSTS, host)) is not None else {}

    def edit(self, kind: str, name: str, wanted: Mapping[str, Any] | None) -> Edited:
        """Give the thing *name* of *kind* the table *wanted* (None: take it out); return what the file says then.

        Raises `ConfigError`: ``config.read``, ``config.write``, ``config.invalid`` with every complaint.
        """
        return self.edit_all([(kind, name, wanted)])

    def edit_all(self, changes: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> Edited:
        """Do several edits in one step, or none; what is wrong is said as `edit` says it."""
        before = self._document()
        changed, data = before.text, before.data
        try:
            for kind, name, wanted in changes:
                changed, data = edited(changed, data, KINDS[kind](name), wanted)
        except ValueError as error:
            raise ConfigError([f"{self._path}: {error}; change it by hand, then 'reload'"]) from None
        fresh = Document(self._path, self._owners, changed, data)
        found = hosts.read_hosts(fresh)
        scheduling, mail = cluster.read_scheduling(fresh, found), cluster.read_mail(fresh)
        if fresh.complaints:
            raise ConfigError(self._complaints(before, fresh, changes))
        if changed != before.text:
            replace_file(self._path, changed)
            self._read = (self._sign(), fresh)
        return Edited(found, lambda: self._take_back(before.text, changed), scheduling, mail)

    def _complaints(
        self, before: Document, fresh: Document, changes: Sequence[tuple[str, str, Mapping[str, Any] | None]]
    ) -> list[str]:
        """Return what is wrong: by its line where that is in the file already, by its key where it would come."""
        complaints = []
        for place, expected in fresh.places:
            if _value(before.data, place) == _value(fresh.data, place):
                complaints.append(f"{self._path}:{line_of(before.text, *place)}: {expected}")
            else:
                complaints.append(f"{_thing(place, changes)}{expected}; nothing was changed")
        return complaints

    def _document(self) -> Document:
        """Return the file as it is now; it is read only when it has changed."""
        sign = self._sign()
        if self._read is None or self._read[0] != sign:
            document = Document(self._path, self._owners)
            if document.complaints:
                raise ConfigError(document.complaints)
            self._read = (sign, document)
        return self._read[1]

    def _sign(self) -> tuple[int, ...]:
        """Return what changes when the file does."""
        try:
            status = os.stat(self._path)
        except OSError as error:
            raise ConfigError([f"{self._path}: {error.strerror}"], "config.read") from None
        return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _take_back(self, before: str, changed: str) -> None:
        if self._document().text != changed:
            raise ConfigError([f"{self._path}: was changed by somebody else meanwhile"])
        replace_file(self._path, before)


def _thing(place: tuple[str, ...], changes: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> str:
    """Return how the *place* of a complaint is called by those who said these *changes*: ``host n1: cores``."""
    for kind, name, _ in changes:
        where = KINDS[kind](name)
        if place[: len(where)] == where:
            rest = place[len(where) :]
            return f"{'.'.join(place)}: " if len(where) == 1 else f"{kind} {name}: {''.join(f'{one} ' for one in rest)}"
    return f"{'.'.join(place)}: "


def _value(data: Mapping[str, Any], place: tuple[str, ...]) -> object:
    found: Any = data
    for name in place:
        if not isinstance(found, Mapping) or name not in found:
            return _ABSENT
        found = found[name]
    return found
