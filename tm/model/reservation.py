"""What is kept of a host for a class of jobs that cannot start yet, and who may use it meanwhile.

The law of backfilling: a job passes one that is before it in turn only where it is likely to be over by the time the
other can start, or uses what the other leaves. A hold whose time has come in vain lets nobody pass any more on account
of how long they are likely to last: estimates that prove wrong delay a job once, not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tm.model.demand import Demand
from tm.model.job import Job
from tm.model.matching import Matcher
from tm.model.queue import JobClass
from tm.model.room import Room

LONG = 5 * 366 * 86400.0
"""Seconds that a job may last of which nobody knows anything."""
OUTLIVED = 0.5
"""A job that has outlived its estimate is thought to go on for this part of what it has run already."""

Estimate = Callable[[Job], float]


class Hold:
    """Part of *host* is kept for *count* jobs of *kind*: the word *why* says for what (`tm.model.scheduler.Verdict`).

    They can start *until* then (seconds since the epoch); *beside* is what they leave of the host at that time. *firm*
    where they should have started already; *since* is when it was made.
    """

    __slots__ = ("beside", "count", "firm", "host", "kind", "since", "until", "why")

    def __init__(self, kind: JobClass, host: str, why: str, at: float) -> None:
        self.kind = kind
        self.host = host
        self.why = why
        self.since = at
        self.until = at
        self.count = 1
        self.firm = why != "reserved"
        self.beside: Room | None = None

    def lets(self, demand: Demand, end: Callable[[], float], matcher: Matcher) -> bool:
        """Whether a job that asks for *demand* and is over by *end* takes nothing from those it is kept for."""
        if self.beside is not None and matcher.room_for(demand, self.beside):
            return True
        return not self.firm and end() <= self.until


def lasting(job: Job, estimate: Estimate | None) -> float:
    """Return how many seconds *job* is likely to run in all."""
    known = min(LONG, estimate(job)) if estimate is not None else LONG
    return min(known, job.demand.time) if job.demand.time else known


def expected_end(job: Job, at: float, estimate: Estimate | None) -> float:
    """Return when *job*, which occupies a host at *at*, is likely to be over; scavengers leave when asked."""
    if job.demand.scavenge or job.gives_way is not None:
        return at
    began = at if job.started_at is None else job.started_at
    end = began + lasting(job, estimate)
    if end > at:
        return end
    later = at + max(1.0, OUTLIVED * (at - began))
    limit = began + job.demand.time
    return min(later, max(limit, at + 1.0)) if job.demand.time else later


def when_free(
    demand: Demand, room: Room, running: Iterable[Job], at: float, matcher: Matcher, estimate: Estimate | None
) -> float | None:
    """Return when a job that asks for *demand* can start in *room*; None: never."""
    if room.alone or demand.gpus or demand.exclusive or demand.consumables or demand.constraint:
        found = earliest(demand, room, running, at, matcher, estimate)
        return None if found is None else found[0]
    cores, memory = demand.cores - room.free_cores, demand.memory - room.free_memory
    if cores <= 0 and memory <= 0:
        return at
    for end, given in sorted(((expected_end(job, at, estimate), job.demand) for job in running), key=_first):
        cores -= given.cores
        memory -= given.memory
        if cores <= 0 and memory <= 0:
            return end
    return None


def _first(one: tuple[float, Demand]) -> float:
    return one[0]


def earliest(
    demand: Demand, room: Room, running: Iterable[Job], at: float, matcher: Matcher, estimate: Estimate | None
) -> tuple[float, Room] | None:
    """Return when a job that asks for *demand* can start in *room*, and what is left there then; None: never."""
    trial = room.copy(dict(room.licenses))
    when = at
    if not matcher.room_for(demand, trial):
        ends = sorted((expected_end(job, at, estimate), job.id, job.demand) for job in running)
        for end, _, given in ends:
            trial.give(given)
            when = end
            if matcher.room_for(demand, trial):
                break
        else:
            return None
    trial.take(demand)
    return when, trial
