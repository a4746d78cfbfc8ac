"""How much memory a process has held at most: its peak, which can be begun anew, not what it holds when one looks."""

from __future__ import annotations

import os
import re
from pathlib import Path

MEBIBYTE = 1 << 20

_HELD = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak(pid: int) -> int:
    """Return the most resident memory *pid* has had since `forget`, or its start, in bytes."""
    found = _HELD.search(Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise AssertionError(f"process {pid} has ended")
    return 1024 * int(found.group(1))


def forget(pid: int) -> None:
    """Begin the peak of *pid* anew at what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Growth:
    """By how much the peaks of *daemons* (name → pid) have grown since this was made."""

    def __init__(self, daemons: dict[str, int]) -> None:
        self._pids = daemons
        self._before = {}
        for name, pid in daemons.items():
            forget(pid)
            self._before[name] = peak(pid)

    def bytes(self) -> dict[str, int]:
        """Return the growth of each in bytes, by name."""
        return {name: peak(pid) - self._before[name] for name, pid in self._pids.items()}

    def most(self) -> int:
        """Return the growth of the one that has grown most, in bytes."""
        return max(self.bytes().values())


def open_descriptors(pid: int) -> int:
    """Return how many descriptors *pid* has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
