"""What a job inherits of the process that starts it, set for that moment and taken back: processors, and the most
private memory that one of its processes can ask for.

The second is the last resort where no control group keeps a job's memory: a hog that grows faster than anybody looks
gets no more. It is far above the job's limit, since programs ask for memory that they never use.
"""

from __future__ import annotations

import contextlib
import os

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # a Python without it sets no such limits

RESERVED_PART = 16
FEWEST_RESERVED = 32


def backstop(memory: int) -> int:
    """Return how much private memory one process of a job that may use *memory* bytes can ask for at all."""
    return memory + memory // 2 + (1 << 30)


class Confining:
    """Takes on what a job is to inherit, and lays it off."""

    def __init__(self) -> None:
        self._all = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._data = resource.getrlimit(resource.RLIMIT_DATA) if resource is not None else (0, 0)
        self._on: set[int] | None = None
        self._bounded = False

    def take_on(self, cpus: tuple[int, ...], memory: int) -> tuple[bool, bool]:
        """Be on *cpus* alone, and bounded for a job that may use *memory* bytes, each unless it is empty or 0.

        Return whether each could be done.
        """
        on = bounded = False
        if cpus:
            try:
                os.sched_setaffinity(0, cpus)
                self._on, on = set(cpus), True
            except (OSError, AttributeError, OverflowError, ValueError):
                on = False
        if memory and resource is not None:
            soft, hard = self._data
            most = backstop(memory)
            if soft == resource.RLIM_INFINITY or most < soft:
                bounded = self._bounded = _set_data((most, hard))
        return on, bounded

    def lay_off(self) -> None:
        """Be as before."""
        if self._on is not None:
            self._on = None
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self._all)
        if self._bounded:
            self._bounded = False
            _set_data(self._data)


def _set_data(values: tuple[int, int]) -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_DATA, values)
    except (OSError, ValueError, OverflowError):
        return False
    return True


def reserve_processes() -> None:
    """Let us and all jobs have fewer processes than the account may, so that there is always one to help with."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft == resource.RLIM_INFINITY or soft != hard:
        return
    kept = max(FEWEST_RESERVED, soft // RESERVED_PART)
    if soft > 4 * kept:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft - kept, hard))
