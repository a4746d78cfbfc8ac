"""Runs a command and leaves nothing of it behind: ``python -m tests.mutants.guard SECONDS COMMAND…``.

All that the command starts, however it detaches itself, becomes a child of this process (a subreaper), and is killed
when the command has ended, has taken more than SECONDS, or whoever asked is gone. The exit status is the command's, or
124 when its time was over.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

TIME_OVER = 124
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class _StoppedError(Exception):
    """Somebody wants the end."""


def main() -> int:
    """Run the command that the arguments say; return its exit status."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, _stop)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    deadline = time.monotonic() + float(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], start_new_session=True)
    status = TIME_OVER
    try:
        while time.monotonic() < deadline:
            ended = _reap()
            if child.pid in ended:
                status = ended[child.pid]
                break
            time.sleep(0.02)
    except _StoppedError:
        status = 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while _kill_all():
        _reap()
        time.sleep(0.02)
    return status


def _stop(number: int, frame: FrameType | None) -> None:
    raise _StoppedError


def _reap() -> dict[int, int]:
    """Return the exit statuses, as a shell would say them, of the children that have ended."""
    ended: dict[int, int] = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return ended
            code = os.waitstatus_to_exitcode(status)
            ended[pid] = code if code >= 0 else 128 - code
    except ChildProcessError:
        return ended


def _kill_all() -> bool:
    """Kill all that descends from this process; return whether there was anything."""
    waiting = [os.getpid()]
    found = []
    while waiting:
        for child in _children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return bool(found)


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
