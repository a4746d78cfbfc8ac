"""Replays: the clock goes on, nobody is early, nothing is overfull, and the numbers are what they are said to be."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.hall import Hall
from tm.model.host import HostConfig
from tm.model.job import Job
from tm.model.outcome import jain, outcome_of
from tm.model.replay import Replay, Run
from tm.model.rules import EASY, FCFS, OURS, RULES
from tm.model.swf import Trace, TraceJob

POOL = [HostConfig(name="pool", address="pool", cores=8)]
HOSTS = [HostConfig(name=f"n{number}", address=f"n{number}", cores=2) for number in range(4)]


def trace(*jobs: tuple[float, float, int, float, int]) -> Trace:
    """Return a trace of (submitted, run, cores, asked, user)."""
    made = [TraceJob(n, s, run, cores, asked, user, 0) for n, (s, run, cores, asked, user) in enumerate(jobs, 1)]
    return Trace(sorted(made, key=lambda job: (job.submitted, job.number)))


def begun(runs: Sequence[Run]) -> dict[int, float]:
    """Return when each job began."""
    return {run.job.number: run.begun for run in runs}


class Seen:
    """Sees that the clock never goes back, and who begins."""

    def __init__(self) -> None:
        self.at = 0.0
        self.waiting: set[int] = set()

    def waits(self, job: Job, hall: Hall, at: float) -> None:
        """One more waits."""
        assert at >= self.at
        assert all(host.used_cores <= host.whole_cores for host in hall.hosts.values())
        self.at = at
        self.waiting.add(job.id)

    def began(self, job: Job, at: float) -> None:
        """One less does."""
        assert at >= self.at and at >= job.submitted_at
        self.at = at
        self.waiting.discard(job.id)


JOBS = st.lists(
    st.tuples(
        st.integers(0, 2000).map(float), st.sampled_from([0.0, 1.0, 30.0, 500.0, 5000.0]), st.integers(1, 8),
        st.sampled_from([0.0, 60.0, 1000.0, 9000.0]), st.integers(1, 3),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


class LawsTests(SynchronousTestCase):
    @examples(120)
    @given(JOBS, st.sampled_from(list(RULES.values())), st.booleans())
    def test_nobody_is_early_and_nothing_is_overfull(
        self, jobs: list[tuple[float, float, int, float, int]], rules: object, whole: bool
    ) -> None:
        seen = Seen()
        replay = Replay(trace(*jobs), POOL if whole else HOSTS, rules, watcher=seen)  # type: ignore[arg-type]
        runs = replay.run()
        self.assertEqual(sorted(run.job.number for run in runs), list(range(1, len(jobs) + 1)))
        self.assertEqual(seen.waiting, set())
        self.assertEqual([run.ended for run in runs], sorted(run.ended for run in runs))
        changes = []
        for run in runs:
            self.assertGreaterEqual(run.begun, run.job.submitted)
            self.assertGreaterEqual(run.ended, run.begun + run.job.run)
            changes += [(run.begun, run.job.cores), (run.begun + run.job.run, -run.job.cores)]
        used = 0
        for _, cores in sorted(changes):
            used += cores
            self.assertTrue(used <= 8 or not whole)

    @examples(30)
    @given(JOBS, st.sampled_from(list(RULES.values())))
    def test_the_same_again_gives_the_same(
        self, jobs: list[tuple[float, float, int, float, int]], rules: object
    ) -> None:
        once, again = (Replay(trace(*jobs), HOSTS, rules).run() for _ in range(2))  # type: ignore[arg-type]
        self.assertEqual(once, again)


class PoliciesTests(SynchronousTestCase):
    WIDE = ((0.0, 100.0, 6, 100.0, 1), (1.0, 100.0, 8, 100.0, 2), (2.0, 50.0, 2, 50.0, 3), (3.0, 500.0, 2, 500.0, 3))

    def test_first_come_first_served_lets_nobody_pass(self) -> None:
        self.assertEqual(begun(Replay(trace(*self.WIDE), POOL, FCFS).run()), {1: 0.0, 2: 100.0, 3: 200.0, 4: 200.0})

    def test_backfilling_lets_pass_who_delays_nobody(self) -> None:
        self.assertEqual(begun(Replay(trace(*self.WIDE), POOL, EASY).run()), {1: 0.0, 2: 100.0, 3: 2.0, 4: 200.0})

    def test_ours_learns_how_long_jobs_last(self) -> None:
        before = [(10.0 * n, 5.0, 1, 5000.0, 3) for n in range(4)]
        jobs = [*before, (100.0, 100.0, 6, 100.0, 1), (101.0, 100.0, 8, 100.0, 2), (102.0, 5.0, 1, 5000.0, 3)]
        self.assertEqual(begun(Replay(trace(*jobs), POOL, OURS).run())[7], 102.0)
        self.assertEqual(begun(Replay(trace(*jobs), POOL, EASY).run())[7], 300.0)

    def test_a_wide_job_is_split_and_has_begun_when_all_of_it_runs(self) -> None:
        runs = Replay(trace((0.0, 100.0, 2, 100.0, 1), (1.0, 10.0, 7, 100.0, 2)), HOSTS, EASY).run()
        self.assertEqual([(run.job.number, run.begun, run.ended) for run in runs], [(2, 11.0, 21.0), (1, 0.0, 100.0)])

    def test_what_is_wider_than_the_cluster_is_left_out(self) -> None:
        replay = Replay(trace((0.0, 1.0, 9, 0.0, 1), (0.0, 1.0, 8, 0.0, 1)), HOSTS, OURS)
        self.assertEqual(len(replay.run()), 1)
        self.assertEqual(replay.too_wide, 1)


class OutcomeTests(SynchronousTestCase):
    def test_the_numbers(self) -> None:
        jobs = trace((0.0, 100.0, 8, 100.0, 1), (0.0, 2.0, 8, 2.0, 2)).jobs
        outcome = outcome_of("fcfs", [Run(jobs[0], 0.0, 100.0), Run(jobs[1], 100.0, 102.0)], 8)
        self.assertEqual(outcome.utilisation, 1.0)
        self.assertEqual((outcome.mean_wait, outcome.p95_wait, outcome.makespan), (50.0, 100.0, 102.0))
        self.assertAlmostEqual(outcome.mean_bounded_slowdown, (1 + 10.2) / 2)
        self.assertAlmostEqual(outcome.fairness, jain([1, 1 / 10.2]))
        self.assertEqual(outcome.worst_user, 10.2)

    def test_fairness_is_one_where_all_fare_alike(self) -> None:
        self.assertEqual(jain([3.0, 3.0]), 1.0)
        self.assertAlmostEqual(jain([1.0, 0.0, 0.0, 0.0]), 0.25)
