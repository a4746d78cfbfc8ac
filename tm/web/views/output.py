"""What a job writes, as a page can show it: plain text, whatever the program does to its terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tm.web.render import plain

MOST_LINES = 2000
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,2000})?|\r)\Z")
_RETURN = re.compile(r"\r+\n|\r")


def cleaned(text: str, over: bool) -> tuple[str, int]:
    """Return *text* as it is shown, and how many bytes at its end were left for the next time: the beginning of an
    escape sequence whose rest has not come. Where a program writes over its line each state of it is a line."""
    found = None if over else _UNFINISHED.search(text)
    left = found[0] if found is not None else ""
    return plain(_RETURN.sub("\n", text[: len(text) - len(left)])), len(left.encode())


def stream(shown: Mapping[str, Any] | None, asked: int | None, over: bool) -> dict[str, Any]:
    """Return what a page needs of a file: its *path*, the *text* that is new, where to go on (*at*), and whether the
    file has begun *anew* since *asked*."""
    given = shown or {}
    text, left = cleaned(str(given.get("text") or ""), over)
    at, begin = given.get("at"), given.get("from")
    anew = asked is not None and begin is not None and begin != asked
    return {"path": given.get("path"), "at": at - left if isinstance(at, int) else at, "text": text, "anew": anew}


def answer(shown: Mapping[str, Any], asked: Mapping[str, int | None]) -> dict[str, Any]:
    """Return the answer to a poll that went on at the places *asked*."""
    over = bool(shown.get("over"))
    found = {name: stream(shown.get(name), asked.get(name), over) for name in ("stdout", "stderr")}
    return {"state": shown.get("state"), "more": bool(shown.get("more")), "over": over, **found}


def last_lines(text: str) -> str:
    """Return the last lines of *text*, as many as a page holds."""
    lines = text.split("\n")
    return text if len(lines) <= MOST_LINES else "\n".join(lines[-MOST_LINES:])
