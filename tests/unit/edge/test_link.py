"""The dialling side: answers in order, what becomes of those that never come, heartbeat, and pauses between tries."""

from __future__ import annotations

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.wire import Wire
from tm.edge.link import HEARTBEAT_SECONDS, LONGEST_DELAY, SILENCE_SECONDS, ClientLink, Dialler
from tm.errors import ConfigError, RefusedError, TaskManagerError
from tm.wire.frames import Bulk, encode_bulk
from tm.wire.message import Reply, Request


class Noted:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def link_up(self, link: ClientLink, greeting: str) -> None:
        self.heard.append(("up", greeting))

    def link_down(self, reason: str) -> None:
        self.heard.append(("down", reason))

    def event(self, link: ClientLink, json: bytes) -> None:
        self.heard.append(json)

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        self.heard.append(data)


class LinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.noted = Noted()
        self.link = ClientLink(self.noted, self.clock)
        self.wire = Wire(self.link)
        self.link.makeConnection(self.wire)
        self.addCleanup(lambda: self.link._pulse.running and self.link._pulse.stop())

    def greet(self) -> None:
        self.link.dataReceived(Reply("TaskDispatcher 1.0.0 protocol=1").encode())

    def requests(self) -> list[str]:
        data = self.wire.value()
        self.wire.clear()
        return data.decode().splitlines()


