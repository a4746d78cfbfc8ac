"""Which job has which cores and which GPUs of a host.

The law: no core and no GPU is given to two jobs, and what a job had is free again exactly once, when it leaves. Cores
are known by their place among those that servers on the host may use, GPUs by the number their driver gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Numbers = tuple[int, ...]


class Holding:
    """Numbered things of one kind, and who has them."""

    __slots__ = ("_by_job", "held")

    def __init__(self) -> None:
        self._by_job: dict[int, Numbers] = {}
        self.held: set[int] = set()

    def of(self, job: int) -> Numbers:
        """Return what *job* has."""
        return self._by_job.get(job, ())

    def give(self, job: int, count: int, among: Iterable[int]) -> Numbers:
        """Let *job* have the first *count* free ones *among* these, or none at all where there are fewer."""
        free: list[int] = []
        for number in among if count else ():
            if number not in self.held:
                free.append(number)
                if len(free) == count:
                    return self.hold(job, free)
        return self.hold(job, ())

    def hold(self, job: int, numbers: Sequence[int]) -> Numbers:
        """Let *job* have these and no others; return those that no other job has, which it has now."""
        self.release(job)
        if not numbers:
            return ()
        mine = tuple(dict.fromkeys(number for number in numbers if number not in self.held))
        if mine:
            self._by_job[job] = mine
            self.held.update(mine)
        return mine

    def release(self, job: int) -> Numbers:
        """Let *job* have nothing any more; return what it had."""
        had = self._by_job.pop(job, ())
        self.held.difference_update(had)
        return had
