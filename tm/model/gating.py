"""How jobs come to the gate, and through it: holds, times, dependencies, and what ends because it can never start.

What happens to one job is told to those that wait for it, in the turn in which it happens, so that both stand in one
commit; a long row of jobs that fall with the first is gone through one by one, not one inside the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from tm.model.books import Books
from tm.model.effects import JobEvent
from tm.model.ids import array_of, index_of, is_task
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.tasks import HELD, READY


class Gating(Books):
    """Who may not start yet, and until what happens."""

    # -- holds ----------------------------------------------------------------------------------------------------

    def held(self, numbers: Iterable[int], by: str, reason: str, at: float) -> list[int]:
        """Let those of *numbers* (jobs, arrays, tasks of arrays) that wait not start before they are `released`.

        Returns those that are held now and were not; an array is held with all of its tasks that wait. What runs,
        what is held, a task that waits for one of another array, and what is unknown stay as they are.
        """
        words = f"held by {by}" + (f": {reason}" if reason else "")
        return [number for number in numbers if self._hold(number, by, words, at)]

    def released(self, numbers: Iterable[int], by: str, at: float) -> list[int]:
        """Let those of *numbers* that are held go on; return them. An array is released with all of its tasks."""
        return [number for number in numbers if self._release(number, by, at)]

    def _hold(self, number: int, by: str, words: str, at: float) -> bool:
        job = self.jobs.get(number)
        if job is None and is_task(number):
            return self._turn_task(number, (READY, HELD), "held", words, at)
        if job is None or job.phase is not Phase.PENDING or not job.waiting:
            return False
        self._wait_no_more(job)
        job.phase, job.held_by, job.reason = Phase.HELD, by, words
        self._wait(job)
        self._said(job, "held", words, at)
        return True

    def _release(self, number: int, by: str, at: float) -> bool:
        job = self.jobs.get(number)
        if job is None and is_task(number):
            array = self.jobs.get(array_of(number))
            if array is not None and array.phase is Phase.HELD and array.tasks is not None:
                array.tasks.set_all(array.tasks.everything, READY, HELD)
                self._free(array)
            return self._turn_task(number, (HELD, READY), "released", f"released by {by}", at)
        if job is None:
            return False
        tasks = job.tasks.set_all(job.tasks.everything, HELD, READY) if job.tasks is not None else 0
        if job.phase is Phase.HELD:
            self._free(job)
        elif tasks:
            self._tasks_changed(job)
        else:
            return False
        self._said(job, "released", f"released by {by}", at)
        return True

    def _free(self, job: Job) -> None:
        """*job* as a whole is not held any more."""
        self._wait_no_more(job)
        job.phase, job.held_by, job.reason = Phase.PENDING, None, ""
        self._wait(job)

    def _turn_task(self, number: int, states: tuple[int, int], what: str, words: str, at: float) -> bool:
        """Let a task that has not started, and is in the first of two *states*, be in the other; say whether it was."""
        array, index = self.jobs.get(array_of(number)), index_of(number) or 0
        if array is None or array.tasks is None or array.tasks.state(index) != states[0]:
            return False
        array.tasks.set(index, states[1])
        self._tasks_changed(array)
        self._said(array, what, f"task {index} {words}", at)
        return True

    def _said(self, job: Job, what: str, words: str, at: float) -> None:
        """Write *what* happened to *job* into its story, and tell of it."""
        self._record(job)
        self._effects.records.events.append(JobEvent(job.id, at, what, words))
        self._notice(job, at)
