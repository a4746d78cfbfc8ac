"""Users' servers and their servers on hosts: who is reached, what they hold, and what they say of their attempts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tm.errors import IllegalMoveError, RefusedError
from tm.model.breaker import blames_host
from tm.model.cluster import Hello, HostState, Link, Session, Spool
from tm.model.effects import Orders, start_of, void_start
from tm.model.gating import Gating
from tm.model.job import Job
from tm.model.lifecycle import CAUSES, Fact
from tm.model.phase import ON_HOST, Phase
from tm.model.spec import accepted_spec
from tm.model.views import shown_time

NICE_LEVEL = 19
MOST_LETTERS = 500
MOST_REASON = 4000
MOST_CPU_SECONDS = 1e12
NOT_THERE = "ssh.unreachable"
"""A failure to start a server that says nothing of what a job would meet there."""


class Servers(Gating):
    """What users' servers say, and those they have on hosts."""

    def user_server_attached(self, user: str) -> None:
        """The user's server (TMS) is there: their jobs can be placed."""
        self.attached.add(user)
        self.scheduler.user_changed(user)
        for (owner, _), session in self.sessions.items():
            if owner == user and session.link is not Link.UP:
                session.link, session.retry_at = Link.DOWN, 0.0

    def user_server_detached(self, user: str, at: float) -> None:
        """The user's server is gone; their jobs go on unseen until one is there again."""
        self.attached.discard(user)
        for host in [host for owner, host in self.sessions if owner == user]:
            self.host_left(user, host, at, "the user's server (TMS) is not connected")

    def host_left(self, user: str, host: str, at: float, reason: str) -> None:
        """The user's server on *host* is reached no longer."""
        session = self.sessions.get((user, host))
        if session is None or session.link is Link.DOWN:
            return
        session.link, session.reason, session.since = Link.DOWN, _one_line(reason), at
        session.retry_at = 0.0
        self.scheduler.server_changed(host)
        self._notice_link(session, at)

    def clock_set_back(self, by: float) -> None:
        """The time of day is less than it was, *by* so many seconds: nothing that waits is to wait so much longer."""
        for session in self.sessions.values():
            session.clock_set_back(by)
        for host in self.hosts.values():
            host.trouble.clock_set_back(by)

    def launch_reported(self, user: str, host: str, state: str, reason: str, at: float) -> None:
        """The user's server says how the start of its server on *host* goes: ``starting`` or ``failed``."""
        session = self.sessions.get((user, host))
        if session is None or session.link is Link.UP:
            return
        reason = _one_line(reason)
        if state == "failed":
            session.failed(reason, at)
            self._resting.add((user, host))
            self.scheduler.server_changed(host)
            if not reason.startswith(NOT_THERE):
                self._failed_at_start(session.host, user, None, reason, at)
        else:
            session.link, session.reason, session.since = Link.STARTING, reason, at
        self._notice_link(session, at)

    def host_joined(self, user: str, hello: Hello, at: float) -> None:
        """The user's server on a host is reached; agree on what it holds. Raises `RefusedError` ``host.unknown`` or
        ``store.stale`` when that server has seen a later history than ours."""
        if hello.host not in self.hosts:
            raise RefusedError("host.unknown", f"there is no host '{hello.host}' in etc/ComputerCluster.config")
        session = self._session(user, hello.host)
        spool = self.spools.get(hello.spool) or Spool(hello.spool, user, hello.host)
        stale = self._staleness(hello, spool, user)
        if stale:
            session.link, session.reason, session.since = Link.STALE, stale, at
            self.scheduler.server_changed(hello.host)
            raise RefusedError("store.stale", stale)
        self.spools[spool.id] = self._effects.records.spools[spool.id] = spool
        new = session.link is not Link.UP
        session.link, session.reason, session.since = Link.UP, "", at
        session.failures, session.retry_at, session.spool = 0, 0.0, spool
        session.host.saw(hello.cores, hello.memory)
        self._reconcile(session, hello, at)
        session.agree(hello)
        self.scheduler.server_changed(hello.host)
        if new:
            self._notice_link(session, at)

    def _staleness(self, hello: Hello, spool: Spool, user: str) -> str:
        if (spool.user, spool.host) != (user, hello.host):
            return f"the spool {spool.id} belongs to {spool.user} on {spool.host}"
        signs = []
        if hello.epoch > self.epoch:
            signs.append(f"it has seen epoch {hello.epoch}, this dispatcher is in {self.epoch}")
        if hello.mark > spool.commands:
            signs.append(f"it has {hello.mark} commands, this store issued {spool.commands}")
        if hello.acked > spool.reports:
            signs.append(f"it has {hello.acked} reports acknowledged, this store has {spool.reports}")
        if not signs:
            return ""
        return f"host {hello.host} knows a later history ({'; '.join(signs)}): this looks like an old copy of the store"

    def _reconcile(self, session: Session, hello: Hello, at: float) -> None:
        holds = {(job, attempt): state for job, attempt, state in hello.holds}
        orders = self._orders(session)
        orders.anew = True
        orders.start.clear()
        assert session.spool is not None
        void = set(range(hello.mark + 1, session.spool.commands + 1))
        for job in sorted(session.jobs, key=lambda job: job.command_number):
            if job.spool == hello.spool and job.command_number > hello.mark:
                orders.start.append(start_of(job))
                void.discard(job.command_number)
            elif (job.id, job.attempt) not in holds:
                self._apply(job, _unheld(session, job, hello, at))
                continue
            self._say_again(session, job, orders, at)
        orders.start += map(void_start, void)
        for (number, attempt), state in holds.items():
            held = self.jobs.get(number)
            if held is None or held.attempt != attempt or held.user != session.user:
                (orders.forget if state == "final" else orders.cancel).append((number, attempt))

    def _say_again(self, session: Session, job: Job, orders: Orders, at: float) -> None:
        """Repeat what its host was told of *job* and may not have heard."""
        key = (job.id, job.attempt)
        if job.cancelled_by is not None:
            orders.cancel.append(key)
        elif job.gives_way is not None:
            orders.give_way.append(key)
        pause = session.pauses.get(job.id)
        if pause is not None:
            pause.asked_at = at
            orders.pause(*(([key], []) if pause.wanted else ([], [key])))
        if job.id in session.niced:
            orders.nice.append((*key, NICE_LEVEL))
        if job.changed and job.phase is not Phase.STARTING:
            orders.limit.append((*key, job.demand.time))

    def facts_reported(
        self, user: str, host: str, spool_id: str, number: int, facts: Iterable[Fact], at: float
    ) -> None:
        """Take what a user's server on a host says of its attempts; what is known already changes nothing.

        Raises `RefusedError` ``host.unknown`` when that server has not said hello.
        """
        session = self.sessions.get((user, host))
        if session is None or session.spool is None or session.spool.id != spool_id:
            raise RefusedError("host.unknown", f"{host} must say hello first")
        session.spool.reports = max(session.spool.reports, number)
        self._effects.records.spools[spool_id] = session.spool
        for fact in facts:
            job = self.jobs.get(fact.job)
            if job is not None and job.user == user and job.host == host:
                credible = _credible(fact, job, at)
                try:
                    self._apply(job, credible, at)
                except IllegalMoveError:
                    continue
                self._judge(session.host, job, credible, at)

    def _judge(self, host: HostState, job: Job, fact: Fact, at: float) -> None:
        """See what *fact* of *job* says about its host."""
        trouble = host.trouble
        if fact.what == "refused" and blames_host(fact.exit_code, fact.reason, accepted_spec(job.spec).command):
            self._failed_at_start(host, job.user, job.id, f"job {job.id}: {fact.reason}", at)
        elif fact.what in ("started", "ended"):
            if trouble.started(job.user, job.id, at):
                self.scheduler.host_changed(host.name)
                self._notice_host(at, None, host=host.name, trouble="", reason=f"job {job.id} has started there")
        if job.phase not in ON_HOST:
            trouble.gone(job.id)

    def _failed_at_start(self, host: HostState, user: str, job: int | None, text: str, at: float) -> None:
        alone = len(self.attached.union(owner for owner, _ in self.sessions)) <= 1
        if not host.trouble.failed(user, job, _one_line(text), at, alone):
            return
        self._in_trouble.add(host.name)
        self.scheduler.host_changed(host.name)
        for session in host.sessions.values():
            self._recall(session, at_start=True)
        until = shown_time(host.trouble.out_until)
        reason = f"taken out until {until}: {host.trouble.reason}"
        self._notice_host(at, None, host=host.name, trouble=reason, until=until, reason=reason)


