"""When the sampler looks at whom, and what it finds: on drawn process tables."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.keeper import procfs, sampling
from tm.keeper.book import Running
from tm.keeper.limits import Limits, WallTime
from tm.keeper.order import Key
from tm.keeper.procfs import Process
from tm.keeper.sampling import FIRST_LOOK, REST, SELDOM, SOONEST, Sampler, Watch
from tm.keeper.tree import Stem

KEEPER = 2**22 + 10
MEBIBYTE = 1 << 20


class Machine(SynchronousTestCase):
    """A keeper with jobs whose processes the test draws."""

    def setUp(self) -> None:
        self.processes: dict[int, Process] = {}
        self.mains: dict[int, Key] = {}
        self.watches: dict[Key, Watch] = {}
        self.asked: list[list[int]] = []
        self.now = 0.0
        self.taken = 0.0
        self.spent = 0.0
        self.tasks = 100
        self.patch(procfs, "tasks", lambda: self.tasks)
        self.patch(procfs, "memory", lambda pid: self.exact.get(pid))
        self.exact: dict[int, int] = {}
        stem = Stem(KEEPER, self.mains, lambda pid: None)
        self.sampler = Sampler(stem, self.watches, self.family, lambda: [], self.clock)

    def clock(self) -> float:
        return self.spent

    def family(self, roots: Iterable[int]) -> dict[int, Process]:
        self.asked.append(sorted(set(roots)))
        self.spent += self.taken
        found, waiting = {}, list(roots)
        while waiting:
            pid = waiting.pop()
            if pid in self.processes and pid not in found:
                found[pid] = self.processes[pid]
                waiting += [one.pid for one in self.processes.values() if one.ppid == pid]
        return found

    def begin(self, job: int, rss: int = MEBIBYTE, **limits: int) -> Watch:
        pid = KEEPER + job
        self.mains[pid] = (job, 1)
        self.processes[pid] = Process(pid, KEEPER, pid, ticks=1, rss=rss, name=b"main")
        read = Limits(limits)
        watch = Watch(Running((job, 1), 1, pid, 1, self.now), read, WallTime(read, self.now), None, self.now)
        self.watches[job, 1] = watch
        self.sampler.begun(watch)
        return watch

    def run_until(self, at: float) -> list[Watch]:
        """Let time pass; return who was over a limit."""
        over: list[Watch] = []
        while self.sampler.next_at is not None and self.sampler.next_at <= at:
            self.now = max(self.now, self.sampler.next_at)
            over += self.sampler.tend(self.now)
        self.now = at
        return over


class PaceTests(Machine):
    def test_a_short_job_is_never_looked_at(self) -> None:
        self.begin(1, processes=4096)
        del self.watches[1, 1]
        self.run_until(10.0)
        self.assertEqual([], self.asked)

    def test_a_calm_job_is_looked_at_ever_more_seldom(self) -> None:
        watch = self.begin(1, processes=4096)
        self.run_until(60.0)
        self.assertEqual(SELDOM, watch.pace)
        self.assertLess(len(self.asked), 60 / SELDOM + 8)

    def test_one_that_comes_near_its_memory_is_looked_at_often(self) -> None:
        watch = self.begin(1, memory=1000 * MEBIBYTE)
        self.run_until(5.0)
        calm = watch.pace
        self.processes[KEEPER + 1].rss = 950 * MEBIBYTE
        self.run_until(7.0)
        self.assertLess(watch.pace, calm / 5)
        self.assertEqual(SOONEST, watch.pace)

    def test_many_more_threads_on_the_machine_make_it_look_at_all(self) -> None:
        self.begin(1, processes=50)
        self.run_until(60.0)
        for child in range(100):
            self.processes[KEEPER + 100 + child] = Process(KEEPER + 100 + child, KEEPER + 1, KEEPER + 1, name=b"bomb")
        self.tasks += 1000
        (watch,) = self.run_until(60.0 + 2 * sampling.TRIP_EVERY)
        self.assertEqual(("processes", "it had 101 processes, mostly bomb, more than the 50 it may"), watch.verdict)

    def test_only_those_that_are_due_are_looked_at_and_together(self) -> None:
        for job in (1, 2):
            self.begin(job, processes=10)
        self.run_until(FIRST_LOOK)
        self.assertEqual([[KEEPER + 1, KEEPER + 2]], self.asked)

    @examples(50)
    @given(st.lists(st.floats(0.0001, 0.5), min_size=1, max_size=8), st.integers(1, 20))
    def test_looking_takes_a_small_part_of_the_time_however_long_it_takes(self, costs: list[float], jobs: int) -> None:
        self.setUp()
        for job in range(1, jobs + 1):
            self.begin(job, memory=2 * MEBIBYTE)
        turn = cycle(costs)
        while self.sampler.next_at is not None and self.sampler.next_at < 100:
            self.taken = next(turn)
            self.now = self.sampler.next_at
            self.sampler.tend(self.now)
        self.assertLessEqual(self.spent, self.now / REST + max(costs))


class VerdictTests(Machine):
    def test_what_several_share_is_counted_once_before_anybody_is_ended(self) -> None:
        watch = self.begin(1, rss=60 * MEBIBYTE, memory=100 * MEBIBYTE)
        self.processes[KEEPER + 9] = Process(KEEPER + 9, KEEPER + 1, KEEPER + 1, rss=60 * MEBIBYTE, name=b"child")
        self.exact = {KEEPER + 1: 31 * MEBIBYTE, KEEPER + 9: 31 * MEBIBYTE}
        self.assertEqual([], self.run_until(3.0))
        self.assertEqual(62 * MEBIBYTE, watch.peak)

        self.exact = {KEEPER + 1: 31 * MEBIBYTE, KEEPER + 9: 75 * MEBIBYTE}
        self.assertEqual([watch], self.run_until(6.0))
        assert watch.verdict is not None
        self.assertEqual("memory", watch.verdict[0])

    def test_who_has_left_the_tree_after_being_seen_in_it_still_counts(self) -> None:
        self.begin(1, processes=2)
        far = KEEPER + 50
        self.processes[far] = Process(far, KEEPER + 1, far, ticks=7)
        self.begin(2)
        self.run_until(0.3)
        self.processes[far].ppid = KEEPER
        for more in (1, 2):
            self.processes[far + more] = Process(far + more, far, far)
        (watch,) = self.run_until(20.0)
        self.assertEqual((1, 1), watch.running.key)

    def test_who_is_over_is_said_to_be_so_once(self) -> None:
        self.begin(1, rss=200 * MEBIBYTE, memory=100 * MEBIBYTE)
        self.assertEqual(1, len(self.run_until(10.0)))
        self.assertIsNone(self.sampler.next_at)
