"""When waiting jobs are likely to start: the cluster as it is, let run forward by class.

A picture, not the scheduler: hosts that are alike are one pool of cores, jobs of a class start in batches, and what
happens later (new jobs, other endings than expected) is not in it. How far off such pictures were so far, and so the
range around them, is the affair of `tm.model.ranges`. The law: what a picture costs is bounded, however many wait: the
time steps grow with the distance, a class starts in few batches, and beyond `MOST_STEPS` the rest is extrapolated.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Protocol

from tm.model.cluster import HostState
from tm.model.job import Job
from tm.model.matching import Matcher
from tm.model.queue import JobClass, WaitingQueue
from tm.model.score import Order

MOST_STEPS = 8_000
MOST_POOLS = 64
BATCHES = 16
GRID = 1.05
SHORTEST = 1.0


class Stage(Protocol):
    """What is looked at: the dispatcher's brain, or an imagined cluster (`tm.model.hall`)."""

    hosts: dict[str, HostState]
    jobs: dict[int, Job]
    queue: WaitingQueue
    matcher: Matcher


Lasting = Callable[[Job, float], float]
"""How many seconds a job lasts in all that has run for so many."""


class Pool:
    """Alike hosts as one: how many cores are *free*, how *wide* a job may be."""

    __slots__ = ("cores", "free", "host", "wide")

    def __init__(self, host: HostState) -> None:
        self.host = host
        self.cores = self.free = self.wide = 0

    def add(self, host: HostState) -> None:
        """Take *host* in."""
        whole = 0 if host.offer.closed else host.cores
        self.cores += whole
        self.free += max(0, whole - host.used_cores)
        self.wide = max(self.wide, whole)


