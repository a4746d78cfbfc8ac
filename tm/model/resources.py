"""Sizes of memory: how people write them and how they are shown. Standard library only: clients use it."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]{1,19})(\.[0-9]{1,6})?\s*([KMGTP]?)(?:i?B)?\Z", re.IGNORECASE)
_EXPONENT = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_LARGEST = 2**62


def parse_memory(text: str) -> int:
    """Return the bytes that *text* means: ``64G``, ``512M``, ``1.5 GiB``, ``4096``; the steps are 1024.

    Raises `ValueError` with a sentence when *text* is no size.
    """
    found = _SIZE.match(text.strip())
    if found is None:
        raise ValueError(f"'{text[:40]}' is no size of memory; write it like 512M, 64G or 1.5T")
    whole, fraction, unit = found.groups()
    size = (
        int(float(whole + (fraction or "")) * 1024 ** _EXPONENT[unit.upper()])
        if fraction
        else (int(whole) * 1024 ** _EXPONENT[unit.upper()])
    )
    if size > _LARGEST:
        raise ValueError(f"'{text[:40]}' is more memory than any computer has")
    return size


def format_memory(size: int) -> str:
    """Return *size* bytes as people write it, without loss: ``64G``, ``1536M``, ``1000``."""
    for unit in ("P", "T", "G", "M", "K"):
        step = 1024 ** _EXPONENT[unit]
        if size and size % step == 0:
            return f"{size // step}{unit}"
    return str(size)
