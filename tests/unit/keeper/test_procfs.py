"""What ``/proc`` says about real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tm.keeper import procfs


class ProcessTests(SynchronousTestCase):
    """A child of ours, seen through ``/proc``."""

    @override
    def setUp(self) -> None:
        environment = {"TM_JOB_ID": "17", "TM_ATTEMPT": "2", "PATH": os.environ["PATH"]}
        self.before = procfs.ticks()
        self.child = subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True)
        self.addCleanup(self.child.wait)
        self.addCleanup(self.child.kill)
        self.pid = self.child.pid

    def test_parent_session_and_start_are_read(self) -> None:
        process = procfs.read(self.pid)
        assert process is not None

        self.assertEqual((os.getpid(), self.pid, False), (process.ppid, process.session, process.dead))
        self.assertTrue(self.before <= process.ticks <= procfs.ticks())

    def test_the_start_is_the_same_whether_reckoned_or_read(self) -> None:
        read = procfs.read(self.pid)
        assert read is not None
        for _ in range(20):
            before = procfs.ticks()
            with subprocess.Popen(["true"]) as child:
                reckoned = procfs.started_at(child.pid, before)
                process = procfs.read(child.pid)
                assert process is not None
                self.assertEqual(process.ticks, reckoned)

    def test_it_is_among_our_children_and_in_the_snapshot(self) -> None:
        self.assertIn(self.pid, procfs.children())
        self.assertIn(self.pid, procfs.snapshot())

    def test_its_environment_says_whose_it_is(self) -> None:
        self.assertEqual((17, 2), procfs.claim(self.pid))
        self.assertIsNone(procfs.claim(1 << 30))

    def test_a_zombie_is_dead_and_none_is_none(self) -> None:
        self.child.kill()
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        process = procfs.read(self.pid)
        assert process is not None

        self.assertTrue(process.dead)
        self.assertIsNone(procfs.read(1 << 30))

    def test_a_signal_goes_to_the_process_that_was_meant_only(self) -> None:
        process = procfs.read(self.pid)
        assert process is not None
        other = procfs.Process(self.pid, process.ppid, process.session, ticks=process.ticks - 1)
        procfs.send(other, signal.SIGKILL)
        procfs.send(procfs.Process(1 << 30, 1, 1), signal.SIGKILL)
        procfs.send(process, signal.SIGTERM)

        self.assertEqual(-signal.SIGTERM, self.child.wait(20))


CHAIN = """
import os, time
while True:
    if os.fork():
        os._exit(0)
    time.sleep(0.0003)
"""


class SnapshotTests(SynchronousTestCase):
    """A chain: each process has the next one and ends at once, so there is always one that lives, never for long."""

    def test_one_of_a_chain_of_short_lives_is_always_seen(self) -> None:
        first = subprocess.Popen([sys.executable, "-I", "-S", "-c", CHAIN], start_new_session=True)
        self.addCleanup(first.wait)
        self.addCleanup(os.killpg, first.pid, signal.SIGKILL)

        unseen = 0
        for _ in range(100):
            processes = procfs.snapshot().values()
            unseen += not any(process.session == first.pid and not process.dead for process in processes)

        self.assertEqual(0, unseen)


class MovedTests(SynchronousTestCase):
    def test_what_a_reaped_child_and_its_children_have_moved_is_known_without_asking_it(self) -> None:
        command = "head -c 3000000 /dev/zero > /dev/null; head -c 2000000 /dev/zero > /dev/null"
        before = procfs.moved(os.getpid())
        assert before is not None
        subprocess.run(["/bin/sh", "-c", command], check=True)
        moved = procfs.moved_by_reaped(before)
        assert moved is not None
        for count in moved:
            self.assertGreaterEqual(count, 5_000_000)
            self.assertLess(count, 6_000_000)
