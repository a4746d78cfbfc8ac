"""Processes as a made-up ``/proc`` shows them: what is new, gone, active, of whom, and which pid is another one now."""

from __future__ import annotations

import os
import shutil
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from tm.edge.probe_processes import Processes
from tm.model.usage import Look

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class FakeProc:
    """A folder in which processes are written as the kernel would show them; CPU times in seconds."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.busy(0.0)

    def busy(self, seconds: float) -> None:
        self._write("stat", f"cpu  {int(seconds * TICKS)} 0 0 900 5 0 0 0 0 0\ncpu0 1 2 3\n")

    def show(
        self, pid: int, ppid: int = 1, name: str = "sh", cpu: float = 0.0, waited: float = 0.0, start: float = 1.0,
        uid: int = 0, flags: int = 0, rss: int = 10,
    ) -> None:  # fmt: skip
        os.makedirs(os.path.join(self.path, str(pid)), exist_ok=True)
        times = f"{int(cpu * TICKS)} 0 {int(waited * TICKS)} 0"
        self._write(
            f"{pid}/stat", f"{pid} ({name}) S {ppid} {pid} {pid} 0 -1 {flags} 0 0 0 0 {times} 20 0 1 0 "
            f"{int(start * TICKS)} 1000 {rss} 0\n",
        )  # fmt: skip
        self._write(f"{pid}/status", f"Name:\t{name}\nUmask:\t0077\nUid:\t{uid}\t0\t0\t0\nGid:\t0\t0\t0\t0\n")
        self._write(f"{pid}/cmdline", f"{name}\0-c\0true\0")

    def end(self, pid: int) -> None:
        shutil.rmtree(os.path.join(self.path, str(pid)))

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.path, name), "w") as file:
            file.write(text)


class ProcessesTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = tempfile.mkdtemp(prefix="tm-")
        self.addCleanup(shutil.rmtree, path)
        self.proc = FakeProc(path)
        self.now = 100.0
        self.processes = Processes(path, lambda: self.now, whole=True)
        self.addCleanup(self.processes.close)

    def look(self) -> Look:
        self.now += 2.0
        return self.processes.look()

    def active(self) -> dict[int, tuple[float, float]]:
        return {process.pid: (process.used, process.newly_waited) for process in self.look().active}

    def test_a_process_is_read_with_all_that_is_said_of_it(self) -> None:
        self.proc.show(7, ppid=3, name="a (b) c", cpu=1.5, waited=0.5, start=20.0, uid=0, rss=25)
        one = self.look().processes[7]
        self.assertEqual((one.pid, one.ppid, one.session, one.name), (7, 3, 7, "a (b) c"))
        self.assertEqual((one.cpu, one.waited, one.rss, one.start), (1.5, 0.5, 25 * PAGE, 20 * TICKS))
        self.assertEqual((one.uid, one.user, one.kernel), (0, "root", False))
        self.assertEqual(self.processes.command(7), "a (b) c -c true")

    def test_the_first_look_charges_nothing(self) -> None:
        self.proc.show(7, cpu=50.0)
        self.proc.busy(500.0)
        look = self.look()
        self.assertEqual((look.active, look.seconds, look.busy, look.whole), ([], 0.0, 0.0, False))

    def test_only_who_used_cpu_since_is_active(self) -> None:
        self.proc.show(7, cpu=5.0)
        self.proc.show(8, cpu=5.0)
        self.look()
        self.proc.show(7, cpu=6.0, waited=0.5)
        self.assertEqual(self.active(), {7: (1.0, 0.5)})
        self.assertEqual(self.active(), {})

    def test_a_new_process_is_charged_from_its_birth_and_an_old_one_that_comes_into_sight_is_not(self) -> None:
        self.look()
        self.proc.show(7, cpu=1.0, start=self.now + 1)
        self.proc.show(8, cpu=1.0, start=self.now - 50)
        self.assertEqual(self.active(), {7: (1.0, 0.0)})

    def test_what_changes_in_the_tree_is_said(self) -> None:
        self.proc.show(7)
        self.assertTrue(self.look().rearranged)
        self.look()
        self.assertFalse(self.look().rearranged)
        for change in ({"ppid": 2}, {"ppid": 2, "name": "exec"}):
            self.proc.show(7, **change)  # type: ignore[arg-type]  # of several types
            self.assertTrue(self.look().rearranged, change)
        self.proc.end(7)
        look = self.look()
        self.assertEqual((look.rearranged, [one.pid for one in look.gone], look.processes), (True, [7], {}))

    def test_a_process_on_its_way_to_another_user_is_looked_at_twice(self) -> None:
        self.proc.show(7, uid=0)
        self.look()
        self.proc.show(7, uid=12345)
        look = self.look()
        self.assertEqual((look.processes[7].user, look.rearranged), ("12345", True))

    def test_a_pid_that_another_process_has_taken_is_another_process(self) -> None:
        self.proc.show(7, start=1.0, cpu=90.0)
        self.look()
        before = self.processes.by_pid[7]
        self.proc.show(7, start=self.now + 1, cpu=0.5)
        look = self.look()
        self.assertIsNot(look.processes[7], before)
        self.assertEqual((look.gone, look.active, look.processes[7].used), ([before], [look.processes[7]], 0.5))

    def test_kernel_threads_are_known_as_such(self) -> None:
        self.proc.show(2, name="kthreadd", flags=0x200040)
        self.assertTrue(self.look().processes[2].kernel)

    def test_what_the_machine_spent_is_said_where_all_of_it_could_be_seen(self) -> None:
        self.look()
        self.proc.busy(3.0)
        look = self.look()
        self.assertEqual((look.busy, look.whole), (3.0, True))
        contained = Processes(self.proc.path, lambda: self.now, whole=False)
        contained.look()
        self.assertFalse(contained.look().whole)

    def test_where_files_cannot_be_kept_open_all_is_read_the_same(self) -> None:
        self.processes._most_open = 1
        for pid in (7, 8, 9):
            self.proc.show(pid)
        self.look()
        for pid in (7, 8, 9):
            self.proc.show(pid, cpu=1.0)
        self.assertEqual(set(self.active()), {7, 8, 9})
        self.proc.end(8)
        self.assertEqual([one.pid for one in self.look().gone], [8])

    def test_no_file_stays_open(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        for pid in range(10, 30):
            self.proc.show(pid)
        self.look()
        for pid in range(10, 20):
            self.proc.end(pid)
        self.look()
        self.processes.close()
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)


class RealProcessesTests(SynchronousTestCase):
    def test_this_process_is_seen_at_work(self) -> None:
        processes = Processes()
        self.addCleanup(processes.close)
        processes.look()
        for _ in range(200):
            sum(range(20000))
        look = processes.look()
        own = look.processes[os.getpid()]
        self.assertGreater(own.used, 0.0)
        self.assertEqual((own.ppid, own.uid), (os.getppid(), os.getuid()))
        self.assertFalse(processes.hidden(os.getpid()))
