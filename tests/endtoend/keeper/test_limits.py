"""Limits of running jobs, kept by a real keeper."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.endtoend.keeper.test_jobs import JobCase
from tests.support.keeper import Spool, is_alive, wait_for
from tests.unit.keeper.test_cgroup import obstacle, top

MEBIBYTE = 1 << 20

HOG = (
    "import time\nheld = [bytearray(8 << 20) for _ in range({})]\nprint('held', flush=True)\ntime.sleep({})\n"
)
"""Takes so many times 8 MiB and stays."""

BOMB = """import os, sys, time
for _ in range(9):
    if os.fork() == 0 and {}:
        os.setsid()
time.sleep(60)
"""
"""Becomes 512 processes, and no more."""


def hog(pieces: int, seconds: int = 60) -> list[str]:
    """Return the command of a job that takes *pieces* times 8 MiB."""
    return [sys.executable, "-I", "-S", "-c", HOG.format(pieces, seconds)]


def bomb(own_sessions: bool) -> list[str]:
    """Return the command of a job that becomes 512 processes, most of them in *own_sessions* if so wished."""
    return [sys.executable, "-I", "-S", "-c", BOMB.format(own_sessions)]


class TimeTests(JobCase):
    """Wall time."""

    def test_over_time_is_a_cause_of_death_of_its_own(self) -> None:
        self.peer.say(start=[self.spool.order(1, ["sleep", "1000"], time=0.3)])
        ended = self.peer.wait("ended", 1)

        self.assertEqual((signal.SIGTERM, "time"), (ended["signal"], ended["cause"]))
        self.assertEqual("its wall time of 0.3s was over", ended["reason"])

    def test_a_job_that_ends_in_time_ends_as_it_does(self) -> None:
        self.peer.say(start=[self.spool.order(1, "exit 3", time=60)])
        ended = self.peer.wait("ended", 1)
        self.assertEqual((3, "", ""), (ended["exit_code"], ended["cause"], ended["reason"]))

    def test_the_warning_comes_before_and_spares_a_shell_that_waits_for_what_it_started(self) -> None:
        child = "trap 'echo warned > heard; exit 4' USR1; while :; do sleep 0.01; done"
        command = f"sh -c '{child.replace(chr(39), chr(34))}'; exit 5"
        self.peer.say(start=[self.spool.order(1, command, time=60, warn=[10, 59.7, False])])
        self.assertEqual(5, self.peer.wait("ended", 1)["exit_code"])
        self.assertEqual("warned\n", self.spool.read("work/heard"))

    def test_the_warning_may_be_for_the_first_process_alone(self) -> None:
        command = "trap 'exit 6' USR1; sleep 1000 & wait"
        self.peer.say(start=[self.spool.order(1, command, time=60, warn=[10, 59.7, True])])
        self.assertEqual(6, self.peer.wait("ended", 1)["exit_code"])

    def test_the_limit_can_be_changed_while_it_runs_and_while_it_waits(self) -> None:
        self.peer.say(grant=1)
        orders = [self.spool.order(1, "sleep 1000", time=1000), self.spool.order(2, "sleep 1000")]
        self.peer.say(start=orders, limit=[[2, 1, 0.1]])
        self.peer.wait("started", 1)
        self.peer.say(limit=[[1, 1, 0.2], [9, 1, 5]])

        self.assertEqual("time", self.peer.wait("ended", 1)["cause"])
        self.assertEqual("time", self.peer.wait("ended", 2)["cause"])

    def test_the_time_that_a_job_is_suspended_does_not_count(self) -> None:
        self.peer.say(start=[self.spool.order(1, "sleep 1000", time=0.5)])
        self.peer.wait("started", 1)
        begin = time.monotonic()
        self.peer.say(suspend=[[1, 1]])
        self.peer.wait("suspended", 1)
        time.sleep(0.8)
        self.peer.say(resume=[[1, 1]])
        ended = self.peer.wait("ended", 1)

        self.assertEqual("time", ended["cause"])
        self.assertGreater(time.monotonic() - begin, 1.1)


class MemoryTests(JobCase):
    """Memory."""

    def test_a_hog_is_ended_and_named(self) -> None:
        self.peer.say(start=[self.spool.order(1, hog(40), memory=128 * MEBIBYTE)])
        ended = self.peer.wait("ended", 1)

        self.assertEqual((signal.SIGKILL, "memory"), (ended["signal"], ended["cause"]))
        self.assertRegex(
            ended["reason"], r"it used \d+(\.\d)?M of memory, most of it python.*more than the 128M it may"
        )
        self.assertGreater(ended["max_rss"], 128 * MEBIBYTE)

    def test_what_the_processes_of_a_job_share_counts_once(self) -> None:
        fork = "for _ in range(6):\n    if os.fork() == 0: break\n"
        share = f"import os, time\nheld = bytearray(64 << 20)\n{fork}time.sleep(1)"
        self.peer.say(
            start=[self.spool.order(1, [sys.executable, "-I", "-S", "-c", share], memory=160 * MEBIBYTE)]
        )
        self.assertEqual(0, self.peer.wait("ended", 1)["exit_code"])

    def test_the_memory_of_all_its_processes_counts(self) -> None:
        spread = "import os, time\nfor _ in range(3): os.fork()\nheld = bytearray(32 << 20)\ntime.sleep(60)"
        self.peer.say(
            start=[self.spool.order(1, [sys.executable, "-I", "-S", "-c", spread], memory=160 * MEBIBYTE)]
        )
        self.assertEqual("memory", self.peer.wait("ended", 1)["cause"])

    def test_no_process_of_it_can_ask_for_very_much_more(self) -> None:
        self.peer.say(start=[self.spool.order(1, "ulimit -d", memory=64 * MEBIBYTE)])
        started = self.peer.wait("started", 1)
        self.peer.wait("ended", 1)

        self.assertEqual(f"{(64 + 32 + 1024) * 1024}\n", self.spool.read("work/1.out"))
        self.assertIn("memory: sampled and rlimit", started["rung"])
        self.peer.say(start=[self.spool.order(2, "ulimit -d")])
        self.peer.wait("ended", 2)
        self.assertNotEqual(self.spool.read("work/1.out"), self.spool.read("work/2.out"))

    def test_who_fails_by_himself_near_the_limit_is_told_so(self) -> None:
        fails = HOG.format(16, 1) + "raise SystemExit(1)"
        self.peer.say(
            start=[self.spool.order(1, [sys.executable, "-I", "-S", "-c", fails], memory=150 * MEBIBYTE)]
        )
        ended = self.peer.wait("ended", 1)

        self.assertEqual((1, ""), (ended["exit_code"], ended["cause"]))
        self.assertRegex(
            ended["reason"], r"it failed near its memory limit: it used 1\d\dM of the 150M it may"
        )


class ProcessesTests(JobCase):
    """Processes."""

    def assert_ended(self, own_sessions: bool) -> None:
        self.peer.say(start=[self.spool.order(2, "sleep 1000")])
        self.peer.say(start=[self.spool.order(1, bomb(own_sessions), processes=60)])
        ended = self.peer.wait("ended", 1)

        self.assertEqual((signal.SIGKILL, "processes"), (ended["signal"], ended["cause"]))
        self.assertRegex(ended["reason"], r"it had \d+ processes, mostly python.*, more than the 60 it may")
        wait_for(lambda: not self.bombs(), "the end of all of it")
        self.assertTrue(is_alive(self.peer.wait("started", 2)["pid"]))

    def bombs(self) -> list[str]:
        """Return the living processes whose command is a bomb."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if b"range(9)" in Path(f"/proc/{name}/cmdline").read_bytes() and is_alive(int(name)):
                        found.append(name)
                except OSError:
                    continue
        return found

    def test_a_fork_bomb_is_ended_and_named(self) -> None:
        self.assert_ended(own_sessions=False)

    def test_one_whose_processes_leave_its_session_is_too(self) -> None:
        self.assert_ended(own_sessions=True)


