"""Jobs whose keeper is dead, as the server that takes them on sees them: real processes, children of the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.support.processes import is_alive, wait_for
from tm.daemon.adoption import Orphanage
from tm.keeper import procfs
from tm.keeper.journal import Started
from tm.keeper.limits import Limits

STUBBORN = "(trap '' TERM; echo ready; while :; do sleep 0.05; done) & trap 'exit 3' TERM; wait"


class CancelTests(SynchronousTestCase):
    def start(self, command: str) -> tuple[subprocess.Popen[bytes], procfs.Process]:
        """Start a job; return it once it has said that it is ready."""
        job = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True, stdout=subprocess.PIPE)
        assert job.stdout is not None
        self.addCleanup(job.stdout.close)
        self.addCleanup(self.end, job.pid)
        self.assertEqual(b"ready\n", job.stdout.readline())
        process = procfs.read(job.pid)
        assert process is not None
        return job, process

    def end(self, session: int) -> None:
        """End what is left of a job."""
        for pid in self.members(session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def members(self, session: int) -> list[int]:
        """Return the living processes of *session*."""
        return [one.pid for one in procfs.snapshot().values() if one.session == session and not one.dead]

    def all_stand(self, session: int) -> bool:
        """Whether nobody in *session* does anything of their own."""
        return all(one.still for one in procfs.snapshot().values() if one.session == session)

    def test_the_ending_of_a_cancelled_job_is_seen_once_its_tree_is_gone(self) -> None:
        orphanage = Orphanage(time.monotonic)
        job, process = self.start(STUBBORN)
        orphanage.take((1, 1), 1, Started(job.pid, process.ticks, 0.0))
        orphanage.cancel((1, 1), 0.3)
        wait_for(lambda: not is_alive(job.pid), "the end of the first process")
        self.assertEqual([], orphanage.look())
        self.assertNotEqual([], self.members(job.pid))

        ((fact, pid),) = wait_for(orphanage.look, "the ending")

        self.assertEqual((("ended", 3), []), ((fact.what, fact.exit_code), self.members(job.pid)))
        orphanage.over((1, 1), pid)
        job.returncode = 3
        self.assertFalse(orphanage)

    def test_the_end_of_a_child_that_has_the_pid_of_a_job_by_now_is_not_the_jobs(self) -> None:
        orphanage = Orphanage(time.monotonic)
        other, process = self.start("echo ready; exit 5")
        orphanage.take((1, 1), 1, Started(other.pid, process.ticks - 1, 0.0))
        orphanage.cancel((1, 1), 0.0)

        ((fact, pid),) = orphanage.look()

        self.assertEqual(("lost", None), (fact.what, pid))
        orphanage.over((1, 1), pid)
        self.assertEqual(5, other.wait())

    def test_a_job_is_suspended_goes_on_and_is_ended_while_it_is_suspended(self) -> None:
        orphanage = Orphanage(time.time)
        job, process = self.start("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done")
        orphanage.take((1, 1), 1, Started(job.pid, process.ticks, 0.0))
        self.assertFalse(orphanage.is_suspended((1, 1)))
        turns = []
        for word, what in (("suspend", "suspended"), ("resume", "resumed"), ("suspend", "suspended")):
            told = orphanage.pause(word, (1, 1))
            while not told:
                told = wait_for(orphanage.standing, "a job that stands")
            self.assertEqual([(fact.what, fact.pid) for fact in told], [(what, job.pid)])
            turns.append(told[0].turn)
        self.assertEqual(turns, [turns[0], turns[0] + 1, turns[0] + 2])
        self.assertTrue(self.all_stand(job.pid))

        orphanage.cancel((1, 1), 5.0)
        ((fact, pid),) = wait_for(orphanage.look, "the ending")
        self.assertEqual((fact.exit_code, orphanage.pause("suspend", (7, 1))), (3, []))
        orphanage.over((1, 1), pid)
        job.returncode = 3

    def test_one_that_waits_in_the_kernel_for_a_moment_is_not_taken_for_suspended(self) -> None:
        waiting = procfs.Process(4711, os.getpid(), 4711, 17, still=True)
        child = procfs.Process(4712, 4711, 4711, 18, still=True, stopped=True)
        self.patch(procfs, "read", lambda pid: waiting)
        for session, suspended in (([waiting], False), ([waiting, child], True)):
            self.patch(procfs, "snapshot", lambda session=session: {one.pid: one for one in session})
            orphanage = Orphanage(lambda: 1000.0)
            orphanage.take((1, 1), 1, Started(4711, 17, 0.0))
            self.assertEqual(orphanage.is_suspended((1, 1)), suspended)

    def test_one_that_an_earlier_server_suspended_is_seen_to_stand_and_its_turns_go_on_above(self) -> None:
        job, process = self.start("echo ready; while :; do sleep 0.01; done")
        first = Orphanage(lambda: 1000.0)
        first.take((1, 1), 1, Started(job.pid, process.ticks, 0.0))
        told = first.pause("suspend", (1, 1)) or wait_for(first.standing, "a job that stands")
        second = Orphanage(lambda: 1001.0)
        second.take((1, 1), 1, Started(job.pid, process.ticks, 0.0))
        self.assertTrue(second.is_suspended((1, 1)))
        (fact,) = second.pause("resume", (1, 1))
        self.assertEqual((fact.what, fact.turn > told[0].turn), ("resumed", True))
        wait_for(lambda: not self.all_stand(job.pid), "a job that goes on")


class LimitTests(SynchronousTestCase):
    """Limits of jobs whose keeper is dead."""

    def started(self, command: str) -> tuple[subprocess.Popen[bytes], int]:
        job = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
        self.addCleanup(job.wait)
        self.addCleanup(job.kill)
        process = procfs.read(job.pid)
        assert process is not None
        return job, process.ticks

    def test_the_time_that_a_job_ran_under_its_keeper_counts_but_not_while_it_was_suspended(self) -> None:
        now = [1000.0]
        for paused, turn, turned_at, left in ((0.0, 0, 900.0, 10.0), (30.0, 2, 950.0, 40.0)):
            job, ticks = self.started("exec sleep 1000")
            orphanage = Orphanage(lambda: now[0])
            now[0] = 1000.0
            started = Started(job.pid, ticks, 900.0)
            started.paused, started.turn, started.turned_at = paused, turn, turned_at
            orphanage.take((1, 1), 1, started, Limits({"time": 110}))
            now[0] += left - 1
            self.assertEqual([], orphanage.look())
            self.assertIsNone(job.poll())
            now[0] += 1
            ((fact, pid),) = wait_for(orphanage.look, "the ending")

            self.assertEqual(("time", signal.SIGTERM), (fact.cause, fact.signal))
            orphanage.over((1, 1), pid)
            job.returncode = -signal.SIGTERM

    def test_a_limit_that_is_changed_then_holds(self) -> None:
        job, ticks = self.started("exec sleep 1000")
        orphanage = Orphanage(lambda: 1000.0)
        orphanage.take((1, 1), 1, Started(job.pid, ticks, 900.0), Limits({"time": 10_000}))
        self.assertEqual("processes: sampled", self.with_processes().rung((2, 1)))
        orphanage.limit((1, 1), 50.0)
        ((fact, pid),) = wait_for(orphanage.look, "the ending")

        self.assertEqual("its wall time of 50s was over", fact.reason)
        orphanage.over((1, 1), pid)
        job.returncode = -signal.SIGTERM

    def with_processes(self) -> Orphanage:
        job, ticks = self.started("exec sleep 1000")
        orphanage = Orphanage(lambda: 1000.0)
        orphanage.take((2, 1), 1, Started(job.pid, ticks, 900.0), Limits({"processes": 10}))
        return orphanage
