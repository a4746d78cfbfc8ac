"""``hRunJob -f``: output is shown while its job runs, from where it is written, to many, across what may happen."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.support.chain import ChainCase
from tests.support.processes import wait_for
from tm.places import find_root

HRUNJOB = [sys.executable, os.path.join(find_root(), "bin", "hRunJob")]
AWAITED = "while ! [ -e go{} ]; do sleep 0.02; done"
STEPS = f"echo begun; for i in 1 2 3; do {AWAITED.format('$i')}; echo step $i; echo error $i >&2; done; exit 6"


class Follower:
    """hRunJob -f of a job, with what it has shown."""

    def __init__(self, case: ChainCase, number: int | str) -> None:
        self.shown = b""
        self._process = subprocess.Popen(
            [*HRUNJOB, "-f", str(number)], env=case.cluster.environment("alice"), cwd=case.cluster.work,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        case.addCleanup(self.close)

    def see(self, text: bytes, seconds: float = 20.0) -> None:
        """Wait until *text* has been shown on stdout."""
        deadline = time.monotonic() + seconds
        assert self._process.stdout is not None
        while text not in self.shown:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r} and the end")
            self.shown += data

    def end(self) -> tuple[int, bytes, bytes]:
        """Return exit status, all that was shown, and what was said on stderr."""
        out, err = self._process.communicate(timeout=30)
        return self._process.returncode, self.shown + out, err

    def close(self) -> None:
        """End it if it has not ended."""
        self._process.kill()
        for file in (self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()
        self._process.wait()


class FollowTests(ChainCase):
    def begin(self, command: str = STEPS, **more: object) -> int:
        """Return a job that runs."""
        (number,) = self.cluster.submit("alice", command, **more)
        self.cluster.wait([number], states=["running"])
        return number

    def go(self, step: int) -> None:
        """Let the job make a step."""
        Path(self.cluster.work, f"go{step}").touch()

    def test_many_see_output_and_errors_while_the_job_runs_and_its_exit_code(self) -> None:
        number = self.begin(stdout="out", stderr="err")
        followers = [Follower(self, number) for _ in range(3)]
        for step in (1, 2, 3):
            self.go(step)
            for follower in followers:
                follower.see(b"step %d\n" % step)  # the job waits for us, so this was shown while it ran
        for follower in followers:
            status, out, err = follower.end()
            self.assertEqual((6, b"begun\nstep 1\nstep 2\nstep 3\n"), (status, out))
            self.assertIn(b"error 1\nerror 2\nerror 3\n", err)
            self.assertNotIn(b"from here", err)

    def test_a_file_that_is_rotated_or_begun_anew_is_followed_on(self) -> None:
        first, second, third = (AWAITED.format(step) for step in (1, 2, 3))
        command = f"echo one; {first}; mv out old; echo two > out; {second}; echo 3 > out; {third}"
        number = self.begin(command, stdout="out")
        follower = Follower(self, number)
        follower.see(b"one\n")
        self.go(1)
        follower.see(b"two\n")
        self.go(2)
        follower.see(b"3\n")
        self.go(3)
        self.assertEqual((0, b"one\ntwo\n3\n"), follower.end()[:2])

    def test_where_the_host_is_reached_no_more_the_file_is_read_from_here(self) -> None:
        number = self.begin(stdout="out", stderr=None)
        follower = Follower(self, number)
        follower.see(b"begun\n")
        host = self.cluster.job("alice", number)["host"]
        self.go(1)
        follower.see(b"step 1\n")
        self.assertTrue(self.cluster.kill(f"tmms:alice:{host}"))
        for step in (2, 3):
            self.go(step)
            follower.see(b"step %d\n" % step)
        status, out, err = follower.end()
        lines = b"begun\n" + b"".join(b"step %d\nerror %d\n" % (step, step) for step in (1, 2, 3))
        self.assertEqual((6, lines), (status, out))
        self.assertIn(b"/out from here", err)

    def test_who_does_not_read_is_waited_for_and_costs_no_memory(self) -> None:
        number = self.begin(f"head -c 50000000 /dev/zero; {AWAITED.format(1)}; echo end", stdout="out")
        host = self.cluster.job("alice", number)["host"]
        names = ("tms:alice", f"tmms:alice:{host}")
        before = {name: self.cluster.memory(name) for name in names}
        follower = Follower(self, number)
        other = Follower(self, number)
        other.see(b"\0" * 1000)
        time.sleep(1.0)
        grown = {name: self.cluster.memory(name) - before[name] for name in names}
        self.go(1)

        status, out, _ = follower.end()
        self.assertEqual((0, 50000004), (status, len(out)))
        self.assertLess(max(grown.values()), 20_000_000)

    def test_a_task_is_followed_also_where_its_output_will_be_bundled(self) -> None:
        command = f"echo begun $TM_ARRAY_TASK_ID; {AWAITED.format(1)}; echo done $TM_ARRAY_TASK_ID"
        (number,) = self.cluster.submit("alice", command, array="0-1", bundle=True, stdout="all")
        followers = {task: Follower(self, f"{number}_{task}") for task in (0, 1)}
        for task, follower in followers.items():
            follower.see(b"begun %d\n" % task)
        self.go(1)
        for task, follower in followers.items():
            self.assertEqual((0, b"begun %d\ndone %d\n" % (task, task)), follower.end()[:2])

    def test_a_job_that_waits_is_followed_from_its_start(self) -> None:
        blocking = self.begin(AWAITED.format(1), cores=2, hosts=["n1"])
        (number,) = self.cluster.submit("alice", "echo begun; echo done", cores=2, hosts=["n1"], stdout="out")
        follower = Follower(self, number)
        wait_for(lambda: self.cluster.job("alice", number)["state"] == "pending", "the waiting job")
        self.go(1)
        self.assertEqual((0, b"begun\ndone\n"), follower.end()[:2])
        self.cluster.wait([blocking])
