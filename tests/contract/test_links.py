"""A link and a server joined by real TLS in memory: certificates on both sides, replies in order, refusals in words."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import IOPump
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.identities import Identity
from tests.support.wire import Steered, pumped
from tm.edge import tls
from tm.edge.admission import ServerFactory
from tm.edge.connection import HANDSHAKE_SECONDS
from tm.edge.link import HEARTBEAT_SECONDS, ClientLink
from tm.errors import RefusedError
from tm.model.rights import User, Users
from tm.wire.frames import BULK_LIMIT, Bulk
from tm.wire.message import Reply


class Known(Steered):
    """Answers those whose certificate is known."""

    def __init__(self, users: Users) -> None:
        super().__init__()
        self.users = users

    @override
    def identify(self, transport: Any) -> str:
        return tls.check_peer(tls.peer_identity(transport), self.users, time.time())


class Heard:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.link: ClientLink | None = None
        self.greeting = ""
        self.reason = ""
        self.events: list[bytes] = []
        self.bulks: list[Bulk] = []

    def link_up(self, link: ClientLink, greeting: str) -> None:
        self.link, self.greeting = link, greeting

    def link_down(self, reason: str) -> None:
        self.reason = reason

    def event(self, link: ClientLink, json: bytes) -> None:
        self.events.append(json)

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        self.bulks.append(data)


class LinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.clock = Clock()
        self.dispatcher = Identity(folder, "taskdispatcher", "taskdispatcher")
        self.alice = Identity(folder, "alice", "alice")
        self.eve = Identity(folder, "eve", "alice")
        self.talk = Known(Users.of(User("alice", (self.alice.fingerprint,))))
        self.heard = Heard()

    def join(self, who: Identity, pins: set[str] | None = None) -> IOPump:
        clock: Any = self.clock
        served = ServerFactory(self.talk, clock)
        server_creator = tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate)
        server_side = tls.SecureFactory(server_creator, False, served, clock)
        asking = Factory.forProtocol(lambda: ClientLink(self.heard, clock))  # type: ignore[arg-type]
        creator = tls.client_context_factory(who.key, who.certificate, pins or {self.dispatcher.fingerprint})
        client_side = TLSMemoryBIOFactory(creator, True, asking, clock)
        address = IPv4Address("TCP", "127.0.0.1", 1)
        server, client = server_side.buildProtocol(address), client_side.buildProtocol(address)
        assert server is not None
        pump = pumped(server, client, self.clock)
        self.addCleanup(pump.flush)
        self.addCleanup(lambda: self.heard.link and self.heard.link.abort())
        return pump

    def test_both_sides_know_each_other_and_answers_come_in_order(self) -> None:
        pump = self.join(self.alice)
        link = self.heard.link
        assert link is not None
        self.assertEqual(self.heard.greeting, "hello alice")
        answers = [link.ask("later"), link.ask("now", "x" * 60_000), link.ask("refuse")]
        pump.flush()
        self.assertNoResult(answers[1])
        self.talk.asked[0].callback(Reply("first", ["."]))
        pump.flush()
        replies = [self.successResultOf(answer) for answer in answers]
        self.assertEqual(replies[0], Reply("first", ["."]))
        self.assertEqual((len(replies[1].text), replies[2].word), (60_004, "perm.denied"))

    def test_bulk_and_events_pass_in_both_directions(self) -> None:
        pump = self.join(self.alice)
        assert self.heard.link is not None
        self.heard.link.ask("now")
        self.heard.link.send_bulk(0, b"in" * 1000)
        pump.flush()
        peer = self.talk.peers[0]
        peer.send_event(b"{}")
        peer.send_bulk(1, os.urandom(BULK_LIMIT))
        pump.flush()
        self.assertEqual((self.talk.bulks, self.heard.events), ([Bulk(0, b"in" * 1000)], [b"{}"]))
        self.assertEqual(len(self.heard.bulks[0].data), BULK_LIMIT)

    def test_the_key_counts_and_not_the_name_in_the_certificate(self) -> None:
        self.join(self.eve).flush()
        self.assertIn("auth.forged", self.heard.reason)
        self.assertEqual((self.heard.link, self.talk.requests), (None, []))

    def test_a_false_server_hears_nothing_from_us(self) -> None:
        self.join(self.alice, {self.alice.fingerprint}).flush()
        self.assertEqual((self.heard.link, self.talk.requests), (None, []))
        self.assertNotEqual(self.heard.reason, "")

    def test_who_never_shakes_hands_is_cut_after_ten_seconds(self) -> None:
        clock: Any = self.clock
        served = ServerFactory(self.talk, clock)
        creator = tls.server_context_factory(self.dispatcher.key, self.dispatcher.certificate)
        server = tls.SecureFactory(creator, False, served, clock).buildProtocol(
            IPv4Address("TCP", "10.0.0.7", 1)
        )
        assert server is not None
        silent = Protocol()
        pump = pumped(server, silent, self.clock)
        self.clock.advance(HANDSHAKE_SECONDS - 0.1)
        pump.flush()
        self.assertEqual(len(served.connections), 1)
        self.clock.advance(0.1)
        pump.flush()
        self.assertEqual((len(served.connections), self.talk.requests), (0, []))

    def test_a_link_lives_as_long_as_both_speak(self) -> None:
        pump = self.join(self.alice)
        self.talk.at_request = lambda peer, request: peer.keep()
        assert self.heard.link is not None
        self.heard.link.ask("now")
        pump.flush()
        for _ in range(20):
            self.clock.advance(HEARTBEAT_SECONDS)
            pump.flush()
        self.assertEqual((self.heard.reason, len(self.talk.requests)), ("", 21))

    def test_a_cut_ends_both_sides_and_what_was_asked(self) -> None:
        pump = self.join(self.alice)
        closed: list[int] = []
        assert self.heard.link is not None
        self.talk.at_request = lambda peer, request: peer.on_close(lambda: closed.append(1))
        answer = self.heard.link.ask("later")
        pump.flush()
        self.talk.peers[0].abort()
        pump.flush()
        self.assertEqual((closed, self.failureResultOf(answer).value.word), ([1], "net.lost"))

    def test_a_request_of_a_mebibyte_passes_where_it_may_and_ends_the_link_where_not(self) -> None:
        pump = self.join(self.alice)
        link = self.heard.link
        assert link is not None
        answer = link.ask("submit", "x" * ((1 << 20) - 7))
        pump.flush()
        self.assertTrue(self.successResultOf(answer).ok)
        lost = link.ask("lsjobs", "x" * (1 << 16))
        pump.flush()
        self.assertEqual(self.successResultOf(lost).word, "limit.line")
        self.assertIsInstance(self.failureResultOf(link.ask("version")).value, (RefusedError, Exception))
