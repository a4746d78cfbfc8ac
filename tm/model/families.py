"""What was learned of families of jobs: how long they ran and how much memory they took.

A family is all that one user runs under one name, or with one shape of command: the program, its first word and its
options without values. The law: a family keeps its last `KEPT` endings, there are at most `MOST` families, the one that
was not needed for longest goes first; what a user ran at all is a family of its own, for what was never seen before.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping

import msgspec

from tm.model.advice import advice, wants_any
from tm.model.estimate import Ending, Estimate, estimate
from tm.model.job import Job
from tm.model.phase import Phase

KEPT = 32
MOST = 4096
WRITTEN_AT_ONCE = 256
WRITE_SECONDS = 30.0
_WIDTH = len(Ending._fields)
_TEACHES = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.TIMEOUT, Phase.OUT_OF_MEMORY, Phase.OUTPUT_LIMIT})
_CAUSES = frozenset({"", "exit", "signal", "time", "memory", "output", "processes"})
_decode = msgspec.json.Decoder(list[float]).decode


class Family:
    """The last endings of one family, the oldest first, as plain numbers."""

    __slots__ = ("_known", "numbers")

    def __init__(self, numbers: array[float] | None = None) -> None:
        self.numbers: array[float] = array("d") if numbers is None else numbers
        self._known: dict[tuple[int, float], Estimate] = {}

    def add(self, ending: Ending) -> None:
        """Remember *ending*, and forget the oldest of too many."""
        self.numbers.extend(ending)
        if len(self.numbers) > KEPT * _WIDTH:
            del self.numbers[:_WIDTH]
        self._known.clear()

    def endings(self) -> Iterator[Ending]:
        """Yield what is remembered, the oldest first."""
        numbers = self.numbers
        for at in range(0, len(numbers), _WIDTH):
            yield Ending(*numbers[at : at + _WIDTH])

    def estimate(self, cores: int, asked: float, ran: float) -> Estimate:
        """Return how long a job of this family will run; what is asked of jobs that wait is remembered."""
        if ran:
            return estimate(list(self.endings()), cores, asked, ran)
        found = self._known.get((cores, asked))
        if found is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            found = self._known[cores, asked] = estimate(list(self.endings()), cores, asked)
        return found

    def __len__(self) -> int:
        return len(self.numbers) // _WIDTH


class Families:
    """All families, as they were *learned* before (name → JSON); what changed since is taken with `unwritten`."""

    def __init__(self, learned: Mapping[str, str] | None = None) -> None:
        self._families: dict[str, Family] = {}
        self._unwritten: dict[str, None] = {}
        self._written_at = -math.inf
        for name, text in (learned or {}).items():
            numbers = _read(text)
            if numbers:
                self._add(name, Family(numbers))

    def __len__(self) -> int:
        return len(self._families)

    def ended(self, job: Job) -> None:
        """Learn from *job*, which has ended, if it ran to an end of its own."""
        if job.phase not in _TEACHES or job.cause not in _CAUSES or job.interactive:
            return
        if job.started_at is None or job.ended_at is None:
            return
        run = max(0.0, job.ended_at - job.started_at)
        memory, busy = float(job.max_rss or 0), job.cpu_seconds or 0.0
        ending = Ending(run, memory, float(job.cores), job.demand.time, busy)
        self._learn(job.family, ending)
        self._learn(job.user, ending)

    def of(self, name: str) -> Family | None:
        """Return the family of that name, which is needed now, or None."""
        family = self._families.pop(name, None)
        if family is not None:
            self._families[name] = family
        return family

    def estimate(self, job: Job, ran: float = 0.0) -> Estimate:
        """Return how long *job* will run from its start to its end, where it has run for *ran* seconds."""
        family = self._families.get(job.family) or self._families.get(job.user)
        demand = job.demand
        if family is None:
            return estimate((), demand.cores, demand.time, ran)
        return family.estimate(demand.cores, demand.time, ran)

    def advice(self, job: Job) -> list[str]:
        """Return what whoever submits *job* could ask for instead, in sentences."""
        family = self._families.get(job.family) if wants_any(job.demand) else None
        return advice(list(family.endings()), job.demand) if family is not None else []

    def unwritten(self, at: float) -> dict[str, str]:
        """Return what is to be written at *at*, name → JSON, empty for what is forgotten: seldom, and not all at once.

        What is lost between is a few endings of a family that has others.
        """
        if not self._unwritten or at - self._written_at < WRITE_SECONDS:
            return {}
        self._written_at = at
        names = list(self._unwritten)[:WRITTEN_AT_ONCE]
        for name in names:
            del self._unwritten[name]
        return {name: _text(self._families.get(name)) for name in names}

    def _learn(self, name: str, ending: Ending) -> None:
        family = self.of(name)
        if family is None:
            family = self._add(name, Family())
        family.add(ending)
        self._unwritten[name] = None

    def _add(self, name: str, family: Family) -> Family:
        if len(self._families) >= MOST:
            oldest = next(iter(self._families))
            del self._families[oldest]
            self._unwritten[oldest] = None
        self._families[name] = family
        return family


def _text(family: Family | None) -> str:
    """Return *family* as it is kept: numbers that need no more digits than they mean."""
    if family is None:
        return ""
    return msgspec.json.encode([int(n) if n == int(n) else round(n, 3) for n in family.numbers]).decode()


def _read(text: str) -> array[float]:
    """Return the numbers of a family; none where they make no sense: what is learned may be forgotten."""
    try:
        numbers = _decode(text or "[]")
    except msgspec.MsgspecError:
        return array("d")
    return array("d", numbers[-KEPT * _WIDTH :] if len(numbers) % _WIDTH == 0 else [])
