"""Jobs whose keeper is dead, as the server that takes them on sees them: real processes, children of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.support.processes import is_alive, wait_for
from tm.daemon.adoption import Orphanage
from tm.keeper import procfs

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
            os.kill(pid, signal.SIGKILL)

    def members(self, session: int) -> list[int]:
        """Return the living processes of *session*."""
        return [one.pid for one in procfs.snapshot().values() if one.session == session and not one.dead]

    def test_the_ending_of_a_cancelled_job_is_seen_once_its_tree_is_gone(self) -> None:
        orphanage = Orphanage(time.monotonic)
        job, process = self.start(STUBBORN)
        orphanage.take((1, 1), 1, job.pid, process.ticks, 0.0)
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
        orphanage.take((1, 1), 1, other.pid, process.ticks - 1, 0.0)
        orphanage.cancel((1, 1), 0.0)

        ((fact, pid),) = orphanage.look()

        self.assertEqual(("lost", None), (fact.what, pid))
        orphanage.over((1, 1), pid)
        self.assertEqual(5, other.wait())
