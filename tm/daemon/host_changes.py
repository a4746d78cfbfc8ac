"""One thing of ``ComputerCluster.config`` is changed: in the file first, then live; and both can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tm.daemon.auditing import TakeBack
from tm.errors import RefusedError
from tm.model.audit import Deed, Table
from tm.model.host import HostConfig

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

HOST = "host"
KINDS = (HOST, "host group")


class HostChanges:
    """Changes of things of one *kind*: a host, or a group of hosts."""

    verb = "changehost"

    def __init__(self, dispatcher: Dispatcher, kind: str) -> None:
        self._dispatcher = dispatcher
        self._kind = kind

    def present(self, name: str) -> Table | None:
        """Return the table of *name* as the file has it now, None when it is not there."""
        return self._dispatcher.around.host_tables.table(self._kind, name)

    def restore(self, name: str, table: Table | None, deed: Deed) -> TakeBack:
        """Give *name* that *table*, as `put` does; a host that goes must be empty."""
        if table is None and self._kind == HOST:
            check_empty(self._dispatcher, name)
        return self.put(name, table)

    def put(self, name: str, table: Table | None) -> TakeBack:
        """Give *name* that *table* (None: take it out) in the file and live; return what takes it back.

        What else somebody has changed in the file since it was read counts at the next reload and not before, unless it
        is what this builds on. Raises `ConfigError`, and has changed nothing then.
        """
        dispatcher = self._dispatcher
        found = self.present(name)
        edited = dispatcher.around.host_tables.edit(self._kind, name, table)
        dispatcher.audit.found(self._kind, name, found)
        before = {one.name: one for one in dispatcher.tables.hosts}
        self._live(name, {one.name: one for one in edited.hosts})

        def take_back() -> None:
            edited.take_back()
            self._live(name, before)

        return take_back

    def _live(self, name: str, said: Mapping[str, HostConfig]) -> None:
        hosts = {one.name: one for one in self._dispatcher.tables.hosts}
        for host in [name] if self._kind == HOST else list(hosts):
            if host in said:
                hosts[host] = said[host]
            else:
                hosts.pop(host, None)
        self._dispatcher.hosts_changed(hosts.values())


def check_empty(dispatcher: Dispatcher, name: str) -> None:
    """Raise `RefusedError` ``busy.host`` while jobs are on the host *name*."""
    counts = {
        session.user: len(session.jobs)
        for session in dispatcher.brain.sessions.values()
        if session.host.name == name and session.jobs
    }
    if counts:
        whose = ", ".join(f"{user} {count}" for user, count in sorted(counts.items()))
        most = sum(counts.values())
        raise RefusedError(
            "busy.host",
            f"{f'{most} jobs are' if most > 1 else '1 job is'} on {name} ({whose}); 'drainhost:{name}' lets it run"
            f" empty, 'declarelost:{name}' gives up what is there when it will not come back",
        )
