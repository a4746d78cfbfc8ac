"""The signed requests of jobs, given back to their user's server, which submits them again.

Only what a user has signed themselves is given, and only to them: whoever holds the texts can do nothing with them but
let that user's jobs run once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from tm.daemon.answers import Answer, Spoken, json_line
from tm.daemon.dispatcher import Dispatcher
from tm.errors import RefusedError
from tm.model.ids import array_of, index_of, is_task, show_ranges, shown_id
from tm.model.job import Job
from tm.model.phase import FINAL, Phase
from tm.model.selection import Selection, as_ranges
from tm.model.spec import accepted_spec
from tm.model.tasks import CODE_OF, Tasks
from tm.ports import JobQuery, JobStore, Peer
from tm.wire.message import Reply, Request

FAILED: Final = FINAL - {Phase.COMPLETED, Phase.CANCELLED}
MOST_TEXTS: Final = 10_000
_PAGE: Final = 1000


class JobText(msgspec.Struct, omit_defaults=True):
    """One request: the job it is of, as it is shown, its signed *text* and signature; of an array the *tasks* meant,
    where not all are."""

    id: str
    text: str
    sig: str
    tasks: str = ""


class TextVerbs:
    """The verb by which a user's server asks for the requests of jobs."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"jobtexts": self._jobtexts}

    def _jobtexts(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        if arguments[1:] not in ([], ["failed"], ["read"]):
            raise RefusedError("proto.arguments", f"'{arguments[1]:.40}': expected 'failed', 'read', or nothing")
        dispatcher = self._dispatcher
        selection = Selection(arguments[0], peer.user)
        if selection.owner not in (None, peer.user):
            raise RefusedError("perm.denied", "only one's own jobs can be run again: their user has signed them")
        if selection.named and selection.filters:
            raise RefusedError("proto.arguments", "name the jobs to run again by ids or by filters, not by both")
        if selection.array is not None:
            selection.plain[selection.array] = None
        known = {number: dispatcher.brain.jobs.get(number) for number in {*selection.plain, *selection.tasks}}
        active = {number: job for number, job in known.items() if job is not None}
        mine = {number: job.tasks for number, job in active.items() if job.tasks is not None and job.user == peer.user}
        failed = {number: _failed(tasks) for number, tasks in mine.items()} if "failed" in arguments[1:] else None
        again = "read" not in arguments[1:]
        texts = Texts(dispatcher.around.store, selection, peer.user, active, failed, again)
        answer: Answer = dispatcher.around.reader.run(texts.reply)
        return answer


class Texts:
    """The answer to one question: what *selection* means of the jobs of *user*; only what has failed where *failed*
    says which tasks of the *active* arrays have; to be run *again*, or just to be read. `reply` may be called in
    another thread."""

    def __init__(
        self,
        store: JobStore,
        selection: Selection,
        user: str,
        active: Mapping[int, Job],
        failed: Mapping[int, list[int]] | None,
        again: bool = True,
    ) -> None:
        self._store = store
        self._selection = selection
        self._user = user
        self._active = active
        self._failed = failed
        self._again = again

    def reply(self) -> Reply:
        """Return the requests, one a line; raise `RefusedError` for what is not there or cannot be run again."""
        texts = [text for job, ranges in self._jobs() for text in self._texts(job, ranges)]
        if not texts:
            said = "no job is picked by that" if self._failed is None else "none of these has failed"
            raise RefusedError("job.state", f"{said}: there is nothing to run again")
        if len(texts) > MOST_TEXTS:
            raise RefusedError("limit.ids", f"at most {MOST_TEXTS:,} jobs are run again at once; name fewer")
        return Reply(str(len(texts)), [json_line(text) for text in texts])

    def _jobs(self) -> Iterator[tuple[Job, list[range] | None]]:
        """Yield each job that is meant, and which of its tasks; None: all."""
        selection = self._selection
        for number in selection.plain:
            yield self._job(number), None
        for number, ranges in selection.tasks.items():
            if number not in selection.plain:
                yield self._job(number), ranges
        if not selection.named and selection.array is None:
            given, states = selection.filters, selection.states or frozenset()
            query = JobQuery(
                user=self._user, phases=frozenset(phase for phase in Phase if phase in states), name=given.get("name"),
                host=given.get("host"), account=given.get("account"), limit=MOST_TEXTS + 1,
            )  # fmt: skip
            for job in self._store.jobs(query):
                if not job.interactive:
                    yield job, None

    def _job(self, number: int) -> Job:
        job = self._active.get(number) or self._store.job(number)
        if job is None or job.user != self._user:
            raise RefusedError("job.unknown", f"there is no job {shown_id(number)} of yours that could be run again")
        return job

    def _texts(self, job: Job, ranges: list[range] | None) -> Iterator[JobText]:
        """Yield the request of *job*, unless nothing of it is meant."""
        shown = str(shown_id(array_of(job.id)))
        if self._again and job.interactive:
            raise RefusedError("job.state", f"job {shown} was a command that ran now; run it again with hRun")
        if self._again and self._store.environment(job.environment) is None:
            raise RefusedError("job.state", f"the environment of job {shown} is no longer kept; submit it anew")
        indices = accepted_spec(job.spec).array
        if not indices and ranges is not None:
            raise RefusedError("job.unknown", f"job {shown} is no array: it has no tasks")
        if not indices:
            if self._failed is None or job.phase in FAILED:
                yield JobText(shown, job.spec, job.signature)
            return
        wanted = self._wanted(job, Tasks(indices), ranges)
        if wanted is None or wanted:
            yield JobText(shown, job.spec, job.signature, show_ranges(wanted or []))

    def _wanted(self, array: Job, tasks: Tasks, ranges: list[range] | None) -> list[range] | None:
        """Return those tasks of *array* that are meant, None for all of them."""
        if is_task(array.id):
            ranges = [range(index_of(array.id) or 0, (index_of(array.id) or 0) + 1)]
        for end in (end for one in ranges or () for end in (one[0], one[-1])):
            if end not in tasks:
                raise RefusedError(
                    "job.unknown", f"array {array_of(array.id)} has no task {end}; its tasks are {tasks.indices:.200}"
                )
        if self._failed is None:
            return ranges
        asked = {index for one in ranges for index in one} if ranges is not None else None
        failed = self._failed_of(array.id)
        return as_ranges(sorted(index for index in failed if asked is None or index in asked))

    def _failed_of(self, array: int) -> list[int]:
        """Return the indices of those tasks of *array* that have failed."""
        if self._failed is not None and array in self._failed:
            return self._failed[array]
        found: list[int] = []
        query = JobQuery(phases=FAILED, array=array, limit=_PAGE)
        while True:
            page = self._store.jobs(query)
            found += [job.index or 0 for job in page]
            if len(page) < _PAGE:
                return found
            query = replace(query, after=page[-1].id)


def _failed(tasks: Tasks) -> list[int]:
    return [index for phase in FAILED for one in tasks.ranges(CODE_OF[phase]) for index in one]
