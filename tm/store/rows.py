"""Jobs, hosts and records of the audit log as rows: what each column holds, and back. Shared by every store.

The row of a job ends with a checksum of all that is before it, within its last column: SQLite finds pages that were
damaged, not values. The law: a step of the schema that changes other columns of jobs takes that checksum away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from zlib import crc32

import msgspec

from tm.errors import StoreError
from tm.model.audit import Change
from tm.model.decided import HostMemo
from tm.model.demand import Demand, one_of
from tm.model.job import Job
from tm.model.phase import FINAL, Phase
from tm.model.sessions import Session
from tm.model.spec import JobSpec, accepted_spec
from tm.model.tasks import Tasks, TasksMemo

COLUMNS = (
    "id", "user", "spec", "signature", "phase", "reason", "attempt", "host", "spool", "command_number", "cancelled_by",
    "pid", "submitted_at", "started_at", "ended_at", "exit_code", "signal", "cpu_seconds", "max_rss",
    "gives_way", "name", "account", "cause", "cores", "memory", "gpus", "io_read", "io_written", "more",
)  # fmt: skip
CHANGE_COLUMNS = ("id", "at", "user", "verb", "kind", "name", "before", "after", "reason", "undoes")
Row = tuple[object, ...]


class More(msgspec.Struct, omit_defaults=True):
    """What few jobs have; fields as in `Job`. *demand* and *priority* stand here where they were changed, *dependency*
    where it is not over."""

    demand: Demand | None = None
    priority: int | None = None
    dependency: str = ""
    not_before: float | None = None
    deadline: float | None = None
    held_by: str | None = None
    suspended_by: str | None = None
    boost: int = 0
    retried: int = 0
    cpus: tuple[int, ...] = ()
    gpu_ids: tuple[int, ...] = ()
    rung: str = ""
    told: int = 0
    tasks: TasksMemo | None = None


_SUM = '"sum":'
_KEPT = ("dependency", "held_by", "suspended_by", "boost", "retried", "cpus", "gpu_ids", "rung", "told")
_encode = msgspec.json.Encoder().encode
_decode_more = msgspec.json.Decoder(More).decode


def row_of(job: Job) -> Row:
    """Return the row of *job*, in the order of `COLUMNS`."""
    demand = job.demand
    plain = (
        job.id, job.user, job.spec, job.signature, job.phase.value, job.reason, job.attempt, job.host, job.spool,
        job.command_number, job.cancelled_by, job.pid, _real(job.submitted_at), _real(job.started_at),
        _real(job.ended_at), job.exit_code, job.signal, _real(job.cpu_seconds), job.max_rss, job.gives_way, job.name,
        job.account, job.cause, demand.cores, demand.memory, demand.gpus, job.io_read, job.io_written,
    )  # fmt: skip
    more = _more(job)
    return (*plain, f"{more[:-1]}{',' if len(more) > 2 else ''}{_SUM}{_checksum(plain, more)}}}")


def _checksum(plain: Row, more: str) -> int:
    try:
        return crc32(more.encode(), crc32(_encode(plain)))
    except UnicodeEncodeError:
        return 0  # no column can hold that text, as the commit will say


def _real(value: float | None) -> float | None:
    """Return *value* as a column of real numbers gives it back."""
    return None if value is None else float(value)


def _intact(row: Row) -> str:
    """Return the last column of *row* without its checksum; raise `ValueError` where that is another one."""
    head, mark, tail = str(row[-1] or "{}").rpartition(_SUM)
    if not mark:
        return tail  # written before there were checksums
    more = head.removesuffix(",") + "}"
    if tail[:-1] != str(_checksum(row[:-1], more)):
        raise ValueError("its checksum is another one")
    return more


def _more(job: Job) -> str:
    demand, priority = (job.demand, job.priority) if job.changed else (None, None)
    more = More(
        demand, priority, job.dependency, job.not_before or None, job.deadline or None, job.held_by, job.suspended_by,
        job.boost, job.retried, job.cpus, job.gpu_ids, job.rung, job.told,
        None if job.tasks is None else job.tasks.memo(),
    )  # fmt: skip
    return _encode(more).decode()


def job_of(row: Row) -> Job:
    """Return the job that *row* describes; an array has its tasks as the row says, not yet as theirs do.

    Raises `StoreError` ``store.corrupt`` for a row that was damaged.
    """
    try:
        return _job_of((*row[:-1], _intact(row)))
    except (ValueError, msgspec.MsgspecError) as error:
        text = f"what the store has of job {row[0]} is damaged ({error}); restore the store from a copy"
        raise StoreError("store.corrupt", text) from None


def _job_of(row: Row) -> Job:
    values = dict(zip(COLUMNS, row, strict=True))
    spec = accepted_spec(str(values["spec"]))
    values["phase"] = phase = Phase(str(values["phase"]))
    for column in ("user", "name", "account"):
        values[column] = intern(str(values[column]))
    more = _decode_more(str(values.pop("more")))
    for column in ("cores", "memory", "gpus"):
        del values[column]
    job = Job(
        demand=spec.demand() if more.demand is None else one_of(more.demand),
        priority=spec.priority if more.priority is None else more.priority, changed=more.demand is not None,
        interactive=spec.interactive, environment=intern(spec.environment), requeue=spec.requeue or spec.scavenge,
        not_before=more.not_before or 0.0, deadline=more.deadline or 0.0, family=intern(spec.family),
        notify=bool(spec.notify),
        **{name: getattr(more, name) for name in _KEPT}, **values,  # type: ignore[arg-type]
    )  # fmt: skip
    if more.tasks is not None:
        job.tasks = _tasks(spec, more.tasks, phase)
    return job


def jobs_of(rows: Iterable[Row]) -> list[Job]:
    """Return the jobs that *rows* describe; alike ones that stand side by side share the text of their request."""
    jobs: list[Job] = []
    for row in rows:
        job = job_of(row)
        if jobs and jobs[-1].spec == job.spec:
            job.spec = jobs[-1].spec
        jobs.append(job)
    return jobs


def _tasks(spec: JobSpec, memo: TasksMemo, phase: Phase) -> Tasks:
    tasks = Tasks(spec.array, memo.cap)
    if phase in FINAL:
        tasks.ended_as({Phase(name): count for name, count in memo.ended.items()})
    else:
        tasks.recall(memo)
    return tasks


def began(arrays: Iterable[Job], rows: Mapping[int, Iterable[tuple[int, Phase]]]) -> None:
    """Let *arrays* know how their tasks are that have *rows* of their own: (index, phase) by array."""
    for job in arrays:
        if job.tasks is not None:
            job.tasks.began(rows.get(job.id, ()))


def row_of_memo(memo: HostMemo) -> Row:
    """Return the row of what is remembered of a host: its name and the rest as JSON."""
    return memo.name, msgspec.json.encode(memo).decode()


def memo_of(row: Row) -> HostMemo:
    """Return what is remembered of the host that *row* describes."""
    return msgspec.json.decode(str(row[1]), type=HostMemo)


def row_of_session(session: Session) -> Row:
    """Return the row of a session of the web interface: its id and all of it as JSON."""
    return session.id, msgspec.json.encode(session).decode()


def session_of(row: Row) -> Session:
    """Return the session that *row* describes."""
    return msgspec.json.decode(str(row[1]), type=Session)


def row_of_change(change: Change) -> Row:
    """Return the row of *change*, in the order of `CHANGE_COLUMNS`."""
    return (
        change.id, change.at, change.user, change.verb, change.kind, change.name, _text(change.before),
        _text(change.after), change.reason, change.undoes,
    )  # fmt: skip


def change_of(row: Row) -> Change:
    """Return the record of the audit log that *row* describes."""
    values = dict(zip(CHANGE_COLUMNS, row, strict=True))
    for column in ("before", "after"):
        text = values[column]
        values[column] = None if text is None else msgspec.json.decode(str(text))
    return Change(**values)  # type: ignore[arg-type]


def _text(table: object) -> str | None:
    return None if table is None else msgspec.json.encode(table).decode()