class OutputTests(JobCase):
    """Output."""

    def test_a_job_that_writes_too_much_is_ended(self) -> None:
        command = "while :; do head -c 1000000 /dev/zero; sleep 0.01; done"
        self.peer.say(start=[self.spool.order(1, command, output=3_000_000)])
        ended = self.peer.wait("ended", 1)

        self.assertEqual("output", ended["cause"])
        self.assertIn("1.out grew to", ended["reason"])
        self.assertIn("more than the 2.9M it may", ended["reason"])

    def test_its_other_files_may_grow(self) -> None:
        self.peer.say(
            start=[self.spool.order(1, "head -c 9000000 /dev/zero > other; sleep 0.3", output=3_000_000)]
        )
        self.assertEqual(0, self.peer.wait("ended", 1)["exit_code"])


class GivenTests(JobCase):
    """What a job is given: processors, a script."""

    def test_it_runs_on_its_processors_and_the_next_one_on_all(self) -> None:
        last = max(os.sched_getaffinity(0))
        show = "grep Cpus_allowed_list /proc/self/status"
        self.peer.say(grant=1)
        self.peer.say(start=[self.spool.order(1, show, cpus=[last]), self.spool.order(2, show, cores=0)])
        self.assertEqual([last], self.peer.wait("started", 1)["cpus"])
        self.assertIn("cores: affinity", self.peer.wait("started", 1)["rung"])
        self.peer.wait("ended", 1)
        self.peer.wait("ended", 2)

        self.assertEqual(f"Cpus_allowed_list:\t{last}\n", self.spool.read("work/1.out"))
        self.assertNotEqual(self.spool.read("work/1.out"), self.spool.read("work/2.out"))

    def test_who_follows_at_once_has_the_processors_of_whom_it_follows(self) -> None:
        last = max(os.sched_getaffinity(0))
        self.peer.say(grant=1)
        self.peer.say(start=[self.spool.order(1, "exit 0", cpus=[last]), self.spool.order(2, "exit 0")])
        self.peer.wait("ended", 2)
        self.assertEqual([last], self.peer.wait("started", 2)["cpus"])

    def test_a_script_runs_from_its_text_and_its_file_is_gone_afterwards(self) -> None:
        text = "#!/bin/sh -e\necho $1 $#; cat $0 | head -1; false; echo never\n"
        self.peer.say(start=[self.spool.order(1, ["sim.sh", "a b", "c"], script=text)])

        self.assertEqual(1, self.peer.wait("ended", 1)["exit_code"])
        self.assertEqual("a b 2\n#!/bin/sh -e\n", self.spool.read("work/1.out"))
        self.assertEqual([], os.listdir(os.path.join(self.spool.path, "scripts")))

    def test_what_moves_bytes_is_told_how_many(self) -> None:
        self.peer.say(start=[self.spool.order(1, "head -c 5000000 /dev/zero > file; sleep 0.1")])
        ended = self.peer.wait("ended", 1)
        self.assertGreaterEqual(ended["io_written"], 5_000_000)
        self.assertGreaterEqual(ended["io_read"], 5_000_000)


