"""Waiting jobs in the order in which they would start, as far as that can be said.

The law: it costs as much as there are classes of alike jobs and jobs that are taken, not as much as wait. An array
stands where its next task does.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice

from tm.model.books import Books
from tm.model.ids import is_task
from tm.model.job import Job
from tm.model.queue import JobClass

MOST_AT_GATE = 20_000
"""So many of those that may not start yet are looked at."""


def in_order_of_start(brain: Books, user: str | None, at: float) -> Iterator[Job]:
    """Yield the jobs and arrays that wait, of *user* or of everybody: those whose start can be foreseen, the next one
    first, then the others that wait for their turn, then what may not start yet, by its id. Tasks are not among them.
    Nothing must change meanwhile."""
    kinds = brain.queue.kinds if user is None else brain.queue.kinds_of(user)
    for _, number in merge(*[_of_kind(brain, kind, at) for kind in kinds]):
        if not is_task(number):
            yield brain.jobs[number]
    capped = {number for number in brain.arrays if number in brain.queue and not brain.queue.may_start(number)}
    for number in sorted(capped.union(islice(brain.gate, MOST_AT_GATE))):
        job = brain.jobs[number]
        if (user is None or job.user == user) and not is_task(number):
            yield job


def _of_kind(brain: Books, kind: JobClass, at: float) -> Iterator[tuple[float, int]]:
    wait = brain.forecaster.waits(kind, at)
    for number, ahead in brain.queue.entries(kind):
        yield wait(ahead), number
