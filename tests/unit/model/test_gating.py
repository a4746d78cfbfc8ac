"""Holds, times and dependencies in the brain: what is kept back, what is let in, what falls, and what is said of it."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import World, laws_broken
from tm.errors import RefusedError
from tm.model.ids import task_id
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.tasks import BLOCKED, DROPPED, HELD, READY
from tm.model.waiting import why_waiting


class GatingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(["alice", "bob"], {"n1": 4})
        self.attach()

    def attach(self) -> None:
        self.world.brain.user_server_attached("alice")
        self.world.connect("alice", "n1")
        self.turn()

    def turn(self) -> None:
        for _ in range(2):
            self.world.turn()
            self.world.report("alice", "n1")
        self.world.turn()
        self.look()

    def look(self) -> None:
        self.world.check()

    def submit(self, **more: object) -> int:
        self.world.submit("alice", **more)
        first, _ = list(self.world.brain._effects.records.submissions)[-1][2:]
        self.turn()
        return int(first)

    def end(self, number: int, **how: int) -> None:
        box = self.world.boxes["alice", "n1"]
        (key,) = [key for key in box.running if key[0] == number]
        box.end(key, self.world.at, **how)
        self.turn()

    def pass_by(self, seconds: float) -> None:
        self.world.at += seconds
        self.world.brain.tick(self.world.at)
        self.turn()

    def job(self, number: int) -> Job:
        job = self.world.brain.jobs.get(number) or self.world.store.job(number)
        assert job is not None
        return job

    def phase(self, number: int) -> str:
        return str(self.job(number).phase)

    def why(self, number: int) -> str:
        return why_waiting(self.world.brain, self.job(number), self.world.at)

    def events(self, number: int) -> list[tuple[str, str]]:
        return [(event.what, event.text) for event in self.world.store.events(number)]

    def refused(self, **more: object) -> RefusedError:
        return self.assertRaises(RefusedError, self.world.submit, "alice", **more)


class HoldTests(GatingCase):
    def test_what_is_held_says_by_whom_and_why_until_it_is_released(self) -> None:
        blocker = self.submit(cores=4)
        number = self.submit()
        brain = self.world.brain
        self.assertEqual(brain.held([number, blocker, 99], "carol", "its data is wrong", 1000.0), [number])
        self.assertEqual(brain.held([number], "carol", "", 1000.0), [])
        self.end(blocker)
        self.assertEqual((self.phase(number), self.why(number)), ("held", "held by carol: its data is wrong"))
        self.world.born()
        self.attach()
        self.assertEqual(self.job(number).held_by, "carol")
        self.assertEqual(self.world.brain.released([number, 99], "carol", 1000.0), [number])
        self.assertEqual(self.world.brain.released([number], "carol", 1000.0), [])
        self.turn()
        self.assertEqual(self.phase(number), "running")
        self.assertEqual([what for what, _ in self.events(number)], ["held", "released"])

    def test_some_tasks_of_an_array_are_held_and_others_run(self) -> None:
        number = self.submit(array="0-9", hold=True)
        tasks = self.job(number).tasks
        assert tasks is not None
        self.world.brain.released([task_id(number, 3)], "alice", 1000.0)
        self.turn()
        self.assertEqual((self.phase(task_id(number, 3)), self.phase(number)), ("running", "pending"))
        self.assertEqual(tasks.shown(HELD), "0-2,4-9")
        self.world.born()
        self.attach()
        self.assertEqual(self.why(number), "9 of its tasks are held")
        self.world.brain.released([number], "alice", 1000.0)
        self.world.brain.held([task_id(number, 9)], "alice", "", 1000.0)
        self.turn()
        again = self.job(number).tasks
        assert again is not None
        self.assertEqual((again.shown(READY), again.shown(HELD)), ("4-8", "9"))

    def test_of_an_array_whose_tasks_have_all_begun_those_are_held_that_are_to_be_tried_again(self) -> None:
        number = self.submit(array="1", retries=1, retry_on=["exit"], retry_delay=60)
        task = task_id(number, 1)
        self.assertEqual(self.world.brain.held([number], "alice", "", 1000.0), [])
        self.end(task, exit_code=2)
        self.assertEqual(self.world.brain.held([number], "alice", "", 1000.0), [number])
        self.pass_by(100.0)
        self.assertEqual((self.phase(task), self.why(task)), ("held", "held by alice"))
        self.world.brain.released([number], "alice", 1000.0)
        self.turn()
        self.assertEqual((self.phase(task), self.job(task).attempt), ("running", 2))

    def test_what_is_held_can_be_cancelled(self) -> None:
        number = self.submit(hold=True)
        self.world.brain.cancel_asked(number, "alice", "", 1000.0)
        self.turn()
        self.assertEqual(self.phase(number), "cancelled")


class TimeTests(GatingCase):
    def test_nothing_begins_before_its_time(self) -> None:
        number = self.submit(begin=1060.0)
        self.assertEqual(self.why(number), "may begin at 1970-01-01T00:17:40.000Z")
        self.pass_by(59.0)
        self.assertEqual(self.phase(number), "pending")
        self.world.born()
        self.attach()
        self.pass_by(2.0)
        self.assertEqual(self.phase(number), "running")

    def test_what_can_no_longer_be_done_in_time_ends(self) -> None:
        self.submit(cores=4)
        number = self.submit(deadline=1100.0, time=60.0)
        array = self.submit(deadline=1100.0, array="0-2")
        self.pass_by(39.0)
        self.assertEqual(self.phase(number), "pending")
        self.pass_by(2.0)
        job = self.job(number)
        self.assertEqual((job.phase, job.cause), (Phase.CANCELLED, "deadline"))
        self.assertEqual(
            job.reason,
            "could not be done by its deadline 1970-01-01T00:18:20.000Z within its wall time of 60 s",
        )
        self.pass_by(60.0)
        job = self.job(array)
        self.assertEqual((job.phase, job.cause), (Phase.CANCELLED, "deadline"))
        self.assertIn("3 cancelled: could not", job.reason)

    def test_what_runs_is_not_ended_by_its_deadline_and_one_that_is_past_is_refused(self) -> None:
        number = self.submit(deadline=1100.0)
        self.pass_by(500.0)
        self.assertEqual(self.phase(number), "running")
        self.assertEqual(self.refused(deadline=1200.0).word, "job.impossible")

    def test_it_says_how_long_it_waits_before_it_is_tried_again(self) -> None:
        number = self.submit(retries=1, retry_on=["exit"], retry_delay=60)
        self.end(number, exit_code=3)
        self.pass_by(1.0)
        self.assertEqual(
            self.why(number), "attempt 1 on n1 failed with exit code 3; waits 59 s before attempt 2"
        )
        (attempt,) = self.world.store.attempts(number)
        self.assertEqual(
            (attempt.attempt, attempt.host, attempt.exit_code, attempt.cause), (1, "n1", 3, "exit")
        )
        self.world.born()
        self.attach()
        self.pass_by(60.0)
        self.assertEqual((self.phase(number), self.job(number).attempt), ("running", 2))

    def test_more_memory_follows_the_lack_of_it_as_far_as_there_is_any(self) -> None:
        self.world = World(["alice"], {"n1": 4})
        self.world.brain.hosts["n1"].seen_memory = 5 << 30
        self.attach()
        number = self.submit(memory=2 << 30, retries=3, retry_on=["oom"], retry_memory=2)
        sizes = []
        for _ in range(3):
            box = self.world.boxes["alice", "n1"]
            (key,) = list(box.running)
            box.end(key, self.world.at, signal=9)
            box.untold[-1] = type(box.untold[-1])(*key, "ended", self.world.at, signal=9, cause="memory")
            self.turn()
            self.pass_by(1.0)
            sizes.append(self.job(number).memory >> 30)
        self.assertEqual(sizes, [4, 5, 5])
        self.assertEqual(laws_broken(self.world.brain), [])


class DependencyTests(GatingCase):
    def test_a_long_chain_falls_with_its_first_and_says_why(self) -> None:
        first = self.submit()
        for number in range(first, first + 3000):
            self.world.submit("alice", dependency=f"afterok:{number}")
        self.turn()
        self.end(first, exit_code=3)
        self.assertEqual(self.world.brain.jobs, {})
        self.assertEqual(
            self.job(first + 1).reason, f"needs {first} to succeed, but it failed with exit code 3"
        )
        self.assertEqual(
            self.job(first + 3000).reason, f"needs {first + 2999} to succeed, but it was cancelled"
        )

    def test_what_is_met_stays_met_after_a_restart(self) -> None:
        one, other = self.submit(), self.submit()
        number = self.submit(dependency=f"afterok:{one}:{other}")
        self.end(one)
        self.assertEqual(self.job(number).dependency, f"afterok:{other}")
        self.world.born()
        self.attach()
        self.assertEqual(self.why(number), f"waits for job {other} to succeed")
        self.end(other)
        self.assertEqual(self.phase(number), "running")

    def test_after_is_met_by_the_beginning_and_of_an_array_by_that_of_its_last_task(self) -> None:
        array = self.submit(array="0-4")
        number = self.submit(dependency=f"after:{array}")
        delayed = self.submit(dependency=f"after:{array}+1")
        self.assertEqual(self.why(number), f"waits for job {array} to begin")
        self.end(task_id(array, 0))
        self.assertEqual(self.job(number).dependency, "")
        self.assertIn("may begin at", self.why(delayed))

    def test_one_task_of_an_array_may_be_waited_for(self) -> None:
        array = self.submit(array="0-5")
        good, bad = (self.submit(dependency=f"{kind}:{array}_5") for kind in ("afterany", "afterok"))
        self.world.brain.cancel_asked(task_id(array, 5), "alice", "", 1000.0)
        self.turn()
        self.assertEqual((self.job(good).dependency, self.phase(bad)), ("", "cancelled"))
        self.assertEqual(self.job(bad).reason, f"needs {array}_5 to succeed, but it was cancelled")

    def test_an_array_succeeds_when_all_of_its_tasks_do(self) -> None:
        array = self.submit(array="0-1")
        good, bad = (self.submit(dependency=f"{kind}:{array}") for kind in ("afternotok", "afterok"))
        self.end(task_id(array, 0), exit_code=1)
        self.assertEqual((self.phase(good), self.phase(bad)), ("pending", "pending"))
        self.end(task_id(array, 1))
        self.assertEqual((self.phase(good), self.phase(bad)), ("running", "cancelled"))
        self.assertEqual(
            self.job(bad).reason, f"needs {array} to succeed, but it ended with 1 completed, 1 failed"
        )

    def test_tasks_follow_tasks_over_several_arrays_and_restarts(self) -> None:
        first = self.submit(array="0-3")
        second = self.submit(array="0-2", dependency=f"aftercorr:{first}")
        third = self.submit(array="0-2", dependency=f"aftercorr:{second}")
        self.assertEqual(self.why(second), f"3 of its tasks wait for those of array {first} to succeed")
        self.end(task_id(first, 1), exit_code=1)
        self.end(task_id(first, 2))
        self.assertEqual(self.phase(task_id(second, 2)), "running")
        self.world.born()
        self.attach()
        for number in (second, third):
            tasks = self.job(number).tasks
            assert tasks is not None
            self.assertEqual(tasks.state(1), DROPPED)
            self.assertEqual(tasks.state(0), BLOCKED)
        self.assertIn(
            ("dropped", f"task 1 needs {first}_1 to succeed, but it failed with exit code 1"),
            self.events(second),
        )
        self.world.settle()
        self.world.check_ends()
        self.assertEqual({self.phase(number) for number in (second, third)}, {"cancelled"})
        self.assertEqual(self.job(third).cause, "dependency")

    def test_one_name_runs_once_whatever_is_submitted_between(self) -> None:
        plain = self.submit(name="sim")
        single = self.submit(name="sim", dependency="singleton")
        other = self.submit(name="other", dependency="singleton")
        self.submit(name="sim")
        last = self.submit(name="sim", dependency="singleton")
        self.assertEqual(
            [self.phase(number) for number in (single, other, last)], ["pending", "running", "pending"]
        )
        self.world.born()
        self.attach()
        self.end(plain)
        self.assertEqual([self.phase(number) for number in (single, last)], ["running", "pending"])

    def test_what_cannot_be_waited_for_is_refused_and_nothing_is_kept(self) -> None:
        self.world.submit("bob")
        array = self.submit(array="0-3:2")
        for text, words in {
            "afterok:99": "no job 99", "afterok:1": "bob's", f"afterok:{array}_1": "has no task 1", "x": "no kind",
        }.items():  # fmt: skip
            self.assertIn(words, self.refused(dependency=text).text)
        self.assertIn(
            "for task 1 to wait for", self.refused(array="0-3", dependency=f"aftercorr:{array}").text
        )
        self.assertEqual(len(self.world.brain._effects.records.new), 0)

    def test_circles_are_refused(self) -> None:
        self.submit(cores=4)
        one = self.submit(name="one")
        two = self.submit(dependency=f"afterok:{one}")
        three = self.submit(name="one", dependency=f"singleton,afterok:{two}")
        brain = self.world.brain
        for text in (f"afterok:{one}", f"after:{two}", f"afterok:1,afterany:{three}"):
            job = self.job(one)
            error = self.assertRaises(RefusedError, brain.dependency_changed, job, text, {}, 1000.0)
            self.assertIn("would wait for itself", error.text)
            self.assertEqual(job.dependency, "")
        brain.dependency_changed(self.job(three), f"afterok:{one}", {}, 1000.0)
        self.turn()
        self.assertEqual(self.why(three), f"waits for job {one} to succeed")


class NarrowTests(GatingCase):
    def look(self) -> None:
        """A million tasks are not looked at one by one."""

    def test_a_million_tasks_follow_a_million_in_one_object_each(self) -> None:
        first = self.submit(array="0-999999")
        second = self.submit(array="0-999999", dependency=f"aftercorr:{first}")
        self.end(task_id(first, 0))
        tasks = self.job(second).tasks
        assert tasks is not None
        self.assertEqual(tasks.count(BLOCKED), 999_999)
        self.world.brain.cancel_asked(first, "alice", "", 1000.0)
        self.assertGreater(tasks.count(DROPPED), 999_900)
        self.assertLess(len(json.dumps(tasks.memo().dropped)), 100)
