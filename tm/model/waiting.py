"""Why a job waits, in one sentence: the first of the causes that keeps it from every host.

What is true of many jobs at one moment is found out once: a page of fifty that wait does not go fifty times through
all hosts.
"""

from __future__ import annotations

from tm.model.around import Verdict
from tm.model.books import Books
from tm.model.cluster import HostState, Link, Session
from tm.model.ids import array_of, shown_id
from tm.model.job import Job
from tm.model.matching import sentence_of, word_of
from tm.model.phase import Phase
from tm.model.queue import JobClass, class_of
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
    return Reasons(brain, at).of(job)


class _Hosts:
    """Hosts where jobs of a user could start, and what there is of cores and memory on them: whole, offered, free."""

    def __init__(self, hosts: list[HostState]) -> None:
        self.hosts = hosts
        self.rooms = {
            (one.whole_cores, one.whole_memory, one.cores, one.memory, one.offer.closed, one.cores - one.used_cores)
            for one in hosts
        }


class Reasons:
    """Why jobs wait *at* one moment, during which nothing changes."""

    def __init__(self, brain: Books, at: float) -> None:
        self._brain = brain
        self._at = at
        self._causes: dict[JobClass, str] = {}
        self._found: dict[tuple[str, tuple[str, ...]], _Hosts | str] = {}
        self._everywhere: _Hosts | None = None
        self._unsettled: dict[str, dict[str, Session]] | None = None

    def of(self, job: Job) -> str:
        """Return in one sentence why *job* is not running; of one that waits again also what it was before."""
        brain, at = self._brain, self._at
        if job.phase is Phase.HELD:
            return brain.gate.reason(job, at)
        if job.phase is not Phase.PENDING:
            return job.reason
        before = f"{job.reason}; " if job.attempt and job.reason else ""
        return before + (brain.gate.reason(job, at) or _of_tasks(brain, job) or self._cause(job))

    def _cause(self, job: Job) -> str:
        kind = class_of(job)
        known = self._causes.get(kind)
        if known is None:
            known = self._causes[kind] = self._cause_of_class(job)
        return known

    def _cause_of_class(self, job: Job) -> str:
        brain = self._brain
        if job.user not in brain.attached:
            return f"{job.user}'s server (TMS) is not connected; any hRunJob call of {job.user} starts it"
        told = brain.limits.may_start(job.user, job.cores, job.memory) or _of_turns(brain, job)
        if told:
            return told
        found = self._hosts(job)
        if isinstance(found, str):
            return found
        return self._of_sessions(job.user, found.hosts) or _of_things(brain, job, found.hosts) or _no_room(job, found)

    def _hosts(self, job: Job) -> _Hosts | str:
        """Return the hosts where *job* could start if they had room, or why there is none."""
        key = job.user, job.hosts
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look_up(job)
        return found

    def _look_up(self, job: Job) -> _Hosts | str:
        hosts = list(self._brain.hosts.values())
        if job.hosts:
            hosts = [host for host in hosts if host.name in job.hosts]
        whole = [host for host in hosts if _is_whole(host) or self._is_whole_for(job.user, host)]
        if len(whole) == len(self._brain.hosts) and whole:
            self._everywhere = self._everywhere or _Hosts(whole)
            return self._everywhere
        return _Hosts(whole) if whole else self._why_nowhere(job, hosts)

    def _is_whole_for(self, user: str, host: HostState) -> bool:
        trouble = host.trouble
        return (
            self._brain.may_use(user, host) and host.active
            and bool(trouble.room(self._at)) and not trouble.keeps_away(user, self._at)
        )  # fmt: skip

    def _why_nowhere(self, job: Job, usable: list[HostState]) -> str:
        if not usable:
            return "there is no host it may use"
        mine = [host for host in usable if self._brain.may_use(job.user, host)]
        if not mine:
            only = ", ".join(usable[0].config.users)
            return f"no host it may use is open to {job.user} ({usable[0].name}: only {only})"
        active = [host for host in mine if host.active]
        if not active:
            return f"no host it may use is active ({mine[0].name}: {mine[0].reason or 'not active'})"
        return _named(active, [_trouble(host) for host in active])

    def _of_sessions(self, user: str, hosts: list[HostState]) -> str:
        """Return what of the first server of *user* that is not reached, or starts, keeps the job waiting."""
        if self._unsettled is None:
            self._unsettled = {}
            for session in self._brain.sessions.values():
                if session.link in _UNSETTLED:
                    self._unsettled.setdefault(session.user, {})[session.host.name] = session
        mine = self._unsettled.get(user)
        first = next((mine[host.name] for host in hosts if host.name in mine), None) if mine else None
        if first is None:
            return ""
        name = first.host.name
        return f"starting {user}'s server on {name}" if first.link is Link.STARTING else f"{name}: {first.reason}"


_UNSETTLED = (Link.FAILED, Link.STALE, Link.STARTING)


def _is_whole(host: HostState) -> bool:
    """Whether jobs of anybody could start on *host* if it had room."""
    return host.is_open and host.active and host.trouble.out_until is None


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


def _no_room(job: Job, found: _Hosts) -> str:
    wide = [room for room in found.rooms if room[0] >= job.cores and room[1] >= job.memory]
    if not wide:
        return f"no active host has {job.cores} cores and the memory it asks for"
    offering = [room for room in wide if room[2] >= job.cores and room[3] >= job.memory and not room[4]]
    if not offering:
        hosts = [host for host in found.hosts if host.whole_cores >= job.cores and host.whole_memory >= job.memory]
        return _named(hosts, [host.held_back or "others leave too little memory" for host in hosts])
    return _cores_needed(job, max(0, *(room[5] for room in offering)))


def _trouble(host: HostState) -> str:
    return f"taken out until {shown_time(host.trouble.out_until)}: {host.trouble.reason}"


def _named(hosts: list[HostState], reasons: list[str]) -> str:
    told = "; ".join(f"{host.name}: {reason}" for host, reason in list(zip(hosts, reasons, strict=True))[:MOST_NAMED])
    return told + (f"; and {len(hosts) - MOST_NAMED} more" if len(hosts) > MOST_NAMED else "")
