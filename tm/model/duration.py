"""Durations as people write them: ``45m``, ``2h``, ``1h30m``, ``1d``, ``90s``; a bare number counts seconds."""

from __future__ import annotations

import re

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d{1,6}[dhms])+\Z")
_PART = re.compile(r"(\d+)([dhms])")


def parse_duration(text: str) -> float:
    """Return the seconds that *text* means; raise `ValueError` with what is expected."""
    word = text.strip().lower()
    if word.isascii() and word.isdigit() and len(word) <= 9:
        return float(word)
    if not _DURATION.match(word):
        raise ValueError(f"'{text:.40}' is no duration; write it like 45m, 2h, 1h30m or 1d")
    return float(sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(word)))


def format_duration(seconds: float) -> str:
    """Return *seconds* as people write it, without loss of whole seconds: ``1h30m``."""
    rest = int(seconds)
    parts = []
    for unit, step in _UNITS.items():
        count, rest = divmod(rest, step)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
