"""Jobs that are to be the only one of their name: each waits until the earlier ones of its user and name have ended.

Of every name only the number of jobs is known, and between the jobs that wait how many others there are; so an ending
costs the same however many wait, and only the first of these can be the one it lets go.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from tm.model.job import Job

Name = tuple[str, str]


class _Line:
    """The *waiting* of one name in their order, and how many jobs there are from the one before to each of them."""

    __slots__ = ("gaps", "total", "waiting")

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.gaps: list[int] = []
        self.total = 0


class Names:
    """How many jobs there are of each name, and who waits to be the first; *earlier* counts those before a job by
    going through all."""

    def __init__(self, earlier: Callable[[Job], int]) -> None:
        self._earlier = earlier
        self._counts: dict[Name, int] = {}
        self._lines: dict[Name, _Line] = {}
        self._youngest = 0

    def came(self, job: Job) -> None:
        """*job* is there; they come in the order of their ids."""
        name = job.user, job.name
        self._counts[name] = self._counts.get(name, 0) + 1
        self._youngest = job.id

    def went(self, job: Job) -> list[int]:
        """*job*, which waits here no longer, has ended; return who is the first of its name now, if that waited."""
        name = job.user, job.name
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]
        line = self._lines.get(name)
        if line is None:
            return []
        place = bisect_right(line.waiting, job.id)
        if place < len(line.gaps):
            line.gaps[place] -= 1
            line.total -= 1
        return [] if line.gaps[0] else line.waiting[:1]

    def wait(self, job: Job) -> None:
        """*job* waits until it is the first of its name."""
        line = self._lines.setdefault((job.user, job.name), _Line())
        place = bisect_left(line.waiting, job.id)
        youngest = job.id == self._youngest
        earlier = self._counts[job.user, job.name] - 1 if youngest else self._earlier(job)
        if place == len(line.gaps):
            gap = earlier - line.total
            line.total += gap
        else:
            gap = earlier - sum(line.gaps[:place])
            line.gaps[place] -= gap
        line.waiting.insert(place, job.id)
        line.gaps.insert(place, gap)

    def wait_no_more(self, job: Job) -> None:
        """*job* waits here no longer."""
        line = self._lines[job.user, job.name]
        place = bisect_left(line.waiting, job.id)
        del line.waiting[place]
        gap = line.gaps.pop(place)
        if place < len(line.gaps):
            line.gaps[place] += gap
        else:
            line.total -= gap
        if not line.waiting:
            del self._lines[job.user, job.name]

    def is_first(self, job: Job) -> bool:
        """Whether no earlier job of the name of *job*, which waits here or did, is left."""
        line = self._lines.get((job.user, job.name))
        return line is None or (line.waiting[0] == job.id and not line.gaps[0])
