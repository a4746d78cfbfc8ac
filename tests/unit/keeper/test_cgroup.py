"""Control groups: on drawn folders, and on this machine's where groups can be made there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.processes import is_alive, wait_for
from tm.keeper import cgroup
from tm.keeper.limits import Limits

KNOWN = ("cgroup.procs", "cgroup.subtree_control", "cgroup.controllers", "memory.max", "pids.max")
TOPS = [Path(path) for path in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")]
MEBIBYTE = 1 << 20


def top() -> Path | None:
    """Return where groups of version 2 can be made on this machine; None where nowhere."""
    for path in TOPS:
        if (path / "cgroup.controllers").exists() and os.access(path, os.W_OK) and os.getuid() == 0:
            return path
    return None


def obstacle() -> str:
    """Return why groups cannot be tried for real; empty where they can."""
    here = top()
    if here is None:
        if os.getuid() != 0:
            return "only root makes control groups without anybody's leave"
        return "only a machine with control groups of version 2 that can be written shows what they do"
    try:
        (here / f"tm-probe-{os.getpid()}").mkdir()
        (here / f"tm-probe-{os.getpid()}").rmdir()
    except OSError as error:
        return f"only a machine whose control groups can be written shows what they do: {error.strerror}"
    return ""


class DrawnTests(SynchronousTestCase):
    """A folder with the files of a group that was handed over."""

    @override
    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.groups = cgroup.Groups(self.path, frozenset(), "spool")
        os.mkdir(self.path)

    def put(self, name: str, text: str = "") -> None:
        path = Path(self.path, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def group(self, limits: Limits, *files: str) -> cgroup.Group:
        """Return the group of a job in which the kernel has put *files*."""
        mkdir, self.made = os.mkdir, ""

        def made(path: str) -> None:
            mkdir(path)
            self.made = path
            for name in files:
                Path(path, name).write_text("")

        self.patch(cgroup.os, "mkdir", made)
        group = self.groups.make((7, 1), limits)
        assert group is not None
        return group

    def test_limits_are_written_where_the_kernel_can_keep_them(self) -> None:
        files = ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max")
        group = self.group(Limits({"memory": 64 * MEBIBYTE, "processes": 10}), *files)

        self.assertTrue(group.limits_memory and group.limits_processes)
        written = {name: Path(self.made, name).read_text() for name in files}
        most = str(10 + cgroup.MORE_THREADS)
        self.assertEqual(
            {
                "memory.max": str(64 * MEBIBYTE),
                "memory.swap.max": "0",
                "memory.oom.group": "1",
                "pids.max": most,
            },
            written,
        )

    def test_where_it_cannot_others_have_to(self) -> None:
        group = self.group(Limits({"memory": 64 * MEBIBYTE, "processes": 10}), "cgroup.procs")
        self.assertFalse(group.limits_memory or group.limits_processes)

    def test_what_the_kernel_says_is_read(self) -> None:
        group = self.group(Limits({"memory": 1}), "memory.max", "cgroup.procs")
        self.assertFalse(group.out_of_memory())
        Path(self.made, "memory.events").write_text("low 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 1\n")
        Path(self.made, "memory.stat").write_text("anon 4096\nfile 100000\nshmem 8192\n")
        Path(self.made, "cgroup.procs").write_text("1\n2\n3\n")

        self.assertTrue(group.out_of_memory())
        self.assertEqual((12288, 3, [1, 2, 3]), (group.memory(), group.count(), group.pids()))

    def test_who_comes_later_finds_the_group_and_what_it_limits(self) -> None:
        self.group(Limits({"memory": 4096}), "memory.max")
        found = self.groups.find((7, 1))
        assert found is not None
        self.assertEqual((True, False), (found.limits_memory, found.limits_processes))
        self.assertIsNone(self.groups.find((8, 1)))

    def test_a_group_nobody_handed_over_is_left_alone(self) -> None:
        self.patch(cgroup, "_own", lambda: self.path)
        self.put("cgroup.procs")
        self.assertIsNone(cgroup.handed_over("spool", {}))
        self.assertEqual(["cgroup.procs"], os.listdir(self.path))

    def test_of_one_that_was_handed_over_the_kernel_is_asked_for_all_it_has(self) -> None:
        self.put("cgroup.procs")
        self.put("cgroup.controllers", "cpu memory pids\n")
        self.put("cgroup.subtree_control", "x")
        self.put("tm-daemons/cgroup.kill")
        groups = cgroup.handed_over("spool", {cgroup.VARIABLE: self.path})
        assert groups is not None
        self.assertEqual(self.path, groups.path)
        self.assertTrue(Path(self.path, "cgroup.subtree_control").read_text().startswith("+pids"))


class RealTests(SynchronousTestCase):
    """A group of this machine, given to this test by its name."""

    skip = obstacle() or None

    @override
    def setUp(self) -> None:
        here = top()
        assert here is not None
        self.path = here / f"tm-test-{os.getpid()}"
        self.path.mkdir()
        self.addCleanup(self.remove)

    def remove(self) -> None:
        for folder, _, _ in os.walk(self.path, topdown=False):
            kill = Path(folder, "cgroup.kill")
            if kill.exists():
                kill.write_text("1")
            wait_for(
                lambda folder=folder: cgroup.Group(folder, False, False).remove(), f"{folder} to be empty"
            )

    def test_all_of_a_job_is_in_its_group_and_ends_at_once(self) -> None:
        groups = cgroup.Groups(str(self.path), frozenset(), "spool")
        group = groups.make((7, 1), Limits({"processes": 10}))
        assert group is not None
        forks = "import os, time\nfor _ in range(4):\n    if os.fork() == 0: os.setsid()\ntime.sleep(99)"
        job = subprocess.Popen([sys.executable, "-I", "-S", "-c", forks], stdout=subprocess.PIPE, env={})
        self.addCleanup(job.communicate)
        self.assertTrue(group.take(job.pid))
        wait_for(lambda: group.count() == 16, "all of it")
        pids = group.pids()
        self.assertFalse(group.remove())

        if not group.kill():
            raise AssertionError("this kernel cannot kill a group")
        job.wait()
        wait_for(lambda: not any(map(is_alive, pids)), "the end of all of it")
        wait_for(group.remove, "the group to be empty")
        self.assertIsNone(groups.find((7, 1)))

    def test_what_a_process_has_started_before_is_taken_with_it(self) -> None:
        groups = cgroup.Groups(str(self.path), frozenset(), "spool")
        group = groups.make((7, 1), Limits({"processes": 10}))
        assert group is not None
        command = "sleep 99 & (setsid sleep 99 & echo up; wait)"
        job = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE)
        self.addCleanup(job.communicate)
        assert job.stdout is not None
        job.stdout.readline()
        self.assertTrue(group.take(job.pid))

        self.assertEqual(4, group.count())
        group.kill()
        job.wait()
