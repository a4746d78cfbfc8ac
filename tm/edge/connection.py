"""The serving side of a connection: bytes, identity, order of replies, back-pressure and bounds; no rule of the domain.

Whoever dials is refused or greeted once the handshake has shown who it is. Requests are handed on as they come; replies
leave in the order of the requests, and one that is not urgent with what is said next. A peer that does not read is not
read from, and one that exceeds a bound is cut off: closing politely over TLS would wait for it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any
from typing import Protocol as Promise

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from tm.edge.tls import peer_identity
from tm.errors import RefusedError, TaskManagerError, WireError
from tm.ports import Peer
from tm.wire.dialogue import ServerDialogue
from tm.wire.frames import Bulk, encode_bulk
from tm.wire.message import Reply, Request

MOST_PIPELINED = 128
MOST_UNSENT = 4 * 1024 * 1024
HANDSHAKE_SECONDS = 10.0
LAST_WORD_SECONDS = 1.0
REPLY_LINGERS = 0.005
IDLE_SECONDS = 300.0
LINK_SECONDS = 90.0
PROBE_SECONDS = 5

_log = Logger()

Answer = Reply | Deferred[Reply]


class Conversation(Promise):
    """What a server makes of its connections."""

    def identify(self, transport: object) -> str:
        """Return the user on the other side of *transport* (TLS, or a Unix socket); raise `RefusedError`."""

    def greeting(self, user: str) -> str:
        """Return what the greeting says after ``OK``."""

    def answer(self, peer: Peer, request: Request) -> Answer:
        """Return the reply, now or later; a `TaskManagerError` raised or failed with becomes an ``ERR`` reply."""

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Take raw bytes that arrived."""


class Door:
    """Whoever let a connection in hears how it goes on; here nobody."""

    def speaks(self, connection: ServerConnection) -> None:
        """Its first bytes have come."""

    def known(self, connection: ServerConnection) -> None:
        """Its user is known and not greeted yet; raise `RefusedError` to refuse it."""

    def gone(self, connection: ServerConnection) -> None:
        """It is over."""


