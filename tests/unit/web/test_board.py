"""The web server's own picture of the cluster: current, bounded, and there again after a restart."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import SaidLink
from tm.web.board import MOST_CHANGES, SPARK_LENGTH, Board, load_of, totals, troubled
from tm.web.board_keeper import ASK_SECONDS, SAVE_SECONDS, BoardKeeper
from tm.web.desk import Desk
from tm.wire.message import Reply

NOW = 1_800_000_000.0
AT = "2027-01-15T08:00:00.000Z"


def host(name: str, state: str = "up", **fields: Any) -> dict[str, Any]:
    """Return a host as ``lshosts.json`` shows it."""
    return {
        "name": name, "state": state, "reason": "", "remedy": "", "address": name, "cores": 16, "used_cores": 4,
        "memory": None, "used_memory": 0, "jobs": 2, "since": AT, "vacant": True, "free_cores": 12,
        "offered_cores": 16, "offered_memory": 64 << 30, "features": ["gpu"], "policy": "suspend", "gpu_count": 2,
        "free_gpus": 1, "gpus": [], "memory_total": 64 << 30, "load": [8.0, 4.0, 2.0], "cpu_ours": 4.0,
        "cpu_others": 1.0, "memory_available": 32 << 30, "logged_in": [], "console_idle": None, "consumables": {},
        "servers": [], "group": "", "launcher": "openssh", "exclusive": False,
        "info": {"state": "up", "reason": "", "port": 34000, "version": "1.0.0", "survives": ""}, **fields,
    }  # fmt: skip


class BoardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.board = Board()
        self.board.take([host("n1"), host("n2", "down", reason="no route")], {"jobs": {"pending": 3}}, NOW, AT)

    def test_it_sums_up_the_cluster(self) -> None:
        found = totals(self.board.hosts.values(), {"pending": 3, "running": 2, "unreachable": 1, "held": 1})
        self.assertEqual((found["pending"], found["held"], found["running"]), (3, 1, 3))
        self.assertEqual((found["cores_used"], found["cores"]), (8, 32))
        self.assertEqual((found["gpus_used"], found["gpus"], found["hosts_in_trouble"]), (2, 4, 1))
        self.assertEqual([value for _, value in self.board.history.points("pending", "1h")], [3.0])

    def test_an_event_changes_a_host_at_once(self) -> None:
        event = {
            "topic": "hosts", "host": "n1", "state": "unreachable", "reason": "InfoServer: gone",
            "remedy": "it is tried again", "info": "starting", "at": "2027-01-15T09:00:00.000Z",
        }  # fmt: skip
        self.assertFalse(self.board.heard(event))
        shown = self.board.hosts["n1"]
        self.assertEqual((shown["state"], shown["since"], shown["cores"]), ("unreachable", event["at"], 16))
        self.assertEqual(shown["info"]["state"], "starting")
        self.assertEqual(self.board.changes("n1")[0].text, "InfoServer: gone; it is tried again")
        self.board.take([host("n1", "unreachable")], {}, NOW + 10, AT)
        self.assertEqual(len(self.board.changes("n1")), 1)

    def test_what_somebody_did_is_noted_and_the_hosts_are_asked_for_anew(self) -> None:
        changed = {"verb": "changehost", "by": "carol", "changed": ["cores 4 → 8"]}
        event = {"topic": "hosts", "host": "n1", **changed, "at": AT}
        self.assertTrue(self.board.heard(event))
        self.assertEqual(self.board.changes("n1")[0].text, "carol said changehost: cores 4 → 8")

    def test_a_host_that_is_not_known_is_asked_for(self) -> None:
        self.assertTrue(self.board.heard({"topic": "hosts", "host": "n9", "state": "up"}))
        self.assertTrue(self.board.heard({"topic": "hosts", "verb": "changeproperties"}))
        self.assertFalse(self.board.heard({"topic": "jobs", "id": 17}))
        self.assertFalse(self.board.heard({"topic": "hosts", "host": "n1", "user": "alice", "link": "up"}))

    def test_a_change_that_no_event_told_is_noted_too(self) -> None:
        self.board.take([host("n1", "drained", reason="a new disk"), host("n2", "down")], {}, NOW + 10, AT)
        self.assertEqual([(one.state, one.text) for one in self.board.changes("n1")], [("drained", "a new disk")])

    def test_it_is_bounded_whatever_happens(self) -> None:
        for number in range(200):
            event = {"topic": "hosts", "host": "n1", "state": f"s{number}", "reason": "x" * 9999, "info": "", "at": AT}
            self.board.heard(event)
            self.board.take([host("n1", "up")], {}, NOW + 200 * number, AT)
        self.assertEqual(len(self.board.changes("n1")), MOST_CHANGES)
        self.assertLessEqual(len(self.board.load("n1")), SPARK_LENGTH)
        self.assertLess(len(self.board.saved()), 300_000)
        self.board.take([host("n3")], {}, NOW, AT)
        self.assertEqual((self.board.changes("n1"), self.board.load("n1")), ([], []))

    def test_what_was_saved_is_there_again(self) -> None:
        self.board.heard({"topic": "hosts", "host": "n1", "state": "busy", "info": "up", "at": AT})
        other = Board()
        self.assertTrue(other.restore(self.board.saved()))
        other.take([host("n1", "busy")], {"jobs": {"pending": 5}}, NOW + 60, AT)
        self.assertEqual(other.changes("n1"), self.board.changes("n1"))
        points = [value for _, value in other.history.points("pending", "1h")]
        self.assertEqual(points, [3.0, None, None, None, None, None, 5.0])
        self.assertEqual(other.load("n1")[0], 0.5)

    def test_a_damaged_file_is_no_misfortune(self) -> None:
        saved = self.board.saved()
        for junk in (b"", b"x", saved[:-9], b"\x93" + saved):
            self.assertFalse(Board().restore(junk))

    def test_load_and_trouble_of_a_host(self) -> None:
        self.assertEqual(load_of(host("n1")), 0.5)
        self.assertIsNone(load_of(host("n1", load=None)))
        self.assertTrue(troubled(host("n1", "refused")))
        self.assertTrue(troubled(host("n1", info={"state": "failed"})))
        self.assertFalse(troubled(host("n1", "busy")))


class KeeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.link = SaidLink()
        self.link.replies |= {"lshosts": [host("n1")], "status": [{"jobs": {"running": 2}}]}
        self.desk = Desk(lambda: NOW + self.clock.seconds())
        self.saved: list[bytes] = []
        self.keeper = BoardKeeper(self.desk, self.clock, self.saved.append)
        self.keeper.startService()
        self.addCleanup(self.keeper.stopService)

    def test_without_a_link_nothing_is_asked(self) -> None:
        self.clock.advance(ASK_SECONDS)
        self.assertEqual(self.link.asked, [])

    def test_it_asks_when_the_link_comes_and_every_ten_seconds(self) -> None:
        self.desk.link = self.link  # type: ignore[assignment]  # it asks as a Link does
        self.keeper.ask()
        self.assertEqual(list(self.desk.board.hosts), ["n1"])
        self.assertEqual(self.desk.board.jobs, {"running": 2})
        self.clock.advance(ASK_SECONDS)
        self.assertEqual(len(self.link.asked), 4)
        self.assertEqual(self.desk.board.at, NOW + ASK_SECONDS)

    def test_many_events_ask_once(self) -> None:
        self.desk.link = self.link  # type: ignore[assignment]  # it asks as a Link does
        for _ in range(50):
            self.keeper.heard({"topic": "hosts", "host": "n7", "verb": "addhost", "by": "carol"})
        self.clock.advance(1.0)
        self.assertEqual(len(self.link.asked), 2)

    def test_while_an_answer_is_awaited_it_does_not_ask_again(self) -> None:
        waiting: Deferred[Reply] = Deferred()
        self.link.ask = lambda verb, rest=None, json=False: waiting  # type: ignore[method-assign]  # a slow dispatcher
        self.desk.link = self.link  # type: ignore[assignment]  # it asks as a Link does
        self.keeper.ask()
        self.keeper.ask()
        waiting.callback(Reply("it is tired", word="busy.now"))
        self.assertEqual(len(self.flushWarnings()), 0)
        self.assertEqual(self.desk.board.at, 0.0)

    def test_it_is_saved_now_and_then_and_at_the_end(self) -> None:
        self.desk.link = self.link  # type: ignore[assignment]  # it asks as a Link does
        self.clock.pump([ASK_SECONDS] * int(SAVE_SECONDS / ASK_SECONDS + 1))
        self.assertEqual(len(self.saved), 1)
        self.keeper.stopService()
        self.assertEqual(len(self.saved), 2)
        self.keeper.startService()
