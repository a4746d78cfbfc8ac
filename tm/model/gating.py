"""How jobs come to the gate, and through it: those that are held, and those whose time has not come or is over."""

from __future__ import annotations

from collections.abc import Iterable

from tm.model.effects import JobEvent
from tm.model.expecting import Expecting
from tm.model.ids import array_of, index_of, is_task
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.tasks import HELD, READY
from tm.model.views import shown_time


class Gating(Expecting):
    """Who may not start yet for another reason than others."""

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
        if job is None or job.phase is not Phase.PENDING:
            return False
        waiting = [task for task in self._active_tasks(job) if task.phase is Phase.PENDING]
        if not job.waiting and not waiting:
            return False
        self._wait_no_more(job)
        job.phase, job.held_by, job.reason = Phase.HELD, by, words
        self._wait(job)
        self._said(job, "held", words, at)
        for task in waiting:
            self._hold(task.id, by, words, at)
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
        waiting = [task.id for task in self._active_tasks(job) if task.phase is Phase.HELD]
        if job.phase is Phase.HELD:
            self._free(job)
        elif tasks:
            self._tasks_changed(job)
        elif not waiting:
            return False
        self._said(job, "released", f"released by {by}", at)
        self.released(waiting, by, at)
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

    # -- time -----------------------------------------------------------------------------------------------------

    def _look_at_the_gate(self, at: float) -> None:
        """What time alone changes: who may begin now, and who can no longer be done by their deadline."""
        for job in self.gate.late(at):
            if job.id in self.jobs and job.waiting:
                within = f" within its wall time of {job.demand.time:.0f} s" if job.demand.time else ""
                words = f"could not be done by its deadline {shown_time(job.deadline)}{within}"
                self._end_waiting(job, "deadline", words, at)
        for job in self.gate.due(at):
            job.not_before = 0.0
            self._let_in(job)
