"""What the owner of a job is told of it, when, and once: by how the job is, and what was told before.

An array tells for all its tasks: of its first start, its first failure, its end. What was told is remembered with the
job, in the same commit, so that nobody hears a thing twice because a server was restarted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from tm.model.effects import Message
from tm.model.job import Job
from tm.model.notify_targets import BUNDLE, is_mail
from tm.model.phase import FINAL, Phase
from tm.model.spec import JobSpec, accepted_spec
from tm.model.views import show_job

BEGIN: Final = 1
END: Final = 2
FIRST_FAIL: Final = 4
WAITING: Final = 8
_ATTEMPTS: Final = 8
"""Above so many bits of what was told stands the last attempt after which the job was said to wait again."""

USUAL: Final = ("end", "fail")
"""What is told to one who names an address and nothing else."""

FAILED: Final = FINAL - {Phase.COMPLETED, Phase.CANCELLED}


def wanted(spec: JobSpec) -> frozenset[str]:
    """Return the events that *spec* asks to hear of."""
    words = set(spec.notify_on or USUAL)
    if "all" in words:
        words |= {"begin", "end", "fail", "requeue", "time_limit", "first_fail"}
    if spec.notify_after:
        words.add("waiting")
    return frozenset(words)


def due(job: Job, spec: JobSpec) -> list[str]:
    """Return what is to be told of *job* as it is now, and remember in it that it was."""
    words = wanted(spec)
    told = []
    begun = job.phase in (Phase.RUNNING, Phase.SUSPENDED) or (job.tasks is not None and job.started_at is not None)
    if begun and job.phase not in FINAL and _first(job, BEGIN) and "begin" in words:
        told.append("begin")
    if job.phase is Phase.PENDING and job.tasks is None and job.attempt > job.told >> _ATTEMPTS:
        job.told = job.told & (1 << _ATTEMPTS) - 1 | job.attempt << _ATTEMPTS
        if "requeue" in words:
            told.append("requeue")
    if job.phase in FINAL and _first(job, END):
        told += _ending(job, words)
    return told


def _ending(job: Job, words: frozenset[str]) -> list[str]:
    if job.phase is Phase.TIMEOUT and "time_limit" in words:
        return ["time_limit"]
    if job.phase in FAILED and "fail" in words:
        return ["fail"]
    return ["end"] if "end" in words else []


def first_failure(array: Job, task: Job, spec: JobSpec) -> list[str]:
    """Return what is to be told of *array* because *task* of it has ended, and remember that it was."""
    if task.phase not in FAILED or "first_fail" not in wanted(spec) or not _first(array, FIRST_FAIL):
        return []
    return ["first_fail"]


def still_waiting(job: Job) -> list[str]:
    """Return what is to be told of *job*, which has waited as long as its owner wished, and remember that it was."""
    if job.phase not in (Phase.PENDING, Phase.HELD) or job.started_at is not None or not _first(job, WAITING):
        return []
    return ["waiting"]


def _first(job: Job, bit: int) -> bool:
    """Whether this was not told yet; from now on it was."""
    before = job.told & bit
    job.told |= bit
    return not before


def subject_of(message: Message) -> int:
    """Return the job of which *message* tells."""
    told: dict[str, Any] = msgspec.json.decode(message.body)
    return int(told.get("told", told)["id"])


class Teller:
    """Writes what owners are told; *number* is that of the first message."""

    def __init__(self, number: int = 1) -> None:
        self._number = number
        self._patient: list[tuple[float, int]] = []

    def changed(self, job: Job, at: float) -> list[Message]:
        """Return what is to be told of *job*, which has changed."""
        spec = accepted_spec(job.spec)
        return self._messages(job, spec, due(job, spec), at)

    def task_over(self, array: Job, task: Job, at: float) -> list[Message]:
        """Return what is to be told of *array* because *task* of it is over."""
        spec = accepted_spec(array.spec)
        return self._messages(array, spec, first_failure(array, task, spec), at)

    def over(self, array: Job, at: float) -> list[Message]:
        """Return what has the outputs of *array*, which is over, put together, where its request wants them bundled."""
        if '"bundle":true' not in array.spec:
            return []
        self._number += 1
        told = {"event": BUNDLE, "id": array.id}
        text = msgspec.json.encode({"told": told, "spec": array.spec, "sig": array.signature}).decode()
        return [Message(self._number - 1, at, array.user, BUNDLE, text)]

    def waits(self, job: Job) -> None:
        """*job* begins to wait: remember when its owner wants to hear that it still does."""
        spec = accepted_spec(job.spec)
        if spec.notify_after and not job.told & WAITING:
            heappush(self._patient, (job.submitted_at + spec.notify_after, job.id))

    def overdue(self, jobs: Mapping[int, Job], at: float) -> Iterator[tuple[Job, list[Message]]]:
        """Yield those of *jobs* that have waited as long as their owners wished, and what is to be told of them."""
        while self._patient and self._patient[0][0] <= at:
            job = jobs.get(heappop(self._patient)[1])
            if job is not None:
                spec = accepted_spec(job.spec)
                yield job, self._messages(job, spec, still_waiting(job), at)

    # What the owner's own server is to tell carries the signed request: it tells only what its user asked for.
    def _messages(self, job: Job, spec: JobSpec, events: list[str], at: float) -> list[Message]:
        made = []
        for event in events:
            shown: dict[str, Any] = {"event": event, **show_job(job, spec)}
            signed = {"told": shown, "spec": job.spec, "sig": job.signature}
            for target in spec.notify:
                text = msgspec.json.encode(shown if is_mail(target) else signed).decode()
                made.append(Message(self._number, at, job.user, target, text))
                self._number += 1
        return made
