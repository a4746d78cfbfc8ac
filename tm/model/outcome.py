"""What a replay came to, in the numbers by which schedulers are compared.

The *bounded slowdown* of a job is (wait + run) / run, its run taken as `BOUND` seconds at least, and 1 at least; that
of a user is the mean of their jobs', and 1 over it the speed they got of what they would alone on the cluster. The
*fairness* is Jain's index of these speeds: 1 where all got the same, 1 over their number where one got everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tm.model.replay import Run

BOUND = 10.0


class Outcome(msgspec.Struct, frozen=True):
    """One replay; times in seconds, *utilisation* and *fairness* from 0 to 1, *makespan* from the first submission to
    the last end, *worst_user* the mean bounded slowdown of whoever fared worst."""

    policy: str
    jobs: int
    utilisation: float
    mean_wait: float
    p95_wait: float
    mean_bounded_slowdown: float
    worst_user: float
    fairness: float
    makespan: float


def outcome_of(policy: str, runs: Sequence[Run], cores: int) -> Outcome:
    """Return what *runs*, one at least, came to on so many *cores*."""
    waits = sorted(run.begun - run.job.submitted for run in runs)
    makespan = max(run.ended for run in runs) - min(run.job.submitted for run in runs)
    work = math.fsum(run.job.run * run.job.cores for run in runs)
    by_user: dict[int, list[float]] = {}
    for run in sorted(runs, key=lambda run: run.job.number):
        by_user.setdefault(run.job.user, []).append(bounded_slowdown(run))
    every = [slowdown for mine in by_user.values() for slowdown in mine]
    means = [math.fsum(mine) / len(mine) for mine in by_user.values()]
    return Outcome(
        policy, len(runs), work / (cores * makespan) if makespan else 1.0, math.fsum(waits) / len(waits),
        waits[math.ceil(0.95 * len(waits)) - 1], math.fsum(every) / len(every), max(means),
        jain([1 / mean for mean in means]), makespan,
    )  # fmt: skip


def bounded_slowdown(run: Run) -> float:
    """Return how much longer a job took than it ran."""
    took = run.begun - run.job.submitted + run.job.run
    return max(1.0, took / max(run.job.run, BOUND))


def jain(values: Sequence[float]) -> float:
    """Return Jain's index of *values*: how alike they are."""
    squares = math.fsum(value * value for value in values)
    return math.fsum(values) ** 2 / (len(values) * squares) if squares else 1.0
