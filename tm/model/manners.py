"""What becomes of running jobs when the people of a host need it, or it is drained.

When less is offered than runs, jobs are niced, suspended or asked to leave, the youngest first, until what runs fits;
when more is offered again they go on, the oldest first. A job leaves only where its user has consented to its being
started anew; another one is suspended instead. That a job has been asked to leave is recorded before it is told, and it
waits again only when its attempt is seen dead. What people have suspended themselves stays so until they resume it.
"""

from __future__ import annotations

from tm.model.cluster import HostState, Link, Session
from tm.model.decided import Pause
from tm.model.guest import Action, Offer, Use, beyond
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.servers import NICE_LEVEL, Servers

NICED = "niced: "
ASK_AGAIN = 5.0
FIRST_REPORT = 30.0


class Manners(Servers):
    """How hosts are shared with those outside."""

    _began: float | None = None

    def _review(self, host: HostState, at: float) -> None:
        """See what *host* offers now, and make what runs there fit."""
        before, host.offer = host.offer, host.offers(at)
        now = host.offer
        if now != before:
            self.scheduler.host_changed(host.name)
        if _told(before) != _told(now):
            for session in host.sessions.values():
                self._recall(session, at_start=now.action is not Action.NONE)
            self._notice_host(
                at, None, host=host.name, offered_cores=max(0, host.cores), reason=now.reason, action=str(now.action)
            )
        self._settle(host, at)

    def _settle(self, host: HostState, at: float) -> None:
        if host.drain_deadline is not None and not host.active and at >= host.drain_deadline:
            self._drain(host, at)
        action = host.offer.action
        there = {job.id: (session, job) for session, job in _running(host)}
        stopped = {number for number, (session, _) in there.items() if _is_stopped(session, number)}
        by_people = {number for number in stopped if there[number][1].suspended_by is not None}
        if action is not Action.NICE:
            self._nice_no_more(host, at)
        if action is Action.NONE and not stopped:
            return
        uses = [
            Use(number, job.cores, job.started_at or 0.0, number in stopped)
            for number, (_, job) in there.items() if number not in by_people
        ]  # fmt: skip
        over, again = beyond(uses, host.cores)
        if action in (Action.NONE, Action.NICE):
            again = sorted(stopped - by_people)
            for number in by_people:
                self._needed_no_more(*there[number], at)
        if action is Action.GIVE_WAY:
            over += [number for number in stopped if number not in again]
        for number in over if action is not Action.NONE else ():
            self._make_room(*there[number], host.offer, at)
        for number in again if not self._is_too_early(host, at) else ():
            self._go_on(*there[number], at)

    def _is_too_early(self, host: HostState, at: float) -> bool:
        """Whether nobody has said yet how *host* is, whose jobs were stopped under an earlier dispatcher."""
        if self._began is None:
            self._began = at
        host.unheard = host.unheard and at < self._began + FIRST_REPORT
        return host.unheard

    def _nice_no_more(self, host: HostState, at: float) -> None:
        """Others need *host* no longer: ask for the usual level, which not every system permits."""
        for session in host.sessions.values():
            for number in session.niced:
                job = session.occupying[number]
                self._orders(session).nice.append((number, job.attempt, 0))
                if job.reason.startswith(NICED):
                    job.reason = ""
                    self._record(job)
                    self._notice(job, at)
            session.niced.clear()

    def _make_room(self, session: Session, job: Job, offer: Offer, at: float) -> None:
        key = (job.id, job.attempt)
        if offer.action is Action.NICE:
            if job.id not in session.niced:
                session.niced.add(job.id)
                self._orders(session).nice.append((*key, NICE_LEVEL))
                if job.phase is Phase.RUNNING:
                    job.reason = NICED + offer.reason
                    self._record(job)
                    self._notice(job, at)
        elif offer.action is Action.GIVE_WAY and job.requeue:
            self._leave(session, job, f"others: {offer.reason}", at)
        elif not _is_stopped(session, job.id):
            session.pauses[job.id] = Pause(True, offer.reason, at)
            self._orders(session).pause(suspend=[key])

    def _leave(self, session: Session, job: Job, to: str, at: float) -> None:
        """Ask *job* to make room for good; when it is seen dead it waits again."""
        job.gives_way = to
        job.reason = f"giving way to {to}"
        self._record(job)
        self._orders(session).give_way.append((job.id, job.attempt))
        self._notice(job, at)

    def _go_on(self, session: Session, job: Job, at: float) -> None:
        pause = session.pauses[job.id]
        pause.wanted, pause.asked_at = False, at
        self._orders(session).pause(resume=[(job.id, job.attempt)])

    def _needed_no_more(self, session: Session, job: Job, at: float) -> None:
        """Only people want *job* suspended now, its host has room for it."""
        pause = session.pauses[job.id]
        if pause.why:
            pause.why = ""
            if job.phase is Phase.SUSPENDED:
                self._say_why_suspended(job, pause)
                self._notice(job, at)

    def _drain(self, host: HostState, at: float) -> None:
        """The deadline has passed: what may be repeated leaves, the rest is named."""
        staying = []
        for session in host.sessions.values():
            self._recall(session, at_start=True)
            for job in session.occupying.values():
                if not job.requeue:
                    staying.append(job.id)
                elif job.phase is not Phase.STARTING and not _is_ending(job):
                    self._leave(session, job, f"the draining of {host.name}: {host.drain_reason}", at)
        named = ", ".join(map(str, sorted(staying)[:20])) + ("…" if len(staying) > 20 else "")
        rest = f"; may not be repeated and runs on: job {named}" if staying else ""
        if host.reason != host.drain_reason + rest:
            host.reason = host.drain_reason + rest
            self._notice_host(at, None, host=host.name, active=False, reason=host.reason)

    def _ask_again(self, session: Session, at: float) -> None:
        """Repeat a wish that its host has not followed."""
        for number, pause in list(session.pauses.items()):
            job = session.occupying[number]
            if _is_ending(job):
                del session.pauses[number]
            elif pause.wanted is (job.phase is Phase.SUSPENDED):
                if not pause.wanted:
                    del session.pauses[number]
            elif at - pause.asked_at > ASK_AGAIN and session.link is Link.UP:
                pause.asked_at = at
                key = [(job.id, job.attempt)]
                self._orders(session).pause(*((key, []) if pause.wanted else ([], key)))


def _told(offer: Offer) -> tuple[object, ...]:
    """Return what of an offer is news when it changes."""
    return offer.cores, offer.action, offer.closed, bool(offer.reason)


def _is_ending(job: Job) -> bool:
    return job.cancelled_by is not None or job.gives_way is not None


def _running(host: HostState) -> list[tuple[Session, Job]]:
    """Return the jobs that run or are suspended on *host* and have not been asked to end."""
    return [
        (session, job)
        for session in host.sessions.values()
        for job in session.occupying.values()
        if job.phase in (Phase.RUNNING, Phase.SUSPENDED) and not _is_ending(job)
    ]


def _is_stopped(session: Session, number: int) -> bool:
    pause = session.pauses.get(number)
    return pause is not None and pause.wanted
