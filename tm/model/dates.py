"""Times of day as people write them: ``now+2h``, ``18:30``, ``tomorrow``, ``2026-12-24T18:00``."""

from __future__ import annotations

import re
import time

_NAMED = {"midnight": (0, 0), "noon": (12, 0), "fika": (15, 0), "teatime": (16, 0), "elevenses": (11, 0)}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LATEST = 253_402_300_799.0


def when(text: str, now: float) -> float:
    """Return the seconds since the epoch that *text* means at *now*; raise `ValueError` with a sentence."""
    word = text.strip().lower()
    at = _relative(word, now)
    if at is None:
        at = _of_day(word, now)
    if at is None:
        at = _of_date(word, now)
    if at is None or not 0 <= at <= LATEST:
        raise ValueError(
            f"'{text:.40}' is no time; write now+2h, 18:30, tomorrow, 2026-12-24 or 2026-12-24T18:00"
        )
    return at


def _relative(word: str, now: float) -> float | None:
    if word == "now":
        return now
    found = re.match(
        r"now\s*\+\s*(\d{1,9})\s*(?:(s|m|h|d|w)|(second|minute|hour|day|week)s?|(sec|min))?\Z", word
    )
    if found:
        unit = (found.group(2) or found.group(3) or found.group(4) or "s")[0]
        return now + int(found.group(1)) * _UNITS[unit]
    found = re.match(r"now\+((?:\d{1,9}[wdhms])+)\Z", word)
    if found:
        parts = re.findall(r"(\d+)([wdhms])", found.group(1))
        return now + sum(int(count) * _UNITS[unit] for count, unit in parts)
    return None


def _of_day(word: str, now: float) -> float | None:
    """Return the next time the clock shows *word*, or the beginning of ``tomorrow``."""
    here = time.localtime(now)
    if word in ("today", "tomorrow"):
        return now if word == "today" else _at(here.tm_year, here.tm_mon, here.tm_mday + 1, 0, 0, 0)
    clock = _clock(word)
    if clock is None:
        return None
    at = _at(here.tm_year, here.tm_mon, here.tm_mday, *clock)
    return at if at is None or at > now else _at(here.tm_year, here.tm_mon, here.tm_mday + 1, *clock)


def _clock(word: str) -> tuple[int, int, int] | None:
    if word in _NAMED:
        return (*_NAMED[word], 0)
    found = re.match(r"(\d{1,2}):(\d\d)(?::(\d\d))?\s*(am|pm)?\Z", word)
    if not found:
        return None
    hour, minute, second = int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)
    if found.group(4):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found.group(4) == "pm")
    return (hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def _of_date(word: str, now: float) -> float | None:
    date, _, rest = word.replace("t", " ", 1).partition(" ")
    clock = _clock(rest.strip()) if rest else (0, 0, 0)
    found = re.match(r"(\d{4})-(\d{1,2})-(\d{1,2})\Z", date)
    if found:
        year, month, day = map(int, found.groups())
    else:
        found = re.match(r"(\d{1,2})[/.](\d{1,2})[/.](\d{2}|\d{4})\Z", date) if "/" in date else None
        if not found:
            return None
        month, day, year = map(int, found.groups())
        year += 2000 if year < 100 else 0
    if clock is None or not (1 <= month <= 12 and 1 <= day <= _days(year, month)):
        return None
    return _at(year, month, day, *clock)


def _days(year: int, month: int) -> int:
    import calendar

    return calendar.monthrange(year, month)[1] if 1970 <= year <= 9998 else 0


def _at(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    try:
        return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    except (OverflowError, ValueError):
        return None
