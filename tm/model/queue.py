"""Waiting jobs, kept in classes of alike jobs, so that looking at the queue costs by class and not by job.

Alike jobs have the same user, priority, boost and demand. Within a class the oldest goes first; which class is next is
the scheduler's affair (`tm.model.score`). An array waits as one entry for all its tasks that may start. Removing from
the middle is lazy: a removed entry stays in its heap until it surfaces, or waits again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice
from typing import NamedTuple

from tm.model.demand import Demand
from tm.model.ids import array_of, index_of, number_at, place_of, task_id
from tm.model.job import Job
from tm.model.tasks import Tasks


class JobClass(NamedTuple):
    """What makes waiting jobs alike; sorts by the user's own priority, the highest first."""

    order: int
    user: str
    demand: Demand
    boost: int = 0


def class_of(job: Job) -> JobClass:
    """Return the class in which *job* waits."""
    return JobClass(-job.priority, job.user, job.demand, job.boost)


class _Line:
    """The places of the class *kind* in order; one that was *removed* from the middle stays until it comes to an end.

    They nearly always come in their order and go from the front, so a sorted list with its beginning moving on is all
    it takes; neither its first nor its last place is ever a removed one.
    """

    __slots__ = ("_first", "_places", "_removed", "kind")

    def __init__(self, kind: JobClass) -> None:
        self.kind = kind
        self._places: list[int] = []
        self._first = 0
        self._removed: set[int] = set()

    def __len__(self) -> int:
        return len(self._places) - self._first - len(self._removed)

    @property
    def oldest(self) -> int:
        return self._places[self._first]

    @property
    def newest(self) -> int:
        return self._places[-1]

    def add(self, place: int) -> None:
        if place in self._removed:
            self._removed.discard(place)
        elif self._places and place < self._places[-1]:
            insort(self._places, place, self._first)
        else:
            self._places.append(place)

    def remove(self, place: int) -> None:
        removed, places = self._removed, self._places
        removed.add(place)
        while removed and places[self._first] in removed:
            removed.discard(places[self._first])
            self._first += 1
            if self._first == len(places):
                break
        while removed and places[-1] in removed:
            removed.discard(places.pop())
        if self._first + len(removed) > 64 and 2 * (self._first + len(removed)) > len(places):
            self._places = list(self.in_order())
            self._first = 0
            removed.clear()

    def before(self, place: int) -> int:
        """Return how many there are before *place*."""
        return bisect_left(self._places, place, self._first) - self._first - sum(one < place for one in self._removed)

    def in_order(self) -> Iterator[int]:
        places, removed = self._places, self._removed
        for at in range(self._first, len(places)):
            if places[at] not in removed:
                yield places[at]


