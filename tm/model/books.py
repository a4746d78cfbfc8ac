"""The books of one cluster: all jobs that have not ended, all hosts, all sessions, and what is to be done.

What happens is written here by those who build on it (`tm.model.servers`, `tm.model.hosting`, `tm.model.brain`). The
law: every job is in exactly one place, the queue, the gate or a session, and there occupying cores or sent ahead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from tm.model.cluster import HostState, Link, Session, Spool
from tm.model.decided import HostMemo, Pause
from tm.model.demand import one_of
from tm.model.effects import Attempt, Effects, JobEvent, Message, Notice, Orders
from tm.model.fairshare import FairShare
from tm.model.families import Families
from tm.model.forecast import Forecaster
from tm.model.gate import Gate
from tm.model.grounds import Grounds
from tm.model.host import HostConfig
from tm.model.ids import array_of, is_task, task_id
from tm.model.job import Job, new_task
from tm.model.lifecycle import Fact, advance, attempt_of
from tm.model.limits import Usage
from tm.model.matching import Matcher
from tm.model.phase import ACTIVE, ON_HOST, Phase
from tm.model.queue import WaitingQueue
from tm.model.rights import Groups
from tm.model.room import free_licenses
from tm.model.scheduler import Scheduler
from tm.model.settings import Scheduling
from tm.model.spec import accepted_spec
from tm.model.tasks import CODE_OF
from tm.model.telling import Teller
from tm.model.views import job_fields

if TYPE_CHECKING:
    from tm.model.placing import Placing

SUSPENDED = "suspended: "
MOST_LOOKS = 20_000
"""So often a placement looks whether jobs of a class fit a host before others are served; then it goes on."""
WORST_FIRST = (
    Phase.LOST, Phase.FAILED, Phase.OUT_OF_MEMORY, Phase.TIMEOUT, Phase.OUTPUT_LIMIT, Phase.CANCELLED, Phase.COMPLETED,
)  # fmt: skip


class Room:
    """What is free on one host during one placement; used up as jobs are placed."""

    __slots__ = ("free_cores", "free_memory", "name")

    def __init__(self, host: HostState) -> None:
        self.name = host.name
        self.free_cores = 0 if host.offer.closed else host.cores - host.used_cores
        self.free_memory = host.memory - host.used_memory


class Books:
    """All that is active in one cluster."""

    def __init__(
        self,
        *,
        epoch: int,
        next_id: int = 1,
        next_message: int = 1,
        jobs: Iterable[Job] = (),
        spools: Iterable[Spool] = (),
        hosts: Iterable[HostState] = (),
        memos: Iterable[HostMemo] = (),
        families: Mapping[str, str] | None = None,
        shares: Mapping[str, tuple[float, float]] | None = None,
        settings: Scheduling = Scheduling(),  # noqa: B008  a frozen value
    ) -> None:
        self.epoch = epoch
        self.jobs: dict[int, Job] = {}
        self.arrays: dict[int, Job] = {}
        self.hosts = {host.name: host for host in hosts}
        for memo in memos:
            if memo.name in self.hosts:
                self.hosts[memo.name].recall(memo)
        self.sessions: dict[tuple[str, str], Session] = {}
        self.attached: set[str] = set()
        self.spans: Counter[str] = Counter()
        self.limits = Usage()
        self._limited = False
        self.queue = WaitingQueue(self.limits.waits)
        self.gate = Gate(self.jobs, self.limits.waits)
        self.families = Families(families)
        self.spools = {spool.id: spool for spool in spools}
        self._next_id = next_id
        self.teller = Teller(next_message)
        self.settings = settings
        self.fairshare = FairShare(settings.half_life, shares)
        self.matcher = Matcher(self.may_use)
        self.licenses: dict[str, int] = {}
        self._in_use: dict[int, tuple[str, int, tuple[tuple[str, int], ...]]] = {}
        self._charged: set[str] = set()
        self._quick: set[tuple[str, str]] = set()
        self._resting: set[tuple[str, str]] = set()
        self._in_trouble: set[str] = set()
        self.grounds = Grounds(cast("Placing", self))
        self.scheduler = Scheduler(
            self.queue, self.jobs, self.grounds, self.matcher, self.fairshare, settings=settings,
            estimate=self.likely,
        )  # fmt: skip
        self.scheduler.most_looks = MOST_LOOKS
        self.forecaster = Forecaster(self, self.scheduler, self.families)
        for name in self.hosts:
            self.scheduler.host_changed(name)
        self._effects = Effects()
        self._minded = {host.name for host in self.hosts.values() if host.left_until or host.config.hours}
        for job in jobs:
            self._restore(job)
        for array in list(self.arrays.values()):
            self._take_up(array)

    def people_configured(self, groups: Groups, at: float) -> None:
        """Take a new table of groups: who is in them, and what limits them."""
        self.limits.configured(groups)
        self._limited = any(group.limits.any or group.user_limits.any for group in groups.groups)
        self.fairshare.configured(groups, self.settings.half_life, at)
        self.matcher.forget()
        self.scheduler.permit = self.limits if self._limited else None
        self.scheduler.everything_changed()

    def _restore(self, job: Job) -> None:
        """Take a job of an earlier epoch; those that were sent ahead are known from the rest at the next hello."""
        self.jobs[job.id] = job
        self._next_id = max(self._next_id, array_of(job.id) + 1)
        if job.tasks is not None:
            self.arrays[job.id] = job
            self.spans[job.user] += job.tasks.span
        if job.notify:
            self.teller.waits(job)
        if not is_task(job.id):
            self.gate.came(job)
        if job.phase in (Phase.HELD, Phase.PENDING):
            self._wait(job)
        elif job.phase in ON_HOST and job.host:
            session = self._session(job.user, job.host)
            session.occupy(job)
            self._uses(job, job.submitted_at if job.started_at is None else job.started_at)
            if job.suspended_by is not None and job.phase is not Phase.STARTING:
                session.pauses[job.id] = Pause(True, "", 0.0)
                self._minded.add(job.host)
            elif job.phase is Phase.SUSPENDED:
                session.pauses[job.id] = Pause(True, job.reason.removeprefix(SUSPENDED), 0.0)
                session.host.unheard = session.host.config.infoserver
                self._minded.add(job.host)

    def _take_up(self, array: Job) -> None:
        """All jobs of an earlier epoch are known: see which tasks of *array* may start."""
        self._tasks_changed(array)

    def _recall(self, session: Session, at_start: bool = False) -> None:
        """Take back what stands in line on a host, with *at_start* also what may not have begun there; no more is sent
        ahead before jobs there are short again."""
        if session.link is Link.UP:
            back = list(session.ahead.values())
            if at_start:
                back += [job for job in session.occupying.values() if job.phase is Phase.STARTING]
            if back:
                self._orders(session).recall += [(job.id, job.attempt) for job in back]
        session.mean_run = max(1.0, session.mean_run or 0.0)

    def _wait(self, job: Job) -> None:
        """Let *job* wait for its start, at the gate while something keeps it from that."""
        self.gate.watch(job)
        if self.gate.keeps(job):
            self.gate.add(job)
        else:
            self.queue.add(job)

    def _wait_no_more(self, job: Job) -> None:
        """Take *job* out of where it waits."""
        self.queue.remove(job.id)
        self.gate.remove(job.id)

    def _tasks_changed(self, array: Job) -> None:
        """The tasks of *array* that wait, or that may start, are others than before."""
        self.queue.changed(array.id)
        self.gate.changed(array.id)

    def _begin_task(self, number: int) -> Job:
        """Return the job that is to start as *number*: of a task of an array, a job of its own from now on."""
        job = self.jobs.get(number)
        if job is None:
            array = self.jobs[array_of(number)]
            assert array.tasks is not None
            job = self.jobs[number] = self._effects.records.new[number] = new_task(number, array)
            array.tasks.started(number - task_id(array.id, 0))
            self.queue.changed(array.id)
        return job

    def _task_over(self, task: Job, at: float) -> None:
        """The task of an array has ended; with the last one, the array has."""
        array = self.jobs.get(task.array or 0)
        if array is None or array.tasks is None:
            return
        array.tasks.set(task.index or 0, CODE_OF[task.phase])
        if array.notify:
            self._tell(array, self.teller.task_over(array, task, at))
        self._array_begins(array, task, at)
        self._tasks_changed(array)
        self._see_over(array, at)

    def _array_begins(self, array: Job, task: Job, at: float) -> None:
        """The *array* runs from the moment its first *task* does."""
        if array.started_at is None and task.started_at is not None:
            array.started_at = task.started_at
            self._record(array)
            self._notice(array, at)

    def _see_over(self, array: Job, at: float) -> None:
        """End *array* if none of its tasks waits or runs any more: as well, or as badly, as its tasks have."""
        assert array.tasks is not None
        if not array.tasks.over:
            return
        self._wait_no_more(array)
        ended = array.tasks.ended()
        array.phase = next((phase for phase in WORST_FIRST if ended.get(phase)), Phase.COMPLETED)
        array.exit_code = 0 if array.phase is Phase.COMPLETED else None
        array.ended_at = at
        if array.phase is not Phase.COMPLETED:
            why = f": {array.reason}" if array.cause or array.cancelled_by is not None else ""
            array.cause = (array.cause or "cancelled") if array.phase is Phase.CANCELLED else ""
            array.reason = ", ".join(f"{count} {phase}" for phase, count in ended.items()) + why
        self._record(array)
        self.spans[array.user] -= array.tasks.span
        del self.jobs[array.id], self.arrays[array.id]
        self._notice(array, at)
        self._tell(array, self.teller.over(array, at))

    def _apply(self, job: Job, fact: Fact, now: float | None = None) -> None:
        host = job.host
        started_at = job.started_at
        leaving = job.gives_way is not None
        advance(job, fact, now)
        self._record(job)
        if host is not None:
            session = self._session(job.user, host)
            self.scheduler.host_changed(host)
            if job.phase not in ON_HOST:
                self._quick.add((job.user, host))
                if job.id in session.over and session.ahead:
                    self._orders(session)  # its cores were not granted since the hello: who takes them over needs them
                session.release(job.id)
                session.ended(job.started_at or started_at, fact.at)
                self._uses_no_more(job, fact.at)
            elif job.phase is not Phase.STARTING:
                session.runs(job)
                self._paused(session, job, fact.at)
            if session.host.offer.reason or session.pauses:
                self._minded.add(host)
        if job.phase is Phase.PENDING:
            if fact.what != "returned":
                self._another(job, attempt_of(job, fact, host, started_at, leaving))
            self._wait(job)
        elif job.phase not in ACTIVE:
            self.families.ended(job)
            del self.jobs[job.id]
        self._notice(job, fact.at)
        if fact.what == "started" and is_task(job.id) and (job.array or 0) in self.jobs:
            self._array_begins(self.jobs[job.array or 0], job, fact.at)
        if job.phase not in ACTIVE and is_task(job.id):
            self._task_over(job, fact.at)

    def _another(self, job: Job, before: Attempt) -> None:
        """An attempt of *job* is over, and another one is to follow: write it down, and give it what it lacked."""
        self._effects.records.attempts.append(before)
        self._effects.records.events.append(JobEvent(job.id, before.ended_at, "again", job.reason))
        factor = accepted_spec(job.spec).retry_memory if before.cause == "memory" else 1.0
        wanted = int((job.memory or before.max_rss or 0) * factor)
        hosts = (host for host in self.hosts.values() if not job.hosts or host.name in job.hosts)
        wanted = min(wanted, max((host.whole_memory for host in hosts), default=0))
        if factor > 1.0 and wanted > job.memory and not self.limits.never(job.user, job.cores, wanted):
            job.demand = one_of(msgspec.structs.replace(job.demand, memory=wanted))
            job.changed = True

    def _paused(self, session: Session, job: Job, at: float) -> None:
        """*job* runs, or is suspended: see whether it is as was wished; what nobody wished for is to go on."""
        pause = session.pauses.get(job.id)
        if job.suspended_by is not None and (pause is None or not pause.wanted):
            pause = session.pauses[job.id] = Pause(True, "", at)
            if job.phase is not Phase.SUSPENDED:
                self._orders(session).pause(suspend=[(job.id, job.attempt)])
        if job.phase is Phase.SUSPENDED:
            pause = session.pauses.setdefault(job.id, pause or Pause(False, "", 0.0))
            self._say_why_suspended(job, pause)
        elif pause is not None and not pause.wanted:
            del session.pauses[job.id]

    def _say_why_suspended(self, job: Job, pause: Pause) -> None:
        by = f"by {job.suspended_by}" if job.suspended_by else ""
        why = "; ".join(filter(None, (by, pause.why)))
        job.reason = SUSPENDED + why if why else "stopped on its host"
        self._record(job)

    def _record(self, job: Job) -> None:
        if job.id not in self._effects.records.new:
            self._effects.records.changed[job.id] = job

    def _notice(self, job: Job, at: float) -> None:
        session = self.sessions.get((job.user, job.host or ""))
        self._effects.notices.append(Notice("jobs", job.user, job_fields(job, session), at))
        if job.notify:
            self._tell(job, self.teller.changed(job, at))

    def _tell(self, job: Job, messages: list[Message]) -> None:
        """Have the owner of *job* hear *messages*."""
        if messages:
            self._record(job)
            self._effects.records.messages += messages

    def _notice_link(self, session: Session, at: float) -> None:
        """Tell that a user's server on a host is reached, or not, and so are the jobs there."""
        self._notice_host(
            at, session.user, host=session.host.name, user=session.user, link=str(session.link), reason=session.reason
        )
        for job in session.jobs:
            self._notice(job, at)

    def _notice_host(self, at: float, who: str | None, **fields: object) -> None:
        self._effects.notices.append(Notice("hosts", who, fields, at))

    def _orders_for(self, job: Job) -> Orders:
        assert job.host is not None
        return self._orders(self._session(job.user, job.host))

    def _orders(self, session: Session) -> Orders:
        key = (session.user, session.host.name)
        orders = self._effects.orders.get(key)
        if orders is None:
            orders = self._effects.orders[key] = Orders(*key)
        return orders

    def _session(self, user: str, name: str) -> Session:
        session = self.sessions.get((user, name))
        if session is None:
            host = self.hosts.get(name)
            if host is None:
                host = self.hosts[name] = HostState(HostConfig(name=name, address=name, active=False))
                host.reason = "no longer in etc/ComputerCluster.config"
            session = self.sessions[user, name] = Session(user, host)
        return session

    def _uses(self, job: Job, at: float) -> None:
        """*job* goes to a host: from now on it counts, however often this is said."""
        if job.id in self._in_use:
            return
        self.limits.started(job)
        demand = job.demand
        self._in_use[job.id] = job.user, 0 if demand.scavenge else demand.cores, demand.consumables
        if not demand.scavenge:
            self.fairshare.occupies(job.user, demand.cores, at)
        if demand.consumables:
            self._count_licenses()

    def _uses_no_more(self, job: Job, at: float) -> None:
        """*job* is on no host any more; nothing happens where it was on none."""
        user, cores, consumables = self._in_use.pop(job.id, ("", 0, ()))
        self.limits.ended(job)
        if cores:
            self.fairshare.occupies(user, -cores, at)
            self._charged.add(user)
        if consumables:
            self._count_licenses()
            self.scheduler.licenses_freed()
        if self._limited:
            self.scheduler.freed()

    def _count_licenses(self) -> None:
        """See how many of each license of the cluster are free; what a host has of its own is none."""
        used: dict[str, int] = {}
        for _, _, consumables in self._in_use.values() if self.settings.licenses else ():
            for name, count in consumables:
                used[name] = used.get(name, 0) + count
        self.licenses.clear()
        self.licenses.update(free_licenses(self.settings.licenses, used))

    def likely(self, job: Job) -> float:
        """Return how many seconds *job* is likely to run; inf where nothing is known of its kind."""
        found = self.families.estimate(job)
        return found.likely if found.known else math.inf

    def reach_at(self, user: str, name: str, at: float) -> int:
        """Return whether jobs of *user* can be sent to a host: 0 not, 1 once a server has been started there, 2 now."""
        host = self.hosts.get(name)
        if (
            host is None
            or user not in self.attached
            or not self.may_use(user, host)
            or host.trouble.keeps_away(user, at)
        ):
            return 0
        session = self.sessions.get((user, name))
        if session is None or (session.link is not Link.STALE and at >= session.retry_at):
            return 2 if session is not None and session.link is Link.UP else 1
        return 0

    def may_use(self, user: str, host: HostState) -> bool:
        """Whether jobs of *user* may be placed on *host* by its configuration."""
        users = host.config.users
        return "*" in users or user in users or any("@" + name in users for name in self.limits.groups.groups_of(user))

    def _remember(self, host: HostState) -> None:
        self._effects.records.memos[host.name] = host.memo()
