"""The tasks of an array: one byte each says how it is, so that a million of them are one object of a megabyte.

The law: a task is in exactly one state; counts by state are kept, never counted anew. A task that is `ACTIVE` has a
`Job` of its own; so has one that is over and had started, in the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from tm.model.ids import read_many_ranges, read_ranges, show_ranges
from tm.model.phase import FINAL, Phase

ABSENT: Final = 0
READY: Final = 1
BLOCKED: Final = 2
"""Waits for the task of the same index of another array (``aftercorr``)."""
HELD: Final = 3
ACTIVE: Final = 4
CODE_OF: Final[Mapping[Phase, int]] = {phase: 5 + place for place, phase in enumerate(sorted(FINAL))}
DROPPED: Final = 5 + len(FINAL)
"""Cancelled before it started, so that it never had a job of its own."""
PHASE_OF: Final[Mapping[int, Phase]] = {
    **{code: phase for phase, code in CODE_OF.items()}, DROPPED: Phase.CANCELLED,
}  # fmt: skip
_WAITING: Final = (READY, BLOCKED, HELD)
_CODES: Final = DROPPED + 1
_WIDEST_STEP: Final = 1024
_RUNS: Final = {code: re.compile(re.escape(bytes([code])) + b"+") for code in range(_CODES)}


class TasksMemo(msgspec.Struct, omit_defaults=True):
    """What the store keeps of an array beside the rows of its tasks: the live *cap*, tasks that are *held*, *blocked*,
    or *dropped* (cancelled before they started) as ranges; *ended* counts by phase once all is over."""

    cap: int = 0
    held: str = ""
    blocked: str = ""
    dropped: str = ""
    ended: dict[str, int] = {}


class Tasks:
    """All tasks of one array. *cap* is how many may be active at once, 0 for any number."""

    def __init__(self, indices: str, cap: int = 0) -> None:
        self.indices = indices
        self.cap = cap
        ranges = read_ranges(indices)
        self._first = min(one.start for one in ranges)
        self._states = bytearray(max(one[-1] for one in ranges) + 1 - self._first)
        self._counts = [0] * _CODES
        self._next = 0
        for one in ranges:
            at = slice(one.start - self._first, one[-1] + 1 - self._first, one.step)
            self._states[at] = bytes([READY]) * len(one)
            self._counts[READY] += len(one)
        self.total = self._counts[READY]

    @property
    def span(self) -> int:
        """How many bytes it takes: one for each index from the first to the last."""
        return len(self._states)

    @property
    def everything(self) -> list[range]:
        """The indices of all tasks."""
        return read_ranges(self.indices)

    def __contains__(self, index: int) -> bool:
        return 0 <= index - self._first < len(self._states) and self._states[index - self._first] != ABSENT

    def state(self, index: int) -> int:
        """Return how task *index* is; `ABSENT` where there is none."""
        return self._states[index - self._first] if index in self else ABSENT

    def set(self, index: int, state: int) -> None:
        """Let task *index*, which the array has, be *state*."""
        at = index - self._first
        self._counts[self._states[at]] -= 1
        self._counts[state] += 1
        self._states[at] = state
        if state == READY and at < self._next:
            self._next = at

    def set_all(self, ranges: Iterable[range], before: int, state: int) -> int:
        """Let those of *ranges* that are *before* be *state*; return how many these were."""
        changed = 0
        table = bytes(state if code == before else code for code in range(256))
        for one in ranges:
            at = self._within(one)
            segment = self._states[at]
            changed += segment.count(before)
            self._states[at] = segment.translate(table)
        self._counts[before] -= changed
        self._counts[state] += changed
        self._next = 0 if state == READY else self._next
        return changed

    def count(self, state: int) -> int:
        """Return how many tasks are *state*."""
        return self._counts[state]

    @property
    def waiting(self) -> int:
        """How many tasks have not started and are not over."""
        return sum(self._counts[state] for state in _WAITING)

    @property
    def startable(self) -> int:
        """How many tasks could start now, were there room: those that are ready, as many as the cap leaves."""
        ready = self._counts[READY]
        return min(ready, max(0, self.cap - self._counts[ACTIVE])) if self.cap else ready

    @property
    def over(self) -> bool:
        """Whether every task has ended."""
        return not self._counts[ACTIVE] and not self.waiting

    def ready(self) -> Iterator[int]:
        """Yield the indices of the tasks that may start now, the lowest first, within the cap; `set` them meanwhile."""
        left = self.startable
        at = self._next
        while left > 0:
            at = self._states.find(READY, at)
            if at < 0:
                return
            yield at + self._first
            at += 1
            left -= 1

    def ready_before(self, index: int) -> int:
        """Return how many tasks are ready whose index is lower."""
        return self._states.count(READY, 0, max(0, index - self._first))

    def started(self, index: int) -> None:
        """Task *index*, the lowest that is ready or any other, is active now."""
        self.set(index, ACTIVE)
        at = self._states.find(READY, self._next)
        self._next = at if at >= 0 else len(self._states)

    def ranges(self, state: int) -> list[range]:
        """Return the indices of all tasks that are *state*, as ranges; a step of the array is found again."""
        return _found(state, self._states, self._first) if self._counts[state] else []

    def among(self, ranges: Iterable[range], states: Iterable[int]) -> list[range]:
        """Return those of *ranges* that are in one of *states*, each index once."""
        asked = [at for at in map(self._within, ranges) if at.start < at.stop]
        if not asked:
            return []
        low, high = min(at.start for at in asked), max(at.stop for at in asked)
        wanted = set(states)
        flags = self._states[low:high].translate(bytes(code in wanted for code in range(256)))
        if len(asked) > 1 or asked[0].step > 1:
            mask = bytearray(high - low)
            for at in asked:
                mask[at.start - low : at.stop - low : at.step] = b"\1" * len(range(at.start, at.stop, at.step))
            both = int.from_bytes(mask, "little") & int.from_bytes(flags, "little")
            flags = bytearray(both.to_bytes(high - low, "little"))
        return _found(1, flags, low + self._first)

    def _within(self, one: range) -> slice:
        """Return where the indices of *one* stand."""
        within = one[max(0, -((one.start - self._first) // one.step)) :]
        return slice(within.start - self._first, max(0, min(within.stop - self._first, len(self._states))), within.step)

    def missing_from(self, other: Tasks) -> int | None:
        """Return the first index that *other* lacks, or None."""
        if self.indices == other.indices:
            return None
        for one in self.everything:
            if one.start < other._first:
                return one.start
            there = other._states[one.start - other._first : one[-1] + 1 - other._first : one.step]
            at = there.find(ABSENT)
            if 0 <= at or len(there) < len(one):
                return one[at if at >= 0 else len(there)]
        return None

    def block(self, other: Tasks, states: Iterable[int]) -> None:
        """Let those that are ready be blocked whose ones in *other* are in one of *states*: all at one go."""
        low = max(self._first, other._first)
        high = min(self._first + len(self._states), other._first + len(other._states))
        if low >= high:
            return
        wanted, change = set(states), READY ^ BLOCKED
        here = slice(low - self._first, high - self._first)
        mine, theirs = self._states[here], other._states[low - other._first : high - other._first]
        ready = mine.translate(bytes(change if code == READY else 0 for code in range(256)))
        asked = theirs.translate(bytes(change if code in wanted else 0 for code in range(256)))
        both = int.from_bytes(ready, "little") & int.from_bytes(asked, "little")
        changed = both.to_bytes(high - low, "little").count(change)
        self._states[here] = (int.from_bytes(mine, "little") ^ both).to_bytes(high - low, "little")
        self._counts[READY] -= changed
        self._counts[BLOCKED] += changed

    def shown(self, state: int) -> str:
        """Return the indices of all tasks that are *state*, as people write them."""
        return show_ranges(self.ranges(state))

    def ended(self) -> dict[Phase, int]:
        """Return how many tasks ended how."""
        found: dict[Phase, int] = {}
        for code, phase in PHASE_OF.items():
            if self._counts[code]:
                found[phase] = found.get(phase, 0) + self._counts[code]
        return found

    @property
    def dropped(self) -> list[range]:
        """The indices of the tasks that were cancelled before they started."""
        return self.ranges(DROPPED)

    def drop(self, ranges: list[range]) -> int:
        """Cancel those of *ranges* that have not started; return how many these were."""
        return sum(self.set_all(ranges, state, DROPPED) for state in _WAITING if self._counts[state])

    def memo(self) -> TasksMemo:
        """Return what the store keeps beside the rows of tasks that started."""
        ended = {str(phase): count for phase, count in self.ended().items()} if self.over else {}
        return TasksMemo(self.cap, self.shown(HELD), self.shown(BLOCKED), self.shown(DROPPED), ended)

    def recall(self, memo: TasksMemo) -> None:
        """Take up what the store kept beside the rows of tasks that started."""
        self.cap = memo.cap
        for text, state in ((memo.dropped, DROPPED), (memo.held, HELD), (memo.blocked, BLOCKED)):
            if text:
                self.set_all(read_many_ranges(text), READY, state)

    def began(self, rows: Iterable[tuple[int, Phase]]) -> None:
        """Take up (index, phase) of each task that has a row of its own."""
        for index, phase in rows:
            self.set(index, CODE_OF.get(phase, ACTIVE))
        at = self._states.find(READY)
        self._next = at if at >= 0 else len(self._states)

    def ended_as(self, ended: Mapping[Phase, int]) -> None:
        """All is over, and so many tasks *ended* how; which of them, the store knows."""
        self._states, self._counts = bytearray(), [0] * _CODES
        for phase, count in ended.items():
            self._counts[CODE_OF[phase]] = count


def _found(code: int, states: bytearray, first: int) -> list[range]:
    """Return where *code* is in *states*, which begin with the index *first*; a step of the array is found again."""
    found: list[range] = []
    runs, at = _RUNS[code], 0
    while (run := runs.search(states, at)) is not None:
        low, at = run.span()
        before = found[-1] if found else None
        if before is not None and at - low == 1 and _goes_on(before, low + first):
            step = low + first - before[-1]
            last = _last_alone(code, states, low, step)
            found[-1] = range(before.start, last + first + 1, step)
            at = last + 1
        else:
            found.append(range(low + first, at + first))
    return found


def _last_alone(code: int, states: bytearray, low: int, step: int) -> int:
    """Return how far *code* goes on from *low* by *step*, and is nowhere between."""
    size = 32
    while step <= _WIDEST_STEP:
        part = states[low : low + size * step]
        alone = part[::step]
        if len(alone) < 2 or not part.count(code) == alone.count(code) == len(alone):
            break
        low += (len(alone) - 1) * step
        size = min(2 * size, 1 << 16)
    return low


def _goes_on(before: range, index: int) -> bool:
    """Whether *index* continues *before* by its step; two single indices make a step of their own."""
    gap = index - before[-1]
    return len(before) == 1 or (gap == before.step and before.step > 1)
