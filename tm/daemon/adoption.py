"""Jobs whose keeper has been killed: this server's children now, or strangers to be watched until they are gone.

As a subreaper this server inherits what a keeper of its own leaves behind and reads the exit codes itself. Of a job
whose keeper was another server's child nobody can learn the code any more: when it is gone, it is lost.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

from tm.keeper import procfs, tree
from tm.model.lifecycle import Fact

Key = tuple[int, int]

LOST = "the keeper that could have read its exit code was killed, and its server before it"


class Adopted:
    """One running job without a keeper."""

    __slots__ = ("at", "child", "keeper", "key", "kill_at", "pid", "ticks")

    def __init__(self, key: Key, keeper: int, pid: int, ticks: int, at: float) -> None:
        self.key = key
        self.keeper = keeper
        self.pid = pid
        self.ticks = ticks
        self.at = at
        self.child = True
        self.kill_at: float | None = None


class Orphanage:
    """All jobs here that no keeper keeps."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: dict[Key, Adopted] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._jobs

    def __bool__(self) -> bool:
        return bool(self._jobs)

    @property
    def keepers(self) -> set[int]:
        """Return the dead keepers whose journals are still needed."""
        return {job.keeper for job in self._jobs.values()}

    def take(self, key: Key, keeper: int, pid: int, ticks: int, at: float) -> None:
        """Watch the process *pid*, started at *ticks*, which is the job *key*."""
        self._jobs[key] = Adopted(key, keeper, pid, ticks, at)

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
        """End the job's whole tree: TERM now, KILL after *grace* seconds. Return whether it is one of ours."""
        job = self._jobs.get(key)
        if job is None:
            return False
        job.kill_at = self._clock() + grace
        self._signal(job, signal.SIGTERM)
        self._signal(job, signal.SIGCONT)
        return True

    def look(self) -> list[tuple[Fact, int | None]]:
        """Return the endings there are to see, each with the pid that is to be reaped once it is on disk."""
        found: list[tuple[Fact, int | None]] = []
        now = self._clock()
        for job in self._jobs.values():
            if job.kill_at is not None and now >= job.kill_at:
                self._signal(job, signal.SIGKILL)
            ending = self._ending(job, now)
            if ending is not None:
                found.append(ending)
        return found

    def over(self, key: Key, pid: int | None) -> tuple[float | None, int | None]:
        """The ending of *key* is on disk: reap it; return its CPU seconds and peak memory in bytes."""
        job = self._jobs.pop(key)
        for process in self._members(job):
            if process.pid != job.pid:
                procfs.send(process, signal.SIGKILL)
        if pid is None:
            return None, None
        try:
            usage = os.wait4(pid, 0)[2]
        except ChildProcessError:
            return None, None
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    def _ending(self, job: Adopted, now: float) -> tuple[Fact, int | None] | None:
        if job.child:
            try:
                seen = os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                job.child = False
                return None
            if seen is None:
                return None
            exited = seen.si_code == os.CLD_EXITED
            fact = Fact(
                *job.key, "ended", now, pid=job.pid, started_at=job.at,
                exit_code=seen.si_status if exited else None, signal=None if exited else seen.si_status,
            )  # fmt: skip
            return fact, job.pid
        process = procfs.read(job.pid)
        if process is not None and process.ticks == job.ticks and not process.dead:
            return None
        return Fact(*job.key, "lost", now, pid=job.pid, started_at=job.at, reason=LOST), None

    def _members(self, job: Adopted) -> list[procfs.Process]:
        mains: Mapping[int, Key] = {other.pid: other.key for other in self._jobs.values()} | {job.pid: job.key}
        stem = tree.Stem(os.getpid(), mains, procfs.claim)
        return tree.members(stem, procfs.snapshot(), job.pid, False)

    def _signal(self, job: Adopted, number: int) -> None:
        process = procfs.read(job.pid)
        if process is None or process.ticks != job.ticks:
            return
        for member in self._members(job):
            procfs.send(member, number)
