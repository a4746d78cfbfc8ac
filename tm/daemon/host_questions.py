"""What people ask of a host's InfoServer by way of the dispatcher: it is asked over its own link, and shows what it
shows to that user.

The law of `tm.daemon.info_desk` holds: nothing an InfoServer says is believed, so what is no JSON goes no further.
"""

from __future__ import annotations

import msgspec

from tm.daemon.answers import Answer, Spoken
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.questions import Questions
from tm.errors import RefusedError
from tm.ports import Peer
from tm.wire.message import Reply, Request, quote

HOST_SECONDS = 10.0
MOST_OF_ONE = 8
QUESTIONS = ("info", "load", "users", "processes", "gpus", "history")
MOST_LETTERS = 1000
"""Of all that is asked along with a question."""
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class HostQuestions:
    """``hostask`` and ``infoanswer``."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._questions = Questions(dispatcher.clock, HOST_SECONDS, "the InfoServer", MOST_OF_ONE)
        self.methods: dict[str, Spoken] = {"hostask": self._hostask, "infoanswer": self._infoanswer}

    def _hostask(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        host, question, *about = arguments
        if question not in QUESTIONS:
            raise RefusedError("proto.arguments", f"'{question:.40}': a host is asked for {' '.join(QUESTIONS)}")
        rest = ":".join(map(quote, about))
        if len(rest) > MOST_LETTERS:
            raise RefusedError("proto.arguments", f"what is asked along may have {MOST_LETTERS} letters")
        asked = self._questions.ask(
            self._server(host), peer.user, question=question, rest=rest or None, json=request.json, user=peer.user
        )
        return asked.addCallback(_checked) if request.json else asked

    def _server(self, host: str) -> Peer:
        """Return the InfoServer of *host*; raise `RefusedError` ``host.unknown`` or ``info.away``."""
        link = self._dispatcher.infoservers.link(host)
        if link is not None and link.peer is not None and link.about is not None:
            return link.peer
        if host not in self._dispatcher.brain.hosts:
            raise RefusedError("host.unknown", f"there is no host '{host:.64}'; 'lshosts' lists them")
        info = self._dispatcher.infoservers.info(host)
        why = f"{info.state}: {info.reason}" if info.reason else info.state
        raise RefusedError("info.away", f"the InfoServer of {host} is not there ({why})")

    def _infoanswer(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._questions.answered(peer, arguments[0])


def _checked(reply: Reply) -> Reply:
    """Return *reply* if each line of its body is a JSON object; raise `RefusedError` ``info.bad``."""
    try:
        for line in reply.body if reply.ok else ():
            _decode(line)
    except (msgspec.MsgspecError, RecursionError):
        raise RefusedError("info.bad", "the InfoServer answered what is no JSON; see its log on the host") from None
    return reply
