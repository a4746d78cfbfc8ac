"""Why a job does not run, host by host, and the one change that would start it now.

The verdict on a host is a word and a sentence: the words of `Matcher`, and ``inactive``, ``trouble``, ``others``,
``away`` (its user's server is not reached there), ``starting``, ``reserved`` (what is free is kept for somebody), and
``free``: nothing there is in its way but what is said of the job as a whole. Nothing here changes anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tm.model.cluster import HostState, Link
from tm.model.demand import Demand
from tm.model.duration import format_duration
from tm.model.ids import array_of, is_task, shown_id
from tm.model.job import Job
from tm.model.matching import sentence_of, shown_size, word_of
from tm.model.phase import Phase
from tm.model.placing import Placing
from tm.model.queue import class_of
from tm.model.reservation import Hold, lasting
from tm.model.room import Room
from tm.model.views import Shown, shown_time
from tm.model.waiting import why_waiting

LEAST_TIME = 60.0


class Verdict(NamedTuple):
    """What is in the way of a job on one host: a word, the *verdict*, and a sentence."""

    host: str
    verdict: str
    reason: str


class Change(NamedTuple):
    """What would start a job now: in words, and as the values of ``changejob`` where it is one of these."""

    text: str
    values: Mapping[str, Any] = MappingProxyType({})


def explain(brain: Placing, job: Job, at: float) -> Shown:
    """Return why *job* waits: sentence, verdict of every host, their counts, the change that would help."""
    asker = _Asker(brain, job, at)
    waits = job.phase in (Phase.PENDING, Phase.HELD)
    verdicts = [asker.verdict(host) for host in brain.hosts.values()] if waits else []
    change = asker.change() if waits else None
    ahead = _ahead(brain, job, at)
    sentence = why_waiting(brain, job, at) if waits else _not_waiting(job)
    return {
        "id": shown_id(job.id), "state": str(job.phase), "sentence": sentence,
        "hosts": [verdict._asdict() for verdict in verdicts],
        "counts": dict(Counter(one.verdict for one in verdicts).most_common()),
        "change": None if change is None else change.text,
        "change_set": None if change is None else dict(change.values),
        "classes_before": ahead, "share": round(brain.fairshare.factor(job.user, at), 4),
    }  # fmt: skip


def _not_waiting(job: Job) -> str:
    reason = f" ({job.reason})" if job.reason else ""
    return f"it does not wait: it is {str(job.phase).replace('_', ' ')}{reason}"


def _ahead(brain: Placing, job: Job, at: float) -> int | None:
    """Return how many classes of alike jobs come before that of *job*, None where it is not in the queue."""
    kind = class_of(job)
    for place, (_, other) in enumerate(brain.scheduler.in_order(at)):
        if other == kind:
            return place
    return None


class _Asker:
    """Asks about one job."""

    def __init__(self, brain: Placing, job: Job, at: float) -> None:
        self._brain = brain
        self._job = job
        self._at = at
        self._held: dict[str, list[Hold]] = {}
        kind = class_of(job)
        for hold in brain.scheduler.holds():
            if hold.kind != kind and not job.demand.scavenge:
                self._held.setdefault(hold.host, []).append(hold)

    # -- hosts --------------------------------------------------------------------------------------------------------

    def verdict(self, host: HostState, demand: Demand | None = None) -> Verdict:
        """Return what is in the way on *host*, of the job itself or were its demand another one."""
        asked = demand or self._job.demand
        never = self._brain.matcher.may_ever(asked, self._job.user, host)
        if never:
            return Verdict(host.name, word_of(never), sentence_of(never))
        word, reason = next(self._shut(host), ("", ""))
        if word:
            return Verdict(host.name, word, reason)
        full = self._brain.matcher.why_full(asked, Room(host, self._brain.licenses))
        if full:
            return Verdict(host.name, word_of(full), sentence_of(full))
        for hold in self._held.get(host.name, ()):
            if not hold.lets(asked, lambda: self._end(asked), self._brain.matcher):
                return Verdict(host.name, "reserved", _reserved(hold, self._brain))
        return Verdict(host.name, "free", "it could start there")

    def _shut(self, host: HostState) -> Iterator[tuple[str, str]]:
        """Yield why nothing of this user starts there at all now."""
        user, at = self._job.user, self._at
        if not host.active:
            yield "inactive", host.reason or "nothing starts there"
        if host.offer.closed:
            yield "others", host.held_back
        if not host.trouble.room(at):
            yield "trouble", f"taken out until {shown_time(host.trouble.out_until)}: {host.trouble.reason}"
        if host.trouble.keeps_away(user, at):
            yield "trouble", f"jobs of {user} could not be started there: {host.trouble.reason}"
        if user not in self._brain.attached:
            yield "away", f"{user}'s server (TMS) is not connected"
        session = self._brain.sessions.get((user, host.name))
        if session is not None and session.link in (Link.FAILED, Link.STALE):
            yield "away", session.reason
        if session is not None and session.link is Link.STARTING:
            yield "starting", f"{user}'s server there is being started"

    def _end(self, demand: Demand) -> float:
        """Return when it is likely to be over if it starts now and asks for *demand*."""
        job = msgspec.structs.replace(self._job, demand=demand)
        return self._at + lasting(job, self._brain.likely)

    # -- the change ---------------------------------------------------------------------------------------------------

    def change(self) -> Change | None:
        """Return the one change that would start it now, the least first; None where no single one would."""
        job, brain = self._job, self._brain
        if job.held_by is not None:
            return Change(f"release it: hRunJob --release {shown_id(job.id)}")
        if job.not_before > self._at and not job.dependency:
            return Change("let it begin now", {"begin": 0.0}) if self._free(job.demand) else None
        gate = brain.gate.reason(job, self._at)
        if gate:
            return None
        if job.user not in brain.attached:
            return Change(f"start the server of {job.user}: any hRunJob call of {job.user} does")
        limit = brain.limits.may_start(job.user, job.cores, job.memory)
        if limit:
            return Change(f"let some of your jobs end, or have this limit raised in etc/groups: {limit}")
        return next(self._lesser(), None)

    def _free(self, demand: Demand) -> str:
        """Return a host where a job of that *demand* could start now, or an empty text."""
        hosts = self._brain.hosts.values()
        return next((host.name for host in hosts if self.verdict(host, demand).verdict == "free"), "")

    def _lesser(self) -> Iterator[Change]:
        """Yield what the job could ask for instead so that it would start now, the least change of each kind."""
        demand = self._job.demand
        replace = msgspec.structs.replace
        until = max((hold.until for holds in self._held.values() for hold in holds), default=0.0)
        left = until - self._at
        shorter: list[tuple[str, Demand, dict[str, Any]]] = []
        if left >= LEAST_TIME and (not demand.time or demand.time > left):
            text = f"with a wall time of at most {format_duration(left)}"
            shorter.append((text, replace(demand, time=left), {"time": float(int(left))}))
        for text, other, values in (*shorter, *self._smaller(replace), *self._freer(replace)):
            host = self._free(other)
            if host:
                yield Change(f"{text} it would start on {host} now", values)

    def _smaller(self, replace: Callable[..., Demand]) -> Iterator[tuple[str, Demand, dict[str, Any]]]:
        demand = self._job.demand
        rooms = [Room(host, self._brain.licenses) for host in self._brain.hosts.values() if host.active]
        for cores in sorted({room.free_cores for room in rooms if 0 < room.free_cores < demand.cores}, reverse=True):
            text = f"with {cores} core{'s' * (cores > 1)} instead of {demand.cores}"
            yield text, replace(demand, cores=cores), {"cores": cores}
        free = {room.free_memory for room in rooms if 0 < room.free_memory < demand.memory}
        for memory in sorted(free, reverse=True):
            text = f"with {shown_size(memory)} of memory instead of {shown_size(demand.memory)}"
            yield text, replace(demand, memory=memory), {"memory": memory}
        for gpus in sorted({room.free_gpus for room in rooms if 0 <= room.free_gpus < demand.gpus}, reverse=True):
            yield f"with {gpus} GPUs instead of {demand.gpus}", replace(demand, gpus=gpus), {"gpus": gpus}

    def _freer(self, replace: Callable[..., Demand]) -> Iterator[tuple[str, Demand, dict[str, Any]]]:
        demand = self._job.demand
        if demand.exclusive:
            yield "if it shared its host", replace(demand, exclusive=False), {"exclusive": False}
        if demand.constraint:
            yield f"without '{demand.constraint}'", replace(demand, constraint=""), {"constraint": ""}
        if demand.hosts:
            yield "if any host would do", replace(demand, hosts=()), {"hosts": []}
        if demand.exclude:
            yield "if it excluded no host", replace(demand, exclude=()), {"exclude": []}
        for name, count in demand.consumables:
            rest = tuple(one for one in demand.consumables if one[0] != name)
            yield f"without {count} {name}", replace(demand, consumables=rest), {}


def _reserved(hold: Hold, brain: Placing) -> str:
    """Say for whom what is free is kept, and until when."""
    head = brain.queue.head(hold.kind)
    whose = f"job {shown_id(array_of(head) if is_task(head) else head)} of {hold.kind.user}"
    if hold.why != "reserved":
        return f"it is being made ready for {whose}"
    return f"what is free there is kept for {whose}, which is before it, until {shown_time(hold.until) or 'it starts'}"
