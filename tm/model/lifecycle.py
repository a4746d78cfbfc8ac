"""What may happen to a job, and when: one table. A move that is not in it changes nothing.

Facts come from the host that runs the attempt. They only ever go forward, so hearing one twice is harmless: the second
time it is no move.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from tm.errors import IllegalMoveError
from tm.model import retry
from tm.model.effects import Attempt
from tm.model.job import Job
from tm.model.phase import FINAL, Phase
from tm.model.spec import accepted_spec

Count = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]
When = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
"""What a host says comes from a host: a number that no store holds, or no calendar, is refused where it is read."""


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a host says of an attempt; *what* is started, suspended, resumed, ended, refused, returned, lost, or
    rebooted: it is over because its host was restarted, and its exit code with it.

    *turn* counts how often an attempt has been suspended and resumed: of two such facts the one with the higher holds.
    *cause* is the limit by which an attempt was ended, one of `CAUSES`; *io_read* and *io_written* are the bytes its
    tree moved, as far as seen; *rung* says how its limits are enforced there, *cpus* which of the host it was given.
    """

    job: int
    attempt: int
    what: str
    at: When = 0.0
    pid: Count | None = None
    started_at: When | None = None
    exit_code: Count | None = None
    signal: Count | None = None
    cpu_seconds: float | None = None
    max_rss: Count | None = None
    reason: str = ""
    turn: Count = 0
    cause: str = ""
    io_read: Count | None = None
    io_written: Count | None = None
    rung: str = ""
    cpus: list[Count] = []


CAUSES: Final = {
    "exit": "it ended with another code than 0",
    "signal": "a signal ended it",
    "time": "its wall time was over",
    "memory": "it used more memory than it may",
    "output": "its output grew larger than it may",
    "processes": "it had more processes than it may",
    "host": "its host failed it",
    "start": "it could not be started",
    "cancelled": "somebody cancelled it",
    "dependency": "what it waited for can never come about",
    "deadline": "it could not be done by its deadline",
    "room": "it gave way to others and goes on with another attempt",
}
"""Of what a job ends, in one word, and in a sentence; empty for one that ended well."""

_OF_LIMIT: Final = {"time": Phase.TIMEOUT, "memory": Phase.OUT_OF_MEMORY, "output": Phase.OUTPUT_LIMIT}

BEING_CANCELLED: Final = "being cancelled by "
"""How the reason of a job begins whose host was asked to end it."""

PUT_BACK: Final = "being put back "
"""How what a job gives way to begins where somebody has asked for another attempt, which follows however it ends."""

PASSING: Final = frozenset({"started", "suspended", "resumed"})
"""Facts after which an attempt goes on; all others are its end."""

ENDINGS: Final = frozenset({"ended", "refused", "returned", "lost", "rebooted"})
"""Those others, as far as we know them."""

_BAD: Final = FINAL - {Phase.COMPLETED, Phase.CANCELLED}
_PAUSES: Final = frozenset({"suspended", "resumed"})
_ON_HOST = (Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED)
_WAITING = (Phase.HELD, Phase.PENDING)

MOVES: Final[dict[tuple[Phase, str], Phase]] = {
    (Phase.PENDING, "placed"): Phase.STARTING,
    (Phase.STARTING, "started"): Phase.RUNNING,
    (Phase.STARTING, "returned"): Phase.PENDING,
    (Phase.STARTING, "refused"): Phase.FAILED,
    **{(phase, "suspended"): Phase.SUSPENDED for phase in _ON_HOST},
    **{(phase, "resumed"): Phase.RUNNING for phase in _ON_HOST},
    **{(phase, "ended"): Phase.FAILED for phase in _ON_HOST},
    **{(phase, what): Phase.LOST for phase in _ON_HOST for what in ("lost", "rebooted")},
    **{(phase, "cancelled"): Phase.CANCELLED for phase in _WAITING},
}
"""(phase, event) → phase; `ended`, `returned` and `rebooted` are refined by `advance`."""


