"""Processes as ``/proc`` shows them, and signals that reach the process that was meant or none."""

from __future__ import annotations

import os
import signal
import time

from tm.keeper.order import Key, number_of
from tm.lineage import DAEMON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_DEAD = (b"Z", b"X")
_STILL = (b"T", b"t", b"D", *_DEAD)
_DAEMON = b"(" + DAEMON.encode() + b")"
_EXITING = 4
_EXEC_TAKES_MS = 100
_LISTINGS = 20
_MANY_THREADS = 64
_lists_children = os.path.exists("/proc/thread-self/children")
_pidfd_open = getattr(os, "pidfd_open", None)  # a Python built for an old kernel lacks it


class Process:
    """One process; *ticks*: its start in clock ticks since boot; *cpu*: seconds, children's included.

    *daemon*: it is one of ours (`tm.lineage`) and no job's, whoever its parent is. *still*: it is stopped, dead, or
    waits in the kernel, so that it does nothing of its own. *stopped*: by a signal, until another one. *group* is its
    process group, *rss* its resident memory in bytes, *name* that of its program as the kernel keeps it. *exiting*: it
    is about to be dead, and nothing may tell any more whose it is.
    """

    __slots__ = (
        "cpu", "daemon", "dead", "exiting", "group", "name", "pid", "ppid", "rss", "session", "still", "stopped",
        "threads", "ticks",
    )  # fmt: skip

    def __init__(
        self,
        pid: int,
        ppid: int,
        session: int,
        ticks: int = 0,
        dead: bool = False,
        cpu: float = 0,
        daemon: bool = False,
        still: bool = False,
        stopped: bool = False,
        group: int = 0,
        threads: int = 1,
        rss: int = 0,
        name: bytes = b"",
        exiting: bool = False,
    ) -> None:
        self.pid = pid
        self.ppid = ppid
        self.session = session
        self.ticks = ticks
        self.dead = dead
        self.cpu = cpu
        self.daemon = daemon
        self.still = still
        self.stopped = stopped
        self.group = group
        self.threads = threads
        self.rss = rss
        self.name = name
        self.exiting = exiting


def read(pid: int) -> Process | None:
    """Return the process *pid* (a zombie is one still), or None when there is none."""
    stat = _content(f"/proc/{pid}/stat")
    if stat is None:
        return None
    named = stat.rindex(b")") + 1
    fields = stat[named + 1 :].split()
    cpu = sum(map(int, fields[11:15])) / _TICKS
    name = stat[stat.index(b"(") : named]
    state = fields[0]
    ppid, session, start = int(fields[1]), int(fields[3]), int(fields[19])
    return Process(
        pid, ppid, session, start, state in _DEAD, cpu, name == _DAEMON, state in _STILL, state == b"T",
        int(fields[2]), int(fields[17]), int(fields[21]) * _PAGE, name[1:-1],
        bool(int(fields[6]) & _EXITING),
    )  # fmt: skip


