"""Ours and others': by the tree alone, whatever processes call themselves, and no CPU second charged twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.lineage import DAEMON
from tm.model.usage import CREDIT_SECONDS, UNSEEN, Attribution, KnownJob, Look, Process, Use

OWN = 50


class UsageCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.processes: dict[int, Process] = {}
        self.attribution = Attribution(OWN)
        self.add(1, 0, "init", uid=0)
        self.add(OWN, 1, DAEMON, uid=9)

    def add(self, pid: int, ppid: int, name: str = "sh", uid: int = 7, session: int = 0, start: int = 0) -> Process:
        process = self.processes[pid] = Process(pid, start or pid)
        process.ppid, process.name, process.uid, process.session = ppid, name, uid, session or pid
        process.user, process.rss = f"u{uid}", 1000
        return process

    def look(self, *gone: Process, busy: float | None = None, seconds: float = 2.0) -> Use:
        """Look once more; where *busy* is not said, nothing is known of the whole machine."""
        active = [process for process in self.processes.values() if process.used or process.newly_waited]
        use = self.attribution.look(
            Look(self.processes, active, list(gone), True, seconds, 1e6 if busy is None else busy, busy is not None)
        )
        for process in self.processes.values():
            process.used = process.newly_waited = 0.0
        return use

    def jobs(self, *pids: int) -> None:
        self.attribution.jobs([KnownJob(job, "alice", pid) for job, pid in enumerate(pids, 1)])

    def chain(self) -> None:
        """A TMMS (10), its keeper (11), a job (12) with a child (13); somebody's shell (20)."""
        self.add(10, 1, DAEMON)
        self.add(11, 10, DAEMON)
        self.add(12, 11)
        self.add(13, 12, session=12)
        self.add(20, 1)

    def ours(self) -> set[int]:
        return {pid for pid, process in self.processes.items() if process.ours}


class TreeTests(UsageCase):
    def test_what_descends_from_the_server_of_a_known_job_is_ours_and_we_are(self) -> None:
        self.chain()
        self.jobs(12)
        self.look()
        self.assertEqual(self.ours(), {10, 11, 12, 13, OWN})
        self.assertEqual({pid: p.job for pid, p in self.processes.items() if p.job}, {12: 1, 13: 1})

    def test_without_a_job_nothing_is_ours_whatever_it_is_called(self) -> None:
        self.chain()
        self.look()
        self.assertEqual(self.ours(), {OWN})

    def test_a_later_job_is_ours_from_its_first_moment(self) -> None:
        self.chain()
        self.jobs(12)
        self.look()
        self.add(14, 11).used = 1.0
        self.assertEqual((self.look().ours, self.ours() >= {14}), (0.5, True))

    def test_a_parent_of_another_user_or_another_name_is_not_believed(self) -> None:
        self.add(10, 1, DAEMON, uid=8)
        self.add(11, 10, "bash")
        self.add(12, 11)
        self.add(21, 11)
        self.jobs(12)
        self.look()
        self.assertEqual(self.ours(), {12, OWN})

    def test_init_is_never_ours(self) -> None:
        self.add(12, 1)
        self.add(20, 1)
        self.attribution.jobs([KnownJob(1, "alice", 12), KnownJob(2, "alice", 1)])
        self.look()
        self.assertEqual(self.ours(), {12, OWN})

    def test_what_has_left_its_session_and_lost_its_parent_stays_ours_and_its_jobs(self) -> None:
        self.chain()
        self.jobs(12)
        self.look()
        self.processes[13].ppid, self.processes[13].session = 1, 13
        self.processes[11].ppid = 1
        del self.processes[12]
        self.look()
        self.assertTrue(self.processes[13].ours)
        self.assertEqual(self.processes[13].job, 1)
        self.assertTrue(self.processes[11].ours)

    def test_a_daemon_that_a_job_starts_is_ours_and_no_jobs(self) -> None:
        self.chain()
        self.add(15, 12, DAEMON)
        self.add(16, 15)
        self.jobs(12)
        self.look()
        self.assertEqual([(self.processes[pid].ours, self.processes[pid].job) for pid in (15, 16)], [(True, 0)] * 2)

    def test_a_pid_that_is_taken_by_another_process_is_not_the_job_any_more(self) -> None:
        self.chain()
        self.jobs(12)
        self.look()
        for pid in (10, 11, 12, 13):
            del self.processes[pid]
        self.attribution.jobs([])
        self.add(12, 20, start=999)
        self.look()
        self.assertEqual(self.ours(), {OWN})

    def test_kernel_threads_are_nobodys(self) -> None:
        thread = self.add(2, 0, "kswapd0", uid=0)
        thread.kernel, thread.used = True, 2.0
        use = self.look(busy=2.0)
        self.assertEqual((use.ours, use.others), (0.0, 0.0))

    @examples(150)
    @given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["sh", DAEMON]), st.integers(7, 8)), max_size=30),
           st.lists(st.integers(100, 130), max_size=4))  # fmt: skip
    def test_in_any_tree_and_even_in_circles_everybody_is_settled(
        self, tree: list[tuple[int, str, int]], jobs: list[int]
    ) -> None:
        self.setUp()
        for number, (above, name, uid) in enumerate(tree):
            self.add(100 + number, 100 + above, name, uid)
        self.jobs(*jobs)
        self.look()
        for pid, process in self.processes.items():
            parent = self.processes.get(process.ppid)
            if parent is not None and parent.ours and not self.in_a_circle(process):
                self.assertTrue(process.ours, (pid, process.ppid))
            self.assertTrue(process.ours or not process.job)

    def in_a_circle(self, process: Process) -> bool:
        """Whether *process* descends from a circle, as only a look at pids that change hands can show one."""
        above: Process | None = process
        for _ in self.processes:
            above = self.processes.get(above.ppid) if above is not None else None
        return above is not None


