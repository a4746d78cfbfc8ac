"""Numbers of jobs and of the tasks of arrays, and how people write them. Standard library only: clients use it.

A task of an array is a job of its own from the moment it starts. Its id is made of the array's id and its index, so it
needs no table: both follow from it, and it never meets the id of a plain job. People write ``17_4``, and
``17_[0-9,20]`` for several tasks of one array.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

INDEX_BITS = 20
MOST_INDEX = (1 << INDEX_BITS) - 1
MOST_TASKS = 1_000_000
MOST_RANGES = 50_000
"""So many parts are read in a tenth of a second."""
MOST_PLAIN = (1 << 32) - 1
_TASK = 1 << 52
_MARK = 1 << INDEX_BITS

_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18})(?::(\d{1,18}))?)?\Z", re.ASCII)
_JOB = re.compile(r"(\d{1,18})(?:_(\d{1,18}|\[([0-9,:-]{1,1000})\]))?\Z", re.ASCII)


def task_id(array: int, index: int) -> int:
    """Return the id of task *index* of *array*."""
    return _TASK | array << INDEX_BITS | index


def is_task(number: int) -> bool:
    """Whether *number* is the id of a task of an array."""
    return number >= _TASK


def array_of(number: int) -> int:
    """Return the array of the task *number*; of a plain job, *number* itself."""
    return (number & ~_TASK) >> INDEX_BITS if number >= _TASK else number


def index_of(number: int) -> int | None:
    """Return the index of the task *number*; None of a plain job."""
    return number & MOST_INDEX if number >= _TASK else None


def tasks_of(array: int) -> range:
    """Return the ids that tasks of *array* can have."""
    return range(task_id(array, 0), task_id(array, MOST_INDEX) + 1)


def place_of(number: int) -> int:
    """Return what orders *number* among others by age: a task stands where its array does, by its index."""
    if number < _TASK:
        return number << INDEX_BITS + 1
    return array_of(number) << INDEX_BITS + 1 | _MARK | number & MOST_INDEX


def number_at(place: int) -> int:
    """Return the id whose place that is."""
    array, rest = place >> INDEX_BITS + 1, place & (_MARK << 1) - 1
    return task_id(array, rest & MOST_INDEX) if rest & _MARK else array


def shown_id(number: int) -> int | str:
    """Return *number* as it is shown: ``17``, or ``"17_4"`` for a task."""
    return number if number < _TASK else f"{array_of(number)}_{number & MOST_INDEX}"


def read_ranges(text: str) -> list[range]:
    """Return the indices of ``0-99:2,200`` as ranges that do not meet, in their order.

    Raises `ValueError` with a sentence: for what cannot be read, indices above `MOST_INDEX`, more than `MOST_TASKS` or
    `MOST_RANGES`, an index that is named twice.
    """
    if text.count(",") >= MOST_RANGES:
        raise ValueError(f"the tasks of an array are at most {MOST_RANGES:,} ranges; name them in fewer")
    return list(_read_again(text))


def read_many_ranges(text: str) -> list[range]:
    """Return the indices of *text*, which `show_ranges` has made, however many ranges they are."""
    found: list[range] = []
    for part in text.split(","):
        match = _RANGE.match(part.strip())
        if match is None:
            raise ValueError(f"'{text[:60]}' names no tasks; write them like 0-99, 0-99:2 or 1,5,7-9")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step < 1:
            raise ValueError(f"'{part[:40]}': the last task comes before the first, or the step is 0")
        if last > MOST_INDEX:
            raise ValueError(f"'{part[:40]}': the index of a task is at most {MOST_INDEX:,}")
        found.append(range(first, last + 1, step))
    if sum(map(len, found)) > MOST_TASKS:
        raise ValueError(f"an array has at most {MOST_TASKS:,} tasks, not {sum(map(len, found)):,}")
    _check_apart(found)
    return sorted(found, key=lambda one: one.start)


@lru_cache(maxsize=8)
def _read_again(text: str) -> tuple[range, ...]:
    return tuple(read_many_ranges(text))


def _check_apart(ranges: list[range]) -> None:
    """Raise `ValueError` where two of *ranges* share an index."""
    if len(ranges) < 2:
        return
    ordered = sorted(ranges, key=lambda one: one.start)
    if all(before[-1] < after.start for before, after in pairwise(ordered)):
        return
    seen = bytearray(MOST_INDEX + 1)
    for one in ranges:
        if 1 in seen[one.start : one[-1] + 1 : one.step]:
            raise ValueError("a task is named twice")
        seen[one.start : one[-1] + 1 : one.step] = b"\1" * len(one)


def show_ranges(ranges: Iterable[range]) -> str:
    """Return *ranges* as `read_ranges` reads them."""
    shown: list[str] = []
    for one in ranges:
        last = one[-1]
        if len(one) <= 2 and (one.step > 1 or len(one) == 1):
            shown += map(str, one)
        else:
            shown.append(f"{one.start}-{last}" + (f":{one.step}" if one.step > 1 else ""))
    return ",".join(shown)


def read_job(text: str) -> tuple[int, list[range] | None]:
    """Return the job and the tasks that ``17``, ``17_4`` or ``17_[0-9,20]`` mean; None: no task was named.

    Raises `ValueError` with a sentence when *text* is none of these.
    """
    match = _JOB.match(text.strip())
    if match is None or int(match[1]) > MOST_PLAIN:
        raise ValueError(f"'{text[:60]}' is no job; write it like 17, 17_4 or 17_[0-9]")
    if match[2] is None:
        return int(match[1]), None
    return int(match[1]), read_ranges(match[3] if match[3] is not None else match[2])
