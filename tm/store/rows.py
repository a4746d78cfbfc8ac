"""Jobs, hosts and records of the audit log as rows: what each column holds, and back. Shared by every store."""

from __future__ import annotations

import msgspec

from tm.model.audit import Change
from tm.model.decided import HostMemo
from tm.model.job import Job, Phase, accepted_spec

COLUMNS = (
    "id", "user", "spec", "signature", "phase", "reason", "attempt", "host", "spool", "command_number", "cancelled_by",
    "pid", "submitted_at", "started_at", "ended_at", "exit_code", "signal", "cpu_seconds", "max_rss",
    "gives_way",
)  # fmt: skip
CHANGE_COLUMNS = ("id", "at", "user", "verb", "kind", "name", "before", "after", "reason", "undoes")
Row = tuple[object, ...]


def row_of(job: Job) -> Row:
    """Return the row of *job*, in the order of `COLUMNS`."""
    return (
        job.id, job.user, job.spec, job.signature, job.phase.value, job.reason, job.attempt, job.host, job.spool,
        job.command_number, job.cancelled_by, job.pid, job.submitted_at, job.started_at, job.ended_at, job.exit_code,
        job.signal, job.cpu_seconds, job.max_rss, job.gives_way,
    )  # fmt: skip


def job_of(row: Row) -> Job:
    """Return the job that *row* describes."""
    values = dict(zip(COLUMNS, row, strict=True))
    spec = accepted_spec(str(values["spec"]))
    values["phase"] = Phase(str(values["phase"]))
    return Job(
        cores=spec.cores, memory=spec.memory, priority=spec.priority, hosts=tuple(spec.hosts),
        interactive=spec.interactive, environment=spec.environment, requeue=spec.requeue, **values,  # type: ignore[arg-type]
    )  # fmt: skip


def row_of_memo(memo: HostMemo) -> Row:
    """Return the row of what is remembered of a host: its name and the rest as JSON."""
    return memo.name, msgspec.json.encode(memo).decode()


def memo_of(row: Row) -> HostMemo:
    """Return what is remembered of the host that *row* describes."""
    return msgspec.json.decode(str(row[1]), type=HostMemo)


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