class CreditTests(UsageCase):
    """A job that the dispatcher has not told of yet."""

    def setUp(self) -> None:
        super().setUp()
        self.chain()
        self.look(seconds=1000.0)
        self.add(14, 11)
        self.add(15, 14)

    def use(self, seconds: float = 2.0) -> tuple[float, float]:
        for pid in (14, 15):
            self.processes[pid].used = seconds / 2
        use = self.look(seconds=seconds)
        return use.ours, use.others

    def test_it_does_not_make_room_for_itself(self) -> None:
        self.assertEqual(self.use(), (1.0, 0.0))
        self.assertEqual(self.ours(), {OWN})

    def test_what_nobody_tells_of_for_long_is_others(self) -> None:
        self.use()
        self.use(CREDIT_SECONDS)
        self.assertEqual(self.use(), (0.0, 1.0))
        self.add(16, 15).used = 2.0
        self.assertEqual(self.look().others, 1.0)

    def test_once_it_is_told_of_it_stays_ours(self) -> None:
        self.use()
        self.jobs(14)
        self.use(CREDIT_SECONDS)
        self.assertEqual(self.use(), (1.0, 0.0))

    def test_another_job_of_the_same_keeper_has_credit_of_its_own(self) -> None:
        self.use()
        self.use(CREDIT_SECONDS)
        self.add(17, 11).used = 2.0
        self.assertEqual(self.look().ours, 1.0)

    def test_a_shell_has_none(self) -> None:
        self.add(21, 20).used = 2.0
        self.assertEqual(self.look().others, 1.0)


