"""What is shown of a job and a host: plain values, times as ISO 8601 in UTC, sizes in bytes."""

from __future__ import annotations

import os.path
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import to_builtins

from tm.model.cluster import UNLIMITED_MEMORY, HostState, Link, Session
from tm.model.condition import RECEIVING, Condition, Info
from tm.model.ids import array_of, is_task, shown_id
from tm.model.job import Job
from tm.model.phase import ON_HOST, Phase
from tm.model.report import About, HostReport
from tm.model.spec import JobSpec, bundle_path, filled
from tm.model.tasks import ACTIVE, Tasks

Shown = dict[str, object]


def shown_time(at: float | None) -> str | None:
    """Return *at*, seconds since the epoch, as ``2026-11-22T14:02:03.123Z``."""
    if at is None:
        return None
    second, microseconds = divmod(round(at * 1_000_000), 1_000_000)
    return f"{_shown_second(second)}.{microseconds // 1000:03}Z"


@lru_cache(maxsize=256)
def _shown_second(second: int) -> str:
    """Return *second* as ``2026-11-22T14:02:03``; many things happen in one."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


def job_fields(job: Job, session: Session | None) -> Shown:
    """Return the event line's fields of a job that changed, all but when; *session* is its user's server on its
    host."""
    state, reason = shown_state(job, session)
    return {
        "id": shown_id(job.id), "user": job.user, "state": state, "host": job.host, "exit_code": job.exit_code,
        "signal": job.signal, "reason": reason, **_place(job),
    }  # fmt: skip


def show_job(job: Job, spec: JobSpec, state: str = "", reason: str = "") -> Shown:
    """Return the public view of a job; *state* and *reason* replace the job's own where the cluster knows better."""
    return {
        "id": shown_id(job.id), "name": spec.shown_name, "user": job.user, "state": state or str(job.phase),
        "reason": reason or job.reason, "host": job.host, "attempt": job.attempt, "exit_code": job.exit_code,
        "signal": job.signal, "command": spec.shown_command, "cwd": spec.cwd, "stdout": _path(job, spec, spec.stdout),
        "stderr": _path(job, spec, spec.stderr or spec.stdout), "submitted_at": shown_time(job.submitted_at),
        "started_at": shown_time(job.started_at), "ended_at": shown_time(job.ended_at), "cpu_seconds": job.cpu_seconds,
        "max_rss": job.max_rss, "cores": job.cores, "memory": job.memory, "priority": job.priority,
        "cause": job.cause, **_place(job), **_bundled(job, spec),
    }  # fmt: skip


def _place(job: Job) -> Shown:
    """Return what is shown of an array: its tasks and how many of them are how; of a task: its array and index."""
    if job.tasks is not None:
        return {"tasks": show_tasks(job.tasks)}
    return {"array": job.array, "task": job.index} if is_task(job.id) else {}


def show_tasks(tasks: Tasks | None) -> Shown | None:
    """Return what is shown of the tasks of an array; None of what is none."""
    if tasks is None:
        return None
    counts: dict[str, int] = {"waiting": tasks.waiting, "active": tasks.count(ACTIVE)}
    counts.update((str(phase), count) for phase, count in tasks.ended().items())
    shown = {word: count for word, count in counts.items() if count}
    return {"indices": tasks.indices, "total": tasks.total, "cap": tasks.cap, **shown}


def _bundled(job: Job, spec: JobSpec) -> Shown:
    """Return where the outputs of all tasks go, where that is one file."""
    if not spec.bundle:
        return {}
    path = bundle_path(spec, array_of(job.id))
    return {"bundle": path, "stdout": path, "stderr": path}


def _path(job: Job, spec: JobSpec, pattern: str | None) -> str | None:
    if pattern is None:
        return None
    if job.host is not None:
        pattern = filled(pattern, job.id, spec.shown_name, job.host, job.user)
    return os.path.normpath(os.path.join(spec.cwd, pattern))


def shown_state(job: Job, session: Session | None) -> tuple[str, str]:
    """Return the state users see and its reason: a job whose host is not reached is *unreachable*."""
    if job.tasks is not None and job.phase is Phase.PENDING and job.tasks.count(ACTIVE):
        return "running", ""
    if job.phase in ON_HOST and (session is None or session.link is not Link.UP):
        since = shown_time(session.since) if session and session.since else "the dispatcher's start"
        why = session.reason if session else "its host has not been heard of"
        return "unreachable", f"not reached since {since}: {why or 'its server there has not connected yet'}"
    return str(job.phase), job.reason


def show_host(host: HostState, sessions: list[Session], condition: Condition, info: Info) -> Shown:
    """Return the public view of a host in this *condition*, its users' servers and its InfoServer included."""
    config = host.config
    free = max(0, host.cores - host.used_cores)
    whole, offered = (None if size == UNLIMITED_MEMORY else size for size in (host.whole_memory, host.memory))
    return {
        "name": host.name, "state": str(condition.state), "reason": condition.reason, "address": config.address,
        "launcher": config.launcher, "cores": host.whole_cores, "used_cores": host.used_cores,
        "memory": whole, "used_memory": host.used_memory, "jobs": sum(len(s.occupying) for s in sessions),
        "servers": [
            {"user": s.user, "link": str(s.link), "reason": s.reason, "survives": s.survives} for s in sessions
        ],
        "remedy": condition.remedy, "since": shown_time(condition.since or None),
        "vacant": condition.state in RECEIVING and free > 0 and not host.alone, "free_cores": free,
        "offered_cores": host.cores, "offered_memory": offered, "group": config.group,
        "features": list(config.features),
        "policy": str(config.policy), "gpu_count": host.gpu_count, "free_gpus": max(0, host.free_gpus),
        "consumables": {
            name: {"whole": count, "used": host.used_consumables.get(name, 0)}
            for name, count in config.consumables.items()
        },
        "exclusive": bool(host.alone), **_measured(host.about, host.report),
        "info": {
            "state": info.state, "reason": info.reason, "port": info.port or None, "version": info.version,
            "survives": info.survives,
        },
    }  # fmt: skip


def _measured(about: About | None, report: HostReport | None) -> Shown:
    """Return what an InfoServer says of its host; null where none says it."""
    fields = ("cpu_ours", "cpu_others", "memory_available", "logged_in", "console_idle")
    gpus = report.gpus if report is not None else about.gpus if about is not None else []
    return {
        "gpus": [to_builtins(gpu) for gpu in gpus], "memory_total": about.memory if about is not None else None,
        "load": list(report.load) if report is not None else None,
        **{field: getattr(report, field) if report is not None else None for field in fields},
    }  # fmt: skip
