"""What somebody could ask for the next time, seen from what alike jobs really used.

The law: silent where little is known, where little would be gained, and where the job asks for less than anybody would
miss. What is suggested leaves room above the most that was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tm.model.demand import Demand
from tm.model.duration import format_duration
from tm.model.estimate import Ending
from tm.model.resources import format_memory

LAST = 10
LEAST_KNOWN = 5
MEMORY_FLOOR = 1 << 30
TIME_FLOOR = 3600.0
MEMORY_PART = 0.5
TIME_PART = 1 / 3
ROOM = 1.25
BUSY_PART = 0.5
_STEPS = (60.0, 300.0, 900.0, 3600.0)


def advice(endings: Sequence[Ending], demand: Demand) -> list[str]:
    """Return sentences for whoever asks for *demand*, from *endings* of the family, oldest first."""
    if len(endings) < LEAST_KNOWN or not wants_any(demand):
        return []
    last = endings[-LAST:]
    return [text for text in (_memory(last, demand), _time(last, demand), _cores(last, demand)) if text]


def wants_any(demand: Demand) -> bool:
    """Whether *demand* asks for enough that anything could be said about it."""
    return demand.memory > MEMORY_FLOOR or demand.time > TIME_FLOOR or demand.cores > 1


def _memory(last: Sequence[Ending], demand: Demand) -> str:
    peaks = [one.memory for one in last if one.memory]
    if len(peaks) < LEAST_KNOWN:
        return ""
    peak = max(peaks)
    wise = _whole_memory(peak * ROOM)
    if peak > MEMORY_PART * demand.memory or demand.memory - wise < MEMORY_FLOOR:
        return ""
    return (
        f"the last {len(peaks)} of this kind used at most {_shown_memory(peak)} of the"
        f" {_shown_memory(demand.memory)} of memory asked; --mem {format_memory(wise)} would do"
    )


def _time(last: Sequence[Ending], demand: Demand) -> str:
    longest = max(one.run for one in last)
    wise = _whole_time(longest * 2)
    if longest > TIME_PART * demand.time or demand.time - wise < TIME_FLOOR:
        return ""
    return (
        f"the last {len(last)} of this kind ran for at most {format_duration(math.ceil(longest))} of the"
        f" {format_duration(demand.time)} asked; --time {format_duration(wise)} would do, and finds room sooner"
    )


def _cores(last: Sequence[Ending], demand: Demand) -> str:
    alike = [one for one in last if one.cores == demand.cores and one.busy and one.run >= 1.0]
    if demand.cores < 2 or len(alike) < LEAST_KNOWN:
        return ""
    most = max(one.busy / one.run for one in alike)
    if most > BUSY_PART * demand.cores:
        return ""
    wise = max(1, math.ceil(most - 0.1))
    return (
        f"the last {len(alike)} of this kind kept at most {most:.1f} of the {demand.cores} cores busy;"
        f" --cpus-per-task {wise} would do"
    )


def _whole_memory(size: float) -> int:
    """Return *size* in bytes, rounded up to what people write."""
    step = 1 << 30 if size > 4 << 30 else 256 << 20
    return math.ceil(size / step) * step


def _whole_time(seconds: float) -> float:
    step = next((step for step in _STEPS if seconds <= 12 * step), _STEPS[-1])
    return math.ceil(seconds / step) * step


def _shown_memory(size: float) -> str:
    """Return *size* bytes with two digits or three: ``1.2G``."""
    for letter, power in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size >= 1 << power:
            value = size / (1 << power)
            return f"{value:.0f}{letter}" if value >= 10 or value == int(value) else f"{value:.1f}{letter}"
    return f"{size:.0f}"
