"""What was used, by whom, in which month: sums over jobs that have ended, of whatever size the history is.

Pure: the store sums by user, account and month (UTC); here such sums are put together as somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from tm.errors import RefusedError

KEYS = ("user", "group", "month")


class Use(msgspec.Struct, frozen=True):
    """What jobs of one user for one account used that ended in one *month* (``2026-11``).

    *jobs* counts those that ended, *completed* those that ended well, *failed* all others but the cancelled ones;
    *core_seconds* are those they occupied, *cpu_seconds* those they computed, *gpu_seconds* those of graphics
    processors, *waited* is the sum of their waits in seconds, *max_rss* the most memory of one in bytes.
    """

    user: str
    group: str
    month: str
    jobs: int = 0
    completed: int = 0
    failed: int = 0
    core_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    waited: float = 0.0
    max_rss: int = 0


class UseQuery(msgspec.Struct, frozen=True):
    """Which jobs count: those that ended from *since* on and before *until* (seconds since the epoch), of one *user*,
    for one *group*; empty: all."""

    since: float = 0.0
    until: float = 253_402_300_799.0
    user: str = ""
    group: str = ""


class UseRequest(msgspec.Struct, frozen=True):
    """What ``usage`` was asked: which jobs, and *by* what their sums are told."""

    query: UseQuery
    by: tuple[str, ...]


def use_request(arguments: Sequence[str]) -> UseRequest:
    """Return what ``by=user,month from=2026-01-01 to=2026-06-30 user=NAME group=NAME`` asks for.

    A day in *to* counts as a whole. Raises `RefusedError` ``proto.arguments``.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in ("by", "from", "to", "user", "group"):
            raise RefusedError("proto.arguments", f"'{argument:.60}': expected by= from= to= user= or group=")
        given[key] = value
    by = tuple(dict.fromkeys(word for word in given.get("by", "user,group").split(",") if word))
    for word in by:
        if word not in KEYS:
            raise RefusedError("proto.arguments", f"by={word:.40}: usage is told by {', '.join(KEYS)}")
    since = moment(given.get("from", ""), 0.0, end=False)
    until = moment(given.get("to", ""), UseQuery().until, end=True)
    if until <= since:
        raise RefusedError("proto.arguments", "the time to which is asked lies before that from which")
    return UseRequest(UseQuery(since, until, given.get("user", ""), given.get("group", "")), by)


def moment(text: str, default: float, end: bool) -> float:
    """Return the begin of the day, month or year *text*, or with *end* that of the next one."""
    if not text:
        return default
    try:
        parts = [int(part) for part in text.split("-")]
        year, month, day = [*parts, 1, 1][:3] if len(parts) <= 3 else parts
        if end:
            year, month, day = _next(parts, year, month, day)
        return datetime(year, month, day, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise RefusedError(
            "proto.arguments", f"'{text:.40}' is no day; write 2026, 2026-11 or 2026-11-23 (UTC)"
        ) from None


def _next(parts: list[int], year: int, month: int, day: int) -> tuple[int, int, int]:
    if len(parts) == 3:
        after = datetime.fromtimestamp(datetime(year, month, day, tzinfo=UTC).timestamp() + 86400, UTC)
        return after.year, after.month, after.day
    if len(parts) == 2:
        return (year, month + 1, 1) if month < 12 else (year + 1, 1, 1)
    return year + 1, 1, 1


def summed(uses: Iterable[Use], by: Sequence[str]) -> list[Use]:
    """Return the sums of *uses* by the fields *by*, in their order; the other names are empty."""
    found: dict[tuple[str, ...], Use] = {}
    for use in uses:
        names = {key: getattr(use, key) if key in by else "" for key in KEYS}
        place = tuple(names[key] for key in by)
        before = found.get(place)
        found[place] = msgspec.structs.replace(use, **names) if before is None else _both(before, use)
    return [found[place] for place in sorted(found)]


def _both(one: Use, other: Use) -> Use:
    numbers = {
        name: getattr(one, name) + getattr(other, name) for name in Use.__struct_fields__[3:] if name != "max_rss"
    }
    return msgspec.structs.replace(one, **numbers, max_rss=max(one.max_rss, other.max_rss))


def show_use(use: Use) -> dict[str, object]:
    """Return the public view of *use*: hours of cores, processors and graphics, the mean wait in seconds."""
    return {
        **{key: getattr(use, key) for key in KEYS if getattr(use, key)},
        "jobs": use.jobs, "completed": use.completed, "failed": use.failed,
        "core_hours": round(use.core_seconds / 3600, 4), "cpu_hours": round(use.cpu_seconds / 3600, 4),
        "gpu_hours": round(use.gpu_seconds / 3600, 4),
        "mean_wait": round(use.waited / use.jobs, 3) if use.jobs else None, "max_rss": use.max_rss,
    }  # fmt: skip
