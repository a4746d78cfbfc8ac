"""Who is let in: connections of one address, of one user, of strangers, and as many as there are descriptors."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.logger import formatEvent, globalLogPublisher

from tests.support.wire import SteeredPort, Wire
from tests.unit.edge.test_connection import ConnectionCase
from tm.edge import admission, connection
from tm.edge.admission import ServerFactory
from tm.edge.connection import ServerConnection
from tm.edge.pace import MOST_AT_ONCE
from tm.wire.message import Reply


class SilentWire(Wire):
    """One over which a handshake is not done before `greet`."""

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802  ITCPTransport
        """There is nothing to delay."""

    def greet(self) -> None:
        """The handshake is done."""
        assert isinstance(self.protocol, ServerConnection)
        self.protocol.handshakeCompleted()


class FactoryTests(ConnectionCase):
    def test_connections_from_one_address_are_bounded(self) -> None:
        for address, most in (
            (IPv4Address("TCP", "10.0.0.7", 1), admission.MOST_PER_ADDRESS),
            (IPv4Address("TCP", "127.0.0.1", 1), admission.MOST_PER_LOOPBACK),
            (UNIXAddress(None), admission.MOST_PER_LOOPBACK),
        ):
            factory = ServerFactory(self.talk, self.clock)
            made = [factory.buildProtocol(address) for _ in range(most)]
            self.assertNotIn(None, made)
            self.assertIsNone(factory.buildProtocol(address))
            self.assertIsNotNone(factory.buildProtocol(IPv4Address("TCP", "10.0.0.8", 1)))
            first = made[0]
            assert first is not None
            wire = Wire(first)
            first.makeConnection(wire)
            wire.lost()
            self.assertIsNotNone(factory.buildProtocol(address))
            self.assertIsNone(factory.buildProtocol(address))

    def test_the_connections_of_one_user_from_one_address_are_bounded_and_others_are_let_in(self) -> None:
        factory = ServerFactory(self.talk, self.clock)

        def dial(user: str, address: str = "10.0.0.7") -> Wire:
            self.talk.user = user
            server = factory.buildProtocol(IPv4Address("TCP", address, 1))
            assert server is not None
            wire = Wire(server)
            server.makeConnection(wire)
            return wire

        wires = [dial("alice") for _ in range(admission.MOST_PER_ADDRESS)]
        self.assertTrue(all(wire.messages() == [Reply("hello alice")] for wire in wires))
        (refused,) = dial("alice").messages()
        assert isinstance(refused, Reply)
        self.assertEqual(refused.word, "limit.connections")
        self.assertEqual(refused.text, "alice has 64 connections from 10.0.0.7 already; close some")
        for user, address in (("bob", "10.0.0.7"), ("alice", "10.0.0.8")):
            self.assertEqual(dial(user, address).messages(), [Reply(f"hello {user}")])
        wires[0].lost()
        wires[1].lost()
        self.assertEqual(dial("alice").messages(), [Reply("hello alice")])

    def test_descriptors_are_kept_back_and_it_is_said_before_they_are_short(self) -> None:
        self.patch(admission, "most_connections", lambda: 10)
        said: list[str] = []

        def hear(event: dict[str, Any]) -> None:
            if event.get("event") == "descriptors":
                said.append(formatEvent(event))

        observer: Any = hear
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        factory = ServerFactory(self.talk, self.clock)
        made = [factory.buildProtocol(IPv4Address("TCP", f"10.0.0.{number}", 1)) for number in range(12)]
        self.assertEqual([one is None for one in made], [False] * 10 + [True] * 2)
        self.assertEqual(len(said), 1)
        self.assertIn("8 connections are open, of 10 that its descriptors allow; raise the limit", said[0])
        self.clock.advance(admission.COMPLAIN_EVERY)
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "10.0.0.99", 1)))
        self.assertEqual(len(said), 2)

    def test_of_too_many_that_nobody_knows_the_longest_there_goes_and_nobody_who_was_greeted(self) -> None:
        self.patch(connection, "TLSMemoryBIOProtocol", SilentWire)
        factory = ServerFactory(self.talk, self.clock)

        def dial(number: int) -> SilentWire:
            server = factory.buildProtocol(IPv4Address("TCP", f"10.0.{number >> 8}.{number & 255}", 1))
            assert server is not None
            secured = SilentWire(server)
            server.makeConnection(secured)
            return secured

        known = dial(0)
        known.greet()
        wires = [dial(number) for number in range(1, admission.MOST_STRANGERS + 1)]
        self.assertFalse(any(wire.aborted for wire in [known, *wires]))
        wires[1].greet()
        wires += [dial(1), dial(2)]
        self.assertEqual([wire.aborted for wire in [known, *wires[:4]]], [False, True, False, False, False])
        wires[2].lost()
        wires += [dial(3), dial(4)]
        self.assertEqual([wire.aborted for wire in wires[:5]], [True, False, False, True, False])
        self.assertFalse(known.aborted)

    def test_who_has_said_nothing_yet_keeps_nobody_from_being_accepted(self) -> None:
        self.patch(connection, "TLSMemoryBIOProtocol", SilentWire)
        factory = ServerFactory(self.talk, self.clock)
        port = factory.steer(SteeredPort())
        servers = [factory.buildProtocol(IPv4Address("TCP", f"10.0.1.{number}", 1)) for number in range(200)]
        self.assertTrue(port.reading)
        for server in servers[:MOST_AT_ONCE]:
            assert server is not None
            self.assertTrue(port.reading)
            server.handshake_begins()
        self.assertFalse(port.reading)

    def test_the_connections_of_a_user_can_be_cut(self) -> None:
        factory = ServerFactory(self.talk, self.clock)
        wires = {}
        for user in ("alice", "bob"):
            self.talk.user = user
            server = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
            assert server is not None
            wires[user] = Wire(server)
            server.makeConnection(wires[user])
        factory.cut(lambda user: user == "bob")
        self.assertEqual((wires["alice"].aborted, wires["bob"].aborted), (False, True))
