"""What people ask the TaskDispatcher about hosts: how they are, and what is configured."""

from __future__ import annotations

from tm.daemon.answers import Answer, Spoken, as_lines, as_reply
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import host_lines
from tm.errors import ConfigError, RefusedError
from tm.model.views import Shown
from tm.ports import Peer
from tm.wire.message import Request


class HostVerbs:
    """The verbs that ask about hosts."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"lshosts": self._lshosts, "hostinfo": self._hostinfo}

    def _lshosts(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        hosts = self._dispatcher.conditions.shown(sorted(self._dispatcher.brain.hosts))
        return as_reply(request, hosts, [] if request.json else host_lines(hosts))

    def _hostinfo(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        if arguments[0] not in self._dispatcher.brain.hosts:
            raise RefusedError("host.unknown", f"there is no host '{arguments[0]}'; 'tm hosts list' lists them")
        shown = {**self.shown(arguments[0]), **self._configured(arguments[0])}
        return as_reply(request, shown, as_lines({key: value for key, value in shown.items() if key != "own"}))

    def _configured(self, name: str) -> Shown:
        """Return what its file says of the host now, if it can be read: what holds, and what is said of it alone."""
        tables = self._dispatcher.around.host_tables
        try:
            return {"config": tables.merged(name), "own": tables.table("host", name)}
        except ConfigError as error:
            return {"config": None, "own": None, "config_error": error.text}

    def shown(self, name: str) -> Shown:
        """Return the public view of the host *name*."""
        return self._dispatcher.conditions.shown([name])[0]