@implementer(IHandshakeListener, IPushProducer)
class ServerConnection(Protocol):
    """One connection; a `Peer` for the conversation."""

    noisy = False
    transport: Any  # sockets can do more than ITransport says
    user = ""

    def __init__(self, conversation: Conversation, clock: IReactorTime, door: Door, host: str = "") -> None:
        self._conversation = conversation
        self._clock = clock
        self._door = door
        self.host = host
        self.is_known = False
        self._dialogue = ServerDialogue()
        self._greeted = False
        self._fingerprint: str | None = None
        self._waiting: list[list[Reply | None]] = []
        self._lingering: IDelayedCall | None = None
        self._arriving: Iterator[Request | Bulk | RefusedError] = iter(())
        self._held = bytearray()
        self._reading = True
        self._choked = False
        self._on_hold = False
        self._congestion: Callable[[bool], None] = lambda choked: None
        self._unsent = 0
        self._patience = IDLE_SECONDS
        self._heard = clock.seconds()
        self._begun: float | None = None
        self._over = False
        self._lost = False
        self._closers: list[Callable[[], object]] = []
        self._timer = clock.callLater(HANDSHAKE_SECONDS, self._silent)

    # -- Peer -----------------------------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate that was presented, in lower-case hex; empty on a Unix socket."""
        if self._fingerprint is None:
            presented = peer_identity(self.transport) if isinstance(self.transport, TLSMemoryBIOProtocol) else None
            self._fingerprint = presented.fingerprint if presented is not None else ""
        return self._fingerprint

    def send_event(self, json: bytes) -> None:
        """Send an event line."""
        self._send(b"* %b\n" % json)

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Send raw bytes of a channel."""
        self._send(encode_bulk(channel, data))

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have *callback* called when the connection is gone: at once where it is."""
        if self._lost:
            callback()
        else:
            self._closers.append(callback)

    def abort(self) -> None:
        """Cut the connection: nothing more is read from it or sent."""
        self._over = True
        self._reading = False
        transport = self.transport
        if transport is not None and not self._lost:
            transport.abortConnection()

    def keep(self) -> None:
        """Treat this as a daemon's link: silence of 90 s cuts it, and a reboot over there within seconds."""
        self._patience = LINK_SECONDS
        if isinstance(self.transport, TLSMemoryBIOProtocol):
            probe_often(getattr(self.transport.transport, "socket", None))

    def wait_for_ever(self) -> None:
        """Let the peer be silent: it listens to events."""
        if self._patience != LINK_SECONDS:
            self._patience = float("inf")

    def hold(self, held: bool) -> None:
        """Stop reading from this peer for somebody else's sake, or go on."""
        self._on_hold = held
        self._throttle()

    def on_congestion(self, callback: Callable[[bool], None]) -> None:
        """Have *callback* called, now and whenever it changes, with whether this peer does not keep up reading."""
        self._congestion = callback
        callback(self._choked)

    # -- Twisted --------------------------------------------------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.registerProducer(self, True)
        if isinstance(self.transport, TLSMemoryBIOProtocol):
            self.transport.setTcpNoDelay(True)
        else:
            self._greet()

    def handshake_begins(self) -> None:
        """The first bytes have come; until then a connection costs nothing."""
        if not self._lost:
            self._door.speaks(self)

    def handshakeCompleted(self) -> None:  # noqa: N802  IHandshakeListener
        self._greet()

    @override
    def dataReceived(self, data: bytes) -> None:
        if not self._greeted or self._over:
            return
        self._heard = self._clock.seconds()
        if self._reading:
            self._arriving = self._dialogue.receive(data)
            self._read()
        else:
            self._held += data
            if len(self._held) > MOST_UNSENT:
                self.abort()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._greeted = False
        self._lost = self._over = True
        self._reading = False
        if self._timer.active():
            self._timer.cancel()
        self._due()
        self._door.gone(self)
        closers, self._closers = self._closers, []
        for callback in closers:
            callback()

    def pauseProducing(self) -> None:  # noqa: N802  IPushProducer
        """The peer does not read: stop reading from it."""
        self._choked = True
        self._congestion(True)
        self._throttle()

    def resumeProducing(self) -> None:  # noqa: N802  IPushProducer
        """The peer reads again."""
        self._choked = False
        self._unsent = 0
        self._congestion(False)
        self._throttle()

    def stopProducing(self) -> None:  # noqa: N802  IPushProducer
        """The connection is going."""

    # -- inside ---------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        try:
            self.user = self._conversation.identify(self.transport)
            self._door.known(self)
        except RefusedError as refusal:
            _log.warn("refused a connection: {word} {text}", event="refused", word=refusal.word, text=refusal.text)
            self._last_word(refusal)
            return
        self._greeted = True
        self._send(Reply(self._conversation.greeting(self.user)).encode())

    def _read(self) -> None:
        try:
            for message in self._arriving:
                self._take(message)
                if len(self._waiting) >= MOST_PIPELINED:
                    self._throttle()
                if not self._reading:
                    return
            if not self._dialogue.begun:
                self._begun = None
            elif self._begun is None:
                self._begun = self._clock.seconds()
        except WireError as error:
            _log.warn("cut off {user}: {text}", event="cut", user=self.user, word=error.word, text=error.text)
            self._last_word(error)

    def _last_word(self, error: TaskManagerError) -> None:
        """Say why, hear nothing more, and be gone within a second whatever the peer does."""
        self._greeted = False
        self._send(_refusal(error).encode())
        assert self.transport is not None
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._timer.reset(LAST_WORD_SECONDS)

    def _take(self, message: Request | Bulk | RefusedError) -> None:
        self._begun = None
        if isinstance(message, Bulk):
            self._conversation.bulk(self, message)
            return
        slot: list[Reply | None] = [None]
        self._waiting.append(slot)
        if isinstance(message, RefusedError):
            self._reply(slot, _refusal(message))
            return
        answer: Deferred[Any] = maybeDeferred(self._conversation.answer, self, message)
        answer.addErrback(_failed).addCallback(lambda reply: self._reply(slot, reply))

    def _reply(self, slot: list[Reply | None], reply: Reply) -> None:
        slot[0] = reply
        if not self._greeted:
            return
        if reply.urgent or self._lingering is not None:
            self._say()
        else:
            self._lingering = self._clock.callLater(REPLY_LINGERS, self._say)

    def _say(self) -> None:
        """Send the replies whose turn has come."""
        due = self._due()
        if due:
            self._send(due)
        if not self._reading and len(self._waiting) < MOST_PIPELINED // 2:
            self._throttle()

    def _due(self) -> bytes:
        """Return the replies whose turn has come; they linger no longer."""
        if self._lingering is not None:
            if self._lingering.active():
                self._lingering.cancel()
            self._lingering = None
        out = []
        while self._waiting and self._waiting[0][0] is not None:
            done = self._waiting.pop(0)[0]
            assert done is not None
            out.append(done.encode())
        return b"".join(out)

    def _throttle(self) -> None:
        """Read, or not, as the replies owed and the peer's own reading demand."""
        wanted = not (self._choked or self._on_hold) and len(self._waiting) < MOST_PIPELINED
        if wanted == self._reading or self.transport is None or not self._greeted or self._over:
            return
        self._reading = wanted
        if not wanted:
            self.transport.pauseProducing()
            return
        self._read()
        if self._reading and self._held and self._greeted:
            held, self._held = bytes(self._held), bytearray()
            self._arriving = self._dialogue.receive(held)
            self._read()
        if self._reading:
            self.transport.resumeProducing()

    def _send(self, data: bytes) -> None:
        transport = self.transport
        if transport is None or self._over:
            return
        if self._lingering is not None:
            data = self._due() + data
        if self._choked:
            self._unsent += len(data)
            if self._unsent > MOST_UNSENT:
                self.abort()
                _log.warn("{user} does not read: cut off", event="cut", user=self.user)
                return
        transport.write(data)

    def _silent(self) -> None:
        """The timer: cut a peer that has been silent too long, or has let a line begin that does not end, else look
        again when it could be."""
        if not self._greeted:
            self.abort()
            return
        now = self._clock.seconds()
        if self._waiting:
            self._heard = now
        left = self._heard + self._patience - now
        if self._begun is not None:
            if not self._reading:
                self._begun = now
            left = min(left, self._begun + IDLE_SECONDS - now)
        if left <= 0:
            self.abort()
            return
        self._timer = self._clock.callLater(min(left, LINK_SECONDS), self._silent)


def _refusal(error: TaskManagerError) -> Reply:
    lines = error.text.splitlines() or [""]
    return Reply(lines[0], lines[1:], word=error.word)


def _failed(failure: Failure) -> Reply:
    if failure.check(TaskManagerError):
        error = failure.value
        assert isinstance(error, TaskManagerError)
        return _refusal(error)
    _log.failure("a request failed", failure=failure, event="internal")
    return Reply("the server failed at this request; its log says how", word="internal.error")


def probe_often(sock: socket.socket | None) -> None:
    """Have the system ask the other machine whether it still knows this connection: one that was restarted says no.

    One that does not answer at all is given as long as silence is anyway.
    """
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, int(LINK_SECONDS) // PROBE_SECONDS)


def peer_uid(transport: socket.socket) -> int:
    """Return the user number of the process on the other side of a Unix socket."""
    packed = transport.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", packed)[1])