class LinkTests(LinkCase):
    def test_the_first_reply_is_the_greeting(self) -> None:
        self.assertEqual(self.failureResultOf(self.link.ask("version")).value.word, "net.lost")
        self.greet()
        self.assertEqual(self.noted.heard, [("up", "TaskDispatcher 1.0.0 protocol=1")])

    def test_who_is_refused_hears_why(self) -> None:
        self.link.dataReceived(Reply("nobody knows you", word="auth.unknown").encode())
        self.assertTrue(self.wire.aborted)
        self.wire.lost()
        self.assertEqual(self.noted.heard, [("down", "auth.unknown nobody knows you")])

    def test_answers_come_to_their_requests_in_order_with_events_and_bulk_between(self) -> None:
        self.greet()
        first, second = self.link.ask("lsjobs"), self.link.ask("status", None, True)
        self.assertEqual(self.requests(), ["lsjobs", "status.json"])
        data = Reply("1").encode() + b'* {"a":1}\n' + encode_bulk(1, b"x") + Reply("2").encode()
        for byte in data:
            self.link.dataReceived(bytes([byte]))
        self.assertEqual((self.successResultOf(first).text, self.successResultOf(second).text), ("1", "2"))
        self.assertEqual(self.noted.heard[1:], [b'{"a":1}', Bulk(1, b"x")])

    def test_an_error_reply_is_an_answer_like_any_other(self) -> None:
        self.greet()
        answer = self.link.ask("jobinfo", "9")
        self.link.dataReceived(Reply("no job 9", word="job.unknown").encode())
        self.assertEqual(self.successResultOf(answer), Reply("no job 9", word="job.unknown"))
        self.assertFalse(self.wire.aborted)

    def test_a_request_of_two_lines_is_refused_and_disturbs_no_other(self) -> None:
        self.greet()
        self.assertIsInstance(
            self.failureResultOf(self.link.ask("subscribe", "a\nshutdown")).value, RefusedError
        )
        answer = self.link.ask("version")
        self.assertEqual(self.requests(), ["version"])
        self.link.dataReceived(Reply("x").encode())
        self.assertEqual(self.successResultOf(answer), Reply("x"))

    def test_what_is_unanswered_when_the_connection_breaks_fails(self) -> None:
        self.greet()
        answers = [self.link.ask("version"), self.link.ask("version")]
        self.wire.lost()
        self.assertEqual([self.failureResultOf(answer).value.word for answer in answers], ["net.lost"] * 2)
        self.assertEqual(self.failureResultOf(self.link.ask("version")).value.word, "net.lost")
        self.assertEqual([heard[0] for heard in self.noted.heard], ["up", "down"])  # type: ignore[index]

    def test_a_server_that_speaks_unasked_or_nonsense_is_left(self) -> None:
        for data in (Reply("again").encode(), b"HTTP/1.1 400\r\n", b"= 1 99999999\n"):
            self.setUp()
            self.greet()
            self.link.dataReceived(data)
            self.assertTrue(self.wire.aborted, data)

    def test_it_says_that_it_is_alive_and_leaves_a_server_that_does_not(self) -> None:
        self.greet()
        for _ in range(10):
            self.clock.advance(HEARTBEAT_SECONDS)
            self.assertEqual(self.requests(), ["version"])
            self.link.dataReceived(Reply("x").encode())
        self.clock.pump([HEARTBEAT_SECONDS] * int(SILENCE_SECONDS // HEARTBEAT_SECONDS + 1))
        self.assertTrue(self.wire.aborted)
        self.wire.lost()
        self.assertEqual(self.noted.heard[-1], ("down", "silent for 90 s"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_server_that_never_greets_is_left(self) -> None:
        self.clock.pump([HEARTBEAT_SECONDS] * 5)
        self.assertTrue(self.wire.aborted)

    def test_requests_are_written_as_they_are_read(self) -> None:
        self.greet()
        self.link.ask("report", '{"a":"%:"}')
        self.link.send_bulk(0, b"in")
        self.assertEqual(self.wire.value(), Request("report", '{"a":"%:"}').encode() + encode_bulk(0, b"in"))


class DiallerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.noted = Noted()
        self.address: tuple[str, int] | Exception = ("127.0.0.1", 4711)

    def dialler(self) -> Dialler:
        def address() -> tuple[str, int]:
            if isinstance(self.address, Exception):
                raise self.address
            return self.address

        @implementer(IOpenSSLClientConnectionCreator)
        class Connections:
            def clientConnectionForTLS(self, protocol: object) -> object:  # noqa: N802
                raise AssertionError("nothing here connects")

        dialler = Dialler(self.reactor, self.noted, address, Connections)  # type: ignore[arg-type]
        dialler.start()
        return dialler

    def refuse(self) -> None:
        factory = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(self.reactor.connectors[-1], Failure(ConnectionRefusedError()))

    def pause(self) -> float:
        """Return how long it waits before it dials again."""
        before, start = len(self.reactor.tcpClients), self.reactor.seconds()
        while len(self.reactor.tcpClients) == before:
            self.reactor.advance(0.05)
            self.assertLess(self.reactor.seconds() - start, 100)
        return self.reactor.seconds() - start

    def test_it_dials_again_after_pauses_that_grow_and_are_bounded(self) -> None:
        dialler = self.dialler()
        pauses = []
        for _ in range(12):
            self.refuse()
            pauses.append(self.pause())
        self.assertLess(pauses[0], 0.3)
        self.assertGreater(pauses[-1], 5 * pauses[0])
        self.assertLess(max(pauses), LONGEST_DELAY * 1.25)
        self.assertEqual(len(self.noted.heard), 12)
        dialler.stop()

    def test_soon_is_now(self) -> None:
        dialler = self.dialler()
        for _ in range(8):
            self.refuse()
            self.pause()
        self.refuse()
        dialler.soon()
        self.assertLess(self.pause(), 0.2)
        dialler.stop()

    def test_an_address_that_is_not_known_yet_is_asked_for_again(self) -> None:
        self.address = ConfigError(["no such file"])
        dialler = self.dialler()
        self.assertEqual(self.noted.heard, [("down", "no such file")])
        self.address = ("127.0.0.1", 4712)
        self.pause()
        self.assertEqual(self.reactor.tcpClients[-1][:2], ("127.0.0.1", 4712))
        dialler.stop()

    def test_once_stopped_it_is_silent(self) -> None:
        dialler = self.dialler()
        self.refuse()
        dialler.stop()
        self.reactor.advance(100)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        other = self.dialler()
        other.stop()
        self.refuse()
        self.reactor.advance(100)
        self.assertEqual((len(self.reactor.tcpClients), len(self.noted.heard)), (2, 1))

    def test_the_words_of_a_failure_are_an_error_of_ours(self) -> None:
        self.assertTrue(issubclass(ConfigError, TaskManagerError))
