"""What people say to the TaskDispatcher about hosts: how they are, and whether jobs may start there."""

from __future__ import annotations

from twisted.logger import Logger

from tm.daemon.answers import Answer, Spoken, as_lines, as_reply
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import host_lines
from tm.errors import RefusedError
from tm.model.views import Shown
from tm.ports import Peer
from tm.wire.message import Reply, Request

_log = Logger()


class HostVerbs:
    """The verbs that concern hosts."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {
            "lshosts": self._lshosts, "hostinfo": self._hostinfo, "activatehost": self._activatehost,
            "deactivatehost": self._deactivatehost,
        }  # fmt: skip

    def _lshosts(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        hosts = self._dispatcher.conditions.shown(sorted(self._dispatcher.brain.hosts))
        return as_reply(request, hosts, host_lines(hosts))

    def _hostinfo(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        if arguments[0] not in self._dispatcher.brain.hosts:
            raise RefusedError("host.unknown", f"there is no host '{arguments[0]}'; 'lshosts' lists them")
        shown = self.shown(arguments[0])
        return as_reply(request, shown, as_lines(shown))

    def _activatehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._set_active(peer, arguments[0], True, "")

    def _deactivatehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        reason = arguments[1] if len(arguments) > 1 else f"deactivated by {peer.user}"
        return self._set_active(peer, arguments[0], False, reason)

    def _set_active(self, peer: Peer, host: str, active: bool, reason: str) -> Answer:
        dispatcher = self._dispatcher
        if host not in dispatcher.brain.hosts:
            raise RefusedError("host.unknown", f"there is no host '{host}'; 'lshosts' lists them")
        dispatcher.around.write_active(host, active)
        dispatcher.brain.host_activated(host, active, reason, dispatcher.now)
        _log.info("{user} sets {host} active={active}", event="host", user=peer.user, host=host, active=active)
        return dispatcher.turns.durable(Reply(f"{host} is {'active' if active else 'not active: ' + reason}"))

    def shown(self, name: str) -> Shown:
        """Return the public view of the host *name*."""
        return self._dispatcher.conditions.shown([name])[0]
