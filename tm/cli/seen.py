"""What the processes of this account show of themselves, and ending some of them within bounds."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator

from tm.errors import TaskManagerError
from tm.keeper import procfs

TERM_SECONDS = 8.0
KILL_SECONDS = 5.0
BURIAL_SECONDS = 15.0
_LOOK_AGAIN = 0.05


def processes() -> Iterator[tuple[int, list[str]]]:
    """Yield pid and command line of every process that we may look at, but for ourselves."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            content = _read(f"/proc/{name}/cmdline")
            if content:
                yield int(name), [os.fsdecode(word) for word in content.split(b"\0")]


def environment(pid: int) -> dict[str, str]:
    """Return the environment that *pid* was started with; empty if it may not be seen."""
    entries = (_read(f"/proc/{pid}/environ") or b"").split(b"\0")
    return dict(os.fsdecode(entry).partition("=")[::2] for entry in entries if b"=" in entry)


def holds(pid: int, folder: str) -> str:
    """Return a path in *folder* that *pid* has open or works in; nothing if there is none."""
    try:
        links = [f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd"))]
    except OSError:
        return ""
    for link in links:
        try:
            path = os.readlink(link)
        except OSError:
            continue
        if path.startswith(folder + os.sep):
            return path
    return ""


def ancestors(pid: int) -> set[int]:
    """Return *pid* and all its ancestors."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        process = procfs.read(pid)
        pid = process.ppid if process is not None else 0
    return found


def end(those: Callable[[], Iterable[int]]) -> None:
    """End all that *those* gives, also what joins it meanwhile: TERM, and KILL when it takes too long.

    Raises `TaskManagerError` ``internal.stop`` when something is still there after that.
    """
    asked: dict[int, int] = {}
    begun = time.monotonic()
    while left := [one for pid in those() if (one := procfs.read(pid)) is not None and not one.dead]:
        waited = time.monotonic() - begun
        if waited > TERM_SECONDS + KILL_SECONDS:
            pids = ", ".join(str(process.pid) for process in left)
            raise TaskManagerError("internal.stop", f"the processes {pids} do not end, not even by KILL; try again")
        number = signal.SIGTERM if waited < TERM_SECONDS else signal.SIGKILL
        for process in left:
            if asked.get(process.pid) != number:
                asked[process.pid] = number
                procfs.send(process, number)
        time.sleep(_LOOK_AGAIN)


def wait_until_buried(pids: Iterable[int]) -> None:
    """Wait until the dead processes *pids* are not listed any more, as far as their parents do that soon."""
    limit = time.monotonic() + BURIAL_SECONDS
    for pid in pids:
        while (process := procfs.read(pid)) is not None and process.dead and time.monotonic() < limit:
            time.sleep(_LOOK_AGAIN)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
