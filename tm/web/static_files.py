"""Stylesheet, scripts, pictures: files of the package, read once."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

TYPES = {
    ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}  # fmt: skip


@lru_cache(maxsize=64)
def read(name: str) -> bytes | None:
    """Return the file *name*, None where there is none."""
    kind = name[name.rfind(".") :]
    found = resources.files("tm.web").joinpath("static", name)
    return found.read_bytes() if kind in TYPES and "/" not in name and found.is_file() else None


@lru_cache(maxsize=64)
def versioned(name: str) -> str:
    """Return the path of a static file with a word that changes when the file does."""
    return f"/static/{name}?v={hashlib.sha256(read(name) or b'').hexdigest()[:8]}"
