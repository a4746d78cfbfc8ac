"""Recorded measurements, read again: picked by their marks, compared round by round, and summed up."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Line = dict[str, Any]
ByRound = dict[tuple[int, int], float]
"""The value of each round, or the mean of its values; a round is (run, round of that run)."""


CALM = 0.3
ENOUGH = 3


class Measurements:
    """All lines of some files; *machines* are the first lines of the runs.

    A round in which others took more than `CALM` cores does not count where `ENOUGH` calmer ones remain.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.machines: list[Line] = []
        self._lines: list[Line] = []
        for path in paths:
            for text in Path(path).read_text(encoding="utf-8").splitlines():
                line = json.loads(text)
                if line["workload"] == "machine":
                    self.machines.append(line)
                else:
                    self._lines.append({"run": len(self.machines), **line})
        self._busy = self._find_busy()

    def _find_busy(self) -> set[tuple[object, ...]]:
        groups: dict[object, list[Line]] = defaultdict(list)
        for line in self._lines:
            if line["what"] == "others":
                groups[_group(line)].append(line)
        busy: set[tuple[object, ...]] = set()
        for lines in groups.values():
            loud = [line for line in lines if line["value"] > CALM]
            if len(lines) - len(loud) >= ENOUGH:
                busy |= {(_group(line), line["run"], line["round"]) for line in loud}
        return busy

    def pick(self, workload: str, what: str, **marks: object) -> list[Line]:
        """Return the lines of *workload* that measure *what*, have these *marks*, and count."""
        wanted = {"workload": workload, "what": what, **marks}.items()
        found = [line for line in self._lines if wanted <= line.items()]
        return [line for line in found if (_group(line), line["run"], line["round"]) not in self._busy]

    def rounds(self, workload: str, what: str, **marks: object) -> ByRound:
        """Return what `pick` picks by round."""
        found: dict[tuple[int, int], list[float]] = defaultdict(list)
        for line in self.pick(workload, what, **marks):
            found[line["run"], line["round"]].append(line["value"])
        return {number: statistics.fmean(values) for number, values in found.items()}

    def medians(self, workload: str, what: str, **marks: object) -> ByRound:
        """Return the median by round of what `pick` picks."""
        found: dict[tuple[int, int], list[float]] = defaultdict(list)
        for line in self.pick(workload, what, **marks):
            found[line["run"], line["round"]].append(line["value"])
        return {number: statistics.median(values) for number, values in found.items()}

    def counted(self, workload: str, **marks: object) -> str:
        """Return how many rounds count, of how many."""
        wanted = {"workload": workload, "what": "others", **marks}.items()
        every = sum(wanted <= line.items() for line in self._lines)
        return f"{len(self.pick(workload, 'others', **marks))} of {every}"


def _group(line: Line) -> tuple[object, ...]:
    return line["workload"], line.get("slots"), line.get("way")


def quotients(above: ByRound, below: ByRound) -> ByRound:
    """Return *above* divided by *below* in each round that has both."""
    return {number: value / below[number] for number, value in above.items() if number in below}


def differences(more: ByRound, less: ByRound) -> ByRound:
    """Return *more* minus *less* in each round that has both."""
    return {number: value - less[number] for number, value in more.items() if number in less}


def sums(parts: Iterable[ByRound]) -> ByRound:
    """Return the sum of *parts* in each round."""
    total: dict[tuple[int, int], float] = defaultdict(float)
    for part in parts:
        for number, value in part.items():
            total[number] += value
    return total


def greatest(parts: Iterable[ByRound]) -> ByRound:
    """Return the greatest of *parts* in each round."""
    most: dict[tuple[int, int], float] = {}
    for part in parts:
        for number, value in part.items():
            most[number] = max(value, most.get(number, value))
    return most


def median(values: ByRound) -> float | None:
    """Return the median over all rounds; None when there are none."""
    return statistics.median(values.values()) if values else None


def summary(values: ByRound) -> str:
    """Return ``median (least to most)``, ``-`` when there are none."""
    if not values:
        return "-"
    middle = statistics.median(values.values())
    if len(values) == 1:
        return number(middle)
    return f"{number(middle)} ({number(min(values.values()))} to {number(max(values.values()))})"


def number(value: float) -> str:
    """Return *value* with about three digits, thousands apart."""
    size = abs(value)
    if size >= 1000:
        return f"{round(value, -1 if size < 10000 else -2):,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
