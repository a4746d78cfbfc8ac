"""Visits to the holders of commands that run now, or beside jobs: byte for byte, each side as fast as the other."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from tm.edge.link import ClientLink
from tm.edge.stream import Around, Key, Stream
from tm.errors import WireError
from tm.model.lifecycle import Fact
from tm.wire.frames import Bulk, FrameBuffer
from tm.wire.verbs import SIGNALS

_log = Logger()

FIRST = 0
UNEXPLAINED_SECONDS = 5.0
TREE_SECONDS = 60.0
FIRST_TRY, LAST_TRY = 0.003, 0.05
MOST_VAIN_TRIES = 400
MOST_EARLY = 1 << 20
_STATES = {"time": "timeout", "memory": "out_of_memory", "cancelled": "cancelled"}


class Look(Stream):
    """A visit to the holder that listens at *path*; *words* are what it is told first."""

    def __init__(self, streams: Around, key: Key, number: int, path: str, words: str) -> None:
        super().__init__(streams, key, number)
        self._path = path
        self._words = words
        self._holder: HolderLink | None = None
        self._early: list[bytes] = []
        self._fact: Fact | None = None
        self._told: dict[str, Any] = {}
        self._trying: IDelayedCall | None = None
        self._tries = 0
        self._is_job = path.endswith(f"-{FIRST}.sock")

    @override
    def begin(self) -> None:
        self._try()

    def _try(self) -> None:
        """Connect to the holder, which may have to be started yet."""
        self._trying = None
        self.streams.reactor.connectUNIX(self._path, _Factory(self), timeout=5)

    def not_there(self) -> None:
        """Nobody listens there yet, or any more."""
        if self._fact is not None:
            self._close_as(self._fact)
        elif not self._is_job and self._tries >= MOST_VAIN_TRIES // 2:
            reason = "it could not be started there; is the job's working directory still there?"
            self.close(state="failed", exit_code=125, signal=None, reason=reason)
        elif not self.is_over or self._tries < MOST_VAIN_TRIES:
            pause = min(FIRST_TRY * 2**self._tries, LAST_TRY) if self._tries < 9 else LAST_TRY
            self._tries += 1
            self._trying = self.streams.reactor.callLater(pause, self._try)

    def holder_up(self, holder: HolderLink) -> None:
        """The holder is there: say who comes, or that nobody does."""
        if self.is_over:
            holder.say(b"leave\n")
            holder.part()
            return
        self._holder = holder
        holder.say(self._words.encode() + b"\n" + b"".join(self._early))
        self._early.clear()
        if self.link is not None and self.link.transport is not None:
            self.link.transport.resumeProducing()
            holder.join(self.link.transport)

    def holder_says(self, told: dict[str, Any]) -> None:
        """The holder says how its command is."""
        state = told.get("state")
        if state == "started":
            self.say(state="started", host=self.streams.host, terminal=told.get("terminal") is True)
        elif state == "detached":
            self.close(state="detached")
        elif state == "ended":
            self._told = told
        else:
            self.say(state=state)

    def holder_sends(self, channel: int, data: bytes) -> None:
        """Output of the command."""
        if self.link is not None and not self.is_over:
            self.link.send_bulk(channel, data)

    def holder_gone(self) -> None:
        """The holder has ended, or has cut us off; the keeper's word of the first is on its way."""
        self._holder = None
        if self.is_over:
            return
        if not self._is_job:
            code, number = self._told.get("exit_code"), self._told.get("signal")
            code, number = (code, number) if self._told else (None, 9)
            self.close(state="completed" if code == 0 else "failed", exit_code=code, signal=number, reason="")
        elif self._fact is not None:
            self._close_as(self._fact)
        else:
            self.streams.reactor.callLater(TREE_SECONDS if self._told else UNEXPLAINED_SECONDS, self._unexplained)

    def _unexplained(self) -> None:
        """No word has come of an ending: it goes on without us, or what it has left behind is still being ended."""
        if self.is_over or self._fact is not None:
            return
        code, number = self._told.get("exit_code"), self._told.get("signal")
        reason = "" if self._told else "it was read too slowly, and goes on unseen; attach to it again"
        state = "lost" if not self._told else "completed" if code == 0 else "failed"
        self.close(state=state, exit_code=code, signal=number, reason=reason)

    @override
    def ended(self, fact: Fact) -> None:
        self._fact = fact
        if self._holder is None and not self.is_over and self.link is not None and self._is_job:
            self._close_as(fact)
        elif self._trying is not None and self._trying.active():
            self._trying.reset(0)

    def _close_as(self, fact: Fact) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # of a holder that was killed
        state = _STATES.get(fact.cause) or ("completed" if fact.exit_code == 0 else "failed")
        self.close(state=state, exit_code=fact.exit_code, signal=fact.signal, reason=fact.reason)

    @override
    def left(self) -> None:
        """Who came is gone: the holder knows what that means. One that has never seen anybody is told."""
        if self._holder is not None:
            self._holder.part()
        elif self._trying is None and self._fact is None and self._words.startswith("attach types"):
            self._try()

    @override
    def event(self, link: ClientLink, json: bytes) -> None:
        wish = msgspec.json.decode(json)
        if wish.get("signal") in SIGNALS:
            self._say_holder(b"signal %d\n" % getattr(signal, "SIG" + wish["signal"]))
        elif "rows" in wish:
            self._say_holder(b"size %d %d\n" % (wish["rows"], wish["columns"]))
        elif wish.get("detach"):
            self._say_holder(b"detach\n")

    @override
    def bulk(self, link: ClientLink, data: Bulk) -> None:
        self._say_holder(b"= 0 %d\n%b" % (len(data.data), data.data))

    def _say_holder(self, words: bytes) -> None:
        if self._holder is not None:
            self._holder.say(words)
            return
        self._early.append(words)
        if sum(map(len, self._early)) > MOST_EARLY and self.link is not None and self.link.transport is not None:
            self.link.transport.pauseProducing()  # until the holder is there


class HolderLink(Protocol):
    """The connection to a holder."""

    transport: Any  # sockets can do more than ITransport says

    def __init__(self, look: Look) -> None:
        self._look = look
        self._frames = FrameBuffer()

    def say(self, words: bytes) -> None:
        """Say *words* to the holder."""
        if self.transport is not None:
            self.transport.write(words)

    def join(self, client: Any) -> None:
        """Have each side read only as fast as the other takes it."""
        client.registerProducer(self.transport, True)
        self.transport.registerProducer(_Reading(client), True)

    def part(self) -> None:
        """Leave the holder."""
        if self.transport is not None:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    @override
    def connectionMade(self) -> None:
        self._look.holder_up(self)

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                if isinstance(frame, Bulk):
                    self._look.holder_sends(frame.channel, frame.data)
                elif frame.startswith(b"* "):
                    self._look.holder_says(msgspec.json.decode(frame[2:]))
        except WireError as error:
            _log.error("a holder says what nobody understands: {text}", event="holder", text=error.text)
            self.part()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        self._look.holder_gone()


@implementer(IPushProducer)
class _Reading:
    """Pauses reading from the client while the holder does not take its input; its end is not the client's."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def pauseProducing(self) -> None:  # noqa: N802  IPushProducer
        """Read no more."""
        self._client.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802  IPushProducer
        """Read on."""
        self._client.resumeProducing()

    def stopProducing(self) -> None:  # noqa: N802  IPushProducer
        """The holder takes no more input."""
        self._client.resumeProducing()


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, look: Look) -> None:
        self._look = look

    @override
    def buildProtocol(self, addr: object) -> HolderLink:
        return HolderLink(self._look)

    @override
    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._look.not_there()