class Line:
    """How the jobs of one class start: *points* are (how many of them have, seconds from now)."""

    __slots__ = ("cores", "lasts", "left", "older", "points", "pools", "size", "step", "weight")

    def __init__(self, size: int, cores: int, lasts: float, pools: Sequence[int]) -> None:
        self.size = self.left = size
        self.cores = cores
        self.lasts = max(SHORTEST, lasts)
        self.pools = pools
        self.points: list[tuple[int, float]] = []
        self.weight = self.older = 0.0
        self.step = max(1, size // BATCHES)

    def key(self) -> float:
        """Return what orders it now: its next job is younger than the first by the part of them that has started."""
        return -(self.weight + self.older * (1 - self.left / self.size))

    def start(self, count: int, at: float) -> None:
        """*count* more of its jobs start *at* so many seconds from now."""
        self.left -= count
        self.points.append((self.size - self.left, at))

    def when(self, ahead: int) -> float:
        """Return in how many seconds the job starts that has *ahead* others before it."""
        place = bisect_left(self.points, (ahead + 1, -1.0))
        return self.points[min(place, len(self.points) - 1)][1] if self.points else math.inf


class Outlook:
    """One picture of *stage* at *at*: `lines` by class."""

    def __init__(self, stage: Stage, order: Order, ends: Mapping[int, float], lasting: Lasting, at: float) -> None:
        self._stage = stage
        self._pools: list[Pool] = []
        self._ends: dict[float, dict[int, int]] = {}
        self._times: list[float] = []
        self._gather(ends, at)
        sizes = stage.queue.sizes()
        self.lines = {kind: self._line(kind, sizes[kind], order, lasting, at) for kind in stage.queue.kinds}
        self._let_run(list(self.lines.values()))

    # -- what there is --------------------------------------------------------------------------------------------

    def _gather(self, ends: Mapping[int, float], at: float) -> None:
        """See what is free in which pool, and when more will be."""
        pool_of: dict[object, int] = {}
        for host in self._stage.hosts.values():
            if not host.active:
                continue
            config = host.config
            key = (config.group, config.features, config.users, host.whole_cores, host.whole_memory, config.gpus)
            number = pool_of.get(key)
            if number is None:
                number = pool_of[key] = min(len(self._pools), MOST_POOLS - 1)
                if number == len(self._pools):
                    self._pools.append(Pool(host))
            self._pools[number].add(host)
            for session in host.sessions.values():
                for job in session.occupying.values():
                    self._frees(max(SHORTEST, ends.get(job.id, at) - at), number, job.cores)
        heapify(self._times)

    def _line(self, kind: JobClass, size: int, order: Order, lasting: Lasting, at: float) -> Line:
        queue, matcher, jobs = self._stage.queue, self._stage.matcher, self._stage.jobs
        demand = kind.demand
        head = jobs[queue.head(kind)]
        newest = jobs.get(queue.newest(kind), head)
        pools = [
            number for number, pool in enumerate(self._pools)
            if pool.wide >= demand.cores and not matcher.may_ever(demand, kind.user, pool.host)
        ]  # fmt: skip
        if demand.hosts and not pools:
            pools = [number for number, pool in enumerate(self._pools) if pool.wide >= demand.cores]
        line = Line(size, demand.cores, lasting(head, 0.0), pools)
        line.weight = order.key(kind, at)
        line.older = -max(0.0, newest.submitted_at - head.submitted_at) / order.age_weight
        return line

    # -- what will be ---------------------------------------------------------------------------------------------

    def _frees(self, when: float, pool: int, cores: int) -> None:
        """So many *cores* are free again in so many seconds; times so far off are as good as one on the grid."""
        when = max(when, SHORTEST)
        when = GRID ** math.ceil(math.log(when) / math.log(GRID) - 1e-9)
        freed = self._ends.get(when)
        if freed is None:
            freed = self._ends[when] = {}
            heappush(self._times, when)
        freed[pool] = freed.get(pool, 0) + cores

    def _let_run(self, lines: list[Line]) -> None:
        lines = [line for line in lines if line.pools]
        now = 0.0
        steps = 0
        while lines and steps < MOST_STEPS:
            steps += self._start_all(lines, now)
            lines = [line for line in lines if line.left]
            if not self._times:
                break
            now = heappop(self._times)
            for pool, cores in self._ends.pop(now).items():
                self._pools[pool].free += cores
        self._extrapolate(lines, now)

    def _start_all(self, lines: Iterable[Line], now: float) -> int:
        """Start what has room, the first in turn first; behind the first that has none, only who is out of its way."""
        turn = [(line.key(), place, line) for place, line in enumerate(lines)]
        heapify(turn)
        steps = 0
        shadow: tuple[float, int] | None = None
        blocked: set[int] = set()
        while turn and any(pool.free > 0 for pool in self._pools):
            _, place, line = heappop(turn)
            steps += 1
            pool = max(line.pools, key=lambda number: self._pools[number].free)
            room = self._pools[pool].free // line.cores
            if pool in blocked and shadow is not None and now + line.lasts > shadow[0]:
                room = min(room, shadow[1] // line.cores)
            if room < 1:
                if not blocked:
                    shadow = self._shadow(line, pool)
                    blocked.update(line.pools)
                continue
            count = min(room, line.left, line.step)
            line.start(count, now)
            self._pools[pool].free -= count * line.cores
            if pool in blocked and shadow is not None and now + line.lasts > shadow[0]:
                shadow = shadow[0], shadow[1] - count * line.cores
            self._frees(now + line.lasts, pool, count * line.cores)
            if line.left:
                heappush(turn, (line.key(), place, line))
        return steps + 1

    def _shadow(self, line: Line, pool: int) -> tuple[float, int]:
        """Return when *line* will have room in *pool*, and how many cores it leaves there then."""
        free = self._pools[pool].free
        for when in sorted(self._times):
            free += self._ends[when].get(pool, 0)
            if free >= line.cores:
                return when, free - line.cores
        return math.inf, 0

    def _extrapolate(self, lines: Sequence[Line], now: float) -> None:
        """Let the rest start as its work comes up, one after the other in turn."""
        cores = max(1, sum(pool.cores for pool in self._pools))
        for line in sorted(lines, key=Line.key):
            work = line.left * line.cores * line.lasts / cores
            half = line.left // 2
            if half:
                line.start(half, now + work / 2)
            line.start(line.left, now + work)
            now += work
