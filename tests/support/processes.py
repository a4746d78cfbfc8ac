"""Processes that carry a marker: what a test has started, and what those have started in turn.

Environments are handed down; what is started over ssh has a new one, and the marker on its command line.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value | None], what: str, seconds: float = 20.0, pause: float = 0.02) -> Value:
    """Return the first true value of *condition*; fail after *seconds*."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)
    return value


def listen(port: int) -> socket.socket:
    """Listen on a port of loopback; the last thread of a killed process may hold it a little longer than its pid."""

    def bound() -> socket.socket | None:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            return None

    return wait_for(bound, f"port {port}")


def is_alive(pid: int) -> bool:
    """Whether *pid* is a process that has not ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] not in b"ZX"


def is_marked(pid: int, marker: str) -> bool:
    """Whether *pid* is a living process whose environment or command line holds *marker*."""
    try:
        told = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return marker.encode() in told and is_alive(pid)


def marked(marker: str) -> dict[int, str]:
    """Return the living processes, ours apart, that carry *marker*: their command lines by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            if is_marked(int(name), marker):
                line = Path("/proc", name, "cmdline").read_bytes()
                found[int(name)] = line.replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; KILL waits until the process is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    if number == signal.SIGKILL:
        wait_for(lambda: not is_alive(pid), f"the end of process {pid}")


def end_marked(marker: str) -> dict[int, str]:
    """Kill all processes with *marker*, also those that appear meanwhile; return those that could not be ended."""
    deadline = time.monotonic() + 10.0
    while (left := marked(marker)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    return left


def processes_of(marker: str, job: int) -> list[int]:
    """Return the living processes that carry *marker* and the number of *job*."""
    return [pid for pid in marked(marker) if is_marked(pid, f"TM_JOB_ID={job}\0")]
