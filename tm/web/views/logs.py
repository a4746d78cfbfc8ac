"""What the pages of the dispatcher's log show: lines with what they are about, and the address that asks for others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tm.web.render import plain
from tm.wire.message import quote

LEVELS = ("debug", "info", "warn", "error", "critical")
FILTERS = ("level", "text", "job", "host", "user", "before")
DEFAULT_LINES = 200
MOST_LINES = 2000
_OWN = ("time", "level", "event", "text", "traceback")

Line = Mapping[str, Any]


def question(args: Mapping[str, str], file: str) -> tuple[str, int]:
    """Return the rest of ``log`` for the arguments of an address, and how many lines are asked for."""
    text = args.get("lines", "")
    lines = min(int(text), MOST_LINES) if text.isascii() and text.isdigit() and len(text) < 9 else DEFAULT_LINES
    given = [f"{name}={args[name].strip()}" for name in FILTERS if args.get(name, "").strip()]
    return ":".join([str(lines), f"file={file}", *map(quote, given)]), lines


def rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the lines, the newest first: time, level, event, text, what else was logged of it, a traceback if any."""
    shown = []
    for line in reversed(lines):
        more = {name: value for name, value in line.items() if name not in _OWN and value not in (None, "")}
        about = {name: more.pop(name) for name in ("job", "host", "user") if name in more}
        row = {name: plain(line.get(name, "")) for name in _OWN}
        rest = " ".join(f"{name}={plain(value)}" for name, value in more.items())
        shown.append({**row, "about": about, "more": rest})
    return shown


def download(lines: Sequence[Line]) -> bytes:
    """Return the lines as they stand in the file: JSON, one a line."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(errors="replace")