def _credible(fact: Fact, job: Job, at: float) -> Fact:
    """Return what is believed of *fact*, which somebody's server says of *job* at *at*: nothing that is yet to come, or
    was before the job, no end before the beginning, no cause that there is not, no more words than a person reads."""
    began = job.started_at if fact.started_at is None else fact.started_at
    begun = job.submitted_at if began is None else began
    cpu = fact.cpu_seconds
    if (
        job.submitted_at <= begun <= fact.at <= at
        and len(fact.reason) <= MOST_REASON and len(fact.rung) <= MOST_LETTERS
        and (not fact.cause or fact.cause in CAUSES) and (cpu is None or 0 <= cpu <= MOST_CPU_SECONDS)
    ):  # fmt: skip
        return fact
    return msgspec.structs.replace(
        fact, at=min(max(fact.at, begun, job.submitted_at), at),
        reason=fact.reason[:MOST_REASON], rung=fact.rung[:MOST_LETTERS],
        started_at=None if fact.started_at is None else min(max(fact.started_at, job.submitted_at), at),
        cause=fact.cause if fact.cause in CAUSES else "",
        cpu_seconds=cpu if cpu is not None and 0 <= cpu <= MOST_CPU_SECONDS else None,
    )  # fmt: skip


def _one_line(text: str) -> str:
    """Return what a user's server says as everybody may be shown it: no line of it stands as one of ours."""
    return " ".join(text.split())[:MOST_LETTERS]


def _unheld(session: Session, job: Job, hello: Hello, at: float) -> Fact:
    """Return what became of a job of which its host has no record.

    Another boot at another address may be another computer: then nobody knows whether the job still runs on the first.
    """
    if session.boot and session.boot != hello.boot and session.address == session.host.config.address:
        return Fact(job.id, job.attempt, "rebooted", at, reason=f"{hello.host} was restarted, with another disk")
    return Fact(job.id, job.attempt, "lost", at, reason=f"{hello.host} has no record of it")
