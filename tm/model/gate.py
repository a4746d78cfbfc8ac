"""Waiting jobs that may not start yet: held, before their time, or dependent on others.

The gate keeps them out of the queue and knows who is to be looked at again when something happens: when a job ends,
when a time comes, when the last earlier job of a name is gone. The law: whatever happens costs as much as it affects,
never as much as waits. What is unmet stands in the jobs themselves, so a restart finds the gate as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from math import ceil
from typing import Any

from tm.model.dependency import Dependency, read_dependency
from tm.model.ids import array_of, is_task
from tm.model.job import Job
from tm.model.names import Names
from tm.model.phase import Phase
from tm.model.views import shown_time

Timed = list[tuple[float, int]]
News = tuple[Job, list[range] | None]
"""A job that has begun or ended, or tasks of an array that were cancelled before they began."""


class Gate:
    """What waits outside the queue, so many starts, and how many of these are *held*. *counted* is told of each
    user's starts that wait here, more or fewer."""

    def __init__(
        self, jobs: Mapping[int, Job], counted: Callable[[str, int], None] = lambda user, jobs: None
    ) -> None:
        self._jobs = jobs
        self._counted = counted
        self._inside: dict[int, int] = {}
        self._size = 0
        self._held: set[int] = set()
        self.held = 0
        self._begins: Timed = []
        self._deadlines: Timed = []
        self._dependency: dict[int, Dependency] = {}
        self._awaiting: dict[int, dict[int, None]] = {}
        self._tasks_awaited: dict[int, dict[int, None]] = {}
        self._news: deque[News] = deque()
        self._telling = False
        self._names = Names(lambda job: len(self.earlier(job)))

    def __contains__(self, number: int) -> bool:
        return number in self._inside

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        return iter(self._inside)

    # -- in and out -----------------------------------------------------------------------------------------------

    def keeps(self, job: Job) -> bool:
        """Whether something keeps *job* from starting, or all tasks of it alike."""
        if job.phase is Phase.HELD or job.not_before:
            return True
        return bool(job.dependency) and bool(self.dependency(job).before_all.conditions)

    def add(self, job: Job) -> None:
        """Let *job* wait here; one that does already is left alone."""
        if job.id not in self._inside:
            self._inside[job.id] = 0
            if job.phase is Phase.HELD:
                self._held.add(job.id)
            self.changed(job.id)

    def watch(self, job: Job) -> None:
        """Know when *job*, which waits here or in the queue, is to be looked at: call it when it begins to wait, and
        when its dependency or one of its times has changed."""
        if job.dependency or job.id in self._dependency:
            self._expect(job)
        if job.not_before:
            heappush(self._begins, (job.not_before, job.id))
        if job.deadline:
            heappush(self._deadlines, (latest_start(job), job.id))

    def changed(self, number: int) -> None:
        """The tasks of the array *number* are others than before; one that does not wait here is left alone."""
        if number in self._inside:
            now = self._jobs[number].waiting
            self._count(number, now - self._inside[number])
            self._inside[number] = now

    def remove(self, number: int) -> None:
        """Let the job wait here no longer; unknown numbers are left alone."""
        if number in self._inside:
            self._count(number, -self._inside.pop(number))
            self._held.discard(number)

    def _count(self, number: int, starts: int) -> None:
        self._size += starts
        self.held += starts if number in self._held else 0
        if starts:
            self._counted(self._jobs[number].user, starts)

    # -- what is waited for ---------------------------------------------------------------------------------------

    def dependency(self, job: Job) -> Dependency:
        """Return what of others *job* still waits for."""
        known = self._dependency.get(job.id)
        return known if known is not None else read_dependency(job.dependency)

    def awaiting(self, number: int) -> list[int]:
        """Return who waits for something to happen to the job, array or task *number*."""
        return list(self._awaiting.get(number, ()))

    def tasks_awaited(self, array: int) -> list[int]:
        """Return the tasks of *array* of which somebody waits for one by one."""
        return list(self._tasks_awaited.get(array, ()))

    def following(self, array: int) -> list[int]:
        """Return the arrays whose tasks wait for those of *array*, each for the one of its index."""
        return [
            number for number in self._awaiting.get(array, ()) if array in self._dependency[number].arrays
        ]

    def tell(self, news: News) -> None:
        """Remember what others may wait for, until it is `told`."""
        self._news.append(news)

    def told(self) -> Iterator[News]:
        """Yield what is to be told, and what comes up meanwhile; nothing while that is being done already."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._news:
                yield self._news.popleft()
        finally:
            self._telling = False

    def _expect(self, job: Job) -> None:
        before = self._dependency.pop(job.id, Dependency())
        now = read_dependency(job.dependency)
        for target in before.targets:
            _take_out(self._awaiting, target, job.id)
            if is_task(target) and target not in self._awaiting:
                _take_out(self._tasks_awaited, array_of(target), target)
        for target in now.targets:
            self._awaiting.setdefault(target, {})[job.id] = None
            if is_task(target):
                self._tasks_awaited.setdefault(array_of(target), {})[target] = None
        if now.conditions:
            self._dependency[job.id] = now
        if _is_single(now) != _is_single(before):
            (self._names.wait if _is_single(now) else self._names.wait_no_more)(job)

    # -- names ----------------------------------------------------------------------------------------------------

    def came(self, job: Job) -> None:
        """*job* (no task of an array) is there, in the order of submission."""
        self._names.came(job)

    def went(self, job: Job) -> list[int]:
        """*job* (no task of an array) has ended: forget it; return who waited for it as the last earlier one of its
        name."""
        if job.id in self._dependency:
            job.dependency = ""
            self._expect(job)
        return self._names.went(job)

    def is_alone(self, job: Job) -> bool:
        """Whether no earlier job of the user and name of *job*, which waits for that, is left."""
        return self._names.is_first(job)

    def earlier(self, job: Job) -> list[int]:
        """Return the earlier jobs of the user and name of *job* that have not ended; this goes through all jobs."""
        name = job.user, job.name
        return [
            number
            for number, other in self._jobs.items()
            if number < job.id and (other.user, other.name) == name
        ]

    # -- time -----------------------------------------------------------------------------------------------------

    def due(self, at: float) -> list[Job]:
        """Return the jobs here whose time to begin has come."""
        return [
            job
            for job, when in self._passed(self._begins, at)
            if job.id in self._inside and job.not_before == when
        ]

    def late(self, at: float) -> list[Job]:
        """Return the jobs that wait, and can no longer be done by their deadline."""
        return [
            job for job, when in self._passed(self._deadlines, at)
            if job.phase in (Phase.HELD, Phase.PENDING) and job.deadline and latest_start(job) == when
        ]  # fmt: skip

    def _passed(self, timed: Timed, at: float) -> Iterator[tuple[Job, float]]:
        while timed and timed[0][0] <= at:
            when, number = heappop(timed)
            job = self._jobs.get(number)
            if job is not None:
                yield job, when

    # -- words ----------------------------------------------------------------------------------------------------

    def reason(self, job: Job, at: float) -> str:
        """Return what keeps *job* here, in a sentence; an empty text when it is not here."""
        if job.id not in self._inside:
            return ""
        if job.phase is Phase.HELD:
            return job.reason or f"held by {job.held_by}"
        before_all = self.dependency(job).before_all
        if before_all.conditions:
            return f"waits for {before_all.wish}"
        if job.attempt:
            return f"waits {max(1, ceil(job.not_before - at))} s before attempt {job.attempt + 1}"
        return f"may begin at {shown_time(job.not_before)}"


def latest_start(job: Job) -> float:
    """Return when *job* must have begun to be done by its deadline, seconds since the epoch."""
    return job.deadline - job.demand.time


def _is_single(dependency: Dependency) -> bool:
    return any(condition.kind == "singleton" for condition in dependency.conditions)


def _take_out(groups: dict[Any, Any], key: object, number: int) -> None:
    """Let *number* be no member of the group *key* any more, and no empty group be left."""
    members = groups.get(key)
    if members is not None:
        members.pop(number, None)
        if not members:
            del groups[key]
