"""What users who mean no good ask for, and what their servers say: it costs nobody else anything."""

from __future__ import annotations

import json
from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tests.unit.model.test_brain import brain_with, submit
from tm.errors import RefusedError
from tm.model.brain import MOST_SPAN
from tm.model.constraint import ConstraintError, read_constraint, read_preferences
from tm.model.dependency import read_dependency
from tm.model.ids import MOST_INDEX, MOST_RANGES, read_ranges
from tm.model.lifecycle import Fact
from tm.model.servers import MOST_REASON
from tm.model.spec import JobSpec
from tm.model.tasks import BLOCKED, HELD, READY, Tasks

SOON = 2.0
"""Seconds, with much room for a busy machine; what is tried here once took minutes."""


class AskingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begun = perf_counter()

    def in_time(self) -> None:
        self.assertLess(perf_counter() - self.begun, SOON)

    def test_a_dependency_on_very_many_is_refused_before_it_is_read(self) -> None:
        for text in (",".join(f"after:{n}" for n in range(1, 100_000)), "after" + ":7" * 500_000):
            self.assertIn("at most 1000", str(self.assertRaises(ValueError, read_dependency, text)))
        self.in_time()

    def test_as_many_conditions_as_may_be_are_read(self) -> None:
        self.assertEqual(len(read_dependency(",".join(f"after:{n}" for n in range(1, 1001))).conditions), 1000)

    def test_an_array_of_very_many_ranges_is_refused_before_it_is_read(self) -> None:
        text = ",".join(str(2 * n) for n in range(MOST_RANGES + 1))
        self.assertIn("ranges", str(self.assertRaises(ValueError, read_ranges, text)))

    def test_ranges_within_ranges_are_compared_at_once(self) -> None:
        nested = [f"{n}-{MOST_INDEX - n}:{MOST_INDEX - 2 * n}" for n in range(10_000)]
        self.assertEqual(len(read_ranges(",".join(nested))), 10_000)
        self.assertRaises(ValueError, read_ranges, ",".join([*nested, "5"]))
        self.in_time()

    def test_what_is_kept_of_a_frayed_array_is_taken_up_however_many_ranges_it_is(self) -> None:
        frayed = Tasks("0-999999")
        for index in range(0, 3 * MOST_RANGES + 3, 3):
            frayed.set(index + index % 2, BLOCKED)
        again = Tasks("0-999999")
        again.recall(frayed.memo())
        self.assertEqual((again.count(BLOCKED), again.count(READY)), (MOST_RANGES + 1, 1_000_000 - MOST_RANGES - 1))

    def test_arrays_of_one_user_take_so_much_memory_and_no_more(self) -> None:
        brain = brain_with()
        wide = [order(array=f"0,{MOST_INDEX}")]
        for number in range(MOST_SPAN // (MOST_INDEX + 1)):
            brain.submitted("alice", f"t{number}", wide, {"e": "{}"}, 1.0)
        error = self.assertRaises(RefusedError, brain.submitted, "alice", "t", wide, {"e": "{}"}, 1.0)
        self.assertEqual(error.word, "limit.jobs")
        brain.submitted("bob", "t", [order("bob", array=f"0,{MOST_INDEX}")], {"e": "{}"}, 1.0)
        brain.cancel_asked(1, "alice", "", 2.0)
        self.assertEqual(list(brain.submitted("alice", "u", wide, {"e": "{}"}, 2.0)), [max(brain.jobs)])

    def test_arrays_that_follow_frayed_ones_are_accepted_at_once(self) -> None:
        brain = brain_with()
        (first,) = brain.submitted("alice", "t", [order(array="0-999999")], {"e": "{}"}, 1.0)
        frayed = brain.jobs[first].tasks
        assert frayed is not None
        for index in range(0, 1_000_000, 7):
            frayed.set(index + index % 3, HELD)
        self.setUp()
        after = [order(array=indices, dependency=f"aftercorr:{first}") for indices in ("0-999999", "0-999998")]
        (second, third) = brain.submitted("alice", "u", after, {"e": "{}"}, 1.0)
        self.in_time()
        for number, count in ((second, 1_000_000), (third, 999_999)):
            tasks = brain.jobs[number].tasks
            assert tasks is not None
            self.assertEqual(tasks.count(BLOCKED), count)

    def test_a_submission_of_many_wide_arrays_is_refused_as_a_whole(self) -> None:
        brain = brain_with()
        many = [order(array=f"0,{MOST_INDEX}")] * 1000
        self.assertRaises(RefusedError, brain.submitted, "alice", "t", many, {"e": "{}"}, 1.0)
        self.assertEqual((brain.jobs, brain.spans["alice"]), ({}, 0))
        self.in_time()

    def test_a_constraint_of_very_many_terms_is_refused(self) -> None:
        for text in (" or ".join(["ssd"] * 120), "&".join(["cores>1"] * 51)):
            self.assertIn("more than 50", str(self.assertRaises(ConstraintError, read_constraint, text)))
        self.assertRaises(ConstraintError, read_preferences, ",".join(["a or b or c or d"] * 13))

    def test_what_lists_show_and_hosts_are_compared_with_is_not_of_any_length(self) -> None:
        for field, value in {
            "name": "n" * 300, "comment": "c" * 10_000, "stdout": "o" * 5000, "hosts": ["n1"] * 1001,
            "exclude": ["n1"] * 1001, "retry_on": ["any"] * 101,
        }.items():  # fmt: skip
            spec = JobSpec(**{"user": "a", "command": "true", "cwd": "/", "environment": "e", field: value})
            self.assertIn(f"its {field} may have", spec.complaint())


class SayingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.brain = brain_with(host_state("n1", 2))
        (self.number,) = submit(self.brain)
        self.brain.place(2.0)
        self.job = self.brain.jobs[self.number]

    def say(self, at: float, *facts: Fact) -> None:
        spool = self.brain.sessions["alice", "n1"].spool
        assert spool is not None
        self.brain.facts_reported("alice", "n1", spool.id, 1, facts, at)

    def test_an_end_that_is_yet_to_come_is_now(self) -> None:
        self.say(3.0, Fact(self.number, 1, "started", 1e11))
        self.say(1000.0, Fact(self.number, 1, "ended", 2e11, exit_code=0, started_at=1e11))
        self.assertEqual(self.job.ended_at, 1000.0)
        self.brain.fairshare.occupies("alice", 2, 1000.0)
        before = self.brain.fairshare.used("alice", 1000.0)
        self.assertGreater(self.brain.fairshare.used("alice", 5000.0), before + 7000)

    def test_no_end_comes_before_the_beginning(self) -> None:
        self.say(30.0, Fact(self.number, 1, "started", 20.0))
        self.say(40.0, Fact(self.number, 1, "ended", 1.0, exit_code=0))
        self.assertEqual((self.job.started_at, self.job.ended_at), (20.0, 20.0))

    def test_nothing_of_a_job_was_before_the_job(self) -> None:
        self.job.submitted_at = 100.0
        self.say(130.0, Fact(self.number, 1, "ended", 0.0, exit_code=0, started_at=0.0))
        self.assertEqual((self.job.started_at, self.job.ended_at), (100.0, 100.0))

    def test_words_causes_and_numbers_that_cannot_be_are_left_out(self) -> None:
        self.say(3.0, Fact(self.number, 1, "started", 2.5, rung="r" * 10**6))
        self.say(
            4.0,
            Fact(
                self.number,
                1,
                "ended",
                3.5,
                exit_code=1,
                reason="w" * 10**6,
                cause="c" * 9,
                cpu_seconds=1e308,
            ),
        )
        self.assertEqual((len(self.job.reason), self.job.cause, self.job.cpu_seconds), (MOST_REASON, "exit", None))
        self.assertLess(len(self.job.rung), 1000)
        self.assertLess(len(json.dumps(self.job.reason)), 5000)
