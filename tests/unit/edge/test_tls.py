"""Handshakes in memory: who is let in, who is refused, and with which words."""

from __future__ import annotations

import datetime
import os
import ssl
import time

from OpenSSL import SSL
from twisted.internet import protocol
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface import implementer

from tests.support.identities import Identity
from tm.edge import tls
from tm.edge.certificates import Subject, make_certificate, to_pem, write_new
from tm.errors import ConfigError, RefusedError
from tm.model.rights import User, Users

NOW = datetime.datetime.now(datetime.UTC)


@implementer(IHandshakeListener)
class Listener(protocol.Protocol):
    """Notes what happens to the connection."""

    def __init__(self) -> None:
        self.completed = False
        self.received = b""
        self.reason: Failure | None = None

    def handshakeCompleted(self) -> None:  # noqa: N802
        self.completed = True

    @override
    def dataReceived(self, data: bytes) -> None:
        self.received += data

    @override
    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.reason = reason


class Wire(StringTransport):
    """A transport whose bytes are carried by hand."""

    def take(self) -> bytes:
        data = self.value()
        self.clear()
        return data


class Side:
    """One end of a connection: the application over TLS over a wire."""

    def __init__(self, creator: object, client: bool) -> None:
        factory = TLSMemoryBIOFactory(creator, client, protocol.Factory.forProtocol(Listener), Clock())
        self.tls = factory.buildProtocol(None)
        self.wire = Wire()
        self.tls.makeConnection(self.wire)
        self.app = self.tls.wrappedProtocol


def carry(one: Side, other: Side) -> None:
    """Carry bytes both ways until there are no more; tell a side whose peer is gone."""
    for _ in range(50):
        moved = False
        for source, target in ((one, other), (other, one)):
            data = source.wire.take()
            if data and not target.wire.disconnecting:
                target.tls.dataReceived(data)
                moved = True
        if not moved:
            break
    for side in (one, other):
        if side.wire.disconnecting and side.tls._tlsConnection is not None:
            side.tls.connectionLost(Failure(ConnectionError("closed")))


class TlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.dispatcher = Identity(self.folder, "taskdispatcher", "taskdispatcher")
        self.alice = Identity(self.folder, "alice", "alice")
        self.users = Users.of(User("alice", (self.alice.fingerprint,)), User("bob", ("00" * 32,)))

    def connect(self, client: object, server: object | None = None) -> tuple[Side, Side]:
        creator = server or tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate)
        sides = Side(client, True), Side(creator, False)
        carry(*sides)
        return sides

    def client(self, who: Identity, pins: frozenset[str] | None = None) -> tls.ClientConnections:
        accepted = frozenset({self.dispatcher.fingerprint}) if pins is None else pins
        return tls.client_context_factory(who.key, who.certificate, accepted)

    def refusal_of(self, who: Identity) -> RefusedError:
        _, server = self.connect(self.client(who))
        self.assertTrue(server.app.completed)
        peer = tls.peer_identity(server.tls)
        return self.assertRaises(RefusedError, tls.check_peer, peer, self.users, NOW.timestamp())

    def test_a_registered_user_is_known_by_fingerprint(self) -> None:
        client, server = self.connect(self.client(self.alice))
        self.assertTrue(client.app.completed and server.app.completed)
        peer = tls.peer_identity(server.tls)
        assert peer is not None
        self.assertEqual((peer.common_name, peer.fingerprint), ("alice", self.alice.fingerprint))
        self.assertEqual(tls.check_peer(peer, self.users, NOW.timestamp()), "alice")
        self.assertEqual(tls.peer_identity(client.tls).fingerprint, self.dispatcher.fingerprint)

    def test_the_client_reads_the_sentence_with_which_it_is_refused(self) -> None:
        client, server = self.connect(self.client(Identity(self.folder, "eve", "eve")))
        server.tls.write(b"ERR auth.unknown sentence\n.\n")
        server.tls.loseConnection()
        carry(server, client)
        self.assertEqual(client.app.received, b"ERR auth.unknown sentence\n.\n")

    def test_the_protocol_is_tls_1_3(self) -> None:
        client, _ = self.connect(self.client(self.alice))
        self.assertEqual(client.tls.getHandle().get_protocol_version_name(), "TLSv1.3")

    def test_an_older_protocol_is_refused(self) -> None:
        old = SSL.Context(SSL.TLS_METHOD)
        old.set_max_proto_version(SSL.TLS1_2_VERSION)
        client, server = self.connect(tls.ClientConnections(old, {self.dispatcher.fingerprint}, time.time))
        self.assertFalse(client.app.completed or server.app.completed)

    def test_nobody_without_a_certificate(self) -> None:
        bare = SSL.Context(SSL.TLS_METHOD)
        _, server = self.connect(tls.ClientConnections(bare, {self.dispatcher.fingerprint}, time.time))
        self.assertTrue(server.app.completed)
        self.assertIs(tls.peer_identity(server.tls), None)
        error = self.assertRaises(RefusedError, tls.check_peer, None, self.users, NOW.timestamp())
        self.assertEqual((error.word, error.exit_status), ("auth.none", 77))

    def test_a_foreign_certificate_is_unknown(self) -> None:
        eve = Identity(self.folder, "eve", "eve")
        error = self.refusal_of(eve)
        self.assertEqual(error.word, "auth.unknown")
        self.assertIn("'eve'", error.text)
        self.assertIn(eve.fingerprint[:16], error.text)

    def test_another_users_name_is_a_forgery(self) -> None:
        error = self.refusal_of(Identity(self.folder, "alias", "bob"))
        self.assertEqual(error.word, "auth.forged")
        self.assertIn("bob", error.text)

    def test_another_users_name_signed_by_a_registered_key_is_a_forgery(self) -> None:
        forged = make_certificate(self.alice.private, Subject("bob"), NOW)
        path = os.path.join(self.folder, "forged.crt")
        write_new(path, to_pem(forged))
        creator = tls.client_context_factory(self.alice.key, path, {self.dispatcher.fingerprint})
        _, server = self.connect(creator)
        peer = tls.peer_identity(server.tls)
        error = self.assertRaises(RefusedError, tls.check_peer, peer, self.users, NOW.timestamp())
        self.assertEqual(error.word, "auth.forged")

    def test_a_certificate_has_its_time(self) -> None:
        for moment, days, word in ((-60, 30, "auth.expired"), (+60, 30, "auth.notyet")):
            shifted = NOW + datetime.timedelta(days=moment)
            who = Identity(self.folder, f"late{moment}", "alice", shifted, days)
            self.users = Users.of(User("alice", (who.fingerprint,)))
            error = self.refusal_of(who)
            self.assertEqual(error.word, word)
            self.assertIn("alice", error.text)

    def test_a_false_dispatcher_is_refused_with_a_reason(self) -> None:
        false = Identity(self.folder, "false", "taskdispatcher")
        server = tls.server_context_factory(false.key, false.certificate)
        client, _ = self.connect(self.client(self.alice), server)
        self.assertFalse(client.app.completed)
        assert client.app.reason is not None
        error = client.app.reason.value
        self.assertIsInstance(error, RefusedError)
        self.assertEqual(error.word, "auth.server")
        self.assertIn(false.fingerprint[:16], error.text)

    def test_an_expired_dispatcher_is_refused(self) -> None:
        old = Identity(self.folder, "old", "taskdispatcher", NOW - datetime.timedelta(days=90), 30)
        server = tls.server_context_factory(old.key, old.certificate)
        client, _ = self.connect(self.client(self.alice, frozenset({old.fingerprint})), server)
        assert client.app.reason is not None
        self.assertEqual(client.app.reason.value.word, "auth.server")

    def test_without_pins_nobody_is_trusted(self) -> None:
        client, _ = self.connect(self.client(self.alice, frozenset()))
        self.assertFalse(client.app.completed)

    def test_a_clock_that_fails_lets_nobody_in(self) -> None:
        def broken() -> float:
            raise OSError("no clock")

        creator = tls.client_context_factory(
            self.alice.key, self.alice.certificate, {self.dispatcher.fingerprint}, broken
        )
        client, server = (
            Side(creator, True),
            Side(tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate), False),
        )
        self.assertRaises(OSError, carry, client, server)
        self.assertFalse(client.app.completed)

    def test_the_first_bytes_of_a_handshake_are_told_once_to_who_wants_to_know(self) -> None:
        told: list[str] = []

        class Curious(Listener):
            def handshake_begins(self) -> None:
                told.append("begins")

        creator = tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate)
        for kind, times in ((Curious, 1), (Listener, 0)):
            told.clear()
            server = tls.SecureFactory(creator, False, protocol.Factory.forProtocol(kind), Clock()).buildProtocol(None)
            assert server is not None
            server.makeConnection(Wire())
            self.assertEqual(told, [])
            for _ in range(3):
                server.dataReceived(b"\x16\x03\x01")
            self.assertEqual(len(told), times)

    def test_no_session_is_resumed(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(self.alice.certificate, self.alice.key)
        context.load_verify_locations(self.dispatcher.certificate)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        creator = tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate)
        first = self.stdlib(context, creator, None)
        second = self.stdlib(context, creator, first.session)
        self.assertFalse(second.session_reused)

    def stdlib(self, context: ssl.SSLContext, creator: object, session: ssl.SSLSession | None) -> ssl.SSLObject:
        """Shake hands as the clients do, with the standard library, and read one line."""
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(inward, outward, session=session)
        server = Side(creator, False)
        done = False
        for _ in range(10):
            try:
                if not done:
                    client.do_handshake()
                    done = True
            except ssl.SSLWantReadError:
                pass
            if outward.pending:
                server.tls.dataReceived(outward.read())
            inward.write(server.wire.take())
        self.assertTrue(done and server.app.completed)
        self.assertEqual(tls.peer_identity(server.tls).fingerprint, self.alice.fingerprint)
        server.tls.write(b"OK\n")
        server.tls._aggregator.flush()
        inward.write(server.wire.take())
        self.assertEqual(client.read(), b"OK\n")
        return client

    def test_a_key_must_belong_to_the_certificate(self) -> None:
        error = self.assertRaises(ConfigError, tls.server_context_factory, self.alice.key, self.dispatcher.certificate)
        self.assertEqual((error.word, error.exit_status), ("config.key", 78))
