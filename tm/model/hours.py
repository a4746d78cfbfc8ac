"""Service hours of a host, as they are written: ``mon-fri 20:00-07:00``, ``sat,sun``, ``12:30-13:30``.

Days and times are those of the dispatcher's machine. A span that ends before it begins goes on into the next day, which
need not be one of the days named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
EXPECTED = 'expected days, times or both, like "mon-fri 20:00-07:00", "sat,sun" or "12:30-13:30"'

_TIMES = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)\Z")


class Hours(NamedTuple):
    """From minute *start* of each of *days* (0 is Monday) to minute *end*, of the next day where that is not later."""

    days: frozenset[int]
    start: int
    end: int

    def covers(self, weekday: int, minute: int) -> bool:
        """Whether the *minute* of the day *weekday* lies within."""
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        return (weekday in self.days and minute >= self.start) or ((weekday - 1) % 7 in self.days and minute < self.end)


def parse_hours(text: str) -> Hours:
    """Return what *text* says; raise `ValueError` with what is expected."""
    words = text.lower().split()
    if not 1 <= len(words) <= 2:
        raise ValueError(f"'{text:.40}': {EXPECTED}")
    times = _TIMES.match(words[-1])
    if len(words) == 2 and times is None:
        raise ValueError(f"'{words[1]:.40}': expected times from 00:00 to 24:00, like 20:00-07:00")
    days = _days(words[0]) if len(words) == 2 or times is None else frozenset(range(7))
    if times is None:
        return Hours(days, 0, DAY_MINUTES)
    hours_from, minutes_from, hours_to, minutes_to = map(int, times.groups())
    start, end = hours_from * 60 + minutes_from, hours_to * 60 + minutes_to
    if max(minutes_from, minutes_to) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES or start == end:
        raise ValueError(f"'{words[-1]}': expected two different times from 00:00 to 24:00, like 20:00-07:00")
    return Hours(days, start, end)


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"'{part:.40}': {EXPECTED}; the days are {' '.join(DAYS)}")
        at, to = DAYS.index(first), DAYS.index(last if dash else first)
        found |= {day % 7 for day in range(at, to + 1 if to >= at else to + 8)}
    return frozenset(found)


def are_open(hours: Iterable[str], weekday: int, minute: int) -> bool:
    """Whether one of *hours*, which are right, covers the *minute* of the day *weekday*; none: it is always open."""
    spans = [parse_hours(text) for text in hours]
    return not spans or any(span.covers(weekday, minute) for span in spans)
