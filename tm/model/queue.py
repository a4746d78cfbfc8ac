"""Waiting jobs, kept in classes of alike jobs, so that looking at the queue costs by class and not by job.

Alike jobs have the same user, priority and demands. Within a class the oldest goes first; between classes the higher
priority, then the older head. Removing from the middle is lazy: a removed id stays in its heap until it surfaces, or
waits again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from tm.model.job import Job


class JobClass(NamedTuple):
    """What makes waiting jobs alike; sorts by priority, the highest first."""

    order: int
    user: str
    cores: int
    memory: int
    hosts: tuple[str, ...]


def class_of(job: Job) -> JobClass:
    """Return the class in which *job* waits."""
    return JobClass(-job.priority, job.user, job.cores, job.memory, job.hosts)


class WaitingQueue:
    """The ids of all waiting jobs by class; *counted* is told of each user's jobs that wait more or fewer."""

    def __init__(self, counted: Callable[[str, int], None] = lambda user, jobs: None) -> None:
        self._counted = counted
        self._heaps: dict[JobClass, list[int]] = {}
        self._class_of: dict[int, JobClass] = {}
        self._removed: set[int] = set()

    def __len__(self) -> int:
        return len(self._class_of)

    def __contains__(self, number: int) -> bool:
        return number in self._class_of

    def add(self, job: Job) -> None:
        """Let *job* wait; a job that waits already is left alone."""
        if job.id in self._class_of:
            return
        kind = class_of(job)
        self._class_of[job.id] = kind
        self._counted(job.user, 1)
        if job.id in self._removed:
            self._removed.discard(job.id)
            return
        heap = self._heaps.get(kind)
        if heap is None:
            heap = self._heaps[kind] = []
        heappush(heap, job.id)

    def remove(self, number: int) -> None:
        """Let the job wait no longer; unknown numbers are left alone."""
        kind = self._class_of.pop(number, None)
        if kind is None:
            return
        self._counted(kind.user, -1)
        heap = self._heaps[kind]
        self._removed.add(number)
        while heap and heap[0] in self._removed:
            self._removed.discard(heappop(heap))
        if not heap:
            del self._heaps[kind]
        elif len(self._removed) > 64 and len(self._removed) > 4 * len(self._class_of):
            self._clean()

    def _clean(self) -> None:
        """Take all removed ids out of the heaps; every heap keeps its head."""
        for heap in self._heaps.values():
            heap[:] = [n for n in heap if n not in self._removed]
            heapify(heap)
        self._removed.clear()

    def heads(self) -> list[tuple[int, int, JobClass]]:
        """Return (order, oldest id, class) of every class, best first; an order is a negative priority."""
        return sorted((kind.order, heap[0], kind) for kind, heap in self._heaps.items())

    def ids(self, kind: JobClass) -> Iterator[int]:
        """Yield the waiting ids of one class, oldest first; the queue must not change meanwhile."""
        heap = self._heaps.get(kind, [])
        frontier = [(number, at) for at, number in enumerate(heap[:1])]
        while frontier:
            number, at = heappop(frontier)
            if number not in self._removed:
                yield number
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(heap):
                    heappush(frontier, (heap[child], child))

    def waiting_users(self) -> set[str]:
        """Return who has a job waiting."""
        return {kind.user for kind in self._heaps}
