"""A trace replayed: the dispatcher's own scheduler, imagined hosts, and a virtual clock.

The laws: the clock never goes back, no job begins before it was submitted, and no more cores are in use than there are.
A job wider than the widest host is split into pieces of one host each, which are started one by one, as the tasks of an
array are; it has begun when all of them run, and each runs as long as the job did.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from tm.model.demand import Demand, one_of
from tm.model.families import Families
from tm.model.hall import Hall
from tm.model.host import HostConfig
from tm.model.job import Job
from tm.model.phase import Phase
from tm.model.rules import Rules
from tm.model.settings import Scheduling
from tm.model.swf import Trace, TraceJob
from tm.model.tasks import Tasks

WAKE_SECONDS = 600.0


class Run(NamedTuple):
    """How a job of the trace went: *begun* with its last piece, all in seconds."""

    job: TraceJob
    begun: float
    ended: float


class Watcher(Protocol):
    """Whoever wants to see a replay as it goes."""

    def waits(self, job: Job, hall: Hall, at: float) -> None:
        """*job*, or the first piece of a job, was submitted, and not all of it could begin at once."""

    def began(self, job: Job, at: float) -> None:
        """All of the job runs of which *job* is the first piece."""


class _Going:
    """A job of the trace that is not over: how many of its pieces have not begun, and how many are not over."""

    __slots__ = ("begun", "ids", "job", "lead", "left", "waiting")

    def __init__(self, job: TraceJob, pieces: list[Job]) -> None:
        self.job = job
        self.lead = pieces[0]
        self.ids = [piece.id for piece in pieces]
        self.waiting = self.left = sum(piece.waiting for piece in pieces)
        self.begun = job.submitted


class Replay:
    """One run of *trace* on *hosts* by *rules*; with them comes what was learned, or only what users asked for."""

    def __init__(
        self,
        trace: Trace,
        hosts: Iterable[HostConfig],
        rules: Rules,
        settings: Scheduling = Scheduling(),  # noqa: B008  a frozen value
        watcher: Watcher | None = None,
    ) -> None:
        self._hosts = tuple(hosts)
        self.width = max(host.cores or 1 for host in self._hosts)
        self.cores = sum(host.cores or 1 for host in self._hosts)
        self._trace = trace
        self.watcher = watcher
        self.families = Families()
        self.at = trace.jobs[0].submitted
        estimate = self._estimate if rules.learned else None
        self.hall = Hall(self._hosts, rules=rules, settings=settings, estimate=estimate)
        self._ends: list[tuple[float, int]] = []
        self._going: dict[int, _Going] = {}
        self._new: list[_Going] = []
        self.too_wide = sum(job.cores > self.cores for job in trace.jobs)

    def run(self) -> list[Run]:
        """Return how every job went that is not wider than the cluster, by their ends."""
        todo = [job for job in self._trace.jobs if job.cores <= self.cores]
        done: list[Run] = []
        next_up = 0
        ids = 1
        while next_up < len(todo) or self._ends or self._going:
            self._go_on(todo[next_up].submitted if next_up < len(todo) else None)
            while self._ends and self._ends[0][0] <= self.at:
                done += self._over(heappop(self._ends)[1])
            while next_up < len(todo) and todo[next_up].submitted <= self.at:
                ids = self._submit(todo[next_up], ids)
                next_up += 1
            for started in self.hall.place(self.at):
                self._began(started)
            self._look_at_new()
        return done

    def _look_at_new(self) -> None:
        new, self._new = self._new, []
        for going in new:
            if going.waiting and self.watcher is not None:
                self.watcher.waits(going.lead, self.hall, self.at)

    def _go_on(self, submitted: float | None) -> None:
        """Let the clock be at the next thing that happens, or a little on where somebody waits meanwhile."""
        times = [time for time in (submitted, self._ends[0][0] if self._ends else None) if time is not None]
        if self.hall.queue:
            times.append(self.at + WAKE_SECONDS)
        assert min(times) >= self.at
        self.at = min(times)

    def _submit(self, job: TraceJob, number: int) -> int:
        """Let the pieces of *job* wait, of which *number* is the first id; return the next."""
        pieces = list(self._pieces(job, number))
        for piece in pieces:
            self.hall.submitted(piece, self.at)
        going = _Going(job, pieces)
        self._going.update((piece.id, going) for piece in pieces)
        self._new.append(going)
        return number + len(pieces)

    def _pieces(self, job: TraceJob, number: int) -> Iterator[Job]:
        full, rest = divmod(job.cores, self.width)
        if full:
            yield self._job(job, number, self.width, Tasks(f"0-{full - 1}") if full > 1 else None)
        if rest:
            yield self._job(job, number + bool(full), rest, None)

    def _job(self, job: TraceJob, number: int, cores: int, tasks: Tasks | None) -> Job:
        user = f"user{job.user}"
        program = f"program{job.program}" if job.program > 0 else ""
        demand = one_of(Demand(cores, time=job.asked))
        return Job(
            number, user, "", "", demand, 0, False, "", job.submitted, name=program,
            family=f"{user}/{program}", tasks=tasks,
        )  # fmt: skip

    def _began(self, piece: Job) -> None:
        going = self._going[piece.array or piece.id]
        assert self.at >= going.job.submitted
        heappush(self._ends, (self.at + going.job.run, piece.id))
        going.waiting -= 1
        if not going.waiting:
            going.begun = self.at
            if self.watcher is not None:
                self.watcher.began(going.lead, self.at)

    def _over(self, number: int) -> Iterator[Run]:
        piece = self.hall.jobs[number]
        going = self._going[piece.array or number]
        self.hall.ended(number, self.at)
        going.left -= 1
        if going.left:
            return
        for known in going.ids:
            del self._going[known]
        piece.phase, piece.ended_at = Phase.COMPLETED, self.at
        self.families.ended(piece)
        yield Run(going.job, going.begun, self.at)

    def _estimate(self, job: Job) -> float:
        found = self.families.estimate(job)
        return found.likely if found.known else math.inf
