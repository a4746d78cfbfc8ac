"""What jobs wait for of others, and what happens to those others: told in the turn in which it happens.

So both stand in one commit, and a restart finds what was met as it was. A long row of jobs that fall with the first is
gone through one after the other, not one inside the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from tm.errors import RefusedError
from tm.model.books import Books
from tm.model.dependency import Condition, Dependency, How, how_is, judge, read_dependency
from tm.model.effects import JobEvent
from tm.model.gate import latest_start
from tm.model.ids import array_of, index_of, is_task, shown_id, task_id
from tm.model.job import Job
from tm.model.lifecycle import Fact
from tm.model.phase import FINAL, Phase, how_ended
from tm.model.tasks import ACTIVE, BLOCKED, CODE_OF, HELD, PHASE_OF, READY
from tm.model.views import shown_time

Ended = Mapping[int, Job]
"""Targets of dependencies that are over, as the store knows them; of arrays with the endings of all their tasks."""
NONE_ENDED: Final[Ended] = MappingProxyType({})

_RUNS: Final = (Phase.RUNNING, Phase.SUSPENDED)
_WAITING: Final = (READY, BLOCKED, HELD)
_NOT_OVER: Final = (*_WAITING, ACTIVE)


class Expecting(Books):
    """Who may not start before others have begun or ended."""

    # -- dependencies ---------------------------------------------------------------------------------------------

    def check_expected(self, job: Job, ended: Ended) -> None:
        """See what *job* is to wait for, and write it into it as it is kept.

        Raises `RefusedError`: ``job.invalid`` for a dependency that cannot be read, ``job.dependency`` for targets
        that are not there or belong to somebody else, ``job.impossible`` for a deadline that has passed.
        """
        if job.deadline and latest_start(job) < job.submitted_at:
            raise RefusedError(
                "job.impossible", f"it cannot be done by its deadline {shown_time(job.deadline)}"
            )
        if not job.dependency:
            return
        try:
            wished = read_dependency(job.dependency)
        except ValueError as error:
            raise RefusedError("job.invalid", str(error)) from None
        kept = [self._checked(job, condition, ended) for condition in wished.conditions]
        job.dependency = str(Dependency(tuple(dict.fromkeys(kept)), wished.one))

    def _checked(self, job: Job, condition: Condition, ended: Ended) -> Condition:
        if not condition.target:
            return condition
        shown, array = shown_id(condition.target), array_of(condition.target)
        target = self._known(condition.target, ended) or self._known(array, ended)
        if target is None:
            raise RefusedError("job.dependency", f"there is no job {shown} that could be waited for")
        if target.user != job.user:
            raise RefusedError(
                "job.dependency", f"job {shown} is {target.user}'s; a job waits only for its own user's"
            )
        if is_task(condition.target) and not is_task(target.id):
            if target.tasks is None or (index_of(condition.target) or 0) not in target.tasks:
                raise RefusedError("job.dependency", f"job {array} has no task {index_of(condition.target)}")
        if condition.kind == "aftercorr":
            if job.tasks is None or target.tasks is None or is_task(condition.target):
                return condition._replace(kind="afterok")
            missing = job.tasks.missing_from(target.tasks)
            if missing is not None:
                text = f"array {array}, which has tasks {target.tasks.indices}, has none for task {missing} to wait for"
                raise RefusedError("job.dependency", text)
        return condition

    def _known(self, number: int, ended: Ended) -> Job | None:
        return self.jobs.get(number) or ended.get(number)

    def _expect(self, job: Job, ended: Ended, at: float) -> None:
        """*job*, which waits, is new or waits for others than before: see how these are."""
        if job.dependency:
            for number in self.gate.dependency(job).arrays:
                target = self._known(number, ended)
                if target is not None and job.id in self.jobs:
                    self._follow(job, target, at)
            self._look_again(job.id, ended, at)

    def dependency_changed(self, job: Job, text: str, ended: Ended, at: float) -> None:
        """Let *job*, which waits, wait for what *text* says instead.

        Raises `RefusedError` as `check_expected` does, ``job.dependency`` where it would wait for itself,
        ``job.state`` when it does not wait any more.
        """
        if job.id not in self.jobs or job.phase not in (Phase.HELD, Phase.PENDING) or not job.waiting:
            raise RefusedError(
                "job.state", f"job {shown_id(job.id)} does not wait any more, it is {job.phase}"
            )
        before, job.dependency = job.dependency, text
        try:
            self.check_expected(job, ended)
            self._check_no_circle(job)
        except RefusedError:
            job.dependency = before
            raise
        self._wait_no_more(job)
        if job.tasks is not None:
            job.tasks.set_all(job.tasks.everything, BLOCKED, READY)
        self._wait(job)
        self._record(job)
        self._expect(job, ended, at)

    def _check_no_circle(self, job: Job) -> None:
        seen: set[int] = set()
        ahead = [*self._ahead_of(job, read_dependency(job.dependency))]
        while ahead:
            number = ahead.pop()
            if number == job.id:
                raise RefusedError("job.dependency", f"job {shown_id(number)} would wait for itself")
            other = self.jobs.get(number)
            if other is not None and number not in seen:
                seen.add(number)
                ahead += self._ahead_of(other, self.gate.dependency(other))

    def _ahead_of(self, job: Job, dependency: Dependency) -> Iterable[int]:
        """Yield the jobs and arrays that *job* waits for."""
        for condition in dependency.conditions:
            if condition.target:
                yield array_of(condition.target)
            else:
                yield from self.gate.earlier(job)

    # -- arrays that follow others task by task -------------------------------------------------------------------

    def _take_up(self, array: Job) -> None:
        """What the tasks of *array* wait for one by one stands in the arrays they follow."""
        assert array.tasks is not None
        followed = [self.jobs[number] for number in self.gate.dependency(array).arrays if number in self.jobs]
        if followed:
            array.tasks.set_all(array.tasks.everything, BLOCKED, READY)
            for target in followed:
                if self.gate.dependency(target).arrays and target.id > array.id:
                    self._take_up(
                        target
                    )  # it was told later to follow others itself, and is not taken up yet
                array.tasks.drop(self._block(array, target))
        super()._take_up(array)

    def _follow(self, array: Job, target: Job, at: float) -> None:
        """Let the tasks of *array* wait for those of *target*; end those that do so in vain."""
        hopeless = self._block(array, target)
        self._tasks_changed(array)
        if hopeless:
            self._fall(array, hopeless, target.id, at)

    @staticmethod
    def _block(array: Job, target: Job) -> list[range]:
        """Let tasks of *array* wait whose ones in *target* are not over; return those whose ones have ended badly."""
        assert array.tasks is not None and target.tasks is not None
        array.tasks.block(target.tasks, _NOT_OVER)
        bad = [code for code, phase in PHASE_OF.items() if phase is not Phase.COMPLETED]
        return target.tasks.among(target.tasks.everything, bad)

    def _fall(self, array: Job, ranges: list[range], target: int, at: float) -> None:
        """Tasks of the array *target* have ended badly: those of *array* that wait for them will never start."""
        assert array.tasks is not None
        first = array.cause == "" and bool(array.tasks.among(ranges, _WAITING))
        if first:
            array.cause = "dependency"
            array.reason = array.reason or f"tasks needed those of array {target} to succeed"
        self._drop(
            array, ranges, at, record=first
        )  # at a restart they fall again: how the others are is known

    def _rise(self, array: Job, ranges: list[range]) -> None:
        """Tasks of an array that *array* follows have completed: let those go on that wait for nothing else."""
        assert array.tasks is not None
        others = [
            self.jobs[number].tasks for number in self.gate.dependency(array).arrays if number in self.jobs
        ]
        good = CODE_OF[Phase.COMPLETED]
        for one in array.tasks.among(ranges, (BLOCKED,)):
            for index in one:
                if all(tasks.state(index) == good for tasks in others if tasks is not None):
                    array.tasks.set(index, READY)
        self._tasks_changed(array)

    def _drop(self, array: Job, ranges: list[range], at: float, record: bool = True) -> int:
        """Cancel those tasks of *array* that have not started; return how many these were."""
        assert array.tasks is not None
        dropped = array.tasks.among(ranges, _WAITING)
        count = array.tasks.drop(dropped)
        if count:
            if record:
                self._record(array)
            self._tasks_changed(array)
            self._notice(array, at)
            self.gate.tell((array, dropped))
        if array.id in self.jobs:
            self._see_over(array, at)
        self._spread(at)
        return count

    # -- what happens to one is told to others --------------------------------------------------------------------

    def _apply(self, job: Job, fact: Fact, now: float | None = None) -> None:
        began = job.phase not in _RUNS
        super()._apply(job, fact, now)
        if (job.phase in FINAL and not is_task(job.id)) or (began and job.phase in _RUNS):
            self.gate.tell((job, None))
            self._spread(fact.at if now is None else now)

    def _task_over(self, task: Job, at: float) -> None:
        self.gate.tell((task, None))  # before that of its array, should it be the last
        super()._task_over(task, at)
        self._spread(at)

    def _see_over(self, array: Job, at: float) -> None:
        super()._see_over(array, at)
        if array.phase in FINAL:
            self.gate.tell((array, None))
            self._spread(at)

    def _spread(self, at: float) -> None:
        for job, ranges in self.gate.told():
            if ranges is None:
                self._heard(job, at)
            else:
                self._heard_of_tasks(job, ranges, at)

    def _heard(self, job: Job, at: float) -> None:
        """*job* has begun, or has ended: see to those that wait for that."""
        waiting = self.gate.awaiting(job.id)
        if is_task(job.id):
            array = self.jobs.get(array_of(job.id))
            if array is not None and not array.waiting:
                waiting += self.gate.awaiting(array.id)
            if job.phase in FINAL:
                self._heard_of_task(job, at)
        elif job.phase in FINAL:
            waiting += self.gate.went(job)
        for number in waiting:
            self._look_again(number, {job.id: job}, at)

    def _heard_of_task(self, task: Job, at: float) -> None:
        index = task.index or 0
        ranges = [range(index, index + 1)]
        for number in self.gate.following(array_of(task.id)):
            array = self.jobs[number]
            if task.phase is Phase.COMPLETED:
                self._rise(array, ranges)
            else:
                how = how_ended(task.phase, task.exit_code, task.signal)
                words = f"task {index} needs {shown_id(task.id)} to succeed, but it {how}"
                self._effects.records.events.append(JobEvent(number, at, "dropped", words))
                self._fall(array, ranges, array_of(task.id), at)

    def _heard_of_tasks(self, array: Job, dropped: list[range], at: float) -> None:
        """Tasks of *array* have ended before they started."""
        for number in self.gate.following(array.id):
            if number in self.jobs:
                self._fall(self.jobs[number], dropped, array.id, at)
        waiting = self.gate.awaiting(array.id) if not array.waiting else []
        for task in self.gate.tasks_awaited(array.id):
            if any((index_of(task) or 0) in one for one in dropped):
                waiting += self.gate.awaiting(task)
        for number in waiting:
            self._look_again(number, {array.id: array}, at)

    def _look_again(self, number: int, known: Ended, at: float) -> None:
        """Something that the job *number* waits for has happened, perhaps; *known* are jobs that are over."""
        job = self.jobs.get(number)
        if job is None:
            return
        verdict = judge(self.gate.dependency(job), lambda condition: self._how(job, condition, known))
        if verdict.never:
            self._end_waiting(job, "dependency", verdict.never, at)
        elif str(verdict.left) != job.dependency:
            job.dependency = str(verdict.left)
            job.not_before = max(job.not_before, verdict.not_before)
            self._record(job)
            self.gate.watch(job)
            self._let_in(job)

    def _how(self, job: Job, condition: Condition, known: Ended) -> How | None:
        if not condition.target:
            return How(True, 0.0, Phase.COMPLETED) if self.gate.is_alone(job) else None
        target = known.get(condition.target) or self.jobs.get(condition.target)
        if target is not None:
            return how_is(target, self._has_begun(target))
        array = known.get(array_of(condition.target)) or self.jobs.get(array_of(condition.target))
        if array is None or array.tasks is None or not is_task(condition.target):
            return None
        phase = PHASE_OF.get(array.tasks.state(index_of(condition.target) or 0))
        return How() if phase is None else How(True, array.ended_at or 0.0, phase, how_ended(phase))

    def _has_begun(self, job: Job) -> bool:
        """Whether *job* runs, or all tasks of it have begun."""
        if job.tasks is None:
            return job.phase in _RUNS
        return not job.waiting and all(task.phase in _RUNS for task in self._active_tasks(job))

    # -- what may start, or never will --------------------------------------------------------------------------------

    def _let_in(self, job: Job) -> None:
        """Let *job*, which waits at the gate, into the queue if nothing keeps it any more."""
        if job.id in self.gate and not self.gate.keeps(job):
            self.gate.remove(job.id)
            self.queue.add(job)

    def _end_waiting(self, job: Job, cause: str, words: str, at: float) -> None:
        """End *job*, which waits, because of *cause*; an array with all of its tasks that wait."""
        if job.tasks is not None:
            job.cause, job.reason = cause, words
            self._drop(job, job.tasks.everything, at)
        else:
            self._wait_no_more(job)
            self._apply(job, Fact(job.id, job.attempt, "cancelled", at, reason=words, cause=cause))

    def _active_tasks(self, array: Job) -> list[Job]:
        ranges = array.tasks.ranges(ACTIVE) if array.tasks is not None else []
        return [self.jobs[task_id(array.id, index)] for one in ranges for index in one]
