"""The dispatcher's brain: what happened goes in by its methods, what to do comes out of `take`.

It knows all jobs that have not ended, all hosts and all sessions, and decides alone. It does no I/O; every method
that needs the time is given it (*at*, seconds since the epoch). A job that ends leaves the brain with the records of
that turn; the store keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from tm.errors import RefusedError
from tm.model.cluster import Link, Session
from tm.model.control import Control
from tm.model.effects import Effects, Want, start_of
from tm.model.gating import NONE_ENDED, Ended
from tm.model.ids import array_of
from tm.model.job import Job, new_job
from tm.model.lifecycle import Fact
from tm.model.placement import allowed, fits
from tm.model.queue import class_of

LAUNCH_PATIENCE = 60.0


class Brain(Control):
    """All that is active in one cluster, and what to do about it."""

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
        self, user: str, token: str, orders: list[tuple[str, str]], environments: Mapping[str, str], at: float,
        ended: Ended = NONE_ENDED,
    ) -> range:  # fmt: skip
        """Accept signed requests (text, signature), all or none; return their ids. *ended* are targets of their
        dependencies that are over (`expected_of` names those).

        Raises `RefusedError`: ``job.invalid`` for a request that cannot be read or never run, ``job.user`` for one in
        another's name, ``busy.hosts`` for an interactive one when no host is vacant, ``limit.jobs`` for more than the
        limits of the user's groups let wait, ``job.impossible`` for what no host has or these limits never permit,
        ``job.dependency`` for what cannot be waited for.
        """
        made: list[Job] = []
        first = self._next_id
        for text, signature in orders:
            job, spec = new_job(first + len(made), text, signature, at)
            if spec.user != user:
                raise RefusedError("job.user", f"the job is in the name of '{spec.user}', the sender is '{user}'")
            self._check_possible(job)
            self.check_expected(job, ended)
            made.append(job)
        too_many = self.limits.queued(user, sum(job.waiting for job in made)) if self._limited else ""
        if too_many:
            raise RefusedError("limit.jobs", too_many)
        self._next_id += len(made)
        self.environments_given(environments)
        records = self._effects.records
        records.submissions.append((user, token, first, len(made)))
        for job in made:
            self.jobs[job.id] = job
            records.new[job.id] = job
            self.gate.came(job)
            self._wait(job)
            self._notice(job, at)
            if job.notify:
                self.teller.waits(job)
            self._expect(job, ended, at)
        return range(first, self._next_id)

    def environments_given(self, environments: Mapping[str, str]) -> None:
        """Record *environments*, also those of a submission that was accepted before: who sent them names them then."""
        self._effects.records.environments.update(environments)

    def _check_possible(self, job: Job) -> None:
        kind = class_of(job)
        never = self.limits.never(job.user, job.cores, job.memory) if self._limited else ""
        if never:
            raise RefusedError("job.impossible", never)
        for name in job.hosts:
            if name not in self.hosts:
                raise RefusedError("host.unknown", f"there is no host '{name}'; 'tm hosts list' lists them")
        whole = [host for host in self.hosts.values() if not job.hosts or host.name in job.hosts]
        known = [host for host in whole if host.knows_cores]
        if (
            whole
            and len(known) == len(whole)
            and not any(job.cores <= host.whole_cores and job.memory <= host.whole_memory for host in whole)
        ):
            most = max(host.whole_cores for host in whole)
            raise RefusedError(
                "job.impossible",
                f"no host has {job.cores} cores and {job.memory} bytes of memory for one job;"
                f" the largest has {most} cores",
            )
        held = self.limits.may_start(job.user, job.cores, job.memory) if job.interactive and self._limited else ""
        if held:
            raise RefusedError("limit.jobs", f"{held}; hRunJob lets the command wait")
        if job.interactive and not any(
            allowed(kind, room) and fits(kind, room) and self._reach_at(job.user, room.name, job.submitted_at)
            for room in self._rooms(job.submitted_at)
        ):
            raise RefusedError("busy.hosts", "no vacant host for this command now; hRunJob lets it wait for one")

    # -- time and placement ---------------------------------------------------------------------------------------

    def place(self, at: float) -> None:
        """Start what can be started now, and have what runs fit what hosts offer."""
        minded, self._minded = self._minded, set()
        for name in minded & self.hosts.keys():
            self._review(self.hosts[name], at)
        if not self.queue:
            return
        permit = self.limits.trial() if self._limited else None
        for placement in self._policy(self.queue, self._rooms(at), lambda u, h: self._reach_at(u, h, at), permit):
            session = self._session(self.jobs[array_of(placement.job)].user, placement.host)
            if session.link is Link.UP:
                trouble = session.host.trouble
                if trouble.room(at):
                    job = self._begin_task(placement.job)
                    session.occupy(job)
                    self._assign(job, session, at)
                    trouble.sent(job.id)
            elif session.link is not Link.STARTING:
                session.link, session.since, session.reason = Link.STARTING, at, "asked for its start"
                self._effects.wants.append(Want(session.user, placement.host))
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
                self._failed_at_start(session.host, user, None, reason, at)
            idle = session.link in (Link.DOWN, Link.FAILED) and at >= session.retry_at and at - session.since > 1.0
            if session.jobs and user in self.attached and idle:
                session.link, session.since = Link.STARTING, at
                self._effects.wants.append(Want(user, name))

    def _send_ahead(self, at: float) -> None:
        """Send short jobs of the best class to where they can follow a running one of their kind at once."""
        heads = self.queue.heads()
        if not heads:
            return
        kind = heads[0][2]
        for (user, name), session in self.sessions.items():
            host = session.host
            if user != kind.user or not host.active or (kind.demand.hosts and name not in kind.demand.hosts):
                continue
            if host.offer.reason or host.trouble.out_until is not None or not self.may_use(user, host):
                continue
            head = next(iter(self.queue.ids(kind)), None)
            if head is None:
                return
            room = session.room_ahead(self.jobs.get(head) or self.jobs[array_of(head)])
            for number in list(islice(self.queue.ids(kind), room)):
                if self._limited and self.limits.may_start(user, kind.demand.cores, kind.demand.memory):
                    return
                job = session.ahead[number] = self._begin_task(number)
                self._assign(job, session, at)

    def _assign(self, job: Job, session: Session, at: float) -> None:
        assert session.spool is not None
        self.queue.remove(job.id)
        job.attempt += 1
        session.spool.commands += 1
        job.host, job.spool, job.command_number = session.host.name, session.spool.id, session.spool.commands
        self._effects.records.spools[session.spool.id] = session.spool
        self.limits.started(job)
        self._apply(job, Fact(job.id, job.attempt, "placed", at))
        self._orders(session).start.append(start_of(job))
