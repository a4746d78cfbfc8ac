"""Times on the wire (ISO 8601, UTC) and times for people."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def parse_time(text: str) -> float:
    """Return the seconds since the epoch of ``2026-11-22T14:02:03.123Z``."""
    at = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    utc = timezone.utc  # noqa: UP017  datetime.UTC came with Python 3.11
    return (at if at.tzinfo else at.replace(tzinfo=utc)).timestamp()


def local_time(text: str | None) -> str:
    """Return a wire time as the wall clock here, ``-`` for None."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(parse_time(text))) if text else "-"


def duration(seconds: float) -> str:
    """Return *seconds* as ``0:07``, ``1:02:03`` or ``2-03:04:05``."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{left:02}"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def size(count: int | None) -> str:
    """Return bytes as ``512M`` or ``1.5G``; ``-`` for none."""
    if not count:
        return "-"
    value = float(count)
    for unit in ("B", "K", "M", "G"):
        if value < 1024:
            return f"{value:.3g}{unit}"
        value /= 1024
    return f"{value:.4g}T"
