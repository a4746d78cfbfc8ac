"""What people have done with jobs: cancelled, suspended, signalled, put back, changed.

Each order is asked about first (`touches`): what it would do something to, and why not to the rest. The law: a job is
suspended while anybody wants it, its host's people or its own, and goes on when nobody does any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from signal import Signals
from typing import Final

from tm.errors import RefusedError
from tm.model.altering import Altering, By
from tm.model.cluster import Link
from tm.model.decided import Pause
from tm.model.effects import JobEvent
from tm.model.ids import array_of, is_task, shown_id, task_id
from tm.model.job import Job
from tm.model.lifecycle import BEING_CANCELLED, PUT_BACK, Fact
from tm.model.phase import ON_HOST, Phase
from tm.model.selection import WAITING, Picked
from tm.model.tasks import ACTIVE, BLOCKED, HELD, READY

KNOWN_SIGNALS: Final = {
    name.removeprefix("SIG"): number.value for name, number in Signals.__members__.items() if "RT" not in name
}
NO_SIGNALS: Final = {"STOP": "suspendjob", "TSTP": "suspendjob", "CONT": "resumejob"}


class Control(Altering):
    """What people have done with jobs that have not ended."""

    # -- what an order would touch --------------------------------------------------------------------------------

    def touches(self, verb: str, picked: Iterable[Picked], by: By) -> Iterator[tuple[Picked, str]]:
        """Yield all that was *picked*, arrays taken apart where *verb* asks for it, and why it cannot be done to it."""
        for one in picked:
            for part in self._parts(verb, one):
                yield part, self._why_not(verb, part, by)

    def _parts(self, verb: str, one: Picked) -> Iterable[Picked]:
        if verb in _OF_RUNNING:
            return self._apart(one)
        if one.tasks is None or verb not in ("holdjob", "releasejob"):
            return [one]
        assert one.job.tasks is not None
        parts = [one.job.tasks.among(one.tasks, (state,)) for state in WAITING]
        return [Picked(one.job, part) for part in parts if part]

    def _why_not(self, verb: str, one: Picked, by: By) -> str:
        job = one.job
        if verb == "canceljob":
            return ""
        if verb == "changejob":
            return self._why_not_changed(one)
        if job.cancelled_by is not None:
            return f"is being cancelled by {job.cancelled_by}"
        if verb == "holdjob":
            return self._why_not_held(one)
        if verb == "releasejob":
            return _why_not_released(one, by)
        if job.phase not in ON_HOST:
            return "has not started"
        if job.gives_way is not None:
            return f"is leaving its host {job.host} already"
        return _OF_RUNNING[verb](self, job, by)

    def _why_not_held(self, one: Picked) -> str:
        job = one.job
        if job.phase in ON_HOST:
            return "has started already; suspendjob stops it where it is"
        if job.phase is Phase.HELD:
            return "is held already"
        if job.tasks is None:
            return ""
        if one.tasks is None:
            again = any(task.phase is Phase.PENDING for task in self._active_tasks(job))
            return "" if job.tasks.waiting or again else "all its tasks have started"
        words = {HELD: "is held already", BLOCKED: "waits for a task of another array; hold the whole array"}
        return words.get(job.tasks.state(one.tasks[0].start), "")

    def _why_not_suspended(self, job: Job, by: By) -> str:
        return "is suspended already" if by.user in _people(job.suspended_by) else ""

    def _why_not_resumed(self, job: Job, by: By) -> str:
        if job.suspended_by is None:
            if job.phase is Phase.SUSPENDED:
                return f"goes on when its host has room ({job.reason})"
            return "is not suspended"
        if not by.rules and by.user not in _people(job.suspended_by):
            return f"is suspended by {job.suspended_by}, who must resume it"
        return ""

    def _why_not_signalled(self, job: Job, by: By) -> str:
        if job.phase is Phase.STARTING:
            return "is being started"
        session = self._session(job.user, job.host or "")
        return "" if session.link is Link.UP else f"its host {job.host} is not reached, and a signal does not wait"

    def _why_not_requeued(self, job: Job, by: By) -> str:
        if job.phase is Phase.STARTING:
            return "is being started"
        if job.interactive:
            return "is a command that runs now; it cannot be begun anew elsewhere"
        if by.user != job.user and not job.requeue:
            return f"{job.user} has not consented to its being started anew (--requeue)"
        return ""

    # -- waiting jobs ---------------------------------------------------------------------------------------------

    def cancelled(self, one: Picked, by: By, at: float) -> None:
        """End what was picked: what waits at once, what runs by its host."""
        job = one.job
        if job.phase in ON_HOST or job.tasks is not None:
            event = JobEvent(job.id, at, "cancel", f"{one.shown} {by.words}" if one.tasks else by.words)
            self._effects.records.events.append(event)
        if one.tasks is None:
            self._cancel(job, by.user, by.reason, f"cancelled {by.words}", at)
        else:
            self._drop(job, one.tasks, at)

    def cancel_asked(self, number: int, by: str, reason: str, at: float) -> None:
        """End a job: at once when it waits, by its host when it runs; an array with all its tasks.

        Raises `RefusedError` ``job.unknown``.
        """
        job = self.jobs.get(number)
        if job is None and is_task(number) and self._drop_tasks(number, at):
            return
        if job is None:
            raise RefusedError("job.unknown", f"there is no waiting or running job {shown_id(number)}")
        self._cancel(job, by, reason, reason or f"cancelled by {by}", at)

    def _cancel(self, job: Job, by: str, reason: str, words: str, at: float) -> None:
        """End *job*; *reason* is what was said of it, *words* what is to be shown of what ends at once."""
        first = job.cancelled_by is None
        job.cancelled_by = by
        if job.tasks is not None:
            job.reason = words
            for index in [index for one in job.tasks.ranges(ACTIVE) for index in one]:
                self._cancel(self.jobs[task_id(job.id, index)], by, reason, words, at)
            self._drop(job, job.tasks.everything, at)
        elif job.phase in ON_HOST:
            self._record(job)
            self._orders_for(job).cancel.append((job.id, job.attempt))
            if first:
                job.reason = f"{BEING_CANCELLED}{by}" + (f": {reason}" if reason else "")
                self._notice(job, at)
        else:
            self._wait_no_more(job)
            self._apply(job, Fact(job.id, job.attempt, "cancelled", at, reason=words))

    def _drop_tasks(self, number: int, at: float) -> int:
        """Cancel the task *number*, which has not started; return 1, or 0 where there is none."""
        array = self.jobs.get(array_of(number))
        index = number - task_id(array_of(number), 0)
        return self._drop(array, [range(index, index + 1)], at) if array is not None else 0

    def hold(self, one: Picked, by: By, at: float) -> None:
        """Let what was picked, which waits, not start before it is released."""
        tasks = one.job.tasks
        if one.tasks is None or tasks is None:
            self.held([one.job.id], by.user, by.reason, at)
        else:
            tasks.set_all(one.tasks, READY, HELD)
            self._tasks_changed(one.job)
            self._said(one.job, "held", f"{one.shown} {by.words}", at)

    def release(self, one: Picked, by: By, at: float) -> None:
        """Let what was picked, which is held, start."""
        job, tasks = one.job, one.job.tasks
        if one.tasks is None or tasks is None:
            self.released([job.id], by.user, at)
            return
        if job.phase is Phase.HELD:
            tasks.set_all(tasks.everything, READY, HELD)
            self._free(job)
        tasks.set_all(one.tasks, HELD, READY)
        self._tasks_changed(job)
        self._said(job, "released", f"{one.shown} {by.words}", at)

    # -- running jobs ---------------------------------------------------------------------------------------------

    def suspended(self, job: Job, by: By, at: float) -> None:
        """Stop *job*, which is on a host, where it is; one that has not begun there, when it has."""
        job.suspended_by = ", ".join(sorted({*_people(job.suspended_by), by.user}))
        self._said(job, "suspended", by.words, at)
        if job.phase is Phase.STARTING:
            return
        session = self._session(job.user, job.host or "")
        pause = session.pauses.get(job.id)
        if pause is None or not pause.wanted:
            session.pauses[job.id] = Pause(True, "", at)
            self._orders(session).pause(suspend=[(job.id, job.attempt)])
        elif job.phase is Phase.SUSPENDED:
            self._say_why_suspended(job, pause)
            self._notice(job, at)

    def resumed(self, job: Job, by: By, at: float) -> None:
        """Let *job*, which people had suspended, go on, unless somebody else still wants it suspended."""
        left = set() if by.rules else _people(job.suspended_by) - {by.user}
        job.suspended_by = ", ".join(sorted(left)) or None
        self._said(job, "resumed", by.words, at)
        if job.suspended_by is None:
            session = self._session(job.user, job.host or "")
            pause = session.pauses.get(job.id)
            if pause is not None and job.phase is Phase.SUSPENDED:
                pause.why = pause.why or session.host.held_back
                self._say_why_suspended(job, pause)
            self._minded.add(session.host.name)

    def signalled(self, job: Job, name: str, by: By, at: float) -> None:
        """Send the signal *name* to *job*, which runs."""
        self._orders_for(job).signal.append((job.id, job.attempt, name))
        self._said(job, "signal", f"{name} {by.words}", at)

    def requeued(self, job: Job, by: By, at: float) -> None:
        """End the attempt of *job* that runs, and let it wait for another one."""
        job.suspended_by = None
        session = self._session(job.user, job.host or "")
        self._leave(session, job, PUT_BACK + by.words, at)
        job.reason = PUT_BACK + by.words
        self._said(job, "requeued", by.words, at)


def _why_not_released(one: Picked, by: By) -> str:
    job = one.job
    if job.phase is Phase.HELD:
        if job.held_by not in (None, by.user, job.user) and not by.rules:
            return f"is held by {job.held_by}, who must release it"
        return ""
    held = job.tasks is not None and (
        job.tasks.count(HELD) if one.tasks is None else job.tasks.state(one.tasks[0].start) == HELD
    )
    return "" if held else "is not held"


def _people(text: str | None) -> set[str]:
    return set(text.split(", ")) if text else set()


_OF_RUNNING: Final = {
    "suspendjob": Control._why_not_suspended,
    "resumejob": Control._why_not_resumed,
    "signaljob": Control._why_not_signalled,
    "requeuejob": Control._why_not_requeued,
}
