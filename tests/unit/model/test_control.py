"""Orders for jobs beside what hosts want of them."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import World
from tm.errors import RefusedError
from tm.model.altering import By
from tm.model.changing import Wanted
from tm.model.host import Courtesy
from tm.model.ids import task_id
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.selection import Picked

ALICE = By("alice")


class ControlCase(SynchronousTestCase):
    """n1 has two cores, and suspends jobs that its people need them for; alice has a job that runs there."""

    policy = Courtesy.SUSPEND
    spec: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        self.world = World(["alice"], {"n1": 2}, policies={"n1": self.policy})
        self.world.brain.user_server_attached("alice")
        self.world.submit("alice", **self.spec)
        self.world.turn()
        self.world.connect("alice", "n1")
        self.turns()
        self.assertIs(self.job.phase, Phase.RUNNING)

    @property
    def job(self) -> Job:
        return self.world.brain.jobs[1]

    def turns(self, count: int = 4) -> None:
        """Let time pass and everybody speak."""
        for _ in range(count):
            self.world.at += 6.0
            self.world.brain.tick(self.world.at)
            self.world.turn()
            self.world.report("alice", "n1")
            self.world.turn()
            self.world.check()

    def hear(self, others: float) -> None:
        """Others use so many cores of n1, for long enough to count."""
        for _ in range(30):
            self.world.at += 10.0
            self.world.hear("n1", others)
            self.turns(1)


class SuspendTests(ControlCase):
    def test_who_is_resumed_by_its_owner_waits_for_its_host(self) -> None:
        self.hear(2.0)
        self.assertEqual((self.job.phase, self.job.suspended_by), (Phase.SUSPENDED, None))
        (told,) = self.world.brain.touches("resumejob", [Picked(self.job)], ALICE)
        self.assertIn("goes on when its host has room", told[1])
        self.world.brain.suspended(self.job, ALICE, self.world.at)
        self.assertIn("by alice; ", self.job.reason)
        self.world.brain.resumed(self.job, ALICE, self.world.at)
        self.turns()
        self.assertIs(self.job.phase, Phase.SUSPENDED)
        self.assertNotIn("by alice", self.job.reason)
        self.hear(0.0)
        self.assertIs(self.job.phase, Phase.RUNNING)

    def test_whom_its_owner_has_suspended_its_host_lets_not_go_on(self) -> None:
        self.hear(2.0)
        self.world.brain.suspended(self.job, ALICE, self.world.at)
        self.hear(0.0)
        self.assertEqual((self.job.phase, self.job.reason), (Phase.SUSPENDED, "suspended: by alice"))
        self.world.brain.resumed(self.job, ALICE, self.world.at)
        self.turns()
        self.assertEqual((self.job.phase, self.job.reason), (Phase.RUNNING, ""))

    def test_a_restart_remembers_who_wanted_it(self) -> None:
        self.world.brain.suspended(self.job, ALICE, self.world.at)
        self.turns()
        self.world.born()
        self.world.brain.user_server_attached("alice")
        self.world.connect("alice", "n1")
        self.hear(0.0)
        self.assertEqual((self.job.phase, self.job.suspended_by), (Phase.SUSPENDED, "alice"))


class RepeatableTests(ControlCase):
    policy = Courtesy.GIVE_WAY
    spec: ClassVar[dict[str, Any]] = {"requeue": True}

    def test_a_suspended_job_leaves_a_host_that_is_needed(self) -> None:
        self.world.brain.suspended(self.job, ALICE, self.world.at)
        self.turns()
        self.hear(2.0)
        self.assertIs(self.job.phase, Phase.PENDING)


class PutBackTests(ControlCase):
    def test_another_attempt_follows_however_the_first_ends(self) -> None:
        for exit_code in (0, 3):
            attempt = self.job.attempt
            self.world.brain.requeued(self.job, By("alice", reason="a bad disk"), self.world.at)
            self.world.put_back.add(1)
            self.world.boxes["alice", "n1"].end((1, attempt), self.world.at, exit_code=exit_code)
            self.turns()
            self.assertEqual((self.job.phase, self.job.attempt), (Phase.RUNNING, attempt + 1))
        words = [(one.attempt, one.exit_code) for one in self.world.store.attempts(1)]
        self.assertEqual(words, [(1, 0), (2, 3)])

    def test_cancelling_counts_more(self) -> None:
        self.world.brain.requeued(self.job, ALICE, self.world.at)
        self.world.brain.cancel_asked(1, "alice", "", self.world.at)
        self.turns()
        job = self.world.store.job(1)
        assert job is not None
        self.assertIs(job.phase, Phase.CANCELLED)


class ChangeTests(ControlCase):
    def test_the_wall_time_of_an_array_holds_for_its_tasks_that_run_too(self) -> None:
        self.world.submit("alice", array="0-3", time=900.0)
        self.turns()
        array = self.world.brain.jobs[2]
        self.world.brain.changed(array, Wanted(time=1800.0), ALICE, self.world.at)
        task = self.world.brain.jobs[task_id(2, 0)]
        self.assertEqual((array.demand.time, task.demand.time), (1800.0, 1800.0))
        orders = self.world.brain.take().orders["alice", "n1"]
        self.assertEqual(orders.limit, [(task.id, 1, 1800.0)])

    def test_a_change_is_said_again_to_a_host_that_comes_back(self) -> None:
        self.world.brain.changed(self.job, Wanted(time=1800.0), ALICE, self.world.at)
        self.turns()
        self.world.disconnect("alice", "n1")
        self.world.connect("alice", "n1")
        self.assertEqual(self.world.brain.take().orders["alice", "n1"].limit, [(1, 1, 1800.0)])

    def test_what_is_refused_leaves_all_as_it_was(self) -> None:
        before = self.job.demand
        for wanted in (Wanted(time=1800.0, cores=2), Wanted(time=1.0), Wanted(time=-1.0)):
            self.world.at += 10.0
            self.assertRaises(RefusedError, self.world.brain.changed, self.job, wanted, ALICE, self.world.at)
        self.assertEqual((self.job.demand, self.job.changed), (before, False))

    def test_a_pause_after_what_it_waits_for_outlives_other_changes(self) -> None:
        self.world.submit("alice", begin=self.world.at + 5000.0)
        waiting = self.world.brain.jobs[2]
        begin = waiting.not_before
        self.world.brain.changed(waiting, Wanted(dependency="after:1+60"), ALICE, self.world.at)
        self.assertGreaterEqual(waiting.not_before, begin)
        self.world.brain.changed(waiting, Wanted(priority=-5), ALICE, self.world.at)
        self.assertGreaterEqual(waiting.not_before, begin)
        self.world.brain.changed(waiting, Wanted(begin=0.0), ALICE, self.world.at)
        self.assertEqual(waiting.not_before, 0.0)
