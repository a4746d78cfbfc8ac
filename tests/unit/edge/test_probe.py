"""A computer as a whole: what it is, how it is, and its processes as a tree that keeps command lines to their users."""

from __future__ import annotations

import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.edge.test_probe_processes import FakeProc
from tm.edge.probe import Probe
from tm.edge.probe_people import People
from tm.edge.probe_processes import Processes
from tm.lineage import DAEMON
from tm.model.report import Gpu, about_faults, report_faults
from tm.model.sample import about, report
from tm.model.usage import KnownJob

GPU = Gpu(0, "Fast 3000", 8 << 30)


class ProbeTests(SynchronousTestCase):
    """Processes and people are made up, the rest is this computer."""

    def setUp(self) -> None:
        root = tempfile.mkdtemp(prefix="tm-")
        self.addCleanup(shutil.rmtree, root)
        self.proc = FakeProc(root)
        self.boot = 1000.0
        self.probe = Probe(
            processes=Processes(root, lambda: self.boot, whole=True), people=People(root, list, lambda asked: {}),
            gpus=lambda: [GPU], survives="own session", clock=lambda: 1_700_000_000.0,
        )  # fmt: skip
        self.addCleanup(self.probe.close)
        self.proc.show(1, 0, "init")
        self.proc.show(10, 1, DAEMON, uid=1)
        self.proc.show(12, 10, "job", uid=1)
        self.proc.show(30, 12, "child", uid=1)
        self.proc.show(20, 1, "shell", uid=0)

    def look(self) -> None:
        self.boot += 2.0
        self.sample = self.probe.sample()

    def pids(self, user: str | None = None, job: int | None = None) -> list[tuple[object, object]]:
        return [(one["pid"], one["depth"]) for one in self.probe.processes(user, job, "root")]

    def test_what_it_says_of_this_computer_can_be_true(self) -> None:
        machine = self.probe.machine()
        said = about(machine, "n1", "1.0.0", os.getpid(), 1, "f" * 64)
        self.look()
        self.assertEqual(about_faults(said), [])
        self.assertEqual(report_faults(report(self.sample, "n1"), said, 1_700_000_000.0), [])
        self.assertEqual((machine.cores, machine.gpus), (os.cpu_count(), [GPU]))
        self.assertTrue(machine.kernel and machine.system and machine.cpu_model and machine.boot)
        self.assertEqual(machine.memory, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        self.assertTrue(all(0 <= disk.free <= disk.size for disk in machine.disks))

    def test_processes_are_a_tree_with_parents_first(self) -> None:
        self.look()
        self.assertEqual(self.pids(), [(1, 0), (10, 1), (12, 2), (30, 3), (20, 1)])

    def test_of_a_user_or_a_job_only_its_branches_are_shown(self) -> None:
        self.probe.jobs([KnownJob(7, "alice", 12)])
        self.look()
        self.assertEqual(self.pids(job=7), [(12, 0), (30, 1)])
        self.assertEqual(self.pids(user="root"), [(1, 0), (20, 1)])
        self.assertEqual(self.pids(user="nobody-at-all"), [])

    def test_a_command_line_is_shown_to_the_user_of_that_name_alone(self) -> None:
        self.look()
        shown = {one["pid"]: one["command"] for one in self.probe.processes(None, None, "root")}
        self.assertEqual((shown[20], shown[12]), ("shell -c true", "job"))

    def test_cpu_is_that_since_the_look_before(self) -> None:
        self.probe.jobs([KnownJob(7, "alice", 12)])
        self.look()
        self.proc.show(12, 10, "job", uid=1, cpu=1.0)
        self.proc.show(20, 1, "shell", cpu=3.0)
        self.proc.busy(4.0)
        self.look()
        use = self.sample.use
        self.assertEqual((use.ours, use.others, use.by_user), (0.5, 1.5, {"root": 1.5}))
        self.assertEqual(use.by_job[7][0], 0.5)
        self.assertEqual(self.sample.processes, 5)
        shown = {one["pid"]: one["cpu"] for one in self.probe.processes(None, None, "root")}
        self.assertEqual((shown[12], shown[20], shown[30]), (0.5, 1.5, 0.0))
