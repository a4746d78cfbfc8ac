"""What ``lsjobs`` and ``canceljob`` make of their arguments, and how answers look as text."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.answers import as_lines, decoded
from tm.daemon.listing import MOST_LINES, host_lines, job_query, log_wish
from tm.errors import RefusedError
from tm.model.log_wish import LogWish
from tm.model.paging import Position, show_position
from tm.model.phase import FINAL, ON_HOST, Phase

NOTHING: frozenset[str] = frozenset()


class Token(msgspec.Struct):
    token: str
    more: object = None


class QueryTests(SynchronousTestCase):
    def test_without_arguments_it_asks_for_all_of_the_asker(self) -> None:
        query, states, *_ = job_query([], "alice", NOTHING)
        self.assertEqual((query.user, query.phases, query.after, query.limit), ("alice", frozenset(), 0, 1000))
        self.assertIn("unreachable", states)

    def test_unreachable_jobs_are_sought_among_those_on_hosts(self) -> None:
        query, states, *_ = job_query(["state=unreachable"], "alice", NOTHING)
        self.assertEqual((query.phases, states), (ON_HOST, frozenset({"unreachable"})))

    def test_active_includes_what_is_unreachable_and_ended_does_not(self) -> None:
        self.assertIn("unreachable", job_query(["state=active"], "alice", NOTHING)[1])
        query, states, *_ = job_query(["state=ended"], "alice", NOTHING)
        self.assertEqual((query.phases, states), (FINAL, {phase.value for phase in FINAL}))

    def test_a_running_job_that_is_not_reached_is_not_listed_as_running(self) -> None:
        query, states, *_ = job_query(["state=running"], "alice", NOTHING)
        self.assertEqual((query.phases, states), ({Phase.RUNNING}, {"running"}))

    def test_jobs_of_others_need_the_right(self) -> None:
        for owner in ("bob", "all"):
            refused = self.assertRaises(RefusedError, job_query, [f"user={owner}"], "alice", NOTHING)
            self.assertEqual(refused.word, "perm.denied")
        self.assertEqual(job_query(["user=all"], "alice", frozenset({"jobs"}))[0].user, None)

    def test_what_cannot_be_understood_is_refused(self) -> None:
        for argument in ("state=red", "state=", "limit=many", "after=" + "9" * 40, "colour=red", "state",
                         "order=colour", "order=-start", "order=", "tasks=some", "overlap=2026", "overlap=..",
                         "overlap=2027..2026", "since=noon", "until=2026-11-23T99", "from=x", "from=" + "é" * 9,
                         "from=" + "A" * 5000, "text=" + "x" * 60_000):  # fmt: skip
            refused = self.assertRaises(RefusedError, job_query, [argument], "alice", NOTHING)
            self.assertEqual(refused.word, "proto.arguments")


    def test_a_list_is_sorted_by_id_where_nothing_is_said_and_has_no_cursors_then(self) -> None:
        listing = job_query([], "alice", NOTHING)
        self.assertEqual((listing.query.order, listing.query.descending, listing.cursors), ("id", False, False))
        listing = job_query(["order=-ended"], "alice", NOTHING)
        self.assertEqual((listing.query.order, listing.query.descending, listing.cursors), ("ended", True, True))

    def test_a_cursor_is_for_lists_in_its_order_in_either_direction(self) -> None:
        at = Position(12.5, 7)
        cursor = show_position("ended", at)
        for order in ("ended", "-ended"):
            self.assertEqual(job_query([f"order={order}", f"from={cursor}"], "alice", NOTHING).query.start, at)
        refused = self.assertRaises(RefusedError, job_query, ["order=name", f"from={cursor}"], "alice", NOTHING)
        self.assertIn("'ended'", refused.text)

    def test_times_may_be_days_or_moments(self) -> None:
        since = job_query(["since=2026-11-23T10:00:00Z", "until=2026-11-23"], "alice", NOTHING).query
        self.assertEqual((since.since, since.until), (1795428000.0, 1795478400.0))
        overlap = job_query(["overlap=2026-11-23T10:00:00+01:00..2026-11-23"], "alice", NOTHING).query
        self.assertEqual(overlap.overlap, (1795424400.0, 1795478400.0))
        self.assertEqual(job_query(["overlap=..2026"], "alice", NOTHING).query.overlap, (0.0, 1798761600.0))

    def test_what_ran_on_a_host_or_in_a_time_is_listed_task_by_task(self) -> None:
        asked = {"": False, "host=n1": True, "overlap=2026..": True, "tasks=each": True}
        for argument, each in asked.items():
            self.assertIs(job_query([argument] if argument else [], "alice", NOTHING).query.each, each)
        self.assertIs(job_query(["host=n1", "tasks=folded"], "alice", NOTHING).query.each, False)

    def test_jobs_are_counted_by_the_rule_of_the_verb(self) -> None:
        refused = self.assertRaises(RefusedError, job_query, ["user=all"], "alice", NOTHING, "countjobs")
        self.assertIn("'countjobs'", refused.text)


class LogWishTests(SynchronousTestCase):
    def test_a_number_and_filters_make_a_wish(self) -> None:
        self.assertEqual(log_wish([]), LogWish(50))
        self.assertEqual(log_wish(["7"]), LogWish(7))
        self.assertEqual(log_wish(["99999999"]).lines, MOST_LINES)
        wish = log_wish(["7", "level=warn", "host=n1", "text=x=y", "before=2026-11-23T14:00:00Z", "file=error", "job="])
        self.assertEqual(wish, LogWish(7, "warn", "x=y", (("host", "n1"),), "2026-11-23T14:00:00.000Z", "", True))

    def test_what_cannot_be_understood_is_refused(self) -> None:
        for argument in ("many", "level=loud", "file=../x", "before=noon", "colour=red", "-1", ""):
            refused = self.assertRaises(RefusedError, log_wish, [argument])
            self.assertEqual(refused.word, "proto.arguments")
        self.assertRaises(RefusedError, log_wish, ["level=warn", "7"])


class TextTests(SynchronousTestCase):
    def test_measured_numbers_and_truths_are_short(self) -> None:
        shown = {"load": [5.8525390625, 1.0], "vacant": True, "info": {"state": "up", "reason": ""}, "cores": 2}
        self.assertEqual(as_lines(shown), ["load: 5.85 1.00", "vacant: true", "info: state up", "cores: 2"])

    def test_objects_and_lists_are_written_as_people_write_them(self) -> None:
        shown = {
            "user": "alice", "rights": ["hosts", "jobs"], "hosts": {"n1": "up", "n2": "down"}, "reason": "", "jobs": {},
            "servers": [{"user": "alice", "link": "up", "reason": ""}, {"user": "bob", "link": "down", "reason": "x"}],
        }  # fmt: skip
        self.assertEqual(
            as_lines(shown),
            ["user: alice", "rights: hosts jobs", "hosts: n1 up, n2 down", "servers: alice up; bob down x"],
        )


class DecodedTests(SynchronousTestCase):
    def test_json_that_does_not_fit_is_refused_however_deep_it_is(self) -> None:
        for text in ("", "[]", '{"token":1}', '{"token":"a","more":' + "[" * 100_000):
            refused = self.assertRaises(RefusedError, decoded, Token, text)
            self.assertEqual(refused.word, "proto.arguments")


class HostLineTests(SynchronousTestCase):
    def test_hosts_are_a_table_of_what_is_free_and_who_uses_the_rest(self) -> None:
        known = {"free_cores": 2, "offered_cores": 4, "cpu_ours": 2.0, "cpu_others": 0.25, "reason": "others use it"}
        unknown = {"free_cores": 1, "offered_cores": 1, "cpu_ours": None, "cpu_others": None, "reason": ""}
        lines = host_lines(
            [
                {"name": "n1", "state": "up", "memory_available": 3 * 2**30 + 2**29, **known},
                {"name": "longer", "state": "unknown", "memory_available": None, **unknown},
            ]
        )
        self.assertEqual(
            lines,
            [
                "host    state    free  ours  others  memory  reason",
                "n1      up       2/4   2.0   0.2     3.5G    others use it",
                "longer  unknown  1/1   -     -       -",
            ],
        )

    def test_sizes_are_written_as_people_write_them(self) -> None:
        host = {"name": "n", "state": "up", "free_cores": 0, "offered_cores": 0, "cpu_ours": 0.0, "cpu_others": 0.0}
        sizes = {512: "512", 2048: "2.0K", 50 * 2**20: "50M", 2**34: "16G", 5 * 2**50: "5120T"}
        for size, shown in sizes.items():
            self.assertIn(f" {shown} ", host_lines([{**host, "memory_available": size, "reason": "."}])[1])
