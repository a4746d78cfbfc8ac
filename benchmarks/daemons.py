"""What the daemons use, read from ``/proc``: processor time, memory, writes, and the commits of the store."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = {
    "TaskDispatcher": "dispatcher", "TMS": "tms:alice", "TMMS": "tmms:alice:n1", "keeper": "keeper:alice:n1",
}  # fmt: skip
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def processor_seconds(pid: int) -> tuple[float, float]:
    """Return the processor seconds (user and system) of a process, and of its children that were reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK, (int(fields[13]) + int(fields[14])) / _TICK


def resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def forget_peak(pid: int) -> None:
    """Let `peak` count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid: int) -> int:
    """Return the most bytes that were resident since `forget_peak`."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def busy_seconds() -> float:
    """Return the processor seconds that all processes of the machine have used since it started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[:7])
    return (user + nice + system + irq + softirq) / _TICK


def commits(store: str) -> int:
    """Return a counter of the commits of *store*; only differences mean something.

    It is ``iChange`` in the header of SQLite's index of its log, bytes 8 to 11 of the file, and grows by one
    with each transaction that writes (https://sqlite.org/walformat.html).
    """
    with open(store + "-shm", "rb") as file:
        return int.from_bytes(file.read(12)[8:], sys.byteorder)


def segments_sent(pids: dict[str, int]) -> dict[str, int]:
    """Return the TCP segments with data that each process has sent on open connections; {} without ``ss``.

    On loopback one write of a daemon is one segment up to 64 KiB.
    """
    program = shutil.which("ss")
    if program is None:
        return {}
    listed = subprocess.run([program, "-Htinp"], capture_output=True, text=True, check=False).stdout
    sent = dict.fromkeys(pids, 0)
    owner = ""
    for line in listed.splitlines():
        if not line.startswith(("\t", " ")):
            owner = next((name for name, pid in pids.items() if f"pid={pid}," in line), "")
        elif owner:
            found = re.search(r"data_segs_out:(\d+)", line)
            sent[owner] += int(found.group(1)) if found else 0
    return sent
