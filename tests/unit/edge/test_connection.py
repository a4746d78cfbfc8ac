"""The serving side of a connection: order, back-pressure, silence and bounds, with a clock that is moved by hand."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tests.support.wire import Steered, Wire
from tm.edge import connection
from tm.edge.connection import (
    LINK_SECONDS,
    MOST_PIPELINED,
    MOST_UNSENT,
    REPLY_LINGERS,
    Door,
    ServerConnection,
    probe_often,
)
from tm.errors import RefusedError, StoreError
from tm.wire.frames import BULK_LIMIT, LINE_LIMIT, Bulk, encode_bulk
from tm.wire.message import Event, Reply, Request


class ConnectionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.talk = Steered()
        self.gone = 0

    def connect(self) -> tuple[ServerConnection, Wire]:
        case = self

        class Counting(Door):
            def gone(self, connection: ServerConnection) -> None:
                case.gone += 1

        server = ServerConnection(self.talk, self.clock, Counting())
        wire = Wire(server)
        server.makeConnection(wire)
        return server, wire

    def greeted(self) -> tuple[ServerConnection, Wire]:
        server, wire = self.connect()
        self.assertEqual(wire.messages(), [Reply(f"hello {self.talk.user}")])
        return server, wire


class OrderTests(ConnectionCase):
    def test_replies_leave_in_the_order_of_the_requests(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"later:1\nnow:2\nlater:3\nnow:4\n")
        self.assertEqual(wire.messages(), [])
        self.talk.asked[1].callback(Reply("third"))
        self.assertEqual(wire.messages(), [])
        self.talk.asked[0].callback(Reply("first"))
        self.assertEqual([reply.text for reply in wire.messages()], ["first", "now 2", "third", "now 4"])

    @examples(60)
    @given(st.lists(st.booleans(), max_size=30), st.randoms(use_true_random=False))
    def test_whatever_the_order_of_the_answers(self, later: list[bool], dice: object) -> None:
        self.setUp()
        server, wire = self.greeted()
        lines = [f"{'later' if slow else 'now'}:{number}\n" for number, slow in enumerate(later)]
        server.dataReceived("".join(lines).encode())
        slow = [(number, self.talk.asked.pop(0)) for number, is_slow in enumerate(later) if is_slow]
        dice.shuffle(slow)  # type: ignore[attr-defined]
        for number, answer in slow:
            answer.callback(Reply(f"now {number}"))
        self.assertEqual([reply.text for reply in wire.messages()], [f"now {number}" for number in range(len(later))])

    def test_a_malformed_request_has_its_place_too(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"later\nNO\nnow:1\n")
        self.talk.asked[0].callback(Reply("a"))
        self.assertEqual(
            [(reply.word, reply.ok) for reply in wire.messages()],
            [(None, True), ("proto.malformed", False), (None, True)],
        )

    def test_a_refusal_is_an_error_reply_whose_further_lines_are_its_body(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"refuse\nlater\n")
        self.talk.asked[0].errback(StoreError("store.full", "no space"))
        self.assertEqual(
            wire.messages(),
            [Reply("not you", ["nor you"], "perm.denied"), Reply("no space", word="store.full")],
        )

    def test_a_defect_is_an_internal_error_and_the_conversation_goes_on(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"fail\nlater\nnow:1\n")
        self.talk.asked[0].errback(KeyError("x"))
        self.assertEqual([reply.word for reply in wire.messages()], ["internal.error", "internal.error", None])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, KeyError)), 2)
        self.assertFalse(wire.aborted)

    def test_an_answer_that_comes_when_the_peer_is_gone_is_dropped(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"later\n")
        wire.lost()
        self.talk.asked[0].callback(Reply("late"))
        self.assertEqual(wire.value(), b"")

    def test_bulk_and_requests_arrive_in_order_however_they_are_cut(self) -> None:
        server, _ = self.greeted()
        data = b"now:1\n" + encode_bulk(0, b"\n.\n") + b"now:2\n" + encode_bulk(0, b"")
        for byte in data:
            server.dataReceived(bytes([byte]))
        self.assertEqual(self.talk.requests, [Request("now", "1"), Request("now", "2")])
        self.assertEqual(self.talk.bulks, [Bulk(0, b"\n.\n"), Bulk(0, b"")])


class LingeringTests(ConnectionCase):
    """Replies that nobody waits for."""

    def lingering(self, count: int = 1) -> tuple[ServerConnection, Wire]:
        server, wire = self.greeted()
        server.dataReceived(b"later\n" * 5)
        for number in range(count):
            self.talk.asked[number].callback(Reply(f"done {number}", urgent=False))
        return server, wire

    def test_one_leaves_a_moment_later_by_itself(self) -> None:
        _, wire = self.lingering()
        self.assertEqual(wire.messages(), [])
        self.clock.advance(REPLY_LINGERS)
        self.assertEqual(wire.messages(), [Reply("done 0")])

    def test_it_leaves_before_the_next_urgent_one(self) -> None:
        _, wire = self.lingering()
        self.talk.asked[1].callback(Reply("now"))
        self.assertEqual(wire.messages(), [Reply("done 0"), Reply("now")])

    def test_it_leaves_before_an_event(self) -> None:
        server, wire = self.lingering()
        server.send_event(b"{}")
        self.assertEqual(wire.messages(), [Reply("done 0"), Event(b"{}")])

    def test_two_do_not_wait_for_a_third(self) -> None:
        _, wire = self.lingering(2)
        self.assertEqual(wire.messages(), [Reply("done 0"), Reply("done 1")])

    def test_it_keeps_its_place_behind_one_that_is_not_there_yet(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"later\nlater\n")
        self.talk.asked[1].callback(Reply("second", urgent=False))
        self.clock.advance(REPLY_LINGERS)
        self.assertEqual(wire.messages(), [])
        self.talk.asked[0].callback(Reply("first"))
        self.assertEqual(wire.messages(), [Reply("first"), Reply("second")])

    def test_it_leaves_no_timer_behind(self) -> None:
        for end in ("said", "lost"):
            server, wire = self.lingering()
            if end == "said":
                server.send_event(b"{}")
            wire.lost()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.talk.asked.clear()


class PressureTests(ConnectionCase):
    def test_reading_stops_at_the_bound_of_unanswered_requests_and_goes_on_below(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"later\n" * (MOST_PIPELINED - 1))
        self.assertTrue(wire.reading)
        server.dataReceived(b"later\n" * 100)
        self.assertEqual((len(self.talk.requests), wire.reading), (MOST_PIPELINED, False))
        server.dataReceived(b"now:last\n")
        for answer in self.talk.asked[: MOST_PIPELINED // 2]:
            answer.callback(Reply())
        self.assertFalse(wire.reading)
        self.talk.asked[MOST_PIPELINED // 2].callback(Reply())
        self.assertEqual((len(self.talk.asked), wire.reading), (MOST_PIPELINED + MOST_PIPELINED // 2 + 1, False))
        while len(wire.messages()) or self.talk.requests[-1].verb != "now":
            for answer in self.talk.asked:
                if not answer.called:
                    answer.callback(Reply())
        self.assertTrue(wire.reading)
        self.assertEqual(len(self.talk.requests), MOST_PIPELINED + 100)

    def test_a_thousand_requests_at_once_are_all_answered(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"".join(b"now:%d\n" % number for number in range(1000)))
        self.assertEqual([reply.text for reply in wire.messages()], [f"now {number}" for number in range(1000)])

    def test_a_peer_that_does_not_read_is_not_read_from(self) -> None:
        server, wire = self.greeted()
        server.pauseProducing()
        self.assertFalse(wire.reading)
        server.dataReceived(b"now:1\n")
        self.assertEqual(self.talk.requests, [])
        server.resumeProducing()
        self.assertTrue(wire.reading)
        self.assertEqual(wire.messages(), [Reply("now 1")])

    def test_unsent_output_is_bounded_and_beyond_it_the_connection_is_cut(self) -> None:
        server, wire = self.greeted()
        server.pauseProducing()
        piece = b"x" * (BULK_LIMIT - len(encode_bulk(1, b"x" * BULK_LIMIT)) + BULK_LIMIT)
        self.assertEqual(len(encode_bulk(1, piece)), BULK_LIMIT)
        for _ in range(MOST_UNSENT // BULK_LIMIT):
            server.send_bulk(1, piece)
        self.assertFalse(wire.aborted)
        server.send_event(b"")
        self.assertTrue(wire.aborted)

    def test_who_reads_again_begins_at_nothing_unsent(self) -> None:
        server, wire = self.greeted()
        for _ in range(5):
            server.pauseProducing()
            server.send_event(b"x" * (MOST_UNSENT - 10))
            server.resumeProducing()
        self.assertFalse(wire.aborted)

    def test_a_watcher_of_the_log_that_does_not_read_is_cut_once(self) -> None:
        server, wire = self.greeted()
        heard: list[object] = []

        def observer(event: object) -> None:
            heard.append(event)
            server.send_event(b"a line was logged")

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        server.pauseProducing()
        server.send_event(b"x" * MOST_UNSENT)
        self.assertEqual((wire.aborted, len(heard)), (True, 1))

    def test_who_is_held_for_another_is_not_read_from_until_let_go(self) -> None:
        server, wire = self.greeted()
        self.talk.at_request = lambda peer, request: peer.hold(request.rest == "stop")
        server.dataReceived(b"now:stop\nnow:2\n" + encode_bulk(0, b"x"))
        self.assertEqual((len(self.talk.requests), wire.reading), (1, False))
        server.resumeProducing()
        self.assertEqual(len(self.talk.requests), 1)
        server.hold(False)
        self.assertEqual((len(self.talk.requests), self.talk.bulks, wire.reading), (2, [Bulk(0, b"x")], True))

    def test_what_arrives_while_nothing_is_read_is_bounded(self) -> None:
        server, wire = self.greeted()
        server.hold(True)
        server.dataReceived(b"x" * MOST_UNSENT)
        self.assertFalse(wire.aborted)
        server.dataReceived(b"x")
        self.assertTrue(wire.aborted)

    def test_who_asks_about_congestion_hears_how_it_is_and_how_it_changes(self) -> None:
        server, _ = self.greeted()
        server.pauseProducing()
        heard: list[bool] = []
        server.on_congestion(heard.append)
        server.resumeProducing()
        server.pauseProducing()
        self.assertEqual(heard, [True, False, True])

    def test_a_line_that_is_too_long_is_answered_and_cut(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"now:1\n" + b"x" * (LINE_LIMIT + 1))
        self.assertEqual([reply.word for reply in wire.messages()], [None, "limit.line"])
        server.dataReceived(b"now:2\n")
        self.assertEqual(len(self.talk.requests), 1)
        self.assertTrue(wire.disconnecting)
        self.clock.advance(1.0)
        self.assertTrue(wire.aborted)

    def test_nothing_is_done_for_a_peer_that_has_been_cut(self) -> None:
        server, wire = self.greeted()
        self.talk.at_request = lambda peer, request: peer.abort() if request.rest == "2" else None
        server.dataReceived(b"now:1\nnow:2\nnow:3\nnow:4\n")
        server.dataReceived(b"now:5\n")
        server.hold(True)
        server.hold(False)
        server.send_event(b"{}")
        self.assertEqual([request.rest for request in self.talk.requests], ["1", "2"])
        self.assertEqual([reply.text for reply in wire.messages()], ["now 1"])


class SilenceTests(ConnectionCase):
    def cut_after(self, wire: Wire, step: float = 1.0, most: float = 1000.0) -> float:
        start = self.clock.seconds()
        while not wire.aborted and self.clock.seconds() - start < most:
            self.clock.advance(step)
        return self.clock.seconds() - start

    def test_a_silent_client_is_cut_after_five_minutes(self) -> None:
        _, wire = self.greeted()
        self.assertEqual(self.cut_after(wire), connection.IDLE_SECONDS)

    def test_a_daemon_is_cut_after_ninety_seconds_and_not_while_it_speaks(self) -> None:
        server, wire = self.greeted()
        server.keep()
        for _ in range(20):
            self.clock.advance(89.0)
            server.dataReceived(b"version\n")
            self.assertFalse(wire.aborted)
        self.assertLessEqual(self.cut_after(wire), 2 * connection.LINK_SECONDS)

    def test_a_daemon_that_also_listens_to_events_is_still_a_daemon(self) -> None:
        server, wire = self.greeted()
        server.wait_for_ever()
        server.keep()
        server.wait_for_ever()
        self.assertLessEqual(self.cut_after(wire), 2 * connection.LINK_SECONDS)

    def test_who_listens_to_events_may_be_silent(self) -> None:
        server, wire = self.greeted()
        server.wait_for_ever()
        self.cut_after(wire, 60, 1e5)
        self.assertFalse(wire.aborted)

    def test_who_waits_for_an_answer_is_not_silent(self) -> None:
        server, wire = self.greeted()
        server.dataReceived(b"later\n")
        self.clock.pump([60.0] * 30)
        self.assertFalse(wire.aborted)
        self.talk.asked[0].callback(Reply())
        self.assertLess(self.cut_after(wire), connection.IDLE_SECONDS + 91)

    def test_what_has_begun_must_be_whole_in_time_however_often_a_byte_of_it_comes(self) -> None:
        for begun in (b"hel", b"= 1 90\n", b"now:1\nhel", b"\nhel"):
            for patient in (False, True):
                server, wire = self.greeted()
                if patient:
                    server.wait_for_ever()
                server.dataReceived(begun)
                start = self.clock.seconds()
                while not wire.aborted and self.clock.seconds() < start + 1000:
                    self.clock.advance(10.0)
                    server.dataReceived(b"p")
                took = self.clock.seconds() - start
                self.assertTrue(connection.IDLE_SECONDS <= took <= connection.IDLE_SECONDS + LINK_SECONDS, took)

    def test_what_was_cut_into_pieces_and_is_whole_in_time_is_taken(self) -> None:
        server, wire = self.greeted()
        for _ in range(20):
            server.dataReceived(b"now:")
            self.clock.advance(250.0)
            server.dataReceived(b"1\nno")
            self.clock.advance(40.0)
            server.dataReceived(b"w:2\n")
        self.assertFalse(wire.aborted)
        self.assertEqual(len(self.talk.requests), 40)

    def test_who_is_not_read_from_has_the_time_that_it_takes(self) -> None:
        server, wire = self.greeted()
        server.wait_for_ever()
        server.dataReceived(b"= 1 9\nxxx")
        server.hold(True)
        self.clock.pump([10.0] * 200)
        server.hold(False)
        self.assertFalse(wire.aborted)

    def test_no_timer_is_left_behind(self) -> None:
        _, wire = self.greeted()
        wire.lost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.gone, 1)


class LifeTests(ConnectionCase):
    def test_who_is_refused_reads_one_error_and_is_cut_within_a_second(self) -> None:
        self.talk.refusal = RefusedError("auth.unknown", "nobody knows you")
        server, wire = self.connect()
        server.dataReceived(b"now:1\n")
        self.assertEqual(wire.messages(), [Reply("nobody knows you", word="auth.unknown")])
        self.assertEqual((self.talk.requests, wire.disconnecting, wire.aborted), ([], True, False))
        self.clock.advance(1.0)
        self.assertTrue(wire.aborted)

    def test_closers_are_called_once_and_at_once_when_it_is_over(self) -> None:
        server, wire = self.greeted()
        called: list[int] = []
        server.on_close(lambda: called.append(1))
        server.on_close(lambda: called.append(2))
        wire.lost()
        self.assertEqual(called, [1, 2])
        server.on_close(lambda: called.append(3))
        self.assertEqual(called, [1, 2, 3])

    def test_events_and_bulk_are_frames_of_their_own(self) -> None:
        server, wire = self.greeted()
        server.send_event(b'{"topic":"jobs"}')
        server.send_bulk(2, b"abc")
        self.assertEqual(wire.messages(), [Event(b'{"topic":"jobs"}'), Bulk(2, b"abc")])

    def test_the_system_asks_whether_the_other_machine_was_restarted(self) -> None:
        with socket.socket() as sock:
            probe_often(sock)
            self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            between = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            self.assertLessEqual(between, 5)
            self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) * between, LINK_SECONDS)
        with socket.socket(socket.AF_UNIX) as sock:
            probe_often(sock)
        probe_often(None)
