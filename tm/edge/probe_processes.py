"""Processes as ``/proc`` shows them, read often: every process, every two seconds, on every host.

So ``/proc/PID/stat`` is kept open and read again in place, and what has not changed byte for byte is not parsed. That
costs half of what opening each anew does, and an eighth of asking psutil (docs/performance.md, *InfoServer*).
An open file stays with its process: when the pid is taken by another one it fails, and the new one is found.
"""

from __future__ import annotations

import os
import pwd
import resource
import time
from collections.abc import Callable

from tm.model.usage import Look, Process

MOST_OPEN = 8192
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LARGEST = 1024
_KERNEL_THREAD = 0x200000
_FIRST_NAMESPACE = "pid:[4026531836]"


def boot_seconds() -> float:
    """Return the time since boot: the clock by which processes say when they started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _sees_the_whole_machine() -> bool:
    """Whether all processes of the machine can be ours to see; in a container its CPU is spent on strangers, too."""
    try:
        return os.readlink("/proc/self/ns/pid") == _FIRST_NAMESPACE
    except OSError:
        return True


def _read_new(path: str) -> tuple[bytes, int]:
    """Return the beginning of a file and the open file; nothing and -1 where it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b"", -1
    try:
        said = os.read(file, _LARGEST)
    except OSError:
        said = b""
    if said:
        return said, file
    os.close(file)
    return b"", -1


class _Held:
    """A process, the file that tells of it (-1: not kept open), what it said last."""

    __slots__ = ("file", "process", "said", "young")

    def __init__(self, process: Process, file: int) -> None:
        self.process = process
        self.file = file
        self.said = b""
        self.young = True


class Processes:
    """All processes of this computer; *proc* is where the kernel shows them."""

    def __init__(
        self, proc: str = "/proc", clock: Callable[[], float] = boot_seconds, whole: bool | None = None
    ) -> None:
        self._proc = proc
        self._clock = clock
        self._whole = _sees_the_whole_machine() if whole is None else whole
        self._held: dict[str, _Held] = {}
        self._gone: list[Process] = []
        self._users: dict[int, str] = {}
        self._open = 0
        self._most_open = min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._looked = -1.0
        self._busy = 0.0
        self.by_pid: dict[int, Process] = {}

    def look(self) -> Look:
        """Return all processes and what has changed since the last look; nobody is active in the first one."""
        now, busy = self._clock(), self._read_busy()
        first = self._looked < 0
        self._gone = []
        active: list[Process] = []
        rearranged = False
        names = [name for name in os.listdir(self._proc) if name.isdigit()]
        for name in names:
            held = self._held.get(name)
            said, file = self._read(name, held)
            if held is not None and said == held.said:
                held.process.used = held.process.newly_waited = 0.0
                if held.young:
                    rearranged |= self._grown(held)
                if file >= 0:
                    os.close(file)
            elif said:
                rearranged |= self._take(name, said, file)
                process = self._held[name].process
                if process.used or process.newly_waited:
                    active.append(process)
        if len(self._held) != len(names):
            for name in self._held.keys() - set(names):
                self._forget(name)
        seconds, spent = now - self._looked, busy - self._busy
        self._looked, self._busy = now, busy
        return Look(
            self.by_pid, active, self._gone, rearranged or bool(self._gone), 0.0 if first else seconds,
            0.0 if first else max(0.0, spent), self._whole and not first,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of all files."""
        for held in self._held.values():
            self._release(held)
        self._held.clear()
        self.by_pid.clear()

    def command(self, pid: int) -> str:
        """Return the command line of a process, empty where there is none."""
        try:
            with open(f"{self._proc}/{pid}/cmdline", "rb") as file:
                return file.read(4096).replace(b"\0", b" ").strip().decode(errors="replace")
        except OSError:
            return ""

    def hidden(self, pid: int) -> bool:
        """Whether there is such a process, and we are not shown it."""
        if pid in self.by_pid or pid <= 0:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            said, file = _read_new(f"{self._proc}/{pid}/stat")
            if file >= 0:
                os.close(file)
            return not said
        except OverflowError:
            return False
        return False

    def user_name(self, uid: int) -> str:
        """Return the name of a user number."""
        name = self._users.get(uid)
        if name is None:
            try:
                name = pwd.getpwuid(uid).pw_name
            except KeyError:
                name = str(uid)
            self._users[uid] = name
        return name

    # -- reading --------------------------------------------------------------------------------------------------

    def _read(self, name: str, held: _Held | None) -> tuple[bytes, int]:
        """Return what is said of a process, empty when it is gone, and a file that was opened to read it, or -1."""
        try:
            if held is not None and held.file >= 0:
                return os.pread(held.file, _LARGEST, 0), -1
        except OSError:
            self._forget(name)
        return _read_new(f"{self._proc}/{name}/stat")

    def _take(self, name: str, said: bytes, file: int) -> bool:
        """Note what a process says now, and keep or close *file*; return whether that changes who belongs to whom."""
        end = said.rindex(b")")
        fields = said[end + 2 :].split()
        start = int(fields[19])
        held = self._held.get(name)
        born = held is None or held.process.start != start
        if held is None or born:
            self._forget(name)
            held = self._meet(name, start, file)
        elif file >= 0:
            os.close(file)
        held.said = said
        process = held.process
        known = not born or (0 <= self._looked <= start / _TICKS + 1)
        cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        waited = (int(fields[13]) + int(fields[14])) / _TICKS
        process.used = max(0.0, cpu - process.cpu) if known else 0.0
        process.newly_waited = max(0.0, waited - process.waited) if known else 0.0
        process.cpu, process.waited = cpu, waited
        process.rss = int(fields[21]) * _PAGE
        ppid, session = int(fields[1]), int(fields[3])
        shown = said[said.index(b"(") + 1 : end].decode(errors="replace")
        if born or (ppid, session, shown) != (process.ppid, process.session, process.name):
            process.ppid, process.session, process.name = ppid, session, shown
            process.kernel = bool(int(fields[6]) & _KERNEL_THREAD)
            self._identify(process)
            return True
        return held.young and self._grown(held)

    def _meet(self, name: str, start: int, file: int) -> _Held:
        process = Process(int(name), start)
        if self._open < self._most_open:
            self._open += 1
        else:
            os.close(file)
            file = -1
        held = self._held[name] = _Held(process, file)
        self.by_pid[process.pid] = process
        return held

    def _grown(self, held: _Held) -> bool:
        """Look a second time at whose a new process of root is: it may have been on its way to another user."""
        held.young = False
        before = held.process.uid
        if before != 0:
            return False
        self._identify(held.process)
        return held.process.uid != before

    def _identify(self, process: Process) -> None:
        status, file = _read_new(f"{self._proc}/{process.pid}/status")
        if file >= 0:
            os.close(file)
        _, _, rest = status.partition(b"\nUid:\t")
        if rest:
            process.uid = int(rest.split(b"\t", 1)[0])
            process.user = self.user_name(process.uid)

    def _forget(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._release(held)
            self._gone.append(held.process)
            if self.by_pid.get(held.process.pid) is held.process:
                del self.by_pid[held.process.pid]

    def _release(self, held: _Held) -> None:
        if held.file >= 0:
            os.close(held.file)
            self._open -= 1

    def _read_busy(self) -> float:
        """Return the CPU seconds that the machine has spent on processes: user, nice and system."""
        with open(f"{self._proc}/stat", "rb", buffering=0) as file:
            words = file.read(256).split(None, 5)
        return sum(map(int, words[1:4])) / _TICKS
