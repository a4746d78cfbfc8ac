"""InfoServer: never two looks at once, a history that is saved, and reports that are said when they are worth it."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import NotedPeer
from tests.support.info import FakeLink, InfoHouse
from tm.daemon.info_reporter import REJOIN_SECONDS, REPORT_SECONDS, UNWANTED_SECONDS, Reporter
from tm.daemon.info_server import METRICS, SAMPLE_SECONDS, SAVE_SECONDS
from tm.model.history import History
from tm.model.sample import Session
from tm.model.usage import KnownJob, Use
from tm.wire.message import Reply

PEOPLE = '{"people":{"aa":"alice","ab":"alice","bb":"bob"}}'


class InfoCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = InfoHouse()
        self.server = self.house.server
        self.server.startService()
        self.addCleanup(self._stop)

    def _stop(self) -> None:
        if self.server.running:
            self.server.stopService()


class SampleTests(InfoCase):
    def test_a_computer_that_hangs_is_not_asked_again(self) -> None:
        self.house.clock.pump([1.0] * 60)
        self.assertEqual(len(self.house.worker.waiting), 1)
        self.assertIsNone(self.server.sample)
        self.house.worker.work()
        assert self.server.sample is not None
        self.house.clock.advance(SAMPLE_SECONDS)
        self.assertEqual(len(self.house.worker.waiting), 1)

    def test_a_look_that_fails_is_logged_and_the_next_one_is_taken(self) -> None:
        self.house.worker.broken = OSError("no such device")
        self.house.worker.work()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.house.worker.broken = None
        self.house.run(3)
        self.assertIsNotNone(self.server.sample)

    def test_the_history_is_saved_now_and_then_and_at_the_end(self) -> None:
        self.house.run(SAVE_SECONDS + 2)
        self.assertEqual(len(self.house.saved), 1)
        stopped = self.server.stopService()
        self.house.worker.work()
        self.successResultOf(stopped)
        again = History(METRICS)
        self.assertTrue(again.restore(self.house.saved[-1]))
        self.assertEqual({value for _, value in again.points("load", "1h")}, {1.5})
        self.assertEqual(again.points("memory_used", "24h")[0][1], float(2 << 30))

    def test_who_listens_hears_of_every_look(self) -> None:
        peer = NotedPeer()
        self.server.watch(peer)
        self.server.watch(peer)
        self.house.run(4)
        self.assertEqual([(one["host"], one["load"]) for one in peer.heard("load")], [("n1", [1.5, 1.0, 0.5])] * 3)
        peer.lost()
        self.house.run(4)
        self.assertEqual(len(peer.told), 3)


class ReporterCase(InfoCase):
    def setUp(self) -> None:
        super().setUp()
        self.reporter = Reporter(self.server)
        self.reporter.start()
        self.addCleanup(self.reporter.stop)
        self.link = FakeLink()

    def join(self, answer: str = PEOPLE) -> None:
        self.reporter.link_up(self.link, "TaskDispatcher 1.0.0 protocol=1")
        self.link.answer(Reply(answer))

    def settle(self) -> None:
        """Join, and have the first report answered."""
        self.join()
        self.house.run(1)
        self.link.answer(Reply())
        self.link.verbs()


class JoinTests(ReporterCase):
    def test_it_says_what_its_computer_is(self) -> None:
        self.join()
        ((verb, about),) = self.link.said
        self.assertEqual((verb, about["host"], about["port"], about["fingerprint"]), ("infojoin", "n1", 4711, "f" * 64))
        self.assertEqual((about["cores"], about["gpus"][0]["model"]), (4, "Fast 3000"))
        self.assertEqual(self.server.dispatcher_state, "connected")

    def test_the_answer_says_who_the_users_are(self) -> None:
        self.assertFalse(self.server.heard_of_users)
        self.join()
        self.assertEqual(self.server.users.user_of("ab"), "alice")

    def test_who_is_no_user_any_more_is_cut_off(self) -> None:
        self.join()
        self.reporter.event(self.link, b'{"topic":"people","people":{"aa":"alice","ab":"alice"}}')
        self.assertEqual((self.house.cut, self.server.users.user_of("bb")), (["bob"], None))
        self.reporter.event(self.link, b'{"topic":"people","people":{"aa":"alice","ee":"eve"}}')
        self.assertEqual(self.house.cut, ["bob", "alice"])

    def test_what_is_not_understood_changes_nothing(self) -> None:
        self.join()
        for line in (b"[]", b'{"people":7}', b"\xff", b'{"topic":"\xff"}', b"{}", b'{"topic":"weather"}'):
            self.reporter.event(self.link, line)
        self.assertEqual(self.server.users.user_of("bb"), "bob")

    def test_who_was_a_user_stays_one_while_the_dispatcher_is_away(self) -> None:
        self.join()
        self.reporter.link_down("Connection was closed cleanly.")
        self.assertEqual(self.server.users.user_of("bb"), "bob")
        self.assertIn("closed", self.server.dispatcher_state)

    def test_who_is_refused_asks_again_and_reports_nothing_meanwhile(self) -> None:
        self.reporter.link_up(self.link, "")
        self.link.answer(Reply("another version", word="info.version"))
        self.house.run(REJOIN_SECONDS + 1)
        self.assertEqual(self.link.verbs(), ["infojoin", "infojoin"])
        self.assertEqual(self.server.dispatcher_state, "info.version: another version")

    def test_a_server_that_nobody_wants_any_more_stops(self) -> None:
        self.join()
        self.reporter.event(self.link, b'{"topic":"retire"}')
        self.assertEqual(self.house.stopped, 1)

    def test_so_does_one_that_is_not_let_in_for_an_hour_but_not_one_that_cannot_get_there(self) -> None:
        for reason, stops in (("Connection was refused", 0), ("auth.unknown nobody knows you", 1)):
            for _ in range(3):
                self.house.clock.advance(UNWANTED_SECONDS * 0.6)
                self.reporter.link_down(reason)
            self.assertEqual(self.house.stopped > 0, bool(stops), reason)


class ReportTests(ReporterCase):
    def test_it_reports_every_few_seconds(self) -> None:
        self.settle()
        for _ in range(6):
            self.house.run(REPORT_SECONDS)
            self.assertEqual(self.link.verbs(), ["info"])
            self.link.answer(Reply())

    def test_while_a_report_is_unanswered_there_is_no_other(self) -> None:
        self.settle()
        self.house.run(60)
        self.assertEqual(self.link.verbs(), ["info"])

    def test_a_hanging_computer_is_silent_rather_than_repeated(self) -> None:
        self.settle()
        self.house.clock.pump([1.0] * 60)
        self.assertEqual(self.link.verbs(), [])

    def test_what_others_do_is_said_at_once_when_it_changes(self) -> None:
        self.settle()
        self.house.probe.use = Use(others=2.0)
        self.house.run(2)
        self.assertEqual([body["cpu_others"] for _, body in self.link.said], [2.0])

    def test_so_is_a_touch_of_the_console(self) -> None:
        self.settle()
        self.house.probe.sessions = [Session("bob", "tty1", console=True, idle=0.0)]
        self.house.run(2)
        self.assertEqual([body["console_idle"] for _, body in self.link.said], [0.0])

    def test_what_ours_do_can_wait(self) -> None:
        self.settle()
        self.house.probe.use = Use(ours=4.0)
        self.house.run(2)
        self.assertEqual(self.link.verbs(), [])

    def test_the_answer_says_which_jobs_run_here(self) -> None:
        self.settle()
        self.house.run(REPORT_SECONDS)
        self.link.answer(Reply('{"jobs":[[17,"alice",4242]]}'))
        self.house.worker.work()
        self.assertEqual(self.house.probe.told, [KnownJob(17, "alice", 4242)])
        self.house.run(REPORT_SECONDS)
        self.link.answer(Reply())
        self.house.worker.work()
        self.assertEqual(len(self.house.probe.told), 1)

    def test_a_lost_link_ends_it_and_a_new_one_begins_it_again(self) -> None:
        self.settle()
        self.house.run(REPORT_SECONDS)
        self.link.lose()
        self.reporter.link_down("lost")
        self.link = FakeLink()
        self.house.run(10)
        self.assertEqual(self.link.verbs(), [])
        self.join()
        self.house.run(1)
        self.assertEqual(self.link.verbs(), ["infojoin", "info"])

    def test_a_report_that_is_refused_is_followed_by_the_next(self) -> None:
        self.settle()
        self.house.run(REPORT_SECONDS)
        self.link.answer(Reply("n1 has 1e308 cores", word="info.bad"))
        self.house.run(REPORT_SECONDS)
        self.assertEqual(self.link.verbs(), ["info", "info"])

    def test_a_report_is_one_line_of_json(self) -> None:
        self.settle()
        self.house.probe.sessions = [Session("b\n\x7fob", "tty1", console=True)]
        self.house.run(2)
        self.assertEqual(json.dumps(self.link.said[0][1]["logged_in"]), '["b\\n\\u007fob"]')