def advance(job: Job, fact: Fact, now: float | None = None) -> None:
    """Change *job* as *fact* says; raise `IllegalMoveError` and change nothing if it cannot happen now.

    What is tried again after a while waits from *now* on, seconds since the epoch by our own clock (None: the fact's).
    """
    phase = MOVES.get((job.phase, fact.what))
    if phase is None or fact.attempt != job.attempt or (fact.what in _PAUSES and fact.turn <= job.turn):
        raise IllegalMoveError(job.id, job.phase, fact.what)
    if fact.what == "ended":
        phase = _ending(job, fact)
    elif fact.what in ("returned", "rebooted") and job.cancelled_by is not None:
        phase = Phase.CANCELLED
    elif fact.what == "rebooted" and (job.requeue or job.gives_way is not None):
        phase = Phase.PENDING
    ended = phase
    if phase in _BAD and _is_tried_again(job, fact, phase, fact.at if now is None else now):
        phase = Phase.PENDING
    job.phase, job.reason = phase, fact.reason or _kept_reason(job, phase)
    if fact.what == "started":
        job.started_at, job.pid, job.rung = fact.at, fact.pid, fact.rung
        job.cpus = tuple(fact.cpus) or job.cpus
    elif fact.what in _PAUSES:
        job.turn = fact.turn
        job.started_at, job.pid = fact.started_at or job.started_at, fact.pid or job.pid
    elif phase is Phase.PENDING:
        _wait_again(job, fact, ended)
    elif fact.what != "placed":
        _finish(job, fact)


def _kept_reason(job: Job, phase: Phase) -> str:
    """Return what of the reason of *job*, which is to be *phase*, still holds: who is cancelling it, and why."""
    if not job.reason.startswith(BEING_CANCELLED) or not (phase is Phase.CANCELLED or phase in _ON_HOST):
        return ""
    return job.reason if phase in _ON_HOST else job.reason.removeprefix("being ")


def _ending(job: Job, fact: Fact) -> Phase:
    if job.cancelled_by is None and (job.gives_way or "").startswith(PUT_BACK):
        return Phase.PENDING
    if fact.cause in _OF_LIMIT and job.cancelled_by is None:
        return _OF_LIMIT[fact.cause]  # also where the program took the signal for a reason to end well
    if fact.exit_code == 0:
        return Phase.COMPLETED
    if job.cancelled_by is not None:
        return Phase.CANCELLED
    return Phase.FAILED if job.gives_way is None else Phase.PENDING


def _is_tried_again(job: Job, fact: Fact, ended: Phase, now: float) -> bool:
    """Whether *job*, whose attempt has *ended* so, is to have another one as a retry; if so, remember when."""
    spec = accepted_spec(job.spec)
    if not retry.is_wanted(job, fact, ended, spec):
        return False
    pause = retry.pause(job, fact, spec)
    job.not_before = now + pause if pause else 0.0
    job.retried += 1
    return True


def _wait_again(job: Job, fact: Fact, ended: Phase) -> None:
    """Its attempt has *ended*, or never began: *job* waits for another one."""
    if ended is not Phase.PENDING:
        job.reason = retry.in_words(job, fact, ended)
    elif job.gives_way is not None:
        put_back = job.gives_way.startswith(PUT_BACK)
        words = f"was {job.gives_way.removeprefix('being ')}" if put_back else f"gave way to {job.gives_way}"
        job.reason = f"attempt {job.attempt} on {job.host} {words}"
    job.host = job.spool = job.gives_way = job.started_at = job.pid = None
    job.turn = 0
    job.cpus, job.gpu_ids, job.rung = (), (), ""


def _finish(job: Job, fact: Fact) -> None:
    job.ended_at = fact.at
    if fact.started_at is not None:
        job.started_at = fact.started_at
    if fact.pid is not None:
        job.pid = fact.pid
    job.exit_code, job.signal = fact.exit_code, fact.signal
    job.cpu_seconds, job.max_rss = fact.cpu_seconds, fact.max_rss
    job.io_read, job.io_written = fact.io_read, fact.io_written
    job.cause = cause_of(job.phase, fact)
    if job.phase is Phase.CANCELLED and not job.reason:
        job.reason = f"cancelled by {job.cancelled_by}"


def attempt_of(job: Job, fact: Fact, host: str | None, started_at: float | None, leaving: bool) -> Attempt:
    """Return the record of the attempt that *fact* ended on *host* while *job* goes on; *leaving* where it was asked
    to make room."""
    cause = "room" if leaving and not fact.cause else cause_of(Phase.FAILED, fact)
    return Attempt(
        job.id, fact.attempt, host, fact.started_at or started_at, fact.at, fact.exit_code, fact.signal, cause,
        job.reason, fact.cpu_seconds, fact.max_rss,
    )  # fmt: skip


def cause_of(phase: Phase, fact: Fact) -> str:
    """Return of what an attempt has ended, in one word of `CAUSES`; *phase* is that of its job now."""
    if phase is Phase.COMPLETED:
        return ""
    if phase is Phase.CANCELLED:
        return fact.cause or "cancelled"
    if fact.cause or fact.what != "ended":
        return fact.cause or ("start" if fact.what == "refused" else "host")
    return "signal" if fact.signal is not None else "exit"
