"""What people ask of their own servers (TMS) through a session of the web interface, and the answers of these.

The dispatcher only carries it: what a person may is said by the grant that their own server has signed and that this
server checks again (``docs/decisions/0029-web-sessions.md``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tm.daemon.answers import Answer, Spoken, decoded
from tm.daemon.dispatcher import Dispatcher, check_own
from tm.daemon.questions import Questions
from tm.daemon.web_desk import WebPeer
from tm.errors import RefusedError
from tm.ports import Peer
from tm.wire.message import Request

OWN_SECONDS = 20.0
MOST_BYTES = 2 * 1024 * 1024
"""Of an answer; any user may run a server that answers what it likes."""


class Own(msgspec.Struct):
    """The argument of ``own``."""

    verb: Literal["output", "submit", "rerun", "checkhost"]
    argument: msgspec.Raw


class OwnVerbs:
    """``own`` and ``answered``."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._questions = Questions(dispatcher.clock, OWN_SECONDS, "your own server", most_bytes=MOST_BYTES)
        self.methods: dict[str, Spoken] = {"own": self._own, "answered": self._answered}

    def _own(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(Own, arguments[0])
        if not isinstance(peer, WebPeer):
            raise RefusedError(
                "perm.denied", "'own' is said through a session of the web interface; your own server hears you itself"
            )
        server = self._dispatcher.server_of(peer.user)
        if server is None:
            raise RefusedError(
                "web.server", "your own server is not running; any hRunJob command starts it, e.g. hRunJob -s"
            )
        return self._questions.ask(
            server,
            peer.user,
            verb=given.verb,
            argument=given.argument,
            grant=peer.session.grant,
            sig=peer.session.sig,
        )

    def _answered(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        check_own(self._dispatcher, peer.user, peer)
        return self._questions.answered(peer, arguments[0])
