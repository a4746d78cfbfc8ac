"""How long a job will run, from how long alike ones did: a pure function of a few endings.

The law: `low` ≤ `likely` ≤ `high`, all at least what it has run already and, where a wall time was asked for, at most
that; more endings never make it forget the wall time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

UNKNOWN = 3600.0
UNKNOWN_HIGH = 86400.0
ALIKE = 2
OUTLIVED = 2.0


class Ending(NamedTuple):
    """What is kept of a job that ended: seconds it *run*, bytes of its peak *memory* (0: not known), its *cores*,
    the wall time it *asked* for (0: none), and the processor seconds it was *busy* (0: not known)."""

    run: float
    memory: float
    cores: float
    asked: float
    busy: float = 0.0


class Estimate(NamedTuple):
    """Seconds from a job's start to its end: hardly less than *low*, hardly more than *high*; *known* endings of its
    kind say so."""

    low: float
    likely: float
    high: float
    known: int = 0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* (0 to 1) of the sorted *values* lie, between the two nearest of them."""
    at = share * (len(values) - 1)
    below = int(at)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (at - below)


def estimate(endings: Sequence[Ending], cores: int, asked: float, ran: float = 0.0) -> Estimate:
    """Return how long a job of the kind of *endings* (oldest first) will run in all that has run for *ran* seconds.

    Endings with as many *cores* and the same wall time *asked* count alone where there are some. `likely` is their
    mean: on real traces it served backfilling better than a median, or than the last two alone. A job that outlived all
    of these is taken to run twice as long as it has; nothing is thought to run longer than *asked*.
    """
    most = asked or float("inf")
    alike = [one.run for one in endings if one.cores == cores and one.asked == asked]
    if len(alike) < ALIKE:
        alike = [one.run for one in endings]
    left = [run for run in alike if run > ran]
    if not left:
        likely = OUTLIVED * ran if ran and alike else asked or UNKNOWN
        high = asked or max(UNKNOWN_HIGH, 2 * OUTLIVED * ran)
        return _within(ran, likely, high, ran, most, 0)
    ordered = sorted(left)
    spread = 1.0 if len(ordered) >= 8 else 1.0 + 1.0 / len(ordered)
    low, high = quantile(ordered, 0.1) / spread, quantile(ordered, 0.9) * spread
    return _within(low, math.fsum(left) / len(left), high, ran, most, len(left))


def _within(low: float, likely: float, high: float, ran: float, most: float, known: int) -> Estimate:
    most = max(most, ran)
    likely = min(max(likely, ran), most)
    return Estimate(min(max(low, ran), likely), likely, min(max(high, likely), most), known)
