"""Arrays as people see them: how many of their tasks are how, as parts of a bar and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm.model.selection import STATES

WIDTH = 100.0
MOST_NAMED = 40
LEAST = 1.5
"""So wide every part is that is there at all: a single failed task of a million is seen."""
_FACTS = ("indices", "total", "cap")
_UNSTARTED = ("pending", "held", "blocked")
_LISTED = {"active": "starting,running,suspended,unreachable", "waiting": "pending,held", "blocked": "pending"}
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


# -- by state -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of an array that are in one *state*: how many, which (*ranges*), those that are few enough to be named
    one by one, and the state by which a list shows them."""

    state: str
    count: int
    ranges: str
    named: list[str]
    listed: str


def by_state(job: Mapping[str, Any]) -> list[Tasks]:
    """Return how the tasks of the array *job* are, a row for each state."""
    counts, indices = job.get("tasks") or {}, job.get("indices") or {}
    rows = []
    for state, ranges in indices.items():
        words = str(ranges).split(",")
        few = len(words) <= MOST_NAMED and all(word.isdigit() for word in words)
        count = counts.get(state, _count(words))
        if state == "pending" and str(ranges).endswith("…"):
            others = (_count(str(indices.get(other, "")).split(",")) for other in _UNSTARTED if other != state)
            count = max(count, counts.get("waiting", 0) - sum(others))
        rows.append(Tasks(state, count, str(ranges), words if few else [], _LISTED.get(state, state)))
    known = {row.state for row in rows}
    for state, count in counts.items():
        if state not in (*known, "indices", "total", "cap", "waiting") and count:
            rows.append(Tasks(state, count, "", [], _LISTED.get(state, state)))
    order = [*STATES, "blocked", "active"]
    return sorted(rows, key=lambda row: order.index(row.state) if row.state in order else len(order))


def _count(words: list[str]) -> int:
    total = 0
    for word in words:
        ends, _, step = word.rstrip("…").partition(":")
        first, dash, last = ends.partition("-")
        if first.isdigit():
            total += (int(last) - int(first)) // int(step or 1) + 1 if dash and last.isdigit() else 1
    return total
