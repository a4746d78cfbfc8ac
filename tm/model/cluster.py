"""Hosts and the users' servers on them, as the dispatcher sees them: what is free, what runs where, who is reached.

A *session* is one user's server on one host (TMMS). Jobs it has been told to run occupy cores of the host; jobs sent
*ahead* occupy none: they stand in line on the host and take over the cores of one that ends there. Only alike jobs that
proved short are sent ahead, and they can be taken back.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

import msgspec

from tm.model.breaker import Breaker
from tm.model.decided import HostMemo, Pause
from tm.model.demand import Demand
from tm.model.devices import Holding
from tm.model.guest import Level, Offer, offer
from tm.model.host import HostConfig
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.report import About, HostReport

UNLIMITED_MEMORY = 1 << 62
AHEAD_SECONDS = 0.05
MOST_AHEAD = 64
RECALL_AFTER = 0.5
MOST_WORDS = 80
STRANGERS_GPU_MEMORY = 1 << 30
"""So much of a GPU's memory in use says that somebody is there, if nobody is seen; a driver takes some for itself."""
RETRY_AFTER = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)


class Link(StrEnum):
    """Whether a user's server on a host is reached."""

    DOWN = "down"
    STARTING = "starting"
    FAILED = "failed"
    UP = "up"
    STALE = "stale"


NOTHING: dict[str, int] = {}
KNOWN = """active reason seen_cores seen_memory about report reported_at level offer declared unheard drain_deadline
drain_reason left_until left_by trouble""".split()


