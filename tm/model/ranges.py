"""From a guess of how long a job will wait to a range that holds the truth for eight jobs in ten.

The law: a job that started before its range, or after it, widens the ranges of later jobs on that side, one that
started within narrows them a little, so that in the long run `MISSES` of all miss on either side, whatever the guesses
are worth. Guesses of like size share their widths: short waits are guessed better than long ones.
"""

from __future__ import annotations

import math

MISSES = 0.09
STEP = 0.5
UNIT = 60.0
STEPS_OF_GUESS = 1.5
BINS = 8
LEAST, MOST = 0.0, 12.0
_FIRST = 1.0


class Ranges:
    """How far ranges go below and above guesses, by their size, as logarithms of waiting times."""

    def __init__(self) -> None:
        self._widths = [[_FIRST, _FIRST] for _ in range(BINS)]

    def around(self, guess: float) -> tuple[float, float]:
        """Return the range (shortest, longest) in seconds around a *guess* of so many."""
        size = _size(guess)
        below, above = self._widths[_bin(size)]
        return _seconds(max(0.0, size - below)), _seconds(size + above)

    def learned(self, guess: float, truth: float) -> bool:
        """A job with that *guess* waited for *truth* seconds: return whether its range held that, and learn."""
        size = _size(guess)
        widths = self._widths[_bin(size)]
        shortest, longest = self.around(guess)
        early, late = truth < shortest, truth > longest
        widths[0] = _next(widths[0], early)
        widths[1] = _next(widths[1], late)
        return not (early or late)


def _next(width: float, missed: bool) -> float:
    return min(MOST, max(LEAST, width + STEP * (1 - MISSES if missed else -MISSES)))


def _size(seconds: float) -> float:
    return math.log1p(max(0.0, seconds) / UNIT)


def _seconds(size: float) -> float:
    return UNIT * math.expm1(size)


def _bin(size: float) -> int:
    return min(BINS - 1, int(size / STEPS_OF_GUESS))
