"""Why a job waits, in one sentence: the first of the causes that keeps it from every host."""

from __future__ import annotations

from tm.model.around import Verdict
from tm.model.books import Books
from tm.model.cluster import HostState, Link
from tm.model.ids import array_of, shown_id
from tm.model.job import Job
from tm.model.matching import sentence_of, word_of
from tm.model.phase import Phase
from tm.model.queue import class_of
from tm.model.reservation import LONG
from tm.model.room import Room
from tm.model.tasks import ACTIVE, BLOCKED, HELD, READY
from tm.model.views import shown_time

MOST_NAMED = 3
THINGS = frozenset({"gpus", "strangers", "consumables", "licenses", "exclusive", "constraint"})
"""What beside cores and memory a job waits for, in the words of `tm.model.matching`."""
MANY_HOSTS = 64
"""With more than these they are not looked at one by one for a job of which it is known that none has room."""


def why_waiting(brain: Books, job: Job, at: float) -> str:
    """Return in one sentence why *job* is not running at *at*; of one that waits again also what it was before."""
    if job.phase is Phase.HELD:
        return brain.gate.reason(job, at)
    if job.phase is not Phase.PENDING:
        return job.reason
    before = f"{job.reason}; " if job.attempt and job.reason else ""
    return before + (brain.gate.reason(job, at) or _of_tasks(brain, job) or _cause(brain, job, at))


def _of_tasks(brain: Books, array: Job) -> str:
    """Return why none of the tasks of *array* that wait may start, of which it has the cause in itself."""
    tasks = array.tasks
    if tasks is None or tasks.startable:
        return ""
    if tasks.count(READY):
        return f"{tasks.count(ACTIVE)} of its tasks are under way; at most {tasks.cap} may be at once"
    blocked, held = tasks.count(BLOCKED), tasks.count(HELD)
    told = [f"{held} of its tasks are held"] if held else []
    if blocked:
        others = " and ".join(map(str, brain.gate.dependency(array).arrays))
        told.append(f"{blocked} of its tasks wait for those of array {others} to succeed")
    return "; ".join(told) or "all of its tasks have begun"


def _cause(brain: Books, job: Job, at: float) -> str:
    if job.user not in brain.attached:
        return f"{job.user}'s server (TMS) is not connected; any hRunJob call of {job.user} starts it"
    limit = brain.limits.may_start(job.user, job.cores, job.memory)
    if limit:
        return limit
    told = _of_turns(brain, job)
    if told:
        return told
    usable = [host for host in brain.hosts.values() if not job.hosts or host.name in job.hosts]
    if not usable:
        return "there is no host it may use"
    mine = [host for host in usable if brain.may_use(job.user, host)]
    if not mine:
        return f"no host it may use is open to {job.user} ({usable[0].name}: only {', '.join(usable[0].config.users)})"
    active = [host for host in mine if host.active]
    if not active:
        return f"no host it may use is active ({mine[0].name}: {mine[0].reason or 'not active'})"
    whole = [host for host in active if host.trouble.room(at) and not host.trouble.keeps_away(job.user, at)]
    if not whole:
        return _named(active, [_trouble(host) for host in active])
    for host in whole:
        session = brain.sessions.get((job.user, host.name))
        if session is not None and session.link in (Link.FAILED, Link.STALE):
            return f"{host.name}: {session.reason}"
        if session is not None and session.link is Link.STARTING:
            return f"starting {job.user}'s server on {host.name}"
    return _of_things(brain, job, whole) or _no_room(job, whole)


def _of_turns(brain: Books, job: Job) -> str:
    """Return what of the scheduler's last look at jobs like *job* says it all, or an empty text."""
    verdict = brain.scheduler.verdict(class_of(job))
    if verdict is None:
        return ""
    other = brain.jobs.get(verdict.job) or brain.jobs.get(array_of(verdict.job))
    if verdict.why == "reserved" and other is not None:
        when = f" until about {shown_time(verdict.until)}" if verdict.until < job.submitted_at + LONG / 2 else ""
        return f"what is free on {verdict.host} is kept for job {shown_id(verdict.job)} of {other.user}{when}"
    if verdict.why == "yield":
        return f"scavengers on {verdict.host} have been asked to make room"
    if verdict.why == "room" and len(brain.hosts) > MANY_HOSTS:
        return _cores_needed(job, brain.scheduler.most_free())
    return ""


_PAST = {
    "room": "no host had room", "away": "no host that its owner's server reached had room",
    "turn": "others were before it",
    "start": "its owner's server on {host} was being started", "never": "no host fitted",
    "reserved": "what was free on {host} was kept for job {job}",
    "yield": "scavengers on {host} had been asked to make room",
}  # fmt: skip


def waited_for(verdict: Verdict | None) -> str:
    """Return what a job that starts now has waited for at last, as the scheduler said when it looked before."""
    if verdict is None:
        return "its turn had not come"
    if verdict.why == "limit":
        return verdict.text
    return _PAST[verdict.why].format(host=verdict.host, job=shown_id(verdict.job))


def _cores_needed(job: Job, free: int) -> str:
    return f"waits for {job.cores} free core{'s' * (job.cores > 1)}; at most {free} free on one host now"


def _of_things(brain: Books, job: Job, hosts: list[HostState]) -> str:
    """Return what beside cores and memory keeps *job* from all of *hosts*, or an empty text."""
    asked, matcher = job.demand, brain.matcher
    asks = asked.gpus or asked.consumables or asked.exclusive or asked.constraint or asked.exclude
    if len(hosts) > MANY_HOSTS or not (asks or any(host.alone for host in hosts)):
        return ""
    never = [matcher.may_ever(asked, job.user, host) for host in hosts]
    if all(never):
        return f"no active host can run it ({_named(hosts, [sentence_of(why) for why in never])})"
    fit = [host for host, why in zip(hosts, never, strict=True) if not why]
    full = [matcher.why_full(asked, Room(host, brain.licenses)) for host in fit]
    if all(full) and any(word_of(why) in THINGS for why in full):
        return _named(fit, [sentence_of(why) for why in full])
    return ""


def _no_room(job: Job, hosts: list[HostState]) -> str:
    wide = [host for host in hosts if host.whole_cores >= job.cores and host.whole_memory >= job.memory]
    if not wide:
        return f"no active host has {job.cores} cores and the memory it asks for"
    offering = [
        host for host in wide if host.cores >= job.cores and host.memory >= job.memory and not host.offer.closed
    ]
    if not offering:
        return _named(wide, [host.held_back or "others leave too little memory" for host in wide])
    free = max(0, *(host.cores - host.used_cores for host in offering))
    return _cores_needed(job, free)


def _trouble(host: HostState) -> str:
    return f"taken out until {shown_time(host.trouble.out_until)}: {host.trouble.reason}"


def _named(hosts: list[HostState], reasons: list[str]) -> str:
    told = "; ".join(f"{host.name}: {reason}" for host, reason in list(zip(hosts, reasons, strict=True))[:MOST_NAMED])
    return told + (f"; and {len(hosts) - MOST_NAMED} more" if len(hosts) > MOST_NAMED else "")
