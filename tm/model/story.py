"""The story of one job: what was asked and what holds, its attempts, and what happened when. Plain values to show."""

from __future__ import annotations

from collections.abc import Iterable

from tm.model.changing import holding
from tm.model.effects import Attempt, JobEvent
from tm.model.ids import show_ranges, shown_id
from tm.model.job import Job
from tm.model.lifecycle import CAUSES
from tm.model.phase import FINAL, Phase
from tm.model.spec import JobSpec
from tm.model.tasks import ACTIVE, BLOCKED, HELD, PHASE_OF, READY
from tm.model.views import Shown, shown_time

UNTOLD = frozenset({"user", "command", "cwd", "environment", "script", "stdout", "stderr"})
"""What of a request is shown elsewhere, or too long."""
_CHANGEABLE = (
    "cores", "memory", "gpus", "time", "hosts", "exclude", "constraint", "prefer", "exclusive", "layout", "consumables",
    "priority", "begin", "deadline", "dependency", "array_cap",
)  # fmt: skip
MOST_LETTERS = 2000


def show_story(job: Job, spec: JobSpec, attempts: Iterable[Attempt], events: Iterable[JobEvent]) -> Shown:
    """Return what is known of *job* beside its public view: request, limits, attempts that are over, timeline."""
    shown = list(attempts)
    return {
        "cause_text": CAUSES.get(job.cause, ""), "cancelled_by": job.cancelled_by, "held_by": job.held_by,
        "suspended_by": job.suspended_by, "boost": job.boost, "retried": job.retried, "account": job.account,
        "pid": job.pid, "gpus": job.demand.gpus, "time": job.demand.time or None, "cpus": list(job.cpus),
        "gpu_ids": list(job.gpu_ids), "rung": job.rung, "io_read": job.io_read, "io_written": job.io_written,
        "dependency": job.dependency, "begin": shown_time(job.not_before or None),
        "deadline": shown_time(job.deadline or None), "asked": asked(spec), "changed": changed(job, spec),
        "script": bool(spec.script), "attempts": [show_attempt(attempt) for attempt in shown],
        "events": timeline(job, shown, events),
        **({"indices": indices(job)} if job.tasks is not None else {}),
    }  # fmt: skip


def asked(spec: JobSpec) -> Shown:
    """Return what was asked for beyond the usual."""
    usual = JobSpec("", "", "", "")
    values = {name: getattr(spec, name) for name in JobSpec.__struct_fields__ if name not in UNTOLD}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}


def changed(job: Job, spec: JobSpec) -> Shown:
    """Return what holds now of *job* that is other than asked in *spec*, by the names of requests."""
    if not job.changed:
        return {}
    now = holding(job)
    names: tuple[str, ...] = _CHANGEABLE if job.phase in (Phase.PENDING, Phase.HELD) else _CHANGEABLE[:12]
    if job.tasks is None:
        names = tuple(name for name in names if name != "array_cap")
    return {name: getattr(now, name) for name in names if getattr(now, name) != getattr(spec, name)}


def show_attempt(attempt: Attempt) -> Shown:
    """Return the public view of an *attempt* that another one followed."""
    return {
        "attempt": attempt.attempt, "host": attempt.host, "started_at": shown_time(attempt.started_at),
        "ended_at": shown_time(attempt.ended_at), "exit_code": attempt.exit_code, "signal": attempt.signal,
        "cause": attempt.cause, "reason": attempt.reason, "cpu_seconds": attempt.cpu_seconds,
        "max_rss": attempt.max_rss,
    }  # fmt: skip


def timeline(job: Job, attempts: Iterable[Attempt], events: Iterable[JobEvent]) -> list[Shown]:
    """Return what happened to *job*, the first first: what was written down, and what its fields tell."""
    told = [(job.submitted_at, "submitted", f"by {job.user}")]
    for attempt in attempts:
        if attempt.started_at is not None:
            told.append((attempt.started_at, "started", f"attempt {attempt.attempt} on {attempt.host}"))
        told.append((attempt.ended_at, "over", f"attempt {attempt.attempt}: {attempt.reason or attempt.cause}"))
    if job.started_at is not None:
        where = f"attempt {job.attempt} on {job.host}" if job.tasks is None else "the first of its tasks"
        told.append((job.started_at, "started", where))
    told += [(event.at, event.what, event.text) for event in events]
    told.sort(key=lambda one: one[0])
    if job.phase in FINAL and job.ended_at is not None:
        told.append((job.ended_at, str(job.phase), job.reason or CAUSES.get(job.cause, "")))
    return [{"at": shown_time(at), "what": what, "text": text} for at, what, text in told]


def indices(array: Job) -> Shown:
    """Return which tasks of *array* are how, as people write them; nothing where nobody has looked that up."""
    tasks = array.tasks
    if tasks is None:
        return {}
    waiting = Phase.HELD if array.phase is Phase.HELD else Phase.PENDING
    words = {READY: str(waiting), BLOCKED: "blocked", HELD: "held", ACTIVE: "active"}
    words |= {code: str(phase) for code, phase in PHASE_OF.items()}
    codes: dict[str, list[int]] = {}
    for code, word in words.items():
        if tasks.count(code):
            codes.setdefault(word, []).append(code)
    shown = {word: show_ranges(tasks.among(tasks.everything, some)) for word, some in codes.items()}
    return {
        word: text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + "…" for word, text in shown.items() if text
    }


def story_lines(shown: Shown) -> list[str]:
    """Return the timeline in *shown* as lines of text."""
    events = shown.get("events")
    assert isinstance(events, list)
    return [f"{event['at']}  {event['what']:<10} {event['text']}".rstrip() for event in events]


def shown_tasks(array: Job, what: str) -> str:
    """Return *what* tasks of *array* are called: ``17_[5-99]``."""
    return f"{shown_id(array.id)}_{what}" if what.isdigit() else f"{shown_id(array.id)}_[{what}]"
