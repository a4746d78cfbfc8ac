"""Lists of jobs, and all that is known of one: what is active from the brain, what has ended from the store."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

import msgspec
from twisted.internet.defer import Deferred

from tm.daemon.answers import Answer, Spoken, as_lines, as_reply
from tm.daemon.dependencies import look_up
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import AFTER_ALL, job_lines, job_query
from tm.errors import RefusedError
from tm.model.effects import Attempt, JobEvent
from tm.model.ids import array_of, index_of, is_task, read_job, read_ranges, show_ranges, shown_id, task_id
from tm.model.job import Job, new_task
from tm.model.phase import FINAL, Phase
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import permitted
from tm.model.spec import SHARED, accepted_spec
from tm.model.story import show_story, shown_tasks, story_lines
from tm.model.tasks import BLOCKED, HELD, PHASE_OF, READY
from tm.model.views import Shown, show_job, shown_state, shown_time
from tm.model.waiting import why_waiting
from tm.ports import JobQuery, Peer
from tm.wire.message import Reply, Request

MOST_LISTED_COMMAND = 1000
MOST_TOLD_APART = 100_000
"""So many tasks of an array that has ended are looked up one by one to tell which of them ended how."""
Found = tuple[Job | None, list[Attempt], list[JobEvent], str | None]


class JobLists:
    """The verbs that tell of jobs."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"lsjobs": self._lsjobs, "jobinfo": self._jobinfo}

    # -- lists ----------------------------------------------------------------------------------------------------

    def _lsjobs(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        listing = job_query(arguments, peer.user, self._dispatcher.rights_of(peer.user))
        found = Deferred.fromCoroutine(self._listed(*listing))
        return found.addCallback(lambda seen: as_reply(request, seen, job_lines(seen)))

    async def _listed(self, query: JobQuery, states: Set[str]) -> list[Shown]:
        """Return the views of the jobs of *query* whose state, as it is shown, is one of *states*."""
        dispatcher = self._dispatcher
        arrays = self._running_arrays(query) if "running" in states and query.phases else []
        seen: list[Shown] = []
        while True:
            page: list[Job] = await dispatcher.around.reader.run(partial(dispatcher.around.store.jobs, query))
            last = len(page) < query.limit
            if arrays:
                upto = len(arrays) if last else sum(1 for job in arrays if job.id <= page[-1].id)
                page, arrays = _merged(page, arrays[:upto]), arrays[upto:]
            views = [_brief(self.show(dispatcher.brain.jobs.get(job.id, job))) for job in page]
            seen += [view for view in views if view["state"] in states]
            if last and query.array is not None and len(seen) < query.limit:
                seen += self._folded(query, states)
                return seen
            if last or len(seen) >= query.limit:
                return seen[: query.limit]
            query = replace(query, after=page[-1].id)

    def _running_arrays(self, query: JobQuery) -> list[Job]:
        """Return the arrays that count as running, though they wait with the tasks that have not started."""
        found = [job for job in self._dispatcher.brain.jobs.values() if job.tasks is not None and job.id > query.after]
        return sorted((job for job in found if query.array is None and _fits(job, query)), key=lambda job: job.id)

    def _folded(self, query: JobQuery, states: Set[str]) -> list[Shown]:
        """Return those tasks of the array of *query* that have no row of their own: a line for all that are alike."""
        array = self._dispatcher.brain.jobs.get(query.array or 0)
        if array is None or array.tasks is None or query.after == AFTER_ALL or not _fits(array, query):
            return []
        tasks = array.tasks
        held = array.phase is Phase.HELD
        ranges: dict[str, list[range]] = {
            "held": tasks.among(tasks.everything, (HELD, READY, BLOCKED) if held else (HELD,)),
            "pending": [] if held else tasks.ranges(READY),
            "blocked": [] if held else tasks.ranges(BLOCKED),
            "cancelled": tasks.dropped,
        }
        shown = []
        for word, some in ranges.items():
            state = "pending" if word == "blocked" else word
            if some and state in states:
                shown.append(self._fold(array, word, some))
        return shown

    def _fold(self, array: Job, word: str, some: list[range]) -> Shown:
        text = show_ranges(some)
        task = new_task(task_id(array.id, some[0].start), array)
        task.phase = {"held": Phase.HELD, "cancelled": Phase.CANCELLED}.get(word, Phase.PENDING)
        view = _brief(self.show(task, waiting=word in ("pending", "blocked")))
        if word == "blocked":
            view["reason"] = "waits for the tasks of another array"
        return {**view, "id": shown_tasks(array, text), "task": text, "count": sum(map(len, some))}

    # -- one ------------------------------------------------------------------------------------------------------

    def _jobinfo(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        number = one_job(arguments[0])
        if arguments[1:] not in ([], ["environment"]):
            raise RefusedError("proto.arguments", f"'{arguments[1]:.40}': only 'environment' can be asked for, too")
        active = self._dispatcher.brain.jobs.get(array_of(number))
        if active is not None and not self._may(peer, active):
            raise unknown(number)
        whole = bool(arguments[1:])
        found: Deferred[Found] = self._dispatcher.around.reader.run(partial(self._read, number, whole, peer.user))
        return found.addCallback(lambda read: self._told(peer, request, number, read))

    def _read(self, number: int, whole: bool, user: str) -> Found:
        """Return what is stored of a job, with *whole* also the environment of one that is *user*'s own."""
        store = self._dispatcher.around.store
        job = store.job(number) or (store.job(array_of(number)) if is_task(number) else None)
        if job is not None and job.tasks is not None and job.phase in FINAL and job.tasks.total <= MOST_TOLD_APART:
            job = look_up(store, [job.id])[job.id]
        mine = job is not None and whole and job.user == user
        text = store.environment(job.environment) if mine and job is not None else None
        return job, store.attempts(number), store.events(number), text

    def _told(self, peer: Peer, request: Request, number: int, read: Found) -> Reply:
        brain = self._dispatcher.brain
        job = brain.jobs.get(number) or brain.jobs.get(array_of(number)) or read[0]
        if job is None or not self._may(peer, job):
            raise unknown(number)
        stored = read[0]
        if job.id != number and stored is not None and stored.id == number:
            job = stored
        if job.id != number:
            job = task_as_job(job, number)
        spec = accepted_spec(job.spec)
        public, story = self.show(job), show_story(job, spec, *read[1:3])
        shown = {**public, **story, "expected_start": self.expected_start(number)}
        if read[3] is not None:
            variables = msgspec.json.decode(read[3], type=dict[str, str])
            shown["environment"] = {name: value for name, value in variables.items() if name != SHARED}
        untold = {name for name, value in story.items() if not value} | {"events", "environment"}
        told = {name: value for name, value in shown.items() if name not in untold}
        return as_reply(request, shown, [*as_lines(told), *story_lines(shown)])

    def _may(self, peer: Peer, job: Job) -> bool:
        return permitted(RULES, "jobinfo", self._dispatcher.rights_of(peer.user), own=job.user == peer.user)

    def expected_start(self, number: int) -> list[str | None] | None:
        """Return from when to when job or task *number* is expected to start; None where nobody can say.

        That is so while the server of its user is not there, without which nothing of theirs starts.
        """
        dispatcher = self._dispatcher
        job = dispatcher.brain.jobs.get(array_of(number))
        if job is not None and job.user not in dispatcher.brain.attached:
            return None
        expected = dispatcher.brain.forecaster.expected(number, dispatcher.now)
        return None if expected is None else [shown_time(expected.earliest), shown_time(expected.latest)]

    # -- views ----------------------------------------------------------------------------------------------------

    def state(self, job: Job) -> tuple[str, str]:
        """Return the state and reason that users see of *job*, unreachable hosts taken into account."""
        session = self._dispatcher.brain.sessions.get((job.user, job.host or ""))
        return shown_state(job, session)

    def show(self, job: Job, waiting: bool = False) -> Shown:
        """Return the public view of *job*, with the reason why it waits where it does (it is *waiting*)."""
        brain = self._dispatcher.brain
        state, reason = self.state(job)
        if state == "pending" and (waiting or job.id in brain.jobs or array_of(job.id) in brain.jobs):
            reason = why_waiting(brain, job, self._dispatcher.now)
        return show_job(job, accepted_spec(job.spec), state, reason)


def one_job(text: str) -> int:
    """Return the id that ``17`` or ``17_4`` means; raise `RefusedError` ``proto.arguments``."""
    try:
        number, ranges = read_job(text)
    except ValueError:
        raise RefusedError(
            "proto.arguments", f"'{text:.40}' is no job id; ids are numbers, e.g. 17, or 17_4 for a task of an array"
        ) from None
    if ranges is None:
        return number
    if len(ranges) != 1 or len(ranges[0]) != 1:
        raise RefusedError("proto.arguments", f"'{text:.40}' are several jobs: one id is expected, e.g. {number}_4")
    return task_id(number, ranges[0].start)


def task_as_job(array: Job, number: int) -> Job:
    """Return the task *number* of *array*, which never started, as a job; raise `RefusedError` ``job.unknown``."""
    tasks, index = array.tasks, index_of(number) or 0
    if tasks is None:
        raise RefusedError("job.unknown", f"job {array.id} is no array: it has no tasks")
    if not any(index in one for one in read_ranges(tasks.indices)):
        raise RefusedError("job.unknown", f"array {array.id} has no task {index}; its tasks are {tasks.indices:.200}")
    task = new_task(number, array)
    state = tasks.state(index) if array.phase not in FINAL else 0
    if array.phase in FINAL or state in PHASE_OF:
        task.phase, task.cause = Phase.CANCELLED, "cancelled"
        task.reason = "cancelled before it started"
        task.ended_at = array.ended_at
    elif state == HELD or array.phase is Phase.HELD:
        task.phase = Phase.HELD
        task.reason = array.reason or "held"
    return task


def unknown(number: int) -> RefusedError:
    """Return the refusal of an id that is nobody's, or somebody else's."""
    return RefusedError("job.unknown", f"there is no job {shown_id(number)} of yours that this could be done with")


def _merged(page: list[Job], arrays: list[Job]) -> list[Job]:
    known = {job.id for job in page}
    return sorted([*page, *(job for job in arrays if job.id not in known)], key=lambda job: job.id)


def _fits(job: Job, query: JobQuery) -> bool:
    """Whether the array *job* is one that *query* asks for, its phase aside."""
    return (
        (query.user is None or job.user == query.user)
        and (query.name is None or fnmatchcase(job.name, query.name))
        and (query.account is None or job.account == query.account)
        and query.host is None and query.since is None and query.until is None
    )  # fmt: skip


def _brief(shown: Shown) -> Shown:
    """Return *shown* with as much of a long command as a list needs: a thousand of them are one answer."""
    command = str(shown["command"])
    if len(command) > MOST_LISTED_COMMAND:
        shown["command"] = command[:MOST_LISTED_COMMAND] + "…"
    return shown
