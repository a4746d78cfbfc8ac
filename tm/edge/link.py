"""The dialling side of a daemon's link: it comes back by itself, says it is alive, and asks.

`Dialler` keeps one connection to a server whose address may change between tries. Requests are answered in their
order; when the connection is gone, all that are unanswered fail with ``net.lost``, and whoever asked asks again on
the next one.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any
from typing import Protocol as Promise

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorCore, IReactorTCP, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from typing_extensions import override

from tm.errors import RefusedError, TaskManagerError, WireError
from tm.wire.dialogue import ClientDialogue
from tm.wire.frames import Bulk, encode_bulk
from tm.wire.message import Event, Reply, Request

HEARTBEAT_SECONDS = 30.0
SILENCE_SECONDS = 90.0
DELAYS = (0.1, 0.2, 0.5, *(1.0,) * 6, *(2.0,) * 4, 5.0, 5.0, 10.0)
LONGEST_DELAY = 15.0

_log = Logger()


class Reactor(IReactorTCP, IReactorTime, IReactorCore):  # type: ignore[misc]  # three interfaces of one reactor
    """What a dialler needs of the reactor."""


class Listener(Promise):
    """Who uses the link."""

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """The server has greeted us."""

    def link_down(self, reason: str) -> None:
        """The link is gone, or could not be made."""

    def event(self, link: ClientLink, json: bytes) -> None:
        """An event line came."""

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        """Raw bytes came."""


class ClientLink(Protocol):
    """One connection to a server; a `Link`."""

    transport: Any  # sockets can do more than ITransport says

    def __init__(self, listener: Listener, clock: IReactorTime) -> None:
        self._listener = listener
        self._clock = clock
        self._dialogue = ClientDialogue()
        self._asked: deque[Deferred[Reply]] = deque()
        self._greeted = False
        self._heard = clock.seconds()
        self._pulse = LoopingCall(self._beat)
        self._pulse.clock = clock
        self.reason = ""

    def ask(self, verb: str, rest: str | None = None, json: bool = False) -> Deferred[Reply]:
        """Send a request; its reply comes, or `TaskManagerError` ``net.lost`` when the connection is gone."""
        if not self._greeted or self.transport is None:
            return fail(TaskManagerError("net.lost", "the connection is gone; try again"))
        try:
            line = Request(verb, rest, json).encode()
        except RefusedError as refusal:
            return fail(refusal)
        answer: Deferred[Reply] = Deferred()
        self._asked.append(answer)
        self.transport.write(line)
        return answer

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Send raw bytes of a channel."""
        if self.transport is not None:
            self.transport.write(encode_bulk(channel, data))

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self.transport.abortConnection()

    @override
    def connectionMade(self) -> None:
        if isinstance(self.transport, TLSMemoryBIOProtocol):
            self.transport.setTcpNoDelay(True)
        self._pulse.start(HEARTBEAT_SECONDS, now=False)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._heard = self._clock.seconds()
        try:
            for message in self._dialogue.receive(data):
                self._take(message)
        except (WireError, RefusedError) as error:
            self.reason = f"{error.word} {error.text}"
            self.abort()

    def _take(self, message: Reply | Event | Bulk) -> None:
        if isinstance(message, Event):
            self._tell(message.json)
        elif isinstance(message, Bulk):
            self._listener.bulk(self, message)
        elif self._asked:
            self._asked.popleft().callback(message)
        elif not self._greeted and message.ok:
            self._greeted = True
            self._listener.link_up(self, message.text)
        else:
            raise RefusedError(message.word or "proto.malformed", message.text)

    def _tell(self, json: bytes) -> None:
        """Hand an event on; where it is none that anybody understands there is no telling what was meant."""
        try:
            self._listener.event(self, json)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise WireError("proto.malformed", f"the server says what is not understood: {error}") from None

    def _beat(self) -> None:
        if self._clock.seconds() - self._heard > SILENCE_SECONDS:
            self.reason = f"silent for {SILENCE_SECONDS:.0f} s"
            self.abort()
        elif self._greeted:
            self.ask("version").addErrback(lambda failure: failure.trap(TaskManagerError) and None)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._pulse.running:
            self._pulse.stop()
        self._greeted = False
        self.transport = None
        asked, self._asked = self._asked, deque()
        lost = TaskManagerError("net.lost", "the connection broke before the answer; try again")
        for answer in asked:
            answer.errback(lost)
        self._listener.link_down(self.reason or reason.getErrorMessage())


class _LinkFactory(Factory):
    noisy = False

    def __init__(self, make: Callable[[], ClientLink]) -> None:
        self._make = make

    @override
    def buildProtocol(self, addr: object) -> ClientLink:
        return self._make()


class Dialler:
    """Keeps dialling what *address* names, with growing pauses, until stopped."""

    def __init__(
        self,
        reactor: Reactor,
        listener: Listener,
        address: Callable[[], tuple[str, int]],
        connections: Callable[[], IOpenSSLClientConnectionCreator],
    ) -> None:
        self._reactor = reactor
        self._listener = listener
        self._address = address
        self._connections = connections
        self._tries = 0
        self._running = False
        self._call: object = None
        self._connection: ClientLink | None = None

    def start(self) -> None:
        """Begin dialling."""
        self._running = True
        self._dial()

    def stop(self) -> None:
        """Dial no more and cut what there is."""
        self._running = False
        if self._call is not None and self._call.active():  # type: ignore[attr-defined]  # a delayed call
            self._call.cancel()  # type: ignore[attr-defined]  # a delayed call
        if self._connection is not None:
            self._connection.abort()

    def soon(self) -> None:
        """Try again now rather than after the pause."""
        self._tries = 0
        if self._connection is None and self._call is not None and self._call.active():  # type: ignore[attr-defined]  # a delayed call
            self._call.reset(0)  # type: ignore[attr-defined]  # a delayed call

    def anew(self) -> None:
        """Leave the connection that there is, if any, and dial the address as it is now."""
        if self._connection is not None:
            self._connection.abort()
        self.soon()

    def _dial(self) -> None:
        self._call = None
        try:
            host, port = self._address()
            endpoint = wrapClientTLS(self._connections(), TCP4ClientEndpoint(self._reactor, host, port, timeout=10))
        except TaskManagerError as error:
            self._failed(Failure(error))
            return
        made = endpoint.connect(_LinkFactory(lambda: ClientLink(self, self._reactor)))
        made.addCallbacks(self._connected, self._failed)

    def _connected(self, link: ClientLink) -> None:
        self._connection = link
        if not self._running:
            link.abort()

    def _failed(self, failure: Failure) -> None:
        self.link_down(failure.getErrorMessage())

    # -- Listener of the connection -------------------------------------------------------------------------------

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """The server has greeted us."""
        self._tries = 0
        self._listener.link_up(link, greeting)

    def link_down(self, reason: str) -> None:
        """The link is gone: try again after a pause."""
        self._connection = None
        if self._running:
            self._listener.link_down(reason)
        if not self._running or self._call is not None:
            return
        pause = DELAYS[self._tries] if self._tries < len(DELAYS) else LONGEST_DELAY
        self._tries += 1
        self._call = self._reactor.callLater(pause * random.uniform(0.8, 1.2), self._dial)

    def event(self, link: ClientLink, json: bytes) -> None:
        """An event line came."""
        self._listener.event(link, json)

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        """Raw bytes came."""
        self._listener.bulk(link, data)
