"""The example: primes counted by many jobs at once, as much work as keeps this machine busy for some seconds."""

from __future__ import annotations

import math
import os
import shutil
import time

from tm.cli.quick.steps import QuickError, Steps, bar

JOBS_PER_CORE = 3
MOST_JOBS = 256
# How many primes there are below each limit.
KNOWN = {
    100_000: 9592, 200_000: 17984, 300_000: 25997, 400_000: 33860, 500_000: 41538, 600_000: 49098, 800_000: 63951,
    1_000_000: 78498, 1_300_000: 100021, 1_600_000: 121127, 2_000_000: 148933, 2_500_000: 183072, 3_200_000: 230209,
    4_000_000: 283146, 5_000_000: 348513, 6_400_000: 438410, 8_000_000: 539777, 10_000_000: 664579,
    13_000_000: 849252, 16_000_000: 1031130, 20_000_000: 1270607, 25_000_000: 1565927, 32_000_000: 1973815,
    40_000_000: 2433654, 50_000_000: 3001134, 64_000_000: 3785086, 80_000_000: 4669382, 100_000_000: 5761455,
    130_000_000: 7378187, 160_000_000: 8974458, 200_000_000: 11078937, 250_000_000: 13679318, 320_000_000: 17275206,
    400_000_000: 21336326,
}  # fmt: skip


def run(folder: str, cores: int, seconds: float, steps: Steps) -> None:
    """Run the example with its files in *folder*, for about *seconds* on *cores* cores: two steps.

    Raises `QuickError` when a job fails or the answer is wrong.
    """
    from examples import parallel_primes

    limit = choose_limit(cores * seconds, seconds_per_number())
    jobs = min(JOBS_PER_CORE * cores, MOST_JOBS)
    what = f"primes below {limit:,}, {jobs} jobs"
    steps.begin("example", what)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    try:
        result = parallel_primes.calculate(
            limit, jobs, folder, lambda done, total: steps.show(f"{what}  {bar(done, total)}")
        )
    except (parallel_primes.FailedError, OSError, ValueError) as error:
        raise QuickError(f"the example has failed: {error}") from None
    steps.end(f"{what}  {bar(result.jobs, result.jobs)}")
    steps.begin("result")
    if result.answer != KNOWN[limit]:
        raise QuickError(f"{result.answer} is the wrong answer, there are {KNOWN[limit]} primes; see {folder}")
    speed = f"{result.wall:.1f} s for {result.work:.1f} s of work on {cores} cores ({result.work / result.wall:.1f}x)"
    steps.end(f"{result.answer:,} primes, which is right; {speed}")


def seconds_per_number(number: int = 1_000_000, numbers: int = 4000) -> float:
    """Return how long this machine takes to see whether a *number* of this size is prime, on average."""
    from examples.primes import count

    best = math.inf
    for _ in range(3):
        begun = time.perf_counter()
        count(number, number + numbers)
        best = min(best, time.perf_counter() - begun)
    return best / numbers


def choose_limit(work: float, cost: float, number: int = 1_000_000) -> int:
    """Return the largest limit that needs at most *work* seconds, when one *number* costs *cost* seconds.

    Trial division costs as much as the square root of the number.
    """
    fitting = [limit for limit in KNOWN if cost * limit * math.sqrt(limit / number) * 2 / 3 <= work]
    return max(fitting, default=min(KNOWN))
