"""Which jobs people mean: by id, range, task and filter, and what is said of the rest."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tm.errors import RefusedError
from tm.model.brain import Brain
from tm.model.ids import task_id
from tm.model.selection import MOST_IDS, UNKNOWN, Found, Selection, shown_ids, states
from tm.model.tasks import ACTIVE, CODE_OF, Phase


def ids(text: str) -> list[int]:
    """Return the plain ids that *text* names."""
    return list(Selection(text, "alice").plain)


class TextTests(SynchronousTestCase):
    def refused(self, text: str) -> str:
        return self.assertRaises(RefusedError, Selection, text, "alice").word

    def test_ids_and_ranges_are_listed_in_their_order(self) -> None:
        self.assertEqual(ids("17"), [17])
        self.assertEqual(ids("9,3-5"), [9, 3, 4, 5])
        self.assertEqual(ids("9 3-5"), [9, 3, 4, 5])

    def test_what_is_no_id_is_refused_with_a_sentence(self) -> None:
        for text in ("", "x", "-1", "3-", "3-2", "1,,2", "²", "9" * 19, "9" * 5000, "1-" + "9" * 30, "17_", "17_[3-1]"):
            self.assertEqual(self.refused(text), "proto.arguments", text[:40])

    def test_ranges_are_bounded_all_together(self) -> None:
        self.assertEqual(len(ids(f"1-{MOST_IDS}")), MOST_IDS)
        self.assertEqual(self.refused(f"1-{MOST_IDS + 1}"), "limit.ids")
        self.assertEqual(self.refused(f"1-{MOST_IDS},{MOST_IDS + 7}"), "limit.ids")

    def test_filters_have_a_known_key_and_a_value_and_stand_there_once(self) -> None:
        for text in ("colour=red", "name=", "name=a name=b", "state=idle", "array=17_4", "array=x"):
            self.assertEqual(self.refused(text), "proto.arguments", text)

    def test_states_and_their_groups_are_told_apart(self) -> None:
        self.assertEqual(states("pending,held"), {"pending", "held"})
        self.assertIn("unreachable", states("active"))
        self.assertNotIn("unreachable", states("ended"))

    def test_numbers_are_shown_as_people_write_them(self) -> None:
        numbers = [7, 3, 5, 6, task_id(17, 2), task_id(17, 0), task_id(17, 1), task_id(18, 4)]
        self.assertEqual(shown_ids(numbers), "3,5-7,17_[0-2],18_4")


class MeaningTests(SynchronousTestCase):
    """Of alice are the jobs 1 (sim1) and 2 (sim2) and the array 3 of ten tasks (grid); of bob is job 4."""

    def setUp(self) -> None:
        self.brain = Brain(epoch=1, hosts=[host_state("n1")])
        for user, more in (
            ("alice", {"name": "sim1"}), ("alice", {"name": "sim2"}), ("alice", {"name": "grid", "array": "0-9"}),
            ("bob", {"name": "sim3"}),
        ):  # fmt: skip
            self.brain.submitted(user, str(more), [order(user, **more)], {}, 0.0)
        for index in (0, 1):
            self.brain._begin_task(task_id(3, index))

    def found(self, text: str, rules: bool = False, user: str = "alice") -> Found:
        running = {task_id(3, 0), task_id(3, 1)}
        return Selection(text, user).resolve(
            self.brain.jobs, lambda owner: rules or owner == user,
            lambda job: "running" if job.id in running else str(job.phase),
        )  # fmt: skip

    def picked(self, text: str, rules: bool = False) -> list[str]:
        found = self.found(text, rules)
        return sorted([one.shown for one in found.picked] + [f"!{shown}" for shown, _ in found.missing])

    def test_what_is_not_ones_own_is_unknown_unless_one_rules(self) -> None:
        self.assertEqual(self.picked("1,4"), ["!4", "1"])
        self.assertEqual(self.picked("1,4", rules=True), ["1", "4"])
        self.assertEqual(self.found("4,5").missing, [("4-5", UNKNOWN)])

    def test_an_array_is_one_thing_and_its_tasks_are_those_that_started_and_ranges_of_the_rest(self) -> None:
        self.assertEqual(self.picked("3"), ["3"])
        self.assertEqual(self.picked("3_1"), ["3_1"])
        self.assertEqual(self.picked("3_[1-4]"), ["3_1", "3_[2-4]"])
        self.assertEqual(self.picked("3_[1-4],3_[3-6]"), ["3_1", "3_[2-6]"])
        self.assertEqual(self.picked("3,3_4"), ["3"])

    def test_tasks_that_are_over_or_that_there_are_not_are_named(self) -> None:
        tasks = self.brain.jobs[3].tasks
        assert tasks is not None
        tasks.set(5, CODE_OF[Phase.COMPLETED])
        found = self.found("3_[4-5],3_20,1_0")
        self.assertEqual([one.shown for one in found.picked], ["3_4"])
        self.assertEqual(
            found.missing,
            [("3_5", "ended already"), ("3_20", "array 3 has the tasks 0-9"), ("1_0", "job 1 is no array")],
        )

    def test_filters_narrow_all_jobs_of_the_asker(self) -> None:
        self.assertEqual(self.picked("name=sim*"), ["1", "2"])
        self.assertEqual(self.picked("name=sim* user=all", rules=True), ["1", "2", "4"])
        self.assertEqual(self.picked("user=bob"), [])
        self.assertEqual(self.picked("array=3"), ["3"])

    def test_a_state_takes_arrays_apart(self) -> None:
        self.assertEqual(self.picked("state=running"), ["3_0", "3_1"])
        self.assertEqual(self.picked("state=pending"), ["1", "2", "3_[2-9]"])
        self.assertEqual(self.picked("3 state=running"), ["3_0", "3_1"])
        self.assertEqual(self.picked("3_[0-4] state=pending"), ["3_[2-4]"])
        self.assertEqual(self.picked("state=held"), [])

    def test_a_million_tasks_stay_ranges(self) -> None:
        self.brain.submitted("alice", "big", [order("alice", array="0-999999")], {}, 0.0)
        (one,) = self.found("5_[5-900000]").picked
        self.assertEqual((one.tasks, one.jobs), ([range(5, 900001)], 899996))

    def test_tasks_are_found_among_ranges_each_once(self) -> None:
        tasks = self.brain.jobs[3].tasks
        assert tasks is not None
        self.assertEqual(tasks.among([range(0, 4), range(1, 3)], (ACTIVE,)), [range(0, 2)])
        self.assertEqual(tasks.among([range(50, 60)], (ACTIVE,)), [])
        self.assertEqual(tasks.among([range(0, 100, 3)], (1,)), [range(3, 10, 3)])
