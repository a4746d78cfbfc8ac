"""Connections of browsers: bounded in number and in time, one request after the other.

The law: who sends slowly, or nothing, holds up nobody else.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request
from typing_extensions import override

from tm.web.site import Server, WebRequest

REQUEST_SECONDS = 20.0
IDLE_SECONDS = 75
MOST_CONNECTIONS = 1024


class Channel(HTTPChannel):
    """A connection: a request must have come wholly within `REQUEST_SECONDS`, however slowly it drips."""

    transport: Any
    _deadline: Any = None

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.idle[self] = None
        self._expect(REQUEST_SECONDS)

    def _expect(self, seconds: float) -> None:
        self._deadline = self.callLater(seconds, self.forceAbortClient)

    def _settled(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    @override
    def lineReceived(self, line: bytes) -> None:
        """Take a line of a head. One that goes on with the one before is refused: who stands in front of us may read it
        otherwise than we do, and see another end of the request."""
        if line[:1] in (b" ", b"\t"):
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.loseConnection()
            return
        super().lineReceived(line)

    @override
    def forceAbortClient(self) -> None:
        """Hang up, whatever is still to be sent; nothing is logged, or strangers could fill the log."""
        self.transport.abortConnection()

    @override
    def allContentReceived(self) -> None:
        self._settled()
        self.factory.idle.pop(self, None)
        super().allContentReceived()

    @override
    def requestDone(self, request: Request) -> None:
        self._settled()
        self.factory.idle[self] = None
        self._expect(IDLE_SECONDS)
        super().requestDone(request)

    @override
    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it no default here
        self._settled()
        self.factory.idle.pop(self, None)
        self.factory.connections -= 1
        super().connectionLost(reason)


class WebFactory(HTTPFactory):
    """Listens for browsers. Where there are `MOST_CONNECTIONS` the one that has asked for nothing for longest gives way
    to a new one, so that nobody locks others out by holding connections; where all are being answered, the new one."""

    protocol = Channel  # type: ignore[assignment]  # HTTP/1.1 alone, without what chooses between versions
    noisy = False

    def __init__(self, server: Server, reactor: IReactorTime) -> None:
        super().__init__(timeout=None, reactor=reactor)  # type: ignore[arg-type]  # none: ours are, and silent
        self.server = server
        self.connections = 0
        self.idle: dict[Channel, None] = {}
        self.requestFactory = WebRequest

    @override
    def buildProtocol(self, addr: Any) -> Any:
        if self.connections >= MOST_CONNECTIONS:
            if not self.idle:
                return None
            oldest = next(iter(self.idle))
            del self.idle[oldest]
            oldest.forceAbortClient()
        self.connections += 1
        built: Any = super().buildProtocol(addr)
        built.requestFactory = WebRequest
        return built

    @override
    def log(self, request: Request) -> None:
        """Nothing: addresses hold names of jobs and tokens of links."""