class HostState:
    """One computer: what it offers, and what of it is in use by all users' jobs together."""

    def __init__(self, config: HostConfig) -> None:
        self.config = config
        self.is_open = "*" in config.users
        self.seen_cores: int | None = None
        self.seen_memory: int | None = None
        self.active = config.active
        self.reason = "" if config.active else "not active in etc/ComputerCluster.config"
        self.facts = 0
        self.used_cores = 0
        self.used_memory = 0
        self.used_gpus = 0
        self.used_consumables: dict[str, int] = {}
        self.places: dict[int, Demand] = {}
        self.back: set[int] = set()
        self.alone = 0
        self.cpus = Holding()
        self.gpus = Holding()
        self.unsaid: dict[int, HostReport | None] = {}
        self.sessions: dict[str, Session] = {}
        self.about: About | None = None
        self.report: HostReport | None = None
        self.reported_at = 0.0
        self.level = Level()
        self.offer = Offer()
        self.declared = ""
        self.unheard = False
        self.drain_deadline: float | None = None
        self.drain_reason = ""
        self.left_until = 0.0
        self.left_by = ""
        self.trouble = Breaker()

    def configured(self, config: HostConfig) -> None:
        """Take what the configuration says of it now."""
        self.config = config
        self.is_open = "*" in config.users
        self.facts += 1

    def described(self, about: About | None) -> None:
        """Take what its InfoServer says of the machine; None where nothing trustworthy is known."""
        if about != self.about:
            self.about = about
            self.facts += 1

    def recall(self, memo: HostMemo) -> None:
        """Take up what an earlier dispatcher decided about it."""
        self.left_until, self.left_by, self.declared = memo.left_until, memo.left_by, memo.declared
        if not self.active:
            self.drain_deadline, self.drain_reason = memo.drain_deadline, memo.drain_reason
            self.reason = self.drain_reason or memo.reason or self.reason
        if self.declared:
            self.active, self.reason = False, self.declared

    def follow(self, before: HostState) -> None:
        """Take over from *before*, the same host until now, all that is known of it but what runs there."""
        for name in KNOWN:
            setattr(self, name, getattr(before, name))
        self.facts += 1

    def memo(self) -> HostMemo:
        """Return what is to be remembered of it beside the configuration."""
        reason = "" if self.active or self.declared or self.drain_reason else self.reason
        return HostMemo(
            self.name, self.left_until, self.left_by, self.declared, self.drain_deadline, self.drain_reason, reason
        )

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.config.name

    @property
    def whole_cores(self) -> int:
        """Cores for jobs when nobody else needs any: as configured, else as the host said; 1 while nobody knows."""
        return self.config.cores or self.seen_cores or 1

    @property
    def whole_memory(self) -> int:
        """Bytes for jobs when nobody else needs any: as configured, else as the host said; without bound else."""
        return self.config.memory or self.seen_memory or UNLIMITED_MEMORY

    @property
    def cores(self) -> int:
        """Cores for jobs now: what others leave of the whole."""
        offered = self.offer.cores
        return self.whole_cores if offered is None else min(offered, self.whole_cores)

    @property
    def memory(self) -> int:
        """Bytes for jobs now: what others leave of the whole."""
        offered = self.offer.memory
        return self.whole_memory if offered is None else min(offered, self.whole_memory)

    @property
    def held_back(self) -> str:
        """Who or what keeps some of it from us now, or an empty text."""
        return self.offer.reason

    def offers(self, at: float) -> Offer:
        """Return what is to be offered at *at*; `offer` is what was last decided."""
        level = self.level.at(at, self.whole_cores, self.whole_memory) if self.level.known else None
        return offer(self.config, level, at, self.left_until, self.left_by)

    @property
    def knows_cores(self) -> bool:
        """Whether `cores` is more than a guess."""
        return bool(self.config.cores or self.seen_cores)

    @property
    def overfull(self) -> bool:
        """Whether more is in use than there is."""
        return self.used_cores > self.whole_cores or self.used_memory > self.whole_memory

    @property
    def gpu_count(self) -> int | None:
        """GPUs for jobs: as configured, else as its InfoServer says; None while nobody knows."""
        if self.config.gpus is not None or self.about is not None:
            return len(self.gpu_numbers)
        return None if self.config.infoserver else 0

    @property
    def gpu_numbers(self) -> tuple[int, ...]:
        """The GPUs for jobs, by the numbers their driver gives them; those configured when it names none."""
        wanted = self.config.gpus
        seen = [gpu.index for gpu in self.about.gpus] if self.about is not None else []
        if not seen:
            return tuple(range(wanted or 0))
        return tuple(seen if wanted is None else seen[:wanted])

    @property
    def strangers(self) -> dict[int, str]:
        """Who is on GPUs that no job of ours has, by their numbers."""
        seen = self.report.gpus if self.report is not None else ()
        return {
            gpu.index: ", ".join(gpu.users[:3]) or "somebody"
            for gpu in seen
            if (gpu.users or gpu.memory_used > STRANGERS_GPU_MEMORY)
            and gpu.index not in self.gpus.held
            and self.unsaid.get(gpu.index) is not self.report
        }

    @property
    def idle_gpus(self) -> tuple[int, ...]:
        """The GPUs that a job may be given now."""
        if not self.config.gpus and (self.about is None or not self.about.gpus):
            return ()
        strangers = self.strangers
        return tuple(one for one in self.gpu_numbers if one not in self.gpus.held and one not in strangers)

    @property
    def job_count(self) -> int:
        """How many jobs are there, those that stand in line included."""
        return len(self.places) - len(self.back) + sum(len(session.ahead) for session in self.sessions.values())

    @property
    def free_gpus(self) -> int:
        """How many GPUs a job may be given now."""
        asked = self.used_gpus
        return min(len(self.idle_gpus), len(self.gpu_numbers) - asked) if asked else len(self.idle_gpus)

    @property
    def free_consumables(self) -> dict[str, int]:
        """How many of each of its consumables are free; nobody changes what is returned."""
        whole = self.config.consumables
        if not whole:
            return NOTHING
        used = self.used_consumables
        return {name: count - used.get(name, 0) for name, count in whole.items()}

    def has_room(self, job: Job) -> bool:
        """Whether *job* fits beside what is in use."""
        fits = self.used_cores + job.cores <= self.cores and self.used_memory + job.memory <= self.memory
        if job.id in self.back:
            return fits and not self.offer.closed
        return fits and not self.offer.closed and not self.alone and not (job.demand.exclusive and self.job_count)

    def saw(self, cores: int | None, memory: int | None) -> None:
        """Remember what the host says of itself."""
        before = self.seen_cores, self.seen_memory
        if cores is not None and cores > 0:
            self.seen_cores = cores
        if memory is not None and memory > 0:
            self.seen_memory = memory
        self.facts += before != (self.seen_cores, self.seen_memory)

    def took(self, job: Job, fresh: bool) -> None:
        """*job* occupies its part from now on; *fresh* when it is still to be given its cores and GPUs."""
        demand = self.places[job.id] = job.demand
        if job.id in self.back:
            self.back.discard(job.id)
            self._count_plain(demand, 1)
        else:
            self._count(demand, 1)
        if not fresh:
            job.cpus, job.gpu_ids = self.cpus.hold(job.id, job.cpus), self.gpus.hold(job.id, job.gpu_ids)
        else:
            job.cpus = self.cpus.give(job.id, 0 if demand.exclusive else demand.cores, self._pinnable())
            job.gpu_ids = self.gpus.give(job.id, demand.gpus, self.idle_gpus if demand.gpus else ())

    def stepped_back(self, job: Job) -> None:
        """*job* stands in line again: cores and memory are others', what else it was given stays its own."""
        self.back.add(job.id)
        self._count_plain(job.demand, -1)
        self.cpus.release(job.id)
        job.cpus = ()

    def gone(self, number: int) -> tuple[int, ...]:
        """The job gives its part back; return the cores that it had."""
        demand = self.places.pop(number)
        if number in self.back:
            self.back.discard(number)
            self._count_plain(demand, 1)
        self._count(demand, -1)
        for one in self.gpus.release(number):
            self.unsaid[one] = self.report  # which may still see it there
        return self.cpus.release(number)

    def has_cpus(self, job: Job) -> None:
        """*job* says which cores it has there: those that no other has are its own."""
        if job.cpus != self.cpus.of(job.id):
            job.cpus = self.cpus.hold(job.id, job.cpus if len(job.cpus) <= job.cores else ())

    def _pinnable(self) -> range:
        """Cores that can be given one by one: none where more are configured than there are, or that is not known."""
        seen = self.seen_cores or 0
        return range(self.whole_cores if self.whole_cores <= seen else 0)

    def _count_plain(self, demand: Demand, sign: int) -> None:
        self.used_cores += sign * demand.cores
        self.used_memory += sign * demand.memory

    def _count(self, demand: Demand, sign: int) -> None:
        self._count_plain(demand, sign)
        self.used_gpus += sign * demand.gpus
        self.alone += sign * demand.exclusive
        for name, count in demand.consumables:
            self.used_consumables[name] = self.used_consumables.get(name, 0) + sign * count


