"""The dispatcher's brain: what happened goes in by its methods, what to do comes out of `take`.

It knows all jobs that have not ended, all hosts and all sessions, and decides alone. It does no I/O; every method
that needs the time is given it (*at*, seconds since the epoch). A job that ends leaves the brain with the records of
that turn; the store keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from tm.errors import IllegalMoveError, RefusedError
from tm.model.cluster import Hello, HostState, Link, Room, Session, Spool
from tm.model.effects import Effects, Notice, Orders, Want, start_of
from tm.model.host import HostConfig
from tm.model.job import ACTIVE, ON_HOST, Job, Phase, new_job
from tm.model.lifecycle import Fact, advance
from tm.model.placement import Policy, allowed, by_priority_and_age, fits
from tm.model.queue import WaitingQueue, class_of
from tm.model.views import job_fields, shown_time

LAUNCH_PATIENCE = 60.0


class Brain:
    """All that is active in one cluster."""

    def __init__(
        self,
        *,
        epoch: int,
        next_id: int = 1,
        jobs: Iterable[Job] = (),
        spools: Iterable[Spool] = (),
        hosts: Iterable[HostState] = (),
        policy: Policy = by_priority_and_age,
    ) -> None:
        self.epoch = epoch
        self.jobs: dict[int, Job] = {}
        self.hosts = {host.name: host for host in hosts}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.attached: set[str] = set()
        self.queue = WaitingQueue()
        self.spools = {spool.id: spool for spool in spools}
        self._next_id = next_id
        self._policy = policy
        self._effects = Effects()
        for job in jobs:
            self._restore(job)

    # -- what comes out -------------------------------------------------------------------------------------------

    def take(self) -> Effects:
        """Return what is to be done because of all that happened since the last call."""
        effects, self._effects = self._effects, Effects()
        for key, orders in effects.orders.items():
            session = self.sessions[key]
            if session.spool is not None:
                orders.grant, orders.spool = session.grant, session.spool.id
        return effects

    # -- jobs -----------------------------------------------------------------------------------------------------

    def submitted(
        self, user: str, token: str, orders: list[tuple[str, str]], environments: Mapping[str, str], at: float
    ) -> range:
        """Accept signed requests (text, signature), all or none; return their ids.

        Raises `RefusedError`: ``job.invalid`` for a request that cannot be read or never run, ``job.user`` for one in
        another's name, ``busy.hosts`` for an interactive one when no host is vacant.
        """
        made: list[Job] = []
        first = self._next_id
        for text, signature in orders:
            job, spec = new_job(first + len(made), text, signature, at)
            if spec.user != user:
                raise RefusedError("job.user", f"the job is in the name of '{spec.user}', the sender is '{user}'")
            self._check_possible(job)
            made.append(job)
        self._next_id += len(made)
        records = self._effects.records
        records.submissions.append((user, token, first, len(made)))
        records.environments.update(environments)
        for job in made:
            self.jobs[job.id] = job
            records.new[job.id] = job
            self.queue.add(job)
            self._notice(job, at)
        return range(first, self._next_id)

    def cancel_asked(self, number: int, by: str, reason: str, at: float, grace: float = 10.0) -> None:
        """End a job: at once when it waits, by its host when it runs. Raises `RefusedError` ``job.unknown``."""
        job = self.jobs.get(number)
        if job is None:
            raise RefusedError("job.unknown", f"there is no waiting or running job {number}")
        first = job.cancelled_by is None
        job.cancelled_by = by
        if job.phase in ON_HOST:
            self._record(job)
            self._orders_for(job).cancel.append((job.id, job.attempt))
            if first:
                job.reason = reason or f"being cancelled by {by}"
                self._notice(job, at)
        else:
            self.queue.remove(number)
            self._apply(job, Fact(number, job.attempt, "cancelled", at, reason=reason))

    def _check_possible(self, job: Job) -> None:
        kind = class_of(job)
        for name in job.hosts:
            if name not in self.hosts:
                raise RefusedError("host.unknown", f"there is no host '{name}'; 'lshosts' lists them")
        whole = [host for host in self.hosts.values() if not job.hosts or host.name in job.hosts]
        known = [host for host in whole if host.knows_cores]
        if whole and len(known) == len(whole) and not any(
            job.cores <= host.cores and job.memory <= host.memory for host in whole
        ):
            most = max(host.cores for host in whole)
            raise RefusedError(
                "job.impossible",
                f"no host has {job.cores} cores and {job.memory} bytes of memory for one job;"
                f" the largest has {most} cores",
            )
        if job.interactive and not any(
            allowed(kind, room) and fits(kind, room) and self._reach_at(job.user, room.name, job.submitted_at)
            for room in self._rooms()
        ):
            raise RefusedError("busy.hosts", "no vacant host for this command now; hRunJob lets it wait for one")

    def _restore(self, job: Job) -> None:
        """Take a job of an earlier epoch; those that were sent ahead are known from the rest at the next hello."""
        self.jobs[job.id] = job
        self._next_id = max(self._next_id, job.id + 1)
        if job.phase is Phase.PENDING:
            self.queue.add(job)
        elif job.phase in ON_HOST and job.host:
            self._session(job.user, job.host).occupy(job)

    # -- user servers and their hosts -----------------------------------------------------------------------------

    def user_server_attached(self, user: str) -> None:
        """The user's server (TMS) is there: their jobs can be placed."""
        self.attached.add(user)
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
        session.link, session.reason, session.since = Link.DOWN, reason, at
        session.retry_at = 0.0
        self._notice_link(session, at)

    def launch_reported(self, user: str, host: str, state: str, reason: str, at: float) -> None:
        """The user's server says how the start of its server on *host* goes: ``starting`` or ``failed``."""
        session = self.sessions.get((user, host))
        if session is None or session.link is Link.UP:
            return
        if state == "failed":
            session.failed(reason, at)
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
            raise RefusedError("store.stale", stale)
        self.spools[spool.id] = self._effects.records.spools[spool.id] = spool
        new = session.link is not Link.UP
        session.link, session.reason, session.since = Link.UP, "", at
        session.failures, session.retry_at, session.spool = 0, 0.0, spool
        session.host.saw(hello.cores, hello.memory)
        self._reconcile(session, hello, at)
        session.agree(hello)
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
        holds = {(job, attempt) for job, attempt, _ in hello.holds}
        orders = self._orders(session)
        orders.anew = True
        orders.start.clear()
        for job in sorted(session.jobs, key=lambda job: job.command_number):
            if job.spool == hello.spool and job.command_number > hello.mark:
                orders.start.append(start_of(job))
            elif (job.id, job.attempt) not in holds:
                self._apply(job, Fact(job.id, job.attempt, "lost", at, reason=f"{hello.host} has no record of it"))
                continue
            if job.cancelled_by is not None:
                orders.cancel.append((job.id, job.attempt))
        for number, attempt in holds:
            held = self.jobs.get(number)
            if held is None or held.attempt != attempt or held.user != session.user:
                orders.forget.append((number, attempt))

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
                try:
                    self._apply(job, fact)
                except IllegalMoveError:
                    continue

    # -- hosts ----------------------------------------------------------------------------------------------------

    def hosts_configured(self, hosts: Iterable[HostConfig], at: float) -> None:
        """Take a new table of hosts; what runs on a host that has gone stays known."""
        fresh = {config.name: HostState(config) for config in hosts}
        for name, old in self.hosts.items():
            new = fresh.get(name)
            if new is None:
                if any(session.host is old and session.jobs for session in self.sessions.values()):
                    old.active, old.reason = False, "no longer in etc/ComputerCluster.config"
                    fresh[name] = old
                continue
            old.config, old.active, old.reason = new.config, new.active, new.reason
            fresh[name] = old
        self.hosts = fresh
        for key in [key for key in self.sessions if key[1] not in fresh]:
            del self.sessions[key]
            self._effects.orders.pop(key, None)
        self._notice_host(at, None, reason="configuration read")

    def host_activated(self, name: str, active: bool, reason: str, at: float) -> None:
        """Let jobs start on a host, or no more of them. Raises `RefusedError` ``host.unknown``."""
        host = self.hosts.get(name)
        if host is None:
            raise RefusedError("host.unknown", f"there is no host '{name}'; 'lshosts' lists them")
        host.active, host.reason = active, "" if active else reason
        for session in self.sessions.values():
            if session.host is host:
                session.retry_at = 0.0
                if not active:
                    self._recall(session)
        self._notice_host(at, None, host=name, active=active, reason=reason)

    # -- time and placement ---------------------------------------------------------------------------------------

    def place(self, at: float) -> None:
        """Start what can be started now."""
        if not self.queue:
            return
        for placement in self._policy(self.queue, self._rooms(), lambda u, h: self._reach_at(u, h, at)):
            job = self.jobs[placement.job]
            session = self._session(job.user, placement.host)
            if session.link is Link.UP:
                session.occupy(job)
                self._assign(job, session, at)
            elif session.link is not Link.STARTING:
                session.link, session.since, session.reason = Link.STARTING, at, "asked for its start"
                self._effects.wants.append(Want(job.user, placement.host))
        self._send_ahead(at)

    def tick(self, at: float) -> None:
        """Called about once a second: take back what waits in vain, ask again for servers that running jobs need."""
        for (user, name), session in self.sessions.items():
            if session.overdue(at):
                self._recall(session)
            if session.link is Link.STARTING and at - session.since > LAUNCH_PATIENCE:
                session.failed(f"its server there did not connect in {LAUNCH_PATIENCE:.0f} s", at)
            idle = session.link in (Link.DOWN, Link.FAILED) and at >= session.retry_at and at - session.since > 1.0
            if session.jobs and user in self.attached and idle:
                session.link, session.since = Link.STARTING, at
                self._effects.wants.append(Want(user, name))

    def _recall(self, session: Session) -> None:
        """Take back what stands in line on a host; no more is sent ahead before jobs there are short again."""
        if session.ahead and session.link is Link.UP:
            orders = self._orders(session)
            orders.recall += [(job.id, job.attempt) for job in session.ahead.values()]
        session.mean_run = max(1.0, session.mean_run or 0.0)

    def _send_ahead(self, at: float) -> None:
        """Send short jobs of the best class to where they can follow a running one of their kind at once."""
        heads = self.queue.heads()
        if not heads:
            return
        kind = heads[0][2]
        for (user, name), session in self.sessions.items():
            if user != kind.user or not session.host.active or (kind.hosts and name not in kind.hosts):
                continue
            head = next(iter(self.queue.ids(kind)), None)
            if head is None:
                return
            room = session.room_ahead(self.jobs[head])
            for number in list(islice(self.queue.ids(kind), room)):
                session.ahead[number] = self.jobs[number]
                self._assign(self.jobs[number], session, at)

    def _assign(self, job: Job, session: Session, at: float) -> None:
        assert session.spool is not None
        self.queue.remove(job.id)
        job.attempt += 1
        session.spool.commands += 1
        job.host, job.spool, job.command_number = session.host.name, session.spool.id, session.spool.commands
        self._effects.records.spools[session.spool.id] = session.spool
        self._apply(job, Fact(job.id, job.attempt, "placed", at))
        self._orders(session).start.append(start_of(job))

    # -- small parts ----------------------------------------------------------------------------------------------

    def _apply(self, job: Job, fact: Fact) -> None:
        host = job.host
        advance(job, fact)
        self._record(job)
        if job.phase not in ON_HOST and host is not None:
            session = self._session(job.user, host)
            session.release(job.id)
            session.ended(job, fact.at)
        elif job.phase is Phase.RUNNING and host is not None:
            self._session(job.user, host).runs(job)
        if job.phase is Phase.PENDING:
            self.queue.add(job)
        elif job.phase not in ACTIVE:
            del self.jobs[job.id]
        self._notice(job, fact.at)

    def _record(self, job: Job) -> None:
        if job.id not in self._effects.records.new:
            self._effects.records.changed[job.id] = job

    def _notice(self, job: Job, at: float) -> None:
        session = self.sessions.get((job.user, job.host or ""))
        self._effects.notices.append(Notice("jobs", job.user, job_fields(job, at, session)))

    def _notice_link(self, session: Session, at: float) -> None:
        """Tell that a user's server on a host is reached, or not, and so are the jobs there."""
        self._notice_host(
            at, session.user, host=session.host.name, user=session.user, link=str(session.link), reason=session.reason
        )
        for job in session.jobs:
            self._notice(job, at)

    def _notice_host(self, at: float, who: str | None, **fields: object) -> None:
        self._effects.notices.append(Notice("hosts", who, {**fields, "at": shown_time(at)}))

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

    def _rooms(self) -> list[Room]:
        return [Room(host) for host in self.hosts.values() if host.active]

    def _reach_at(self, user: str, name: str, at: float) -> bool:
        if user not in self.attached:
            return False
        session = self.sessions.get((user, name))
        return session is None or (session.link is not Link.STALE and at >= session.retry_at)
