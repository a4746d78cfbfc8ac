"""What one attempt may use, and how long it has run. Pure: no I/O, no clock."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KIBIBYTE = 1024


class Limits:
    """The limits of one attempt, each 0 where it has none.

    *time* is its wall time in seconds; *warn_signal* is sent *warn_seconds* before that is over, with *warn_first* to
    its first process alone. *memory* (bytes) and *processes* are what its tree may have at once, *output* how many
    bytes each of its output *files* may have; *own_processes* says that *processes* is not what holds for anybody.
    Raises `ValueError`, whose text is a sentence, for an entry of an order that holds no limits.
    """

    __slots__ = (
        "files", "memory", "output", "own_processes", "processes", "time", "warn_first", "warn_seconds", "warn_signal",
    )  # fmt: skip

    def __init__(self, entry: Mapping[str, Any], files: tuple[str, ...] = ()) -> None:
        get = entry.get
        time = get("time")
        self.time = seconds(time) if time else 0.0
        self.memory = memory = get("memory", 0)
        self.processes = processes = get("processes", 0)
        self.output = output = get("output", 0)
        for value in (memory, processes, output):
            if type(value) is not int or value < 0:
                raise ValueError(f"memory, processes and output must be integers of at least 0, not {value!r}")
        self.own_processes = get("own_processes") is True
        self.files = files
        self.warn_signal, self.warn_seconds, self.warn_first = 0, 0.0, False
        if "warn" in entry:
            number, before, first = entry["warn"]
            self.warn_signal, self.warn_seconds, self.warn_first = int(number), seconds(before), first is True
            if not 0 < self.warn_signal < 65:
                raise ValueError(f"there is no signal {number!r}")

    @property
    def wants_group(self) -> bool:
        """Whether the kernel had better keep it to them: its memory is limited, or its processes in their own way."""
        return self.memory > 0 or self.own_processes


def seconds(value: Any) -> float:
    """Return *value* as a number of seconds; raise `ValueError` where it is none."""
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError(f"this is no number of seconds: {value!r}")
    return number


class WallTime:
    """How long an attempt has run, the time it was suspended not counted, and what is due by its limits."""

    __slots__ = ("_limits", "_since", "_used", "_warned")

    def __init__(self, limits: Limits, since: float, used: float = 0.0, suspended: bool = False) -> None:
        self._limits = limits
        self._used = used
        self._since: float | None = None if suspended else since
        self._warned = False

    def used(self, now: float) -> float:
        """Return the seconds it has run."""
        return self._used + (max(0.0, now - self._since) if self._since is not None else 0.0)

    def pause(self, now: float) -> None:
        """It is suspended: its time stands."""
        self._used, self._since = self.used(now), None

    def resume(self, now: float) -> None:
        """It goes on."""
        if self._since is None:
            self._since = now

    def change(self, limit: float, now: float) -> None:
        """It may run *limit* seconds from its start (0: without end); a warning may come again."""
        self._limits.time = limit
        self._warned = self.used(now) >= limit - self._limits.warn_seconds and self._warned

    @property
    def next_at(self) -> float | None:
        """When something is due, or None."""
        if not self._limits.time or self._since is None:
            return None
        return self._since - self._used + (self._limits.time if not self._warns else self._warning)

    @property
    def _warns(self) -> bool:
        return self._limits.warn_signal > 0 and not self._warned and self._warning < self._limits.time

    @property
    def _warning(self) -> float:
        return max(0.0, self._limits.time - self._limits.warn_seconds)

    def due(self, now: float) -> str:
        """Return ``warn`` once when the warning is due, ``over`` when the time is, else an empty string."""
        at = self.next_at
        if at is None or now < at:
            return ""
        if self.used(now) < self._limits.time and self._warns:
            self._warned = True
            return "warn"
        return "over"


def shown_size(size: float) -> str:
    """Return *size* in bytes as ``1.5G``."""
    value, unit = float(size), ""
    for unit in ("", "K", "M", "G", "T"):
        if value < KIBIBYTE or unit == "T":
            break
        value /= KIBIBYTE
    text = f"{value:.1f}" if value < 100 and unit else f"{value:.0f}"
    return text.removesuffix(".0") + unit


def shown_time(limit: float) -> str:
    """Return *limit* in seconds as ``1d2h``, ``1h30m``, ``90s``."""
    if limit < 120 or limit % 60:
        return f"{limit:g}s"
    parts = ((limit // 86400, "d"), (limit % 86400 // 3600, "h"), (limit % 3600 // 60, "m"))
    return "".join(f"{count:.0f}{unit}" for count, unit in parts if count)