def may_follow(demand: Demand) -> bool:
    """Whether a job may be sent ahead, to take the place of one alike: nothing but cores and memory changes hands."""
    return not (demand.gpus or demand.consumables or demand.exclusive)


class Hello(msgspec.Struct):
    """What a TMMS says of itself at each (re)connection; *holds* are (job, attempt, state)."""

    host: str
    spool: str
    boot: str
    epoch: int
    run: str
    mark: int
    acked: int
    holds: list[tuple[int, int, str]]
    version: str = ""
    cores: int | None = None
    memory: int | None = None
    survives: str = ""


class Spool(msgspec.Struct):
    """Counters of one TMMS's spool: commands issued to it, reports taken from it."""

    id: str
    user: str
    host: str
    commands: int = 0
    reports: int = 0


class Session:
    """One user's server on one host."""

    def __init__(self, user: str, host: HostState) -> None:
        self.user = user
        self.host = host
        host.sessions[user] = self
        self.pauses: dict[int, Pause] = {}
        self.niced: set[int] = set()
        self.link = Link.DOWN
        self.reason = ""
        self.survives = ""
        self.boot = ""
        self.address = ""
        self.since = 0.0
        self.failures = 0
        self.retry_at = 0.0
        self.spool: Spool | None = None
        self.occupying: dict[int, Job] = {}
        self.ahead: OrderedDict[int, Job] = OrderedDict()
        self.over: set[int] = set()
        self.mean_run: float | None = None
        self.last_end = 0.0

    @property
    def grant(self) -> int:
        """Cores that may be in use on the host by this user's jobs at once."""
        return sum(job.cores for job in self.occupying.values() if job.id not in self.over)

    @property
    def jobs(self) -> list[Job]:
        """All jobs this server has been told to run."""
        return [*self.occupying.values(), *self.ahead.values()]

    def occupy(self, job: Job) -> None:
        """Let *job* take its cores and memory of the host."""
        self.occupying[job.id] = job
        self.host.took(job, fresh=job.phase is Phase.PENDING)

    def release(self, number: int) -> None:
        """Give back what the job held; those sent ahead take its place, as far as there is room."""
        if self.ahead.pop(number, None) is not None:
            if number in self.host.back:
                self.host.gone(number)
            return
        job = self.occupying.get(number)
        if job is None:
            return
        self.move_up(job.cores, self._vacate(job))

    def move_up(self, cores: int, cpus: tuple[int, ...] = ()) -> None:
        """Let those sent ahead take *cores* that became free here, in their order, and *cpus*, which these are."""
        host = self.host
        while self.ahead and host.active:
            job = next(iter(self.ahead.values()))
            cores -= job.cores
            if cores < 0 or not host.has_room(job):
                return
            del self.ahead[job.id]
            job.cpus, cpus = cpus[: job.cores], cpus[job.cores :]
            self.occupy(job)

    def runs(self, job: Job) -> None:
        """*job* is seen running: it occupies its cores, also if another was thought to be before it."""
        if self.ahead.pop(job.id, None) is not None:
            self.occupy(job)
            self._step_back(set())
        elif job.id in self.occupying:
            self.host.has_cpus(job)

    def agree(self, hello: Hello) -> None:
        """Take from *hello* what runs there and what is over.

        After a restart this tells those that were sent ahead from the rest. What is over, but not told, still
        occupies cores and is not granted any.
        """
        self.survives, self.boot, self.address = hello.survives[:MOST_WORDS], hello.boot, self.host.config.address
        self._step_back({(job, attempt) for job, attempt, state in hello.holds if state == "running"})
        self.over = {job for job, _, state in hello.holds if state == "final"} & self.occupying.keys()

    def _step_back(self, running: set[tuple[int, int]]) -> None:
        """Let the latest orders that do not run stand in line while more is in use than the host has."""
        if not self.host.overfull:
            return
        for job in sorted(self.occupying.values(), key=lambda job: job.command_number, reverse=True):
            if self.host.overfull and job.phase is Phase.STARTING and (job.id, job.attempt) not in running:
                self._leave_place(job)
                self.host.stepped_back(job)
                self.ahead[job.id] = job
                self.ahead.move_to_end(job.id, last=False)

    def _vacate(self, job: Job) -> tuple[int, ...]:
        """Let *job* occupy nothing any more; return the cores that it had."""
        self._leave_place(job)
        return self.host.gone(job.id)

    def _leave_place(self, job: Job) -> None:
        del self.occupying[job.id]
        self.over.discard(job.id)
        self.pauses.pop(job.id, None)
        self.niced.discard(job.id)

    def ended(self, started_at: float | None, at: float) -> None:
        """Learn from a job that has run since *started_at* (None: it never did) how long this user's jobs last here."""
        self.last_end = at
        if started_at is None:
            return
        lasted = max(0.0005, at - started_at)
        self.mean_run = lasted if self.mean_run is None or lasted > 1 else 0.8 * self.mean_run + 0.2 * lasted

    def clock_set_back(self, by: float) -> None:
        """Let what is counted from a moment go on as if the clock had always shown what it does now."""
        self.since, self.retry_at, self.last_end = self.since - by, self.retry_at - by, self.last_end - by
        for pause in self.pauses.values():
            pause.asked_at -= by

    @property
    def is_quick(self) -> bool:
        """Whether jobs have proved short here, and some are there now."""
        return self.mean_run is not None and self.mean_run < 1.0 and bool(self.occupying)

    @property
    def wants_ahead(self) -> bool:
        """Whether more could stand in line here than do."""
        if self.link is not Link.UP or not self.mean_run:
            return False
        return int(AHEAD_SECONDS * len(self.occupying) / self.mean_run) > len(self.ahead) < MOST_AHEAD

    def room_ahead(self, job: Job) -> int:
        """Return how many jobs alike to *job* may be sent ahead now."""
        if self.link is not Link.UP or not self.occupying or self.mean_run is None or job.interactive:
            return 0
        first = next(iter(self.occupying.values()))
        if first.demand != job.demand or first.interactive or not may_follow(job.demand):
            return 0
        worth = int(AHEAD_SECONDS * len(self.occupying) / self.mean_run)
        return max(0, min(worth, MOST_AHEAD) - len(self.ahead))

    def overdue(self, at: float) -> bool:
        """Whether what was sent ahead has waited too long behind a job that is not short after all."""
        return bool(self.ahead) and at - self.last_end > RECALL_AFTER

    def failed(self, reason: str, at: float) -> None:
        """Remember that this server could not be started, and when to try again."""
        self.link, self.reason, self.since = Link.FAILED, reason, at
        self.retry_at = at + RETRY_AFTER[min(self.failures, len(RETRY_AFTER) - 1)]
        self.failures += 1