class ChargeTests(UsageCase):
    def setUp(self) -> None:
        super().setUp()
        self.chain()
        self.jobs(12)
        self.look()

    def test_cpu_is_split_by_job_and_by_user(self) -> None:
        self.processes[12].used, self.processes[13].used = 0.5, 1.0
        self.processes[10].used = 0.1
        self.processes[20].used = 3.0
        use = self.look()
        self.assertAlmostEqual(use.ours, 0.8)
        self.assertAlmostEqual(use.others, 1.5)
        self.assertEqual(use.by_user, {"u7": 1.5})
        self.assertEqual(use.by_job, {1: (0.75, 2000, 2)})
        self.assertEqual(use.memory_ours, 5000)

    def test_what_a_child_used_before_it_was_reaped_is_charged_once(self) -> None:
        child = self.add(14, 12)
        child.used = child.cpu = 1.0
        self.assertAlmostEqual(self.look().ours, 0.5)
        del self.processes[14]
        self.processes[12].newly_waited = 1.6
        self.assertAlmostEqual(self.look(child).ours, 0.3)

    def test_a_child_that_was_never_seen_is_charged_to_whom_waited_for_it(self) -> None:
        self.processes[12].newly_waited = 1.0
        self.processes[20].newly_waited = 2.0
        use = self.look()
        self.assertEqual((use.ours, use.others), (0.5, 1.0))

    def test_a_grandchild_that_died_with_its_parent_is_charged_once(self) -> None:
        child, grandchild = self.add(14, 12), self.add(15, 14)
        child.cpu = child.used = 1.0
        grandchild.cpu = grandchild.used = 1.0
        self.look()
        del self.processes[14], self.processes[15]
        self.processes[12].newly_waited = 2.2
        self.assertAlmostEqual(self.look(child, grandchild).ours, 0.1)

    def test_somebody_who_adopts_what_has_worked_for_hours_is_not_charged_for_hours(self) -> None:
        shell, worker = self.add(21, 20), self.add(22, 21)
        worker.cpu = 36000.0
        self.look()
        del self.processes[21], self.processes[22]
        self.processes[10].newly_waited = 36000.3
        self.processes[12].used = 1.0
        use = self.look(shell, worker, busy=1.5)
        self.assertAlmostEqual(use.ours + use.others, 0.75)

    def test_what_init_waits_for_was_charged_already(self) -> None:
        self.processes[1].newly_waited = 100.0
        self.assertEqual(self.look().others, 0.0)

    def test_work_of_processes_that_lived_too_briefly_is_divided_like_what_was_seen(self) -> None:
        self.assertEqual(self.look(busy=2.0).by_user, {UNSEEN: 1.0})
        self.processes[12].used = 3.0
        self.assertEqual((self.look(busy=4.0).ours, self.look().others), (2.0, 0.0))
        self.processes[12].used, self.processes[20].used = 3.0, 1.0
        use = self.look(busy=6.0)
        self.assertEqual((use.ours, use.others), (2.25, 0.75))

    def test_work_of_processes_that_we_may_not_see_is_others(self) -> None:
        for process in self.processes.values():
            process.uid = 9
        self.processes[12].used = 1.0
        use = self.look(busy=3.0)
        self.assertEqual((use.ours, use.others, use.by_user), (0.5, 1.0, {UNSEEN: 1.0}))

    def test_it_is_ours_when_jobs_of_ours_are_hidden(self) -> None:
        self.attribution.jobs([], hidden=True)
        self.assertEqual(self.look(busy=3.0).ours, 1.5)

    def test_a_little_more_than_was_seen_is_noise(self) -> None:
        self.processes[12].used = 2.0
        self.assertEqual(self.look(busy=2.1).others, 0.0)

    def test_the_first_look_says_nothing_of_cpu(self) -> None:
        use = Attribution(OWN).look(Look(self.processes, [], [], True, 0.0, 0.0, False))
        self.assertEqual((use.ours, use.others), (0.0, 0.0))

    @examples(100)
    @given(st.lists(st.tuples(st.sampled_from([10, 11, 12, 13, 20, 1]), st.floats(0, 2)), max_size=12))
    def test_what_is_charged_is_what_was_used(self, used: list[tuple[int, float]]) -> None:
        for pid, seconds in used:
            self.processes[pid].used = seconds
        spent = sum(process.used for process in self.processes.values())
        use = self.look()
        self.assertAlmostEqual((use.ours + use.others) * 2, spent)