def ticks() -> int:
    """Return the time since boot in clock ticks."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS // 1_000_000_000


def started_at(child: int, before: int) -> int:
    """Return the start of *child*, just begun, in clock ticks since boot; *before* is the time before that.

    Within one tick there is no need to ask the kernel, which answers only once the ``exec`` is quite done.
    """
    if ticks() == before:
        return before
    process = read(child)
    return process.ticks if process is not None else before


def snapshot() -> dict[int, Process]:
    """Return all processes of this machine by pid.

    Whoever was listed and has ended before it was read may have left a child that was not listed yet: so the list
    is read again until it names nobody new.
    """
    found: dict[int, Process] = {}
    listed: set[int] = set()
    for _ in range(_LISTINGS):
        fresh = [pid for pid in _listing() if pid not in listed]
        if not fresh:
            break
        listed.update(fresh)
        found.update((process.pid, process) for process in map(read, fresh) if process is not None)
    return found


def family(roots: Iterable[int]) -> dict[int, Process]:
    """Return the processes *roots* and all that descend from them, by pid; but daemons of ours and theirs.

    Only these are read; where the kernel does not list children, or a process has very many threads, all are.
    """
    if not _lists_children:
        return snapshot()
    found: dict[int, Process] = {}
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        process = read(pid) if pid not in found else None
        if process is None:
            continue
        found[pid] = process
        if process.daemon or process.dead:
            continue
        if process.threads > _MANY_THREADS:
            return snapshot()
        for thread in (pid,) if process.threads == 1 else threads(pid):
            waiting += map(int, (_content(f"/proc/{pid}/task/{thread}/children") or b"").split())
    return found


def memory(pid: int) -> int | None:
    """Return the bytes of memory that only the end of *pid* frees, its part of what it shares; None if unknown.

    That is memory of no file, in memory or swapped out. It takes the kernel a while to count.
    """
    content = _content(f"/proc/{pid}/smaps_rollup")
    if content is None:
        return None
    parts = {line[: line.find(b":")]: line for line in content.splitlines()}
    names = (b"Pss_Anon", b"Pss_Shmem") if b"Pss_Anon" in parts else (b"Pss",)
    return 1024 * sum(int(parts[name].split()[1]) for name in (*names, b"SwapPss") if name in parts)


def moved(pid: int) -> tuple[int, int] | None:
    """Return the bytes that *pid*, and all children it has waited for, have read and written; None if unknown."""
    content = _content(f"/proc/{pid}/io")
    if content is None:
        return None
    read_line, written_line = content.split(b"\n", 2)[:2]
    return int(read_line[7:]), int(written_line[7:])


def moved_by_reaped(before: tuple[int, int]) -> tuple[int, int] | None:
    """Return what a child has `moved` that was reaped since this process itself had moved *before*.

    Who is not root may not ask of a process that has ended, but what it moved counts as its parent's from then on.
    """
    now = moved(os.getpid())
    return None if now is None else (max(0, now[0] - before[0]), max(0, now[1] - before[1]))


def tasks() -> int:
    """Return how many threads there are on this machine; 0 where that is not said."""
    content = _content("/proc/loadavg")
    try:
        return int((content or b"").split()[3].partition(b"/")[2])
    except (IndexError, ValueError):
        return 0


def children() -> list[int]:
    """Return the pids of this process's children, zombies included."""
    listed = _content(f"/proc/self/task/{os.getpid()}/children")
    if listed is None:
        own = os.getpid()
        return [process.pid for process in snapshot().values() if process.ppid == own]
    return [int(word) for word in listed.split()]


def threads(pid: int) -> list[int]:
    """Return the threads of *pid*; none when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def claim(pid: int) -> Key | None:
    """Return the (job, attempt) in the environment of *pid*, or None; wait out an ``exec`` under way."""
    found: dict[bytes, bytes] = {}
    content = _content(f"/proc/{pid}/environ")
    for _ in range(_EXEC_TAKES_MS):
        if content != b"" or not _is_in_exec(pid):
            break
        time.sleep(0.001)
        content = _content(f"/proc/{pid}/environ")
    for entry in (content or b"").split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name in (b"TM_JOB_ID", b"TM_ATTEMPT"):
            found.setdefault(name, value)
    job, attempt = number_of(found.get(b"TM_JOB_ID", b"")), found.get(b"TM_ATTEMPT", b"")
    return (job, int(attempt)) if job is not None and attempt.isdigit() else None


def send(process: Process, number: int) -> None:
    """Send *number* to *process* unless it is gone or not ours; another one with its pid gets nothing."""
    try:
        handle = _pidfd_open(process.pid) if _pidfd_open is not None else None
    except ProcessLookupError:
        return
    except OSError:
        handle = None
    try:
        now = read(process.pid)
        if now is None or now.ticks != process.ticks:
            return
        if handle is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        if handle is not None:
            os.close(handle)


def _is_in_exec(pid: int) -> bool:
    """Whether *pid* lives and has no environment yet, not even an empty one."""
    stat = _content(f"/proc/{pid}/stat")
    if stat is None:
        return False
    fields = stat[stat.rindex(b")") + 2 :].split()
    return fields[0] not in _DEAD and fields[48] == b"0"


def _listing() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _content(path: str) -> bytes | None:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        content = piece = os.read(file, 8192)
        while piece:
            piece = os.read(file, 8192)
            content += piece
    except OSError:
        return None
    finally:
        os.close(file)
    return content


def nice_session(pid: int, level: int) -> None:
    """Give the session of *pid* this niceness among sessions, where the kernel knows such; `BlockingIOError`: later."""
    try:
        file = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(file, b"%d" % level)
    except BlockingIOError:
        raise
    except OSError:
        return
    finally:
        os.close(file)
