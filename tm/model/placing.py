"""How waiting jobs come to hosts: what the scheduler decides is done here, and it is told what time has changed."""

from __future__ import annotations

from itertools import islice

from tm.model.cluster import Link, Session
from tm.model.duration import format_duration
from tm.model.effects import JobEvent, Want, start_of
from tm.model.hosting import Hosting
from tm.model.ids import array_of, shown_id
from tm.model.job import Job
from tm.model.lifecycle import Fact
from tm.model.queue import JobClass, class_of
from tm.model.settings import Scheduling
from tm.model.waiting import waited_for

LAUNCH_PATIENCE = 60.0
KEEP_SHARES_SECONDS = 60.0
LONG_WAIT = 10.0
"""Seconds after which it belongs to the story of a job what it waited for."""


class Placing(Hosting):
    """Who starts where, and what that costs whom."""

    _shares_kept_at = 0.0

    def cluster_configured(self, scheduling: Scheduling, at: float) -> None:
        """Take how the cluster is to schedule."""
        self.settings = scheduling
        self.fairshare.configured(self.limits.groups, scheduling.half_life, at)
        self.matcher.licenses = dict(scheduling.licenses)
        self.matcher.forget()
        self._count_licenses()
        self.scheduler.configured(scheduling)

    def place(self, at: float) -> None:
        """Start what can be started now, and have what runs fit what hosts offer."""
        minded, self._minded = self._minded, set()
        for name in minded & self.hosts.keys():
            self._review(self.hosts[name], at)
        self._look_at_the_resting(at)
        if self.queue:
            self.grounds.at = at
            self.scheduler.place(at)
            self._send_ahead(at)

    def tick(self, at: float) -> None:
        """Called about once a second: take back what waits in vain, ask again for servers that running jobs need."""
        self._look_at_hosts(at)
        self._look_at_the_gate(at)
        for job, messages in self.teller.overdue(self.jobs, at):
            self._tell(job, messages)
        self._effects.records.families.update(self.families.unwritten(at))
        for (user, name), session in self.sessions.items():
            if session.overdue(at):
                self._recall(session)
            if session.pauses:
                self._ask_again(session, at)
            if session.link is Link.STARTING and at - session.since > LAUNCH_PATIENCE:
                reason = f"its server there did not connect in {LAUNCH_PATIENCE:.0f} s"
                session.failed(reason, at)
                self._resting.add((user, name))
                self.scheduler.server_changed(name)
                self._failed_at_start(session.host, user, None, reason, at)
            idle = session.link in (Link.DOWN, Link.FAILED) and at >= session.retry_at and at - session.since > 1.0
            if session.jobs and user in self.attached and idle:
                session.link, session.since = Link.STARTING, at
                self._effects.wants.append(Want(user, name))
        self._look_at_shares(at)
        self.forecaster.sample(at)

    def _look_at_the_resting(self, at: float) -> None:
        """What failed at start, servers and hosts, may be tried again after a time."""
        for key in list(self._resting):
            session = self.sessions.get(key)
            if session is None or session.link is not Link.FAILED or at >= session.retry_at:
                self._resting.discard(key)
                self.scheduler.host_changed(key[1])
        for name in list(self._in_trouble):
            host = self.hosts.get(name)
            if host is None or host.trouble.out_until is None:
                self._in_trouble.discard(name)
                self.scheduler.host_changed(name)
            elif host.trouble.room(at):
                self.scheduler.host_changed(name)

    def _look_at_shares(self, at: float) -> None:
        self.grounds.at = at
        self.scheduler.tick(at)
        if at - self._shares_kept_at >= KEEP_SHARES_SECONDS:
            self._shares_kept_at = at
            users = self._charged.union(self.fairshare.busy())
            self._charged.clear()
            self._effects.records.shares.update(self.fairshare.to_keep(users, at))

    # -- what the scheduler has done ------------------------------------------------------------------------------

    def start(self, number: int, host: str, at: float) -> bool:
        """Start the waiting job or task *number* there; False, and its user's server is asked for, where none is."""
        session = self._session(self.jobs[array_of(number)].user if number not in self.jobs else
                                self.jobs[number].user, host)  # fmt: skip
        if session.link is Link.UP:
            job = self._begin_task(number)
            session.occupy(job)
            self._assign(job, session, at)
            session.host.trouble.sent(job.id)
            return True
        self._ask_for_server(session, at)
        return False

    def _ask_for_server(self, session: Session, at: float) -> None:
        if session.link not in (Link.UP, Link.STARTING):
            session.link, session.since, session.reason = Link.STARTING, at, "asked for its start"
            self._effects.wants.append(Want(session.user, session.host.name))

    def make_room_for(self, number: int, to: int, at: float) -> None:
        """The scavenger *number* leaves for the waiting job *to*."""
        job = self.jobs[number]
        assert job.host is not None
        session = self._session(job.user, job.host)
        other = self.jobs.get(to) or self.jobs[array_of(to)]
        self._leave(session, job, f"job {shown_id(to)} of {other.user}", at)
        self._ask_for_server(self._session(other.user, job.host), at)

    def _send_ahead(self, at: float) -> None:
        """Send short jobs of the best class to where they can follow a running one of their kind at once."""
        quick = [session for session in map(self.sessions.get, sorted(self._quick)) if session and session.is_quick]
        self._quick = {(session.user, session.host.name) for session in quick}
        if not any(session.wants_ahead for session in quick):
            return
        kind = self.scheduler.first(at)
        if kind is None or not _is_plain(kind):
            return
        for session in quick:
            user = session.user
            if user != kind.user or not self._lets_ahead(session, kind):
                continue
            head = self.queue.next_of(kind)
            if head is None:
                return
            room = session.room_ahead(self.jobs.get(head) or self.jobs[array_of(head)])
            for number in list(islice(self.queue.ids(kind), room)):
                if self._limited and self.limits.may_start(user, kind.demand.cores, kind.demand.memory):
                    return
                job = session.ahead[number] = self._begin_task(number)
                self._assign(job, session, at)

    def _lets_ahead(self, session: Session, kind: JobClass) -> bool:
        host = session.host
        if not host.active or host.offer.reason or host.trouble.out_until is not None:
            return False
        return not self.matcher.may_ever(kind.demand, kind.user, host)

    def _assign(self, job: Job, session: Session, at: float) -> None:
        assert session.spool is not None
        self.queue.remove(job.id)
        job.attempt += 1
        session.spool.commands += 1
        job.host, job.spool, job.command_number = session.host.name, session.spool.id, session.spool.commands
        self._effects.records.spools[session.spool.id] = session.spool
        if at - job.submitted_at >= LONG_WAIT and job.attempt == 1:
            told = (
                f"{format_duration(at - job.submitted_at)}; at last {waited_for(self.scheduler.verdict(class_of(job)))}"
            )
            self._effects.records.events.append(JobEvent(job.id, at, "waited", told))
        self._uses(job, at)
        self.forecaster.began(job.id, at)
        self._apply(job, Fact(job.id, job.attempt, "placed", at))
        self._orders(session).start.append(start_of(job))


def _is_plain(kind: JobClass) -> bool:
    """Whether jobs of *kind* ask for nothing that another one's end does not leave them."""
    demand = kind.demand
    return not (demand.gpus or demand.consumables or demand.exclusive or demand.constraint or demand.scavenge)
