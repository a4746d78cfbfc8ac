"""TLS over real sockets: what each side reads, and why it lost the connection."""

from __future__ import annotations

import os
import socket
import ssl
import time

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from typing_extensions import override
from zope.interface import implementer

from tests.support.identities import Identity
from tm.edge import tls
from tm.errors import RefusedError
from tm.model.rights import User, Users


@implementer(IHandshakeListener)
class Greeter(Protocol):
    """Greets a known user by name, everybody else with the reason of the refusal."""

    users: Users

    def handshakeCompleted(self) -> None:  # noqa: N802
        try:
            line = "OK " + tls.check_peer(tls.peer_identity(self.transport), self.users, time.time())
        except RefusedError as refusal:
            line = f"ERR {refusal.word} {refusal.text}"
        self.transport.write(line.encode() + b"\n.\n")
        self.transport.loseConnection()


class Reader(Protocol):
    """Collects what comes until the connection is lost."""

    def __init__(self) -> None:
        self.text = b""
        self.lost: Deferred[Failure] = Deferred()

    @override
    def dataReceived(self, data: bytes) -> None:
        self.text += data

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(reason.value)


class ConnectionTests(TestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.dispatcher = Identity(self.folder, "taskdispatcher", "taskdispatcher")
        self.alice = Identity(self.folder, "alice", "alice")
        factory = Factory.forProtocol(Greeter)
        Greeter.users = Users.of(User("alice", (self.alice.fingerprint,)))
        creator = tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate)
        port = reactor.listenTCP(0, TLSMemoryBIOFactory(creator, False, factory), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    async def connect(self, who: Identity, pins: set[str]) -> tuple[bytes, Exception]:
        creator = tls.client_context_factory(who.key, who.certificate, pins)
        endpoint = wrapClientTLS(creator, HostnameEndpoint(reactor, b"127.0.0.1", self.port))
        reader = await endpoint.connect(Factory.forProtocol(Reader))
        reason = await reader.lost
        return reader.text, reason

    async def test_a_known_user_is_greeted_by_name(self) -> None:
        text, _ = await self.connect(self.alice, {self.dispatcher.fingerprint})
        self.assertEqual(text, b"OK alice\n.\n")
        self.assertEqual(self.flushWarnings(), [])

    async def test_a_stranger_reads_why_not(self) -> None:
        eve = Identity(self.folder, "eve", "eve")
        text, _ = await self.connect(eve, {self.dispatcher.fingerprint})
        self.assertTrue(text.startswith(b"ERR auth.unknown the certificate "), text)

    async def test_a_false_dispatcher_is_named_as_the_reason(self) -> None:
        text, reason = await self.connect(self.alice, {self.alice.fingerprint})
        self.assertEqual(text, b"")
        assert isinstance(reason, RefusedError)
        self.assertEqual(reason.word, "auth.server")

    async def test_a_client_of_the_standard_library_without_certificate_reads_why_not(self) -> None:
        def ask() -> bytes:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(self.dispatcher.certificate)
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as secure:
                    return secure.recv(4096)

        text = await deferToThread(ask)
        self.assertTrue(text.startswith(b"ERR auth.none "), text)
