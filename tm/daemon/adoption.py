"""Jobs whose keeper has been killed: this server's children now, or strangers to be watched until they are gone.

As a subreaper this server inherits what a keeper of its own leaves behind and reads the exit codes itself. Of a job
whose keeper was another server's child nobody can learn the code any more: when it is gone, it is lost.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import msgspec
from twisted.logger import Logger

from tm.keeper import cgroup, procfs, tree
from tm.keeper.allotting import rung
from tm.keeper.book import Running
from tm.keeper.enforcing import Enforcing
from tm.keeper.felling import Felling
from tm.keeper.journal import Journal, Started
from tm.keeper.limits import Limits
from tm.keeper.pausing import Pausing
from tm.model.lifecycle import ENDINGS, Fact

_log = Logger()

Key = tuple[int, int]

LOST = "the keeper that could have read its exit code was killed, and its server before it"


class Adopted(Running):
    """One running job whose *keeper* is dead; *child* if it is this process's child now."""

    __slots__ = ("child", "keeper")

    def __init__(self, key: Key, keeper: int, pid: int, ticks: int, at: float) -> None:
        super().__init__(key, 0, pid, ticks, at)
        self.keeper = keeper
        process = self.process()
        self.child = process is not None and process.ppid == os.getpid()

    def process(self) -> procfs.Process | None:
        """Return its first process, a zombie included; None when it is gone, whoever has its pid now."""
        process = procfs.read(self.pid)
        return process if process is not None and process.ticks == self.ticks else None