class LeftBehindTests(JobCase):
    """Daemons that a job leaves."""

    def test_what_a_job_leaves_running_is_named(self) -> None:
        self.peer.say(start=[self.spool.order(1, "(setsid sleep 1000 &); sleep 0.2")])
        ended = self.peer.wait("ended", 1)
        self.assertRegex(ended["reason"], r"it left sleep \(pid \d+\) running, ended with it")


    def test_so_is_what_only_was_seen_in_its_tree(self) -> None:
        self.peer.say(start=[self.spool.order(2, "sleep 1000")])
        hidden = "setsid env -i PATH=/bin:/usr/bin sh -c 'echo $$ > far; exec sleep 1000' & sleep 1.5; exit 5"
        self.peer.say(start=[self.spool.order(1, hidden, processes=100)])
        ended = self.peer.wait("ended", 1)
        far = self.spool.pid_in("far")

        self.assertEqual(f"it left sleep (pid {far}) running, ended with it", ended["reason"])
        wait_for(lambda: not is_alive(far), "the end of what it left")
        self.assertTrue(is_alive(self.peer.wait("started", 2)["pid"]))


class GroupTests(SynchronousTestCase):
    """A keeper to which a control group was handed over."""

    skip = obstacle() or None

    @override
    def setUp(self) -> None:
        here = top()
        assert here is not None
        self.group = here / f"tm-test-{os.getpid()}"
        self.group.mkdir()
        self.addCleanup(self.remove)
        self.spool = Spool()
        self.addCleanup(self.spool.clean)
        self.spool.start(more={"TM_CGROUP": str(self.group)})
        self.peer = self.spool.connect()
        self.peer.greeting()
        self.peer.say(grant=2)

    def remove(self) -> None:
        for folder, _, _ in os.walk(self.group, topdown=False):
            wait_for(lambda folder=folder: self.removed(folder), f"{folder} to be empty")

    def removed(self, folder: str) -> bool:
        """Whether *folder* could be removed."""
        try:
            os.rmdir(folder)
        except OSError:
            return not os.path.exists(folder)
        return True

    def jobs(self) -> list[str]:
        """Return the groups of jobs."""
        return [name for name in os.listdir(self.group) if name.startswith("tm-job-")]

    def test_a_bomb_that_hides_its_processes_from_everybody_is_ended_with_its_group(self) -> None:
        hidden = "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        os.setsid()\n"
        hidden += "        if os.fork(): os._exit(0)\ntime.sleep(60)\n"
        command = ["env", "-i", sys.executable, "-I", "-S", "-c", hidden]
        self.peer.say(start=[self.spool.order(1, command, processes=20, own_processes=True)])
        self.assertIn("ended by cgroup", self.peer.wait("started", 1)["rung"])
        ended = self.peer.wait("ended", 1)

        self.assertEqual("processes", ended["cause"])
        wait_for(lambda: not self.jobs(), "the group to be removed")

    def test_a_hog_is_ended_there_too(self) -> None:
        self.peer.say(start=[self.spool.order(1, hog(40), memory=128 * MEBIBYTE)])
        self.assertEqual("memory", self.peer.wait("ended", 1)["cause"])

    def test_what_a_job_leaves_in_its_group_ends_though_nothing_else_tells_whose_it_is(self) -> None:
        self.peer.say(start=[self.spool.order(2, "sleep 1000")])
        far = "(setsid env -i PATH=/bin:/usr/bin sh -c 'echo $$ > far; exec sleep 1000' &) ; "
        command = far + "while [ ! -s far ]; do sleep 0.01; done; exit 5"
        self.peer.say(start=[self.spool.order(1, command, memory=512 * MEBIBYTE)])
        self.assertEqual(5, self.peer.wait("ended", 1)["exit_code"])

        pid = self.spool.pid_in("far")
        wait_for(lambda: not is_alive(pid), "the end of what it left")
        wait_for(lambda: not self.jobs(), "the group to be removed")

    def test_jobs_without_limits_of_their_own_need_no_group(self) -> None:
        self.peer.say(start=[self.spool.order(1, "exit 3", processes=4096)])
        self.assertNotIn("cgroup", self.peer.wait("started", 1)["rung"])
        self.assertEqual(3, self.peer.wait("ended", 1)["exit_code"])
