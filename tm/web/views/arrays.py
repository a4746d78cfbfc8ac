"""Arrays as people see them: how many of their tasks are how, as parts of a bar and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTH = 100.0
LEAST = 1.5
"""So wide every part is that is there at all: a single failed task of a million is seen."""
_FACTS = ("indices", "total", "cap")
_GOOD, _UNDER_WAY, _WAITING = "completed", "active", "waiting"
_NAMES = ("completed", "ended badly", "under way", "waiting")
_FILLS = ("good", "bad", "active", "waiting")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar of `WIDTH`: from *x*, so *wide*, of the class *fill*; *name* and *count* say what it is."""

    fill: str
    x: float
    wide: float
    name: str
    count: int


def parts(tasks: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return how many of *tasks* are done, ended badly, are under way, and wait."""
    bad = sum(count for word, count in tasks.items() if word not in (*_FACTS, _GOOD, _UNDER_WAY, _WAITING))
    return tasks.get(_GOOD, 0), bad, tasks.get(_UNDER_WAY, 0), tasks.get(_WAITING, 0)


def bar(tasks: Mapping[str, Any]) -> list[Part]:
    """Return the parts of the bar of *tasks*; none that is there is hidden."""
    counts = parts(tasks)
    total = sum(counts)
    if not total:
        return []
    widths = [max(LEAST, WIDTH * count / total) if count else 0.0 for count in counts]
    widest = widths.index(max(widths))
    widths[widest] -= sum(widths) - WIDTH
    found, x = [], 0.0
    for fill, name, count, wide in zip(_FILLS, _NAMES, counts, widths, strict=True):
        if count:
            found.append(Part(fill, round(x, 2), round(wide, 2), name, count))
        x += wide
    return found


def told(tasks: Mapping[str, Any]) -> str:
    """Return how the tasks are, in words: ``40 completed, 3 failed, 10 active, 47 waiting of 100``."""
    words = [word for word in tasks if word not in (*_FACTS, _UNDER_WAY, _WAITING)]
    shown = [f"{tasks[word]:,} {word.replace('_', ' ')}" for word in [*words, _UNDER_WAY, _WAITING] if tasks.get(word)]
    cap = f", at most {tasks['cap']:,} at once" if tasks.get("cap") and tasks.get(_WAITING) else ""
    return f"{', '.join(shown)} of {tasks.get('total', 0):,}{cap}"
