"""Tables of properties are changed: in their files first, in one step or not at all, then live; and taken back so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tm.daemon.auditing import TakeBack
from tm.model.audit import Deed, Table
from tm.model.properties import DEFAULTS, DISPATCHER, LICENSES, MAIL, SCHEDULING, TABLES
from tm.ports import Edited

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher
    from tm.daemon.surroundings import Tables

VERB = "changeproperties"


def thing(table: str) -> str:
    """Return what the one thing of the kind *table* is called in records."""
    return {DEFAULTS: "hosts", DISPATCHER: "info"}.get(table, "cluster")


class PropertyChanges:
    """The one way in which the tables of properties of one dispatcher change."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._began = dispatcher.tables.raw.get(DISPATCHER, {})
        for table in TABLES:
            dispatcher.audit.undoers[table] = _Undoer(self, table)

    def table(self, name: str) -> dict[str, Any] | None:
        """Return the table *name* as its file has it now, None when it is not there."""
        around = self._dispatcher.around
        if name == DISPATCHER:
            return None if around.info is None else around.info.table()
        return around.host_tables.table(name, thing(name))

    def running(self, name: str) -> Mapping[str, Any]:
        """Return what counts now of the table *name*; where the dispatcher is does not change while it runs."""
        things = self._began if name == DISPATCHER else self._dispatcher.tables.raw.get(name, {})
        return things.get(thing(name), {})

    def put(self, wanted: Mapping[str, Table | None]) -> TakeBack:
        """Give tables these values (None: take it out) in their files and live; return what takes it back.

        What else somebody has changed in a file since it was read counts at the next reload and not before, unless it
        is in one of these tables. Raises `ConfigError`, and has changed nothing then.
        """
        dispatcher = self._dispatcher
        found = {name: self.table(name) for name in wanted}
        backs = self._written(wanted)
        for name, table in found.items():
            dispatcher.audit.found(name, thing(name), table)
        before = dispatcher.tables
        if backs.edited is not None:
            dispatcher.configured(_live(before, wanted, backs.edited))

        def take_back() -> None:
            backs.take_back()
            if backs.edited is not None:
                dispatcher.configured(before)

        return take_back

    def _written(self, wanted: Mapping[str, Table | None]) -> _Written:
        around = self._dispatcher.around
        written = _Written([], None)
        if DISPATCHER in wanted and around.info is not None:
            written.backs.append(around.info.edit(wanted[DISPATCHER] or {}))
        changes = [(name, thing(name), table) for name, table in wanted.items() if name != DISPATCHER]
        try:
            written.edited = around.host_tables.edit_all(changes) if changes else None
        except BaseException:
            written.take_back()
            raise
        return written


@dataclass
class _Written:
    """What was written: *backs* take it back beside *edited*."""

    backs: list[TakeBack]
    edited: Edited | None

    def take_back(self) -> None:
        for back in self.backs:
            back()
        if self.edited is not None:
            self.edited.take_back()


def _live(tables: Tables, wanted: Mapping[str, Table | None], edited: Edited) -> Tables:
    """Return *tables* in which what is *wanted* counts."""
    scheduling = tables.scheduling
    if SCHEDULING in wanted:
        scheduling = msgspec.structs.replace(edited.scheduling, licenses=scheduling.licenses)
    if LICENSES in wanted:
        scheduling = msgspec.structs.replace(scheduling, licenses=edited.scheduling.licenses)
    said = {host.name: host for host in edited.hosts}
    hosts = [said[host.name] for host in tables.hosts if host.name in said] if DEFAULTS in wanted else tables.hosts
    raw = {name: {} if table is None else {thing(name): table} for name, table in wanted.items() if name != DISPATCHER}
    return replace(
        tables, scheduling=scheduling, mail=edited.mail if MAIL in wanted else tables.mail, hosts=tuple(hosts),
        raw={**tables.raw, **raw},
    )  # fmt: skip


@dataclass
class _Undoer:
    """Puts the properties of one table back as they were."""

    changes: PropertyChanges
    table: str
    verb: str = VERB

    def present(self, name: str) -> Table | None:
        return self.changes.table(self.table)

    def restore(self, name: str, table: Table | None, deed: Deed) -> TakeBack:
        return self.changes.put({self.table: table})
