"""Whose work a computer does: TaskManager's, by job, or other people's, by user.

Ours is what descends from a keeper or a user's server that runs a job we were told of, and stays ours as long as it
lives, whoever its parent becomes. A name alone makes nothing ours: a server is believed to be one because it is the
parent of a known job and belongs to that job's user. Everything else is others'. Only what is newly born below a
process that calls itself a server of ours counts as ours for a while, because word of a job takes that long to come:
a job must not have to make room for itself. To call oneself so gains nobody anything but less regard for their work.

CPU time is charged from what changed between two looks. What a process used between the last look and its death
reaches us with its parent's waited-for time, less what we had charged already. Kernel threads are nobody's, because
most of what they do was asked for by processes, jobs included. What the machine did beyond all that was seen was done
by processes that lived too briefly, and is divided like what was seen. Where we see no processes but our own, it is
others' (``?``), unless jobs of ours are among those that we may not see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from tm.lineage import DAEMON

UNSEEN = "?"
INIT = 1
NOISE = 0.1
CREDIT_SECONDS = 20.0


class KnownJob(msgspec.Struct, frozen=True, array_like=True):
    """A job that runs here, as the dispatcher says it: its number, its user, the pid of its first process."""

    job: int
    user: str
    pid: int


class Process:
    """One process; CPU times in seconds: *cpu* its own, *waited* that of children it waited for; *start* in ticks.

    *used* and *newly_waited* are what was added since the look before. *ours* and *job* (0: none) are what
    `Attribution` made of it, *claim* since when it may be ours without being known to be (-1: it may not).
    """

    __slots__ = (
        "claim", "cpu", "job", "kernel", "name", "newly_waited", "ours", "pid", "ppid", "rss", "session", "start",
        "uid", "used", "user", "waited",
    )  # fmt: skip

    def __init__(self, pid: int, start: int) -> None:
        self.pid = pid
        self.start = start
        self.ppid = 0
        self.session = 0
        self.uid = 0
        self.user = ""
        self.name = ""
        self.kernel = False
        self.cpu = 0.0
        self.waited = 0.0
        self.used = 0.0
        self.newly_waited = 0.0
        self.rss = 0
        self.ours = False
        self.job = 0
        self.claim = -1.0


class Look(msgspec.Struct):
    """All processes by pid as they are now, and what is different from the look before.

    *active* used CPU or waited for somebody who had; *gone* are no more; *rearranged* says that somebody was born,
    has another parent, name or user. *seconds* since the look before, *busy* the CPU seconds that the whole machine
    spent on processes meanwhile, *whole* whether those can all be ours to see.
    """

    processes: Mapping[int, Process]
    active: list[Process]
    gone: list[Process]
    rearranged: bool
    seconds: float
    busy: float
    whole: bool


class Use(msgspec.Struct, frozen=True):
    """CPU in cores busy on average, memory in resident bytes; *by_user* is that of others."""

    ours: float = 0.0
    others: float = 0.0
    by_user: dict[str, float] = {}
    by_job: dict[int, tuple[float, int, int]] = {}
    memory_ours: int = 0


class Attribution:
    """Remembers what is ours from look to look; *own* is the pid of the server that looks."""

    def __init__(self, own: int) -> None:
        self._own = own
        self._told: list[KnownJob] = []
        self._mains: dict[tuple[int, int], int] = {}
        self._roots: set[tuple[int, int]] = set()
        self._stale = True
        self._hidden = False
        self._now = 0.0

    def jobs(self, told: list[KnownJob], hidden: bool = False) -> None:
        """These jobs run here; *hidden*: at least one of them is a process that we cannot see."""
        self._told = told
        self._hidden = hidden
        self._stale = True

    def look(self, look: Look) -> Use:
        """Return who used what since the look before."""
        self._now += look.seconds
        if self._stale or look.rearranged:
            self._learn(look.processes)
            self._classify(look.processes)
            self._stale = False
        return self._charge(look)

    # -- whose is it ----------------------------------------------------------------------------------------------

    def _learn(self, processes: Mapping[int, Process]) -> None:
        """Find the first processes of the jobs and the servers above them."""
        self._mains = {key: job for key, job in self._mains.items() if _is(processes, key)}
        told = {one.pid: one.job for one in self._told}
        self._mains = {key: job for key, job in self._mains.items() if told.get(key[0], job) == job}
        for pid, job in told.items():
            main = processes.get(pid)
            if main is not None and not main.kernel and pid != INIT:
                self._mains[pid, main.start] = job
        self._roots = {key for key in self._roots if _is(processes, key)}
        for pid, _ in self._mains:
            server = _server_above(processes, processes[pid])
            if server is not None:
                self._roots.add((server.pid, server.start))

    def _classify(self, processes: Mapping[int, Process]) -> None:
        roots = {pid for pid, _ in self._roots} | {self._own}
        mains = {pid: job for (pid, _), job in self._mains.items()}
        settled: set[int] = set()
        for process in processes.values():
            line = []
            one: Process | None = process
            while one is not None and one.pid not in settled:
                settled.add(one.pid)
                line.append(one)
                one = processes.get(one.ppid)
            for each in reversed(line):
                _settle(each, processes.get(each.ppid), roots, mains)
                _claim(each, processes.get(each.ppid), self._now)

    # -- who used what --------------------------------------------------------------------------------------------

    def _charge(self, look: Look) -> Use:
        brief = _brief(look)
        jobs: defaultdict[int, float] = defaultdict(float)
        users: defaultdict[str, float] = defaultdict(float)
        ours = kernel = 0.0
        for process in look.active:
            used = process.used + brief.get(process.pid, 0.0)
            if process.kernel:
                kernel += used
            elif process.ours or self._has_credit(process):
                ours += used
                jobs[process.job] += used
            else:
                users[process.user] += used
        if look.whole:
            unseen = look.busy - ours - kernel - sum(users.values())
            if unseen > NOISE * max(look.seconds, look.busy / 4):
                part = self._part_of_unseen(look.processes, ours, sum(users.values()))
                ours += unseen * part
                users[UNSEEN] += unseen * (1 - part)
        return _use(look, ours, users, jobs)

    def _part_of_unseen(self, processes: Mapping[int, Process], ours: float, others: float) -> float:
        """Return which part of what nobody who was seen did is ours, from 0 to 1."""
        if self._hidden:
            return 1.0
        own = processes.get(self._own)
        blind = own is not None and own.uid != 0 and all(p.uid == own.uid or p.kernel for p in processes.values())
        return 0.0 if blind or not ours else ours / (ours + others)

    def _has_credit(self, process: Process) -> bool:
        return process.claim >= 0 and self._now - process.claim < CREDIT_SECONDS


def _use(look: Look, ours: float, users: Mapping[str, float], jobs: Mapping[int, float]) -> Use:
    each = 1 / look.seconds if look.seconds > 0 else 0.0
    memory: defaultdict[int, int] = defaultdict(int)
    count: defaultdict[int, int] = defaultdict(int)
    memory_ours = 0
    for process in look.processes.values():
        if process.ours:
            memory_ours += process.rss
            memory[process.job] += process.rss
            count[process.job] += 1
    return Use(
        ours=ours * each,
        others=sum(users.values()) * each,
        by_user={user: cpu * each for user, cpu in users.items() if cpu * each >= 0.005},
        by_job={job: (jobs.get(job, 0.0) * each, memory[job], count[job]) for job in sorted(memory) if job},
        memory_ours=memory_ours,
    )


def _brief(look: Look) -> dict[int, float]:
    """Return, by the pid of who waited for them, what children used since the look before and before they died.

    A process may be waited for by another one than we expect, as orphans are. So it cannot be more than the machine
    has spent beyond what the living used.
    """
    charged = _already_charged(look)
    brief = {
        process.pid: max(0.0, process.newly_waited - charged.get(process.pid, 0.0))
        for process in look.active
        if process.newly_waited and process.pid != INIT
    }
    most = max(0.0, look.busy - sum(process.used for process in look.active))
    total = sum(brief.values())
    return {pid: used * most / total for pid, used in brief.items()} if total > most else brief


def _already_charged(look: Look) -> dict[int, float]:
    """Return, by the pid of who waited for them, what of the dead had been charged while they lived."""
    gone = {process.pid: process for process in look.gone}
    charged: defaultdict[int, float] = defaultdict(float)
    for process in look.gone:
        above, steps = process.ppid, 0
        while above not in look.processes and above in gone and steps < len(gone):
            above, steps = gone[above].ppid, steps + 1
        charged[above] += process.cpu + process.waited
    return charged


def _is(processes: Mapping[int, Process], key: tuple[int, int]) -> bool:
    process = processes.get(key[0])
    return process is not None and process.start == key[1]


def _server_above(processes: Mapping[int, Process], main: Process) -> Process | None:
    """Return the topmost of the keeper and servers above *main*, the first process of a job; None where none lives."""
    found = None
    seen = {main.pid}
    above = processes.get(main.ppid)
    while above is not None and above.pid not in seen and _is_server(above, main.uid):
        found = above
        seen.add(above.pid)
        above = processes.get(above.ppid)
    return found


def _is_server(process: Process, uid: int) -> bool:
    return process.pid != INIT and process.name == DAEMON and process.uid == uid


def _settle(one: Process, parent: Process | None, roots: Iterable[int], mains: Mapping[int, int]) -> None:
    if one.kernel:
        return
    above = parent if parent is not None and parent.ours and parent.pid != one.pid else None
    job = mains.get(one.pid)
    if job is not None:
        one.ours, one.job = True, job
    elif one.name == DAEMON:
        one.job = 0
    elif above is not None and above.job:
        one.job = above.job
    elif not one.job and one.session in mains:
        one.job = mains[one.session]
    if above is not None or one.pid in roots or one.job:
        one.ours = True


def _claim(one: Process, parent: Process | None, now: float) -> None:
    """Note since when *one* may be ours: a server, what it starts, and with that all that descends from it."""
    if one.claim >= 0 or one.kernel:
        return
    if one.name == DAEMON or (parent is not None and parent.name == DAEMON):
        one.claim = now
    elif parent is not None:
        one.claim = parent.claim
