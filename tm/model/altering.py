"""Changes of jobs: what waits asks for something else from now on, what runs gets another wall time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tm.errors import RefusedError
from tm.model.changing import OF_RUNNING, Wanted, changed_spec, holding, in_words
from tm.model.expecting import NONE_ENDED, Ended
from tm.model.hosting import Hosting
from tm.model.ids import task_id
from tm.model.job import Job
from tm.model.phase import ON_HOST, Phase
from tm.model.possible import Possible
from tm.model.selection import WAITING, Picked
from tm.model.spec import JobSpec
from tm.model.tasks import ACTIVE
from tm.model.views import shown_time


class By(NamedTuple):
    """Who orders something, whether by the right over everybody's jobs (*rules*), and what they say of it."""

    user: str
    rules: bool = False
    reason: str = ""

    @property
    def words(self) -> str:
        """Who, and why."""
        return f"by {self.user}" + (f": {self.reason}" if self.reason else "")


class Altering(Hosting, Possible):
    """What people change of jobs."""

    def changed(self, job: Job, wanted: Wanted, by: By, at: float, ended: Ended = NONE_ENDED) -> None:
        """Let *wanted* hold for *job*; of one that has started, its wall time alone. *ended* are targets of its new
        dependency that are over. Raises `RefusedError` with the reason, ``job.state`` for what cannot be changed any
        more; then nothing has changed."""
        if wanted.boost is not msgspec.UNSET and not by.rules:
            raise RefusedError("perm.denied", "'boost' is for those with the right 'jobs'; change 'priority' instead")
        if job.phase in ON_HOST:
            self._change_running(job, wanted, by, at)
            return
        self._change_waiting(job, wanted, by, at, ended)
        if job.tasks is not None and job.id in self.jobs:
            self._change_tasks(job, wanted, by, at)

    def _change_running(self, job: Job, wanted: Wanted, by: By, at: float) -> None:
        other = [name for name in wanted.given if name not in OF_RUNNING]
        if other:
            can = "of a job that has started only the wall time (time) can be changed"
            raise RefusedError("job.state", f"{can}, not {', '.join(other)}")
        before, after = holding(job), changed_spec(job, wanted)
        lasted = at - (job.started_at or at)
        if after.time and after.time <= lasted:
            raise RefusedError(
                "job.state", f"it has run for {lasted:.0f} s: with a wall time of {after.time:.0f} s it would be ended"
                " at once; cancel it where that is meant"
            )  # fmt: skip
        job.demand, job.changed = after.demand(), True
        self._record(job)
        self._orders_for(job).limit.append((job.id, job.attempt, after.time))
        self._say_changed(job, in_words(before, after), by, at)

    def _change_tasks(self, array: Job, wanted: Wanted, by: By, at: float) -> None:
        """Let what is *wanted* of *array* hold for its tasks that wait again, too, and the wall time for those that
        run, where that is still possible."""
        again = msgspec.structs.replace(wanted, cap=msgspec.UNSET, dependency=msgspec.UNSET)
        time = Wanted(time=wanted.time)
        for one in self._apart(Picked(array)):
            if one.tasks is not None or self._why_not_changed(one):
                continue
            try:
                if one.job.phase in ON_HOST and time.given:
                    self._change_running(one.job, time, by, at)
                elif one.job.phase not in ON_HOST and again.given:
                    self._change_waiting(one.job, again, by, at, NONE_ENDED)
            except RefusedError as error:
                self._said(one.job, "unchanged", error.text, at)

    def _change_waiting(self, job: Job, wanted: Wanted, by: By, at: float, ended: Ended) -> None:
        before, after = holding(job), changed_spec(job, wanted)
        boost = job.boost if wanted.boost is msgspec.UNSET else wanted.boost
        trial = msgspec.structs.replace(
            job, demand=after.demand(), priority=after.priority, boost=boost, deadline=after.deadline
        )
        self._check_possible(trial)
        _check_deadline(after, at)
        if wanted.dependency is not msgspec.UNSET:
            self.dependency_changed(job, after.dependency, ended, at)
            if job.id not in self.jobs:
                return  # what it waits for now can never come about
        self._wait_no_more(job)
        told = [in_words(before, after)] if before != after else []
        told += [f"boost {job.boost} → {boost}"] if boost != job.boost else []
        job.demand, job.priority, job.boost, job.changed = trial.demand, trial.priority, boost, True
        if wanted.begin is not msgspec.UNSET:
            job.not_before = after.begin  # else the pause before another attempt, or after what it waits for, holds on
        job.deadline = after.deadline
        if job.tasks is not None:
            job.tasks.cap = after.array_cap
        self._record(job)
        self._wait(job)
        self._say_changed(job, ", ".join(told), by, at)

    def _say_changed(self, job: Job, told: str, by: By, at: float) -> None:
        self._said(job, "changed", f"{told or 'nothing'} {by.words}", at)
        self._notice(job, at)

    def _apart(self, one: Picked) -> Iterator[Picked]:
        """Yield the tasks of a whole array that have started, then those that have not as one; all else as it is."""
        job = one.job
        if job.tasks is None or one.tasks is not None:
            yield one
            return
        for some in job.tasks.ranges(ACTIVE):
            for index in some:
                yield Picked(self.jobs[task_id(job.id, index)])
        waiting = job.tasks.among(job.tasks.everything, WAITING)
        if waiting:
            yield Picked(job, waiting)

    def _why_not_changed(self, one: Picked) -> str:
        if one.tasks is not None:
            return f"tasks that wait are changed together with their array: say {one.job.id}"
        if one.job.cancelled_by is not None or one.job.gives_way is not None:
            return "is being ended"
        return "is being started" if one.job.phase is Phase.STARTING else ""


def _check_deadline(asked: JobSpec, at: float) -> None:
    if asked.deadline and asked.deadline < at + asked.time:
        late = f"it cannot be done by its deadline {shown_time(asked.deadline)} any more"
        raise RefusedError("job.invalid", late + (f": its wall time is {asked.time:.0f} s" if asked.time else ""))
