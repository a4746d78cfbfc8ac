"""Whether an attempt that ended badly is followed by another one. Pure.

The law: what a program itself ended with is never tried again unless its user asked for that; neither is an attempt of
which nobody knows how it ended, unless they asked for that. A host that could not start a job at all is another matter:
who consents to being started anew elsewhere is, a few times.
"""

from __future__ import annotations

import re
import signal as signals
from typing import TYPE_CHECKING, Final

from tm.model.breaker import blames_host
from tm.model.phase import Phase, how_ended

if TYPE_CHECKING:
    from tm.model.job import Job
    from tm.model.lifecycle import Fact
    from tm.model.spec import JobSpec

CAUSES: Final = ("any", "fail", "exit", "signal", "oom", "time", "output", "host")
MOST_HOST_FAULTS: Final = 5
HOST_PAUSE: Final = 10.0
"""Seconds before a host that could not start a job is asked again for the first time; then twice as many, and so on."""

_OF_PHASE: Final = {"oom": Phase.OUT_OF_MEMORY, "time": Phase.TIMEOUT, "output": Phase.OUTPUT_LIMIT}
_CODES: Final = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?\Z", re.ASCII)


def complaint(cause: str) -> str:
    """Return what is wrong with *cause* as one for which to try again, or an empty text."""
    word, colon, rest = cause.partition(":")
    if word not in CAUSES:
        return f"retries are for {', '.join(CAUSES)}, not '{cause:.40}'"
    if not colon:
        return ""
    if word == "exit" and _CODES.match(rest):
        return ""
    if word == "signal" and _signal(rest) is not None:
        return ""
    return f"'{cause:.40}': write exit:75, exit:64-78, signal:9 or signal:KILL"


def is_wanted(job: Job, fact: Fact, phase: Phase, spec: JobSpec) -> bool:
    """Whether *job*, whose attempt has ended in *phase* as *fact* says, is to have another one."""
    if job.cancelled_by is not None or job.interactive or phase in (Phase.COMPLETED, Phase.CANCELLED):
        return False
    refused = fact.what == "refused" and blames_host(fact.exit_code, fact.reason, spec.command)
    if refused and job.requeue and job.retried < MOST_HOST_FAULTS:
        return True
    if job.retried >= spec.retries:
        return False
    of_host = refused or fact.what in ("lost", "rebooted") or fact.cause == "host"
    return any(_speaks_of(cause, fact, phase, of_host) for cause in spec.retry_on or ["host"])


def _speaks_of(cause: str, fact: Fact, phase: Phase, of_host: bool) -> bool:
    word, _, rest = cause.partition(":")
    if word == "any" or of_host:
        return word in ("any", "host")
    if word in _OF_PHASE:
        return phase is _OF_PHASE[word]
    if phase is not Phase.FAILED or word == "host":
        return False
    if word == "exit":
        return fact.what == "ended" and fact.cause in ("", "exit") and _has_code(fact.exit_code, rest)
    if word == "signal":
        by_signal = fact.signal is not None and fact.cause in ("", "signal")
        return by_signal and (not rest or fact.signal == _signal(rest))
    return True


def _has_code(code: int | None, wanted: str) -> bool:
    match = _CODES.match(wanted)
    if code is None or match is None:
        return code is not None
    return int(match[1]) <= code <= int(match[2] or match[1])


def _signal(word: str) -> int | None:
    """Return the number of a signal that is named, or None."""
    if word.isdecimal():
        return int(word) if 0 < int(word) < signals.NSIG else None
    found = signals.Signals.__members__.get("SIG" + word.upper().removeprefix("SIG"))
    return found.value if found is not None else None


def pause(job: Job, fact: Fact, spec: JobSpec) -> float:
    """Return how many seconds to wait before the next attempt of *job*, which was retried so often before."""
    if fact.what == "refused":
        return max(spec.retry_delay, HOST_PAUSE * 2.0 ** min(job.retried, 10))
    return spec.retry_delay


def in_words(job: Job, fact: Fact, phase: Phase) -> str:
    """Return what became of the attempt of *job* that another one is to follow, as a sentence."""
    if fact.what == "refused":
        how = f"could not be started: {fact.reason}"
    else:
        how = how_ended(phase, fact.exit_code, fact.signal)
        how += f": {fact.reason}" if fact.reason and phase is not Phase.FAILED else ""
    return f"attempt {job.attempt} on {job.host} {how}"
