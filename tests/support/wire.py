"""Connections in memory: a transport one can look into, a conversation one steers, real TLS without sockets."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump
from typing_extensions import override

from tm.edge.connection import Answer
from tm.errors import RefusedError
from tm.ports import Peer
from tm.wire.dialogue import ClientDialogue
from tm.wire.frames import Bulk
from tm.wire.message import Event, Reply, Request


class Wire(StringTransport):
    """Keeps what is written and how it was ended; `lost` tells the protocol."""

    def __init__(self, protocol: IProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.aborted = False

    @override
    def abortConnection(self) -> None:
        self.aborted = True

    @property
    def reading(self) -> bool:
        """Whether the protocol wants to hear more."""
        return self.producerState == "producing"

    def lost(self) -> None:
        """The connection is gone."""
        self.protocol.connectionLost(Failure(connectionDone.value))

    def messages(self) -> list[Reply | Event | Bulk]:
        """Return what has been written since the last call, as the other side reads it."""
        data = self.value()
        self.clear()
        return list(ClientDialogue().receive(data))


class SteeredPort:
    """A listening port; `reading` says whether it accepts."""

    connected = True
    disconnecting = False
    numberAccepts = 100  # noqa: N815  Twisted's name
    reading = True

    def startReading(self) -> None:  # noqa: N802  Twisted's name
        self.reading = True

    def stopReading(self) -> None:  # noqa: N802  Twisted's name
        self.reading = False


class Steered:
    """A conversation whose answers are given by hand: ``later`` leaves a Deferred in *asked*, ``fail`` raises."""

    def __init__(self, user: str = "alice", refusal: RefusedError | None = None) -> None:
        self.user = user
        self.refusal = refusal
        self.peers: list[Peer] = []
        self.requests: list[Request] = []
        self.asked: list[Deferred[Reply]] = []
        self.bulks: list[Bulk] = []
        self.at_request: Callable[[Peer, Request], None] = lambda peer, request: None

    def identify(self, transport: object) -> str:
        if self.refusal is not None:
            raise self.refusal
        return self.user

    def greeting(self, user: str) -> str:
        return f"hello {user}"

    def answer(self, peer: Peer, request: Request) -> Answer:
        self.peers.append(peer)
        self.requests.append(request)
        self.at_request(peer, request)
        if request.verb == "later":
            self.asked.append(Deferred())
            return self.asked[-1]
        if request.verb == "refuse":
            raise RefusedError("perm.denied", "not you\nnor you")
        if request.verb == "fail":
            raise ZeroDivisionError
        return Reply(f"{request.verb} {request.rest}")

    def bulk(self, peer: Peer, data: Bulk) -> None:
        self.peers.append(peer)
        self.bulks.append(data)


def pumped(server: IProtocol, client: IProtocol, clock: Clock) -> IOPump:
    """Connect *server* and *client* in memory; ``flush`` of the result carries their bytes."""
    server_side, client_side = FakeTransport(server, isServer=True), FakeTransport(client, isServer=False)
    pump = IOPump(client, server, client_side, server_side, debug=False, clock=clock)
    server.makeConnection(server_side)
    client.makeConnection(client_side)
    pump.flush()
    return pump
