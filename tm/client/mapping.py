"""Map mode: one command for many values, as one array whose script holds the values as a table.

Each value is quoted for the shell when it is put into the command. The script of a task takes its line of the table, so
that 100,000 values cost no more than their own length; several sources give all combinations, the last one the fastest.
"""

from __future__ import annotations

import os
import re
import shlex

from tm.client.program import UsageError
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_VALUES = 100_000
_PLACE = re.compile(r"\{(\d{0,3})(\.|/|//|/\.|#)?\}")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")


class Map:
    """The command *template*, the *sources* of its values, and what comes of them: *script*, *count*, *name*."""

    def __init__(self, template: str | list[str], sources: Sequence[Sequence[str]]) -> None:
        self.sources = [list(source) for source in sources]
        self.count = 1
        for source in self.sources:
            self.count *= len(source)
        if not self.sources or not self.count:
            raise UsageError("there are no values; write them behind :::, or name a file with --map-file")
        if self.count > MOST_VALUES:
            raise TaskManagerError(
                "limit.jobs",
                f"these are {self.count:,} values or combinations, at most {MOST_VALUES:,} go at once",
            )
        self._pieces = _split(template)
        if not any(isinstance(piece, tuple) for piece in self._pieces):
            self._pieces += [" ", (0, "")]
        for piece in self._pieces:
            if isinstance(piece, tuple) and piece[0] > len(self.sources):
                raise UsageError(
                    f"the command wants {{{piece[0]}}}, of {len(self.sources)} sources of values"
                )
        self.shown = template if isinstance(template, str) else " ".join(template)
        words = self.shown.split(None, 1)
        self.name = os.path.basename(words[0]) if words else ""

    @property
    def array(self) -> str:
        """The indices of its tasks: those of GNU parallel, from 1."""
        return f"1-{self.count}"

    def script(self) -> str:
        """Return the script that runs in every task."""
        columns: list[tuple[int, str]] = []
        text = ""
        for piece in self._pieces:
            if isinstance(piece, str):
                text += _quote(piece)
            elif piece[1] == "#":
                text += '"$TM_ARRAY_TASK_ID"'
            else:
                wanted = [piece] if piece[0] else [(at, piece[1]) for at in range(1, len(self.sources) + 1)]
                columns += [column for column in wanted if column not in columns]
                text += "' '".join(f'"$tm_{columns.index(column) + 1}"' for column in wanted)
        lines = ["#!/bin/sh", "tm_n='\n'"]
        head = len(columns) + 5
        body: list[str] = []
        for place, (source, kind) in enumerate(columns, 1):
            stride = 1
            for later in self.sources[source:]:
                stride *= len(later)
            values = self.sources[source - 1]
            row = f"(TM_ARRAY_TASK_ID - 1) / {stride} % {len(values)} + {head + len(body) + 1}"
            lines.append(f'tm_{place}=$(sed -n "$(({row})){{p;q;}}" "$0") || exit 125')
            body += [_quoted(_part(value, kind)) for value in values]
        lines += [f"eval {text}", "exit"]
        return "\n".join([*lines, *body, ""])

    def commands(self, most: int) -> list[str]:
        """Return the first *most* commands as the shell will see them, to be shown."""
        return [self.command(number) for number in range(1, min(most, self.count) + 1)]

    def command(self, number: int) -> str:
        """Return the command of task *number*."""
        chosen: list[str] = []
        rest = number - 1
        for source in reversed(self.sources):
            rest, at = divmod(rest, len(source))
            chosen.insert(0, source[at])
        text = ""
        for piece in self._pieces:
            if isinstance(piece, str):
                text += piece
            elif piece[1] == "#":
                text += str(number)
            else:
                values = [chosen[piece[0] - 1]] if piece[0] else chosen
                text += " ".join(_quote(_part(value, piece[1])) for value in values)
        return text


def _split(template: str | list[str]) -> list[str | tuple[int, str]]:
    """Return *template* in pieces: shell text, and (source, kind) for what is filled in, source 0 being all.

    Words of a vector are quoted, but for what is filled in.
    """
    pieces: list[str | tuple[int, str]] = []
    words = [template] if isinstance(template, str) else template
    for number, word in enumerate(words):
        if number:
            pieces.append(" ")
        at = 0
        for found in _PLACE.finditer(word):
            pieces.append(_text(word[at : found.start()], template))
            pieces.append((int(found.group(1) or 0), found.group(2) or ""))
            at = found.end()
        if at < len(word) or not word:
            pieces.append(_text(word[at:], template) or "''")
    return [piece for piece in pieces if piece != ""]


def _text(text: str, template: str | list[str]) -> str:
    return text if isinstance(template, str) or not text else shlex.quote(text)


def _part(value: str, kind: str) -> str:
    """Return what of *value* GNU parallel's ``{.} {/} {//} {/.}`` mean; all of it for ``{}``."""
    if kind == "//":
        return os.path.dirname(value) or "."
    if "/" in kind:
        value = value.rpartition("/")[2]
    if "." in kind:
        head, dot, tail = value.rpartition(".")
        return head if dot and "/" not in tail else value
    return value


def _quote(text: str) -> str:
    return shlex.quote(text)


def _quoted(value: str) -> str:
    """Return *value* quoted in one line of the table."""
    if _PLAIN.match(value):
        return value
    return '"$tm_n"'.join(shlex.quote(part) for part in value.split("\n"))


def read_sources(words: Sequence[str], files: Sequence[str]) -> list[list[str]]:
    """Return the values in ``::: a b ::: 1 2 :::: FILE`` and in *files*; raise `UsageError`, `TaskManagerError`."""
    sources = [read_values(path) for path in files]
    mark = ""
    for word in words:
        if word in (":::", "::::"):
            mark = word
            if mark == ":::":
                sources.append([])
        elif word in (":::+", "::::+"):
            raise UsageError(f"{word}: values of two sources cannot be linked; write them into one")
        elif mark == ":::":
            sources[-1].append(word)
        elif mark == "::::":
            sources.append(read_values(word))
        else:
            raise UsageError(f"'{word}': behind the command of --map stands ::: with values")
    return sources


def read_values(path: str) -> list[str]:
    """Return the lines of the file *path* (``-``: stdin); raise `TaskManagerError`."""
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            data = file.read()
    except OSError as error:
        raise TaskManagerError("job.invalid", f"{path}: cannot be read: {error.strerror}") from None
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise TaskManagerError("job.invalid", f"{path}:{number}: the line is not UTF-8") from None
    if not lines[-1]:
        lines.pop()
    return [line[:-1] if line.endswith("\r") else line for line in lines]
