"""The store in dictionaries: forgets at the end of the process; passes the contract of every store."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import msgspec

from tm.errors import StoreError
from tm.model.accounting import Use, UseQuery
from tm.model.audit import Change
from tm.model.cluster import Spool
from tm.model.effects import Attempt, JobEvent, Message, Records
from tm.model.ids import is_task
from tm.model.job import Job
from tm.model.paging import has_text, sort_key
from tm.model.phase import ACTIVE, Phase
from tm.ports import JobQuery, Loaded, StoreSize
from tm.store.rows import (
    began,
    change_of,
    job_of,
    memo_of,
    row_of,
    row_of_change,
    row_of_memo,
    row_of_session,
    session_of,
)


class MemoryStore:
    """A `JobStore` without a file."""

    def __init__(self) -> None:
        self._epoch = 0
        self._jobs: dict[int, tuple[object, ...]] = {}
        self._spools: dict[str, Spool] = {}
        self._submissions: dict[tuple[str, str], range] = {}
        self._environments: dict[str, str] = {}
        self._changes: dict[int, tuple[object, ...]] = {}
        self._memos: dict[str, tuple[object, ...]] = {}
        self._known: str | None = None
        self._attempts: dict[tuple[int, int], Attempt] = {}
        self._events: list[JobEvent] = []
        self._shares: dict[str, tuple[float, float]] = {}
        self._families: dict[str, str] = {}
        self._messages: dict[int, Message] = {}
        self._sessions: dict[str, tuple[object, ...]] = {}

    def load(self) -> Loaded:
        """Begin a new epoch and return all that is active."""
        self._epoch += 1
        jobs = [job_of(row) for _, row in sorted(self._jobs.items())]
        active = [job for job in jobs if job.phase in ACTIVE]
        spools = [msgspec.structs.replace(spool) for spool in self._spools.values()]
        arrays = [job for job in active if job.tasks is not None]
        began(arrays, {job.id: [(j.index or 0, j.phase) for j in jobs if j.array == job.id] for job in arrays})
        next_id = max((number for number in self._jobs if not is_task(number)), default=0) + 1
        next_change = max(self._changes, default=0) + 1
        memos = [memo_of(row) for row in self._memos.values()]
        return Loaded(
            self._epoch, next_id, active, spools, next_change, memos, self._known, dict(self._shares),
            dict(self._families), [message for _, message in sorted(self._messages.items())],
            sorted(map(session_of, self._sessions.values()), key=lambda one: one.made_at),
        )  # fmt: skip

    def prepare(self, records: Records) -> bytes:
        """Return *records* as they are now."""
        jobs = [row_of(job) for job in {**records.changed, **records.new}.values()]
        spools = [msgspec.to_builtins(spool) for spool in records.spools.values()]
        changes = [row_of_change(change) for change in records.changes]
        memos = [row_of_memo(memo) for memo in records.memos.values()]
        rest = [records.submissions, records.environments, changes, memos, records.known]
        told = [records.attempts, records.events, records.shares, records.families, records.messages, records.sent]
        sessions = [row_of_session(one) for one in records.sessions.values()]
        return msgspec.json.encode([jobs, spools, *rest, *told, sessions, records.ended])

    def commit(self, batch: bytes) -> None:
        """Keep a prepared batch; raise `StoreError` and keep nothing of it when it uses a submit token again."""
        jobs, spools, submissions, environments, changes, memos, known, *told = msgspec.json.decode(batch)
        tokens = [(user, token) for user, token, _, _ in submissions]
        if len(set(tokens)) < len(tokens) or any(token in self._submissions for token in tokens):
            raise StoreError("store.io", f"a submit token of {tokens} was used before; nothing was accepted")
        numbers = [row[0] for row in changes]
        if len(set(numbers)) < len(numbers) or any(number in self._changes for number in numbers):
            raise StoreError("store.io", f"a record of the audit log is there already: {numbers}")
        self._jobs.update((row[0], tuple(row)) for row in jobs)
        self._spools.update((spool["id"], Spool(**spool)) for spool in spools)
        self._submissions.update(((u, t), range(first, first + n)) for u, t, first, n in submissions)
        self._environments = {**environments, **self._environments}
        self._changes.update((row[0], tuple(row)) for row in changes)
        self._memos.update((row[0], tuple(row)) for row in memos)
        self._known = self._known if known is None else known
        attempts, events, shares, families, messages, sent, sessions, ended = told
        self._attempts.update(((row[0], row[1]), Attempt(*row)) for row in attempts)
        self._events += [JobEvent(*row) for row in events]
        self._shares.update((user, tuple(share)) for user, share in shares.items())
        self._families.update(families)
        self._families = {name: learned for name, learned in self._families.items() if learned}
        self._messages.update((row[0], Message(*row)) for row in messages)
        for number in sent:
            self._messages.pop(number, None)
        self._sessions.update((row[0], tuple(row)) for row in sessions)
        for id in ended:
            self._sessions.pop(id, None)

    def submission(self, user: str, token: str) -> range | None:
        """Return the ids that were given to this token, or None."""
        return self._submissions.get((user, token))

    def environment(self, digest: str) -> str | None:
        """Return the text of an environment, or None."""
        return self._environments.get(digest)

    def job(self, number: int) -> Job | None:
        """Return a job as it was last committed, or None."""
        row = self._jobs.get(number)
        return job_of(row) if row else None

    def jobs(self, query: JobQuery) -> list[Job]:
        """Return the first jobs of *query*, at most its limit, in its order."""
        found = [job for job in self._meant(query) if job.id > query.after]
        found.sort(key=lambda job: sort_key(job, query.order), reverse=query.descending)
        if query.start is not None:
            edge, turned = query.start.key, query.descending
            keys = ((job, sort_key(job, query.order)) for job in found)
            found = [job for job, key in keys if (key < edge if turned else key > edge)]
        return found[: query.limit]

    def counted(self, query: JobQuery) -> dict[Phase, int]:
        """Return how many jobs there are of *query* in each phase."""
        return dict(Counter(job.phase for job in self._meant(query)))

    def _meant(self, query: JobQuery) -> list[Job]:
        return [job for job in map(job_of, self._jobs.values()) if _matches(job, query)]

    def begun(self, array: int) -> list[tuple[int, Phase]]:
        """Return (index, phase) of the tasks of *array* that have started."""
        jobs = (job_of(self._jobs[number]) for number in sorted(self._jobs) if is_task(number))
        return [(job.index or 0, job.phase) for job in jobs if job.array == array]

    def attempts(self, number: int) -> list[Attempt]:
        """Return the attempts of a job that another one followed, the first first."""
        return [attempt for key, attempt in sorted(self._attempts.items()) if key[0] == number]

    def events(self, number: int) -> list[JobEvent]:
        """Return the story of a job, the first event first."""
        return sorted((event for event in self._events if event.job == number), key=lambda event: event.at)

    def uses(self, query: UseQuery) -> list[Use]:
        """Return what jobs used by user, account and month, one by one."""
        jobs = {number: job_of(row) for number, row in self._jobs.items()}
        found = [_use(job, job.phase, job) for job in jobs.values() if job.ended_at is not None and job.tasks is None]
        found += [_use(jobs[attempt.job], None, attempt) for attempt in self._attempts.values()]
        return [use for at, use in found if query.since <= at < query.until and _asked(use, query)]

    def archive(self, before: float) -> int:
        """Nothing is in the way here."""
        return 0

    def change(self, number: int) -> Change | None:
        """Return a record of the audit log, or None."""
        row = self._changes.get(number)
        return change_of(row) if row else None

    def changes(self, limit: int) -> list[Change]:
        """Return the last *limit* records of the audit log, ascending by number."""
        numbers = sorted(self._changes)[-limit:] if limit > 0 else []
        return [change_of(self._changes[number]) for number in numbers]

    def size(self) -> StoreSize:
        """Return how many jobs there are."""
        return StoreSize(jobs=len(self._jobs))

    def close(self) -> None:
        """Nothing to let go of."""


def _asked(use: Use, query: UseQuery) -> bool:
    return query.user in ("", use.user) and query.group in ("", use.group)


def _use(job: Job, phase: Phase | None, ran: Job | Attempt) -> tuple[float, Use]:
    """Return when *ran*, the *job* itself or an earlier attempt of it, ended, and what it used."""
    ended = ran.ended_at or 0.0
    seconds = 0.0 if ran.started_at is None else ended - ran.started_at
    waited = (
        0.0 if phase is None else max(0.0, (ended if job.started_at is None else job.started_at) - job.submitted_at)
    )
    month = datetime.fromtimestamp(ended, UTC).strftime("%Y-%m")
    good, bad = phase is Phase.COMPLETED, phase not in (None, Phase.COMPLETED, Phase.CANCELLED)
    return ended, Use(
        job.user, job.account, month, int(phase is not None), int(good), int(bad), seconds * job.cores,
        ran.cpu_seconds or 0.0, seconds * job.demand.gpus, waited, ran.max_rss or 0,
    )  # fmt: skip


def _matches(job: Job, query: JobQuery) -> bool:
    return (
        (query.user is None or job.user == query.user)
        and (not query.phases or job.phase in query.phases or job.id in query.also)
        and (query.name is None or fnmatchcase(job.name, query.name))
        and _of_kind(job, query)
        and (query.account is None or job.account == query.account)
        and (query.host is None or job.host == query.host)
        and (query.since is None or (job.ended_at is not None and job.ended_at >= query.since))
        and (query.until is None or (job.ended_at is not None and job.ended_at < query.until))
        and (query.overlap is None or _ran_within(job, *query.overlap))
        and (not query.text or has_text(job, query.text))
    )


def _of_kind(job: Job, query: JobQuery) -> bool:
    if query.array is not None or not query.each:
        return job.array == query.array
    return job.tasks is None or job.phase in ACTIVE


def _ran_within(job: Job, since: float, until: float) -> bool:
    began, ended = job.started_at, job.ended_at
    return began is not None and began < until and (ended is None or ended >= since)
