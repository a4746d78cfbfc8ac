"""Lists of jobs, and all that is known of one: what is active from the brain, what has ended from the store."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice

import msgspec
from twisted.internet.defer import Deferred

from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, json_lines
from tm.daemon.dependencies import look_up
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import AFTER_ALL, BY_START, Listing, job_lines, job_query
from tm.errors import RefusedError
from tm.model.brief import Seen, short_row, short_rows
from tm.model.cluster import Link
from tm.model.effects import Attempt, JobEvent
from tm.model.ids import array_of, index_of, is_task, read_job, read_ranges, show_ranges, shown_id, task_id
from tm.model.job import Job, new_task
from tm.model.paging import Position, has_text, position, show_position
from tm.model.phase import FINAL, Phase
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import permitted
from tm.model.selection import STATES, UNREACHABLE
from tm.model.spec import SHARED, accepted_spec
from tm.model.starting import in_order_of_start
from tm.model.story import show_story, shown_tasks, story_lines
from tm.model.tasks import BLOCKED, HELD, PHASE_OF, READY
from tm.model.views import Shown, show_job, shown_state, shown_time
from tm.model.waiting import Reasons
from tm.ports import JobQuery, Peer
from tm.wire.message import Reply, Request

MOST_LISTED_COMMAND = 1000
MOST_TOLD_APART = 100_000
"""So many tasks of an array that has ended are looked up one by one to tell which of them ended how."""
MOST_STARTING = 5000
"""Of so many that wait it is said in which order they would start."""
Found = tuple[Job | None, list[Attempt], list[JobEvent], str | None]


class JobLists:
    """The verbs that tell of jobs."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {
            "lsjobs": self._lsjobs, "countjobs": self._countjobs, "jobinfo": self._jobinfo,
        }  # fmt: skip

    # -- lists ----------------------------------------------------------------------------------------------------

    def _lsjobs(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        listing = job_query(arguments, peer.user, self._dispatcher.rights_of(peer.user))
        if listing.columns and not request.json:
            raise RefusedError("proto.arguments", "'columns=' chooses what JSON has; ask for it by 'lsjobs.json'")
        told = partial(_told, request, listing.columns)
        if listing.starting:
            return told(self._starting(listing))
        if listing.columns and listing.of_active:
            return Reply(body=json_lines(short_rows(self._active(listing), listing.columns)))
        return Deferred.fromCoroutine(self._listed(listing)).addCallback(told)

    def _active(self, listing: Listing) -> Iterator[Seen]:
        """Yield the active jobs of *listing*, which is about nothing else."""
        brain, query = self._dispatcher.brain, listing.query
        reasons = Reasons(brain, self._dispatcher.now)
        numbers = sorted(brain.jobs)
        left = query.limit
        spec, text = None, ""
        for number in numbers[bisect_right(numbers, query.after) :]:
            job = brain.jobs[number]
            if is_task(number) or not left:
                return
            if query.user is not None and job.user != query.user:
                continue
            state, reason = self._told_state(job, reasons)
            if state in listing.states:
                if spec is None or job.spec is not text:
                    spec, text = accepted_spec(job.spec), job.spec
                left -= 1
                yield Seen(job, spec, state, reason)

    def _starting(self, listing: Listing) -> list[Shown]:
        """Return the views of the jobs of *listing* that wait, as they would start."""
        query, brain, now = listing.query, self._dispatcher.brain, self._dispatcher.now
        reasons, seen = Reasons(brain, now), []
        first = int(query.start.value or 0) if query.start is not None else 0
        waiting = islice(in_order_of_start(brain, query.user, now), first, MOST_STARTING)
        for rank, job in enumerate(waiting, first + 1):
            view = _brief(self.show(job, reasons)) if _fits(job, query) else {}
            if view and view["state"] in listing.states:
                view["cursor"] = show_position(BY_START, Position(rank, job.id))
                view["expected_start"] = self.expected_start(job.id)
                seen.append(view)
                if len(seen) >= query.limit:
                    break
        return seen

    async def _listed(self, listing: Listing) -> list[Shown]:
        """Return the views of the jobs of *listing*."""
        dispatcher, query = self._dispatcher, self._with_arrays(listing)
        seen: list[Shown] = []
        last = query.start is not None and query.start.id >= AFTER_ALL
        while not last and len(seen) < query.limit:
            page: list[Job] = await dispatcher.around.reader.run(partial(dispatcher.around.store.jobs, query))
            reasons = Reasons(dispatcher.brain, dispatcher.now)
            for job in page:
                view = _brief(self.show(dispatcher.brain.jobs.get(job.id, job), reasons))
                if view["state"] in listing.states and len(seen) < query.limit:
                    if listing.cursors:
                        view["cursor"] = show_position(query.order, position(job, query.order))
                    seen.append(view)
            last = len(page) < query.limit
            if not last:
                query = replace(query, start=position(page[-1], query.order))
        if last and query.array is not None and len(seen) < query.limit:
            seen += self._folded(listing)
        return seen

    def _with_arrays(self, listing: Listing) -> JobQuery:
        """Return the query with the arrays that count as running, though they wait with the tasks that have not
        started."""
        query = listing.query
        if "running" not in listing.states or not query.phases or Phase.PENDING in query.phases:
            return query
        arrays = self._dispatcher.brain.arrays.values()
        return replace(query, also=frozenset(job.id for job in arrays if self.state(job)[0] == "running"))

    # -- counts ---------------------------------------------------------------------------------------------------

    def _countjobs(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        listing = job_query(arguments, peer.user, self._dispatcher.rights_of(peer.user), "countjobs")
        plain = replace(listing.query, after=0, phases=frozenset())
        query = plain if plain.plain else self._with_arrays(listing)
        around = self._dispatcher.around
        found: Deferred[dict[Phase, int]] = around.reader.run(partial(around.store.counted, query))
        return found.addCallback(lambda phases: self._counts(request, listing._replace(query=query), phases))

    def _counts(self, request: Request, listing: Listing, phases: dict[Phase, int]) -> Reply:
        """Return how many jobs of *listing* are how, when so many are in these *phases* as the store has them."""
        counts = Counter({str(phase): count for phase, count in phases.items()})
        query = listing.query
        unseen = Counter(job.phase.value for job in self._unseen(query))
        counts.subtract(unseen)
        counts[UNREACHABLE] += unseen.total()
        for array, shown in self._arrays_shown(query):
            if _fits(array, query) and (not query.phases or array.phase in query.phases or array.id in query.also):
                counts[str(array.phase)] -= 1
                counts.update(shown)
        by_state = {state: counts[state] for state in STATES if counts[state] > 0 and state in listing.states}
        shown_all: Shown = {"total": sum(by_state.values()), "by_state": by_state}
        return as_reply(request, shown_all, as_lines(shown_all))

    def _unseen(self, query: JobQuery) -> Iterator[Job]:
        """Yield the jobs of *query* on hosts that are not reached; these may be all that run."""
        for session in self._dispatcher.brain.sessions.values():
            if session.link is Link.UP or (query.user is not None and session.user != query.user):
                continue
            if query.plain:
                yield from (job for job in session.jobs if query.each or not is_task(job.id))
                continue
            for job in session.jobs:
                if (not query.phases or job.phase in query.phases) and _fits(job, query):
                    yield job

    def _arrays_shown(self, query: JobQuery) -> Iterator[tuple[Job, dict[str, int]]]:
        """Yield the arrays that are not over, and as what they count instead of as their phase."""
        for array in self._dispatcher.brain.arrays.values():
            assert array.tasks is not None
            if query.each:
                waiting, held = array.tasks.waiting, array.tasks.count(HELD)
                held = waiting if array.phase is Phase.HELD else held
                yield array, {"pending": waiting - held, "held": held}
            else:
                yield array, {self.state(array)[0]: 1}

    def _folded(self, listing: Listing) -> list[Shown]:
        """Return those tasks of the array of *listing* that have no row of their own: a line for all that are alike."""
        query, states = listing.query, listing.states
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
        begin = query.start.id if query.start is not None else 0
        for place, (word, some) in enumerate(ranges.items(), AFTER_ALL):
            state = "pending" if word == "blocked" else word
            if some and state in states and place > begin:
                shown.append(self._fold(array, word, some))
                if listing.cursors:
                    shown[-1]["cursor"] = show_position(query.order, Position(None, place))
        return shown

    def _fold(self, array: Job, word: str, some: list[range]) -> Shown:
        text = show_ranges(some)
        task = new_task(task_id(array.id, some[0].start), array)
        task.phase = {"held": Phase.HELD, "cancelled": Phase.CANCELLED}.get(word, Phase.PENDING)
        reasons = Reasons(self._dispatcher.brain, self._dispatcher.now)
        view = _brief(self.show(task, reasons, waiting=word in ("pending", "blocked")))
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
        public, story = self.show(job, Reasons(brain, self._dispatcher.now)), show_story(job, spec, *read[1:3])
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

    def show(self, job: Job, reasons: Reasons, waiting: bool = False) -> Shown:
        """Return the public view of *job*, with the reason why it waits where it does (it is *waiting*)."""
        state, reason = self._told_state(job, reasons, waiting)
        return show_job(job, accepted_spec(job.spec), state, reason)

    def _told_state(self, job: Job, reasons: Reasons, waiting: bool = False) -> tuple[str, str]:
        brain = self._dispatcher.brain
        state, reason = self.state(job)
        if state == "pending" and (waiting or job.id in brain.jobs or array_of(job.id) in brain.jobs):
            reason = reasons.of(job)
        return state, reason or job.reason


def _told(request: Request, columns: tuple[str, ...], seen: list[Shown]) -> Reply:
    if columns:
        return Reply(body=json_lines([short_row(shown, columns) for shown in seen]))
    return as_reply(request, seen, [] if request.json else job_lines(seen))


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


def _fits(job: Job, query: JobQuery) -> bool:
    """Whether *job*, which has not ended, is one that *query* asks for, its phase and its array aside."""
    return (
        (query.user is None or job.user == query.user)
        and (query.name is None or fnmatchcase(job.name, query.name))
        and (query.account is None or job.account == query.account)
        and (query.host is None or job.host == query.host)
        and (query.text is None or has_text(job, query.text))
        and query.since is None and query.until is None
        and (query.overlap is None or (job.started_at is not None and job.started_at < query.overlap[1]))
        and (query.each or query.array is not None or not is_task(job.id))
    )  # fmt: skip


def _brief(shown: Shown) -> Shown:
    """Return *shown* with as much of a long command as a list needs: a thousand of them are one answer."""
    command = str(shown["command"])
    if len(command) > MOST_LISTED_COMMAND:
        shown["command"] = command[:MOST_LISTED_COMMAND] + "…"
    return shown
