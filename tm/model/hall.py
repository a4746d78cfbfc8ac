"""A cluster without daemons: hosts, what waits and what runs, and the very scheduler of the dispatcher between them.

For replays, forecasts and tests: whoever uses it says what is submitted and what ends, and has the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tm.model.cluster import HostState, Session
from tm.model.fairshare import FairShare
from tm.model.host import HostConfig
from tm.model.ids import array_of, is_task, task_id
from tm.model.job import Job, new_task
from tm.model.limits import Usage
from tm.model.matching import Matcher
from tm.model.phase import Phase
from tm.model.queue import WaitingQueue
from tm.model.rights import Groups
from tm.model.room import Room, free_licenses
from tm.model.rules import OURS, Rules
from tm.model.scheduler import Scheduler
from tm.model.settings import Scheduling
from tm.model.tasks import CODE_OF

TICK_SECONDS = 30.0


class Hall:
    """Hosts, waiting and running jobs of one imagined cluster; every user is everywhere at once."""

    def __init__(
        self,
        hosts: Iterable[HostConfig],
        *,
        rules: Rules = OURS,
        settings: Scheduling = Scheduling(),  # noqa: B008  a frozen value
        groups: Groups = Groups(),  # noqa: B008  a frozen value
        estimate: Callable[[Job], float] | None = None,
    ) -> None:
        self.hosts = {config.name: HostState(config) for config in hosts}
        self.jobs: dict[int, Job] = {}
        self.limits = Usage(groups)
        self.queue = WaitingQueue(self.limits.waits)
        self.fairshare = FairShare(settings.half_life)
        self.fairshare.configured(groups, settings.half_life, 0.0)
        self.matcher = Matcher(lambda user, host: True)
        self.matcher.licenses = dict(settings.licenses)
        limited = any(group.limits.any or group.user_limits.any for group in groups.groups)
        self.scheduler = Scheduler(
            self.queue, self.jobs, self, self.matcher, self.fairshare, rules=rules, settings=settings,
            permit=self.limits if limited else None, estimate=estimate,
        )  # fmt: skip
        self._licenses = free_licenses(settings.licenses, {})
        self._all_licenses = settings.licenses
        self._used_licenses: dict[str, int] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._started: list[Job] = []
        self._leaving: list[int] = []
        self._at = self._ticked = 0.0
        for name in self.hosts:
            self.scheduler.host_changed(name)

    # -- what happens ---------------------------------------------------------------------------------------------

    def submitted(self, job: Job, at: float) -> None:
        """*job* waits from now on; make it with `tm.model.job.Job`, arrays too."""
        self.jobs[job.id] = job
        self.queue.add(job)

    def ended(self, number: int, at: float) -> None:
        """The running job *number* is over."""
        job = self.jobs.pop(number)
        assert job.host is not None
        session = self._session(job)
        session.release(number)
        self._license(job, -1)
        self.limits.ended(job)
        if not job.demand.scavenge:
            self.fairshare.occupies(job.user, -job.cores, at)
        self.scheduler.host_changed(job.host)
        self.scheduler.freed()
        if is_task(number):
            self._task_over(job)

    def place(self, at: float) -> list[Job]:
        """Start what can start now; return those that did, with `host` and `started_at` set."""
        self._at = at
        if at - self._ticked >= TICK_SECONDS:
            self._ticked = at
            self.scheduler.tick(at)
        self.scheduler.place(at)
        started, self._started = self._started, []
        return started

    def asked_to_leave(self) -> list[int]:
        """Return scavengers that were asked to leave since the last call; say `ended`, then `submitted`, of them."""
        leaving, self._leaving = self._leaving, []
        return leaving

    # -- what the scheduler asks ----------------------------------------------------------------------------------

    def room(self, host: str) -> Room | None:
        """Return what is free there."""
        state = self.hosts.get(host)
        return Room(state, self._licenses) if state is not None and state.active else None

    def here(self, user: str) -> bool:
        """Everybody is here."""
        return True

    def reach(self, user: str, host: str) -> int:
        """Everybody is everywhere."""
        return 2

    def running(self, host: str) -> list[Job]:
        """Return the jobs that occupy some of *host*."""
        return [job for session in self.hosts[host].sessions.values() for job in session.occupying.values()]

    def start(self, number: int, host: str) -> bool:
        """Start the job or task *number* there."""
        job = self.jobs.get(number)
        if job is None:
            array = self.jobs[array_of(number)]
            assert array.tasks is not None
            job = self.jobs[number] = new_task(number, array)
            array.tasks.started(number - task_id(array.id, 0))
            self.queue.changed(array.id)
        self.queue.remove(number)
        job.host, job.started_at, job.phase = host, self._at, Phase.RUNNING
        job.attempt += 1
        self._session(job).occupy(job)
        self._license(job, 1)
        self.limits.started(job)
        if not job.demand.scavenge:
            self.fairshare.occupies(job.user, job.cores, self._at)
        self._started.append(job)
        return True

    def give_way(self, number: int, to: int) -> None:
        """The scavenger *number* is to make room."""
        self.jobs[number].gives_way = str(to)
        self._leaving.append(number)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _session(self, job: Job) -> Session:
        assert job.host is not None
        session = self._sessions.get((job.user, job.host))
        if session is None:
            session = self._sessions[job.user, job.host] = Session(job.user, self.hosts[job.host])
        return session

    def _license(self, job: Job, sign: int) -> None:
        if not job.demand.consumables:
            return
        for name, count in job.demand.consumables:
            self._used_licenses[name] = self._used_licenses.get(name, 0) + sign * count
        self._licenses.update(free_licenses(self._all_licenses, self._used_licenses))
        if sign < 0:
            self.scheduler.licenses_freed()

    def _task_over(self, task: Job) -> None:
        array = self.jobs[task.array or 0]
        assert array.tasks is not None
        array.tasks.set(task.index or 0, CODE_OF[Phase.COMPLETED])
        self.queue.changed(array.id)
        if array.tasks.over:
            self.queue.remove(array.id)
            del self.jobs[array.id]
