"""Control groups (version 2) that were handed to this account: one for each attempt whose memory or processes are
limited.

systemd hands one to a scope or service with ``Delegate=yes`` (it is marked so), an administrator by ``TM_CGROUP``.
There the kernel itself keeps a job within its memory, says when it had to end it, ends all of it in one moment, and
knows all its processes whatever they call themselves. Where nothing was handed over nothing is done. The law: no file
is written but in the group that was handed over, and its own processes are in ``tm-daemons`` there.
"""

from __future__ import annotations

import contextlib
import os
import zlib

from tm.keeper import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.keeper.limits import Limits
    from tm.keeper.order import Key

DAEMONS = "tm-daemons"
JOB = "tm-job-"
VARIABLE = "TM_CGROUP"
DELEGATED = "TM_DELEGATED"
"""Says that the scope of this process was handed over, where no mark on it does."""
ROUNDS = 20
MORE_THREADS = 4096
"""The kernel counts threads: so many more than the processes it may have a job can have."""


class Group:
    """The group of one attempt; *limits_memory* where the kernel limits its memory, *limits_processes* its threads."""

    __slots__ = ("limits_memory", "limits_processes", "path")

    def __init__(self, path: str, limits_memory: bool, limits_processes: bool) -> None:
        self.path = path
        self.limits_memory = limits_memory
        self.limits_processes = limits_processes

    def enter(self) -> bool:
        """Put this process, which has one thread, into the group, so that what it starts is there from its beginning.

        Return whether that could be. The first of many such moves takes the kernel some milliseconds, not the next.
        """
        return _write(self.path, "cgroup.procs", "0")

    def take(self, pid: int) -> bool:
        """Put *pid*, just started, into the group, and what it has started itself; return whether it could be."""
        inside: set[int] = set()
        for _ in range(ROUNDS):
            fresh = [one for one in procfs.family([pid]) if one not in inside]
            if not fresh:
                break
            for one in fresh:
                if not _write(self.path, "cgroup.procs", str(one)) and one == pid:
                    return False
                inside.add(one)
        return True

    def pids(self) -> list[int]:
        """Return the pids of all its processes."""
        return [int(word) for word in _read(self.path, "cgroup.procs").split()]

    def count(self) -> int:
        """Return how many processes it has."""
        return _read(self.path, "cgroup.procs").count("\n")

    def memory(self) -> int:
        """Return the bytes of memory it uses that belong to no file."""
        if self.limits_memory:
            stat = dict(line.split(" ", 1) for line in _read(self.path, "memory.stat").splitlines())
            return int(stat.get("anon", 0)) + int(stat.get("shmem", 0))
        seen = [process for process in map(procfs.read, self.pids()) if process is not None]
        if len(seen) < 2:
            return sum(process.rss for process in seen)
        return sum(process.rss if (used := procfs.memory(process.pid)) is None else used for process in seen)

    def out_of_memory(self) -> bool:
        """Whether the kernel had to end processes of it for its memory."""
        events = dict(line.split(" ", 1) for line in _read(self.path, "memory.events").splitlines())
        return int(events.get("oom_kill", 0)) > 0

    def kill(self) -> bool:
        """Kill all of it at once; return whether the kernel can."""
        return _write(self.path, "cgroup.kill", "1")

    def remove(self) -> bool:
        """Remove the group; return whether it is gone: one with processes stays."""
        try:
            os.rmdir(self.path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


class Groups:
    """The group that was handed over, at *path*, and in it those of the attempts of the spool *spool*."""

    def __init__(self, path: str, controllers: frozenset[str], spool: str) -> None:
        self.path = path
        self.controllers = controllers
        self._mark = f"{zlib.crc32(os.fsencode(os.path.realpath(spool))):08x}"

    def make(self, key: Key, limits: Limits) -> Group | None:
        """Make the group of *key* with its *limits*; None where that cannot be."""
        group = self._group(key)
        try:
            os.mkdir(group.path)
        except FileExistsError:
            if group.pids():
                return None
        except OSError:
            return None
        if limits.memory:
            _write(group.path, "memory.oom.group", "1")
            _write(group.path, "memory.swap.max", "0")
            group.limits_memory = _write(group.path, "memory.max", str(limits.memory))
        if limits.processes:
            most = str(limits.processes + MORE_THREADS)
            group.limits_processes = _write(group.path, "pids.max", most)
        return group

    def come_back(self) -> bool:
        """Put this process back to the other daemons; return whether that could be."""
        return _write(os.path.join(self.path, DAEMONS), "cgroup.procs", "0")

    def find(self, key: Key) -> Group | None:
        """Return the group of *key*, which somebody before us has made; None where there is none."""
        group = self._group(key)
        if not os.path.isdir(group.path):
            return None
        group.limits_memory = _read(group.path, "memory.max").strip() not in ("", "max")
        group.limits_processes = _read(group.path, "pids.max").strip() not in ("", "max")
        return group

    def _group(self, key: Key) -> Group:
        return Group(os.path.join(self.path, f"{JOB}{self._mark}-{key[0]}-{key[1]}"), False, False)

    def tidy(self) -> None:
        """Remove the groups of this spool in which nobody is any more."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.path):
                if name.startswith(f"{JOB}{self._mark}-"):
                    Group(os.path.join(self.path, name), False, False).remove()


def handed_over(spool: str, environ: Mapping[str, str] = os.environ, prepare: bool = True) -> Groups | None:
    """Return what was handed over to this process, for the attempts of *spool*; None where nothing was.

    To *prepare* it, its processes, ours, are put into a group of their own, and what the kernel can limit is switched
    on for groups in it.
    """
    named = environ.get(VARIABLE, "")
    path = named or _own()
    if not path or not (named or _is_delegated(path, environ)) or not os.access(path, os.W_OK):
        return None
    if prepare and not _make_room(path, bool(named)):
        return None
    return Groups(path, frozenset(_read(path, "cgroup.subtree_control").split()), spool)


def _make_room(path: str, named: bool) -> bool:
    """Leave *path* to groups; return whether such can be made there."""
    daemons = os.path.join(path, DAEMONS)
    try:
        os.makedirs(daemons, exist_ok=True)
    except OSError:
        return False
    if named:
        _write(daemons, "cgroup.procs", "0")
    for _ in range(ROUNDS):
        here = _read(path, "cgroup.procs").split()
        if not here:
            break
        for pid in here:
            _write(daemons, "cgroup.procs", pid)
    offered = _read(path, "cgroup.controllers").split()
    for controller in ("memory", "pids"):
        if controller in offered:
            _write(path, "cgroup.subtree_control", f"+{controller}")
    return os.path.exists(os.path.join(daemons, "cgroup.kill")) or bool(_read(path, "cgroup.subtree_control"))


def _own() -> str:
    """Return the path of our own group, without the last part that is only for daemons or a job; empty for none."""
    lines = _read("/proc", "self/cgroup").splitlines()
    inner = next((line[3:].strip() for line in lines if line.startswith("0::")), "")
    for line in _read("/proc", "self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if after.startswith("cgroup2 ") and len(fields) > 4:
            root, top = fields[3], fields[4]
            if inner == root or inner.startswith(root.rstrip("/") + "/"):
                path = os.path.normpath(top + "/" + inner[len(root.rstrip("/")) :])
                last = os.path.basename(path)
                return os.path.dirname(path) if last == DAEMONS or last.startswith(JOB) else path
    return ""


def _is_delegated(path: str, environ: Mapping[str, str]) -> bool:
    if DELEGATED in environ and path.endswith(".scope"):
        return True
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(path, name) == b"1":
                return True
    return False


def leave_job() -> None:
    """Leave the group of a job, in which a daemon of ours was started, for the one of daemons beside it."""
    text = _read("/proc", "self/cgroup")
    if f"/{JOB}" in text:
        path = _own()
        if path:
            _write(os.path.join(path, DAEMONS), "cgroup.procs", str(os.getpid()))


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(folder: str, name: str, text: str) -> bool:
    try:
        file = os.open(os.path.join(folder, name), os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(file, text.encode())
    except OSError:
        return False
    finally:
        os.close(file)
    return True
