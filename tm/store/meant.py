"""Which jobs a question means, as conditions of SQL. Values are always parameters, never text of a statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Set
from fnmatch import fnmatchcase

from tm.model.ids import INDEX_BITS, MOST_INDEX, MOST_PLAIN, tasks_of
from tm.model.paging import lowered, says
from tm.model.phase import ACTIVE, FINAL, Phase
from tm.ports import JobQuery

ALL = ACTIVE | FINAL
MOST_PARTS = 4
_ACTIVE = ", ".join(f"'{phase.value}'" for phase in Phase if phase in ACTIVE)
IS_ACTIVE = f"phase IN ({_ACTIVE})"
"""As the index jobs_active has it, word by word: else that is not used."""
_TASK = 1 << 52
_SHOWN_ID = f"CASE WHEN id < {_TASK} THEN id ELSE ((id & ~{_TASK}) >> {INDEX_BITS}) || '_' || (id & {MOST_INDEX}) END"
_OF_IDS = frozenset("0123456789_")
_LIKE = "LIKE ? ESCAPE '\\'"
_NO_ARRAY = "(host IS NOT NULL OR more IS NULL OR instr(more, '\"tasks\":') = 0)"


class Asked:
    """Conditions and their values."""

    def __init__(self, *conditions: str) -> None:
        self.where = list(conditions)
        self.values: list[object] = []

    def also(self, condition: str, *values: object) -> None:
        self.where.append(condition)
        self.values.extend(values)

    def and_(self, other: Asked) -> Asked:
        both = Asked(*self.where, *other.where)
        both.values = [*self.values, *other.values]
        return both


def teach(connection: sqlite3.Connection) -> None:
    """Let *connection* know the functions that the statements here use."""
    connection.create_function("named", 2, named, deterministic=True)
    connection.create_function("says", 2, says, deterministic=True)


def named(name: str | None, pattern: str) -> bool:
    """Whether *name* is one that the glob *pattern* means."""
    return fnmatchcase(name or "", pattern)


def wanted(query: JobQuery, half: Set[Phase]) -> Asked:
    """Return the conditions of what *query* means among jobs in one *half* of the phases, or `ALL`."""
    asked = Asked()
    _ids(query, asked)
    if query.user is not None:
        asked.also("user = ?", query.user)
    if query.phases:
        _phases(query, asked)
    for column, value in (("account", query.account), ("host", query.host)):
        if value is not None:
            asked.also(f"{column} = ?", value)
    for comparison, at in ((">=", query.since), ("<", query.until)):
        if at is not None:
            asked.also(f"ended_at {comparison} ?", at)
    if query.overlap is not None:
        asked.also("started_at < ?", query.overlap[1])
        if half != ACTIVE:
            unless = "" if half == FINAL else " OR ended_at IS NULL"
            asked.also(f"(ended_at >= ?{unless})", query.overlap[0])
    if query.name is not None:
        # SQLite's own GLOB is faster, and the same as long as no set of letters stands in the pattern
        asked.also("named(name, ?)" if "[" in query.name else "name GLOB ?", query.name)
    if query.text:
        _text(query.text, asked)
    return asked


def _ids(query: JobQuery, asked: Asked) -> None:
    if query.array is not None:
        tasks = tasks_of(query.array)
        asked.also("id BETWEEN ? AND ?", max(query.after + 1, tasks[0]), tasks[-1])
        return
    if query.after:
        asked.also("id > ?", query.after)
    if query.each:
        asked.also(f"({_NO_ARRAY} OR {IS_ACTIVE})")
    else:
        asked.also("id <= ?", MOST_PLAIN)


def _phases(query: JobQuery, asked: Asked) -> None:
    words = [phase.value for phase in sorted(query.phases)]
    condition = f"phase IN ({', '.join('?' * len(words))})"
    if query.also:
        ids = f"[{','.join(map(str, sorted(query.also)))}]"
        asked.also(f"({condition} OR id IN (SELECT value FROM json_each(?)))", *words, ids)
    else:
        asked.also(condition, *words)


def _text(text: str, asked: Asked) -> None:
    """Ask for *text* in id, name and command. Parts of it without quotes and blanks stand in the request as they do in
    the name or the command: whether that is so is asked first, as it costs less than to read the request."""
    needle = lowered(text)
    pattern, parts = _pattern(needle), safe_parts(needle)
    conditions = [*[f"spec {_LIKE}"] * len(parts), f"(name {_LIKE} OR says(?, spec))"]
    condition, values = " AND ".join(conditions), [*map(_pattern, parts), pattern, needle]
    if set(needle) <= _OF_IDS:
        condition, values = f"({_SHOWN_ID} {_LIKE} OR ({condition}))", [pattern, *values]
    asked.also(condition, *values)


def _pattern(needle: str) -> str:
    for letter in "\\%_":
        needle = needle.replace(letter, "\\" + letter)
    return f"%{needle}%"


def safe_parts(needle: str) -> list[str]:
    """Return the longest parts of *needle* that stand in a request as they do in its command: nothing is quoted."""
    parts = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else " " for letter in needle)
    return sorted(parts.split(), key=len)[-MOST_PARTS:]
