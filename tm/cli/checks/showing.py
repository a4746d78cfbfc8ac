"""What checks have found: a table that fills up on a terminal, a line for each host elsewhere, then what to mend."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from tm.cli.checks.judging import BAD, GOOD, Finding, is_bad
from tm.client.rows import screen_width
from tm.client.table import Column, plain, render

_TOPICS = {
    "ssh": "SSH", "program": "PROGRAM", "disk": "DISK", "clock": "CLOCK", "home": "HOME", "way": "WAY BACK",
    "size": "SIZE",
}  # fmt: skip
_COLUMNS = (Column("HOST", least=6), *(Column(title, least=4) for title in _TOPICS.values()))


class Board:
    """The table of *names*; a cell is empty until its host has answered."""

    def __init__(self, names: Sequence[str], stream: TextIO, live: bool) -> None:
        self._rows = {name: [name, *("…" for _ in _TOPICS)] for name in names}
        self._stream = stream
        self._live = live
        self._height = 0

    def show(self) -> None:
        """Show it, over what was shown before."""
        if not self._live:
            return
        lines = render(_COLUMNS, list(self._rows.values()), screen_width())
        up = f"\x1b[{self._height}A\x1b[J" if self._height else ""
        self._stream.write(up + "".join(line + "\n" for line in lines))
        self._stream.flush()
        self._height = len(lines)

    def hear(self, name: str, findings: Sequence[Finding], said: Mapping[str, Any]) -> None:
        """Show what was found of the host *name*."""
        by_topic = {one.topic: one for one in findings}
        self._rows[name][1:] = [_cell(by_topic.get(topic)) for topic in _TOPICS]
        if self._live:
            self.show()
        else:
            self._stream.write(plain(line_of(name, findings)) + "\n")
            self._stream.flush()


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return "-"
    return finding.short if finding.level != BAD else f"! {finding.short}"


def line_of(name: str, findings: Sequence[Finding]) -> str:
    """Return one line that says how a host is."""
    bad = [one for one in findings if one.level == BAD]
    if bad:
        return f"{name}: not well: " + ", ".join(f"{one.topic} {one.short}" for one in bad)
    shown = [one.short if one.topic == "size" else f"{one.topic} {one.short}" for one in findings]
    return f"{name}: good: " + ", ".join(shown)


def remedies(name: str, findings: Sequence[Finding]) -> list[str]:
    """Return the lines that say what is not well of *name*, and what mends it."""
    lines = []
    for one in findings:
        if one.level != GOOD:
            lines.append(f"{name}: {one.topic}: {one.text or one.short}")
            if one.remedy:
                lines.append(f"    {one.remedy}")
    return [plain(line) for line in lines]


def as_json(name: str, findings: Sequence[Finding]) -> str:
    """Return one line of JSON."""
    shown = [one._asdict() for one in findings]
    return json.dumps({"host": name, "good": not is_bad(findings), "findings": shown}, ensure_ascii=False)


def board(names: Sequence[str], quiet: bool) -> Board | None:
    """Return the board for stdout, None when nothing is to be shown until the end."""
    if quiet:
        return None
    made = Board(names, sys.stdout, sys.stdout.isatty())
    made.show()
    return made