class WaitingQueue:
    """All waiting jobs by class; *counted* is told of each user's jobs that wait more or fewer.

    An array that is *added* waits with all its tasks, and shows those that may start now; whoever changes its tasks
    says so with `changed`. *fresh* holds the classes that came, *turned* the users of whom some came or went, since
    somebody took them from there.
    """

    def __init__(self, counted: Callable[[str, int], None] = lambda user, jobs: None) -> None:
        self._counted = counted
        self._lines: dict[JobClass, _Line] = {}
        self._class_of: dict[int, JobClass] = {}
        self._arrays: dict[int, tuple[Job, Tasks, int]] = {}
        self._of_user: dict[str, dict[JobClass, None]] = {}
        self._size = 0
        self.fresh: set[JobClass] = set()
        self.turned: set[str] = set()

    def __len__(self) -> int:
        return self._size

    def __contains__(self, number: int) -> bool:
        return number in self._class_of or number in self._arrays

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, job: Job) -> None:
        """Let *job* wait; a job that waits already is left alone."""
        if job.id in self._class_of or job.id in self._arrays:
            return
        if job.tasks is not None:
            self._arrays[job.id] = job, job.tasks, 0
            self.changed(job.id)
            return
        self._count(job.user, 1)
        self._enter(job)

    def changed(self, number: int) -> None:
        """The tasks of the array *number* are others than before; one that does not wait is left alone."""
        if number not in self._arrays:
            return
        job, tasks, before = self._arrays[number]
        now = tasks.waiting
        if now != before:
            self._arrays[number] = job, tasks, now
            self._count(job.user, now - before)
        if bool(tasks.startable) == (number in self._class_of):
            return
        if tasks.startable:
            self._enter(job)
        else:
            self._leave(number)

    def remove(self, number: int) -> None:
        """Let the job wait no longer; unknown numbers are left alone."""
        if number in self._arrays:
            job, _, waiting = self._arrays.pop(number)
            self._count(job.user, -waiting)
            if number in self._class_of:
                self._leave(number)
        elif number in self._class_of:
            self._count(self._class_of[number].user, -1)
            self._leave(number)

    def _count(self, user: str, jobs: int) -> None:
        self._size += jobs
        if jobs:
            self._counted(user, jobs)

    def _enter(self, job: Job) -> None:
        kind = class_of(job)
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line(kind)
            self._of_user.setdefault(kind.user, {})[kind] = None
            self.fresh.add(kind)
            self.turned.add(kind.user)
        self._class_of[job.id] = line.kind
        line.add(place_of(job.id))

    def _leave(self, number: int) -> None:
        kind = self._class_of.pop(number)
        line = self._lines[kind]
        line.remove(place_of(number))
        if not line:
            del self._lines[kind]
            self.fresh.discard(kind)
            self.turned.add(kind.user)
            mine = self._of_user[kind.user]
            del mine[kind]
            if not mine:
                del self._of_user[kind.user]

    @property
    def kinds(self) -> Set[JobClass]:
        """All classes in which a job may start."""
        return self._lines.keys()

    @property
    def users(self) -> Set[str]:
        """Who has a job that may start; nothing must change meanwhile."""
        return self._of_user.keys()

    def kinds_of(self, user: str) -> Iterable[JobClass]:
        """Return the classes of one user; nothing must change meanwhile."""
        return self._of_user.get(user, ())

    def head(self, kind: JobClass) -> int:
        """Return the id of the oldest entry of a class that is there; an array stands for its tasks."""
        return number_at(self._lines[kind].oldest)

    def newest(self, kind: JobClass) -> int:
        """Return the id of an entry of a class that is there, hardly older than any other."""
        return number_at(self._lines[kind].newest)

    def sizes(self) -> dict[JobClass, int]:
        """Return how many jobs and tasks wait in each class, also the tasks that the caps of their arrays hold back."""
        found = {kind: len(line) for kind, line in self._lines.items()}
        for number, (_, _, waiting) in self._arrays.items():
            kind = self._class_of.get(number)
            if kind is not None:
                found[kind] += waiting - 1
        return found

    def before(self, number: int) -> tuple[JobClass, int] | None:
        """Return the class in which the job, array or task *number* waits, and how many there are before it there.

        None: it does not wait for a turn. It costs as much as there are arrays.
        """
        entry = number if number in self._class_of else array_of(number)
        kind = self._class_of.get(entry)
        if kind is None:
            return None
        mine = place_of(entry)
        ahead = self._lines[kind].before(mine)
        for array, (_, _, waiting) in self._arrays.items():
            if place_of(array) < mine and self._class_of.get(array) == kind:
                ahead += waiting - 1
        if entry != number:
            ahead += self._arrays[entry][1].ready_before(index_of(number) or 0)
        return kind, ahead

    def next_of(self, kind: JobClass, after: int = 0) -> int | None:
        """Return the id of the job or task of *kind* that is next, or the one *after* so many others; None: no more."""
        return next(islice(self.ids(kind), after, None), None)

    def heads(self) -> list[tuple[int, int, JobClass]]:
        """Return (order, id of the oldest, class) of every class, best first; an order is a negative priority.

        The oldest of a class may be an array, which stands for its tasks.
        """
        lines = sorted((kind.order, line.oldest, kind) for kind, line in self._lines.items())
        return [(order, number_at(place), kind) for order, place, kind in lines]

    def entries(self, kind: JobClass) -> Iterator[tuple[int, int]]:
        """Yield the jobs and arrays of one class, oldest first, each with how many starts come before it there."""
        line, ahead = self._lines.get(kind), 0
        for place in line.in_order() if line is not None else ():
            number = number_at(place)
            yield number, ahead
            ahead += self._arrays[number][2] if number in self._arrays else 1

    def may_start(self, number: int) -> bool:
        """Whether the job that waits may start, or a task of the array that waits."""
        return number in self._class_of

    def ids(self, kind: JobClass) -> Iterator[int]:
        """Yield the ids of one class, oldest first, of arrays those of their tasks; nothing must change meanwhile."""
        line = self._lines.get(kind)
        for place in line.in_order() if line is not None else ():
            yield from self._at(number_at(place))

    def _at(self, number: int) -> Iterator[int]:
        waiting = self._arrays.get(number)
        if waiting is None:
            yield number
        else:
            for index in waiting[1].ready():
                yield task_id(number, index)

    def waiting_users(self) -> set[str]:
        """Return who has a job that may start."""
        return set(self._of_user)