class Orphanage:
    """All jobs here that no keeper keeps."""

    def __init__(self, clock: Callable[[], float], groups: cgroup.Groups | None = None) -> None:
        self._clock = clock
        self._groups = groups
        self._jobs: dict[Key, Adopted] = {}
        self._mains: dict[int, Key] = {}
        self._stem = tree.Stem(os.getpid(), self._mains, procfs.claim, only_jobs=False)
        self._felling = Felling(self._stem, self._snapshot)
        self._pausing = Pausing(self._stem, self._snapshot)
        self._enforcing = Enforcing(self._stem, self._felling, lambda roots: self._snapshot())

    def __contains__(self, key: Key) -> bool:
        return key in self._jobs

    def __bool__(self) -> bool:
        return bool(self._jobs)

    @property
    def keepers(self) -> set[int]:
        """Return the dead keepers whose journals are still needed."""
        return {job.keeper for job in self._jobs.values()}

    def take(self, key: Key, keeper: int, started: Started, limits: Limits | None = None) -> None:
        """Watch the process that *keeper* had *started*, which is the job *key*, and keep it to its *limits*.

        What an earlier server here did to it is in no journal: how it stands is to be seen, and the turns go on from a
        number above all earlier ones.
        """
        now = self._clock()
        job = self._jobs[key] = Adopted(key, keeper, started.pid, started.ticks, started.at)
        mine = [one for one in self._snapshot().values() if one.session == job.pid and not one.dead]
        stands = any(one.stopped for one in mine) and all(one.still for one in mine)
        suspended = started.turn % 2 == 1
        job.turn = 2 * int(now) + (stands or suspended)
        job.group = self._groups.find(key) if self._groups is not None else None
        self._note()
        ran_until = started.turned_at if suspended else now
        used = max(0.0, ran_until - started.at - started.paused)
        limits = limits or Limits({})
        job.rung = rung(limits, job, bounded=True)
        self._enforcing.begin(job, limits, now, used, job.suspended)

    def _note(self) -> None:
        self._mains.clear()
        self._mains.update((job.pid, job.key) for job in self._jobs.values())

    def has_unborn(self, known: set[int]) -> bool:
        """Whether a child of ours, none of *known*, has not come to its own session yet: nobody can say whose it is."""
        mine = {job.pid for job in self._jobs.values()} | known
        children = [procfs.read(pid) for pid in procfs.children() if pid not in mine]
        strange = [one for one in children if one is not None and not one.dead and one.session != one.pid]
        return any(procfs.claim(child.pid) is None for child in strange)

    def stray_child(self, key: Key, known: set[int]) -> procfs.Process | None:
        """Return our child that must be the just forked process of *key*, if there is one; none of *known* is it."""
        mine = {job.pid for job in self._jobs.values()} | known
        likely = None
        for pid in procfs.children():
            process = procfs.read(pid)
            if process is None or pid in mine:
                continue
            claim = procfs.claim(pid)
            if claim == key:
                return process
            if claim is None and (process.dead or process.session == pid):
                likely = process
        return likely

    def cancel(self, key: Key, grace: float) -> bool:
        """End the job's whole tree: TERM now, KILL after *grace* seconds. Return whether it is one of ours.

        Its ending is to be seen once nothing of the tree is left.
        """
        job = self._jobs.get(key)
        if job is not None:
            self._pausing.over(key)
            job.turn += job.suspended
            self._enforcing.resume(key, self._clock())
            self._felling.begin([(job, grace)], self._clock())
        return job is not None

    def pause(self, word: str, value: tuple[int, ...]) -> list[Fact]:
        """Do to one of ours what a keeper does on this word (suspend, resume, nice); return what is to be told now."""
        job = self._jobs.get((value[0], value[1]))
        if job is None or self._felling.holds(job.key):
            return []
        if word == "nice":
            self._pausing.nice(job, value[2])
        elif word == "suspend":
            job.turn += not job.suspended
            self._enforcing.pause(job.key, self._clock())
            self._pausing.begin(job, self._clock())
            return self.standing()
        else:
            if job.suspended:
                self._pausing.resume(job)
                job.turn += 1
                self._enforcing.resume(job.key, self._clock())
            return self.paused(job.key)
        return []

    def signal(self, key: Key, number: int) -> None:
        """Send signal *number* to the whole tree of *key* if it is one of ours."""
        if key in self._jobs:
            self._felling.signal(self._jobs[key], number)

    def limit(self, key: Key, seconds: float) -> None:
        """Let *key*, if it is one of ours, have *seconds* of wall time from its start, 0: without end."""
        self._enforcing.change(key, seconds, self._clock())

    def standing(self) -> list[Fact]:
        """Stop what is to be suspended and still runs; return what is to be told of those that stand now."""
        if self._pausing.next_at is None:
            return []
        return [fact for key in self._pausing.tend(self._clock(), self._jobs) for fact in self.paused(key)]

    def rung(self, key: Key) -> str:
        """Return in words how the limits of *key*, one of ours, are enforced."""
        return self._jobs[key].rung

    def is_suspended(self, key: Key) -> bool:
        """Whether *key*, one of ours, is suspended."""
        return self._jobs[key].suspended

    def paused(self, key: Key) -> list[Fact]:
        """Return the fact that says whether *key* is suspended."""
        return [msgspec.convert(self._jobs[key].pause_fact(self._clock()), Fact)]

    def look(self) -> list[tuple[Fact, int | None]]:
        """Return the endings there are to see, each with the pid that is to be reaped once it is on disk."""
        found: list[tuple[Fact, int | None]] = []
        now = self._clock()
        if self._enforcing.tend(now):
            for job in self._jobs.values():
                if self._felling.holds(job.key):
                    self._pausing.over(job.key)
        self._felling.tend(now, dict(self._jobs), self._is_dead)
        for job in self._jobs.values():
            ending = None if self._felling.holds(job.key) else self._ending(job, now)
            if ending is not None:
                found.append(ending)
        return found

    def over(self, key: Key, pid: int | None) -> dict[str, float | int | None]:
        """The ending of *key* is on disk: reap it; return what it has used, as fields of its fact."""
        job = self._jobs[key]
        for process in tree.members(self._stem, self._snapshot(), job.pid):
            if process.pid != job.pid:
                procfs.send(process, signal.SIGKILL)
        self._felling.over(key)
        watch = self._enforcing.over(key, self._clock())
        seen = watch.peak if watch is not None else 0
        moved = procfs.moved(job.pid) if pid is not None else None
        del self._jobs[key]
        self._note()
        used: dict[str, float | int | None] = {"max_rss": seen or None}
        if moved is not None:
            used["io_read"], used["io_written"] = moved
        if pid is not None:
            try:
                usage = os.wait4(pid, 0)[2]
            except ChildProcessError:
                return used
            used["cpu_seconds"] = usage.ru_utime + usage.ru_stime
            used["max_rss"] = max(seen, usage.ru_maxrss * 1024)
        return used

    def _ending(self, job: Adopted, now: float) -> tuple[Fact, int | None] | None:
        if job.child:
            seen = os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if seen is None:
                return None
            exited = seen.si_code == os.CLD_EXITED
            code = seen.si_status if exited else None
            cause, reason = self._enforcing.verdict(job.key, code)
            fact = Fact(
                *job.key, "ended", now, pid=job.pid, started_at=job.at, exit_code=code,
                signal=None if exited else seen.si_status, cause=cause, reason=reason,
            )  # fmt: skip
            return fact, job.pid
        if not _is_gone(job):
            return None
        cause, reason = self._enforcing.verdict(job.key, None)
        told = f"{reason}; {LOST}" if reason else LOST
        return Fact(*job.key, "lost", now, pid=job.pid, started_at=job.at, reason=told, cause=cause), None

    def _is_dead(self, pid: int) -> bool:
        return any(job.pid == pid and _is_gone(job) for job in self._jobs.values())

    def _snapshot(self) -> dict[int, procfs.Process]:
        """Return all processes but those that have the pid of a job here and are another one."""
        ticks = {job.pid: job.ticks for job in self._jobs.values()}
        seen = procfs.snapshot()
        return {pid: one for pid, one in seen.items() if ticks.get(pid, one.ticks) == one.ticks}


def _is_gone(job: Adopted) -> bool:
    process = job.process()
    return process is None or process.dead


def endings_of(left: Journal, now: float) -> list[Fact]:
    """Return the endings that a dead keeper *left* in its journal.

    One that was spoilt, on the disk or by its user's own job, nobody can learn: it is lost, and not run again.
    """
    found = []
    for key, said in left.endings.items():
        try:
            fact = msgspec.convert(said, Fact)
        except msgspec.ValidationError as error:
            _log.error("no ending of job {job}: {error}", event="keeper", job=key[0], error=str(error))
            fact = None
        if fact is None or fact.what not in ENDINGS:
            fact = Fact(*key, "lost", now, reason="what its keeper wrote of its end cannot be read")
        found.append(fact)
    return found
