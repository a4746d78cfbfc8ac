"""Questions about many jobs as SQL: which are meant, in which order, where a page begins.

The law: a page is found in two steps. The first one goes through an index alone as far as that has what is asked, and
yields ids; only those that are wanted are read as a whole. Values are always parameters, never text of a statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from tm.model.ids import INDEX_BITS, MOST_INDEX, MOST_PLAIN, tasks_of
from tm.model.paging import Position, lowered, says
from tm.model.phase import ACTIVE
from tm.ports import JobQuery
from tm.store.rows import COLUMNS

FIELDS = ", ".join(COLUMNS)
_ACTIVE = ", ".join(f"'{phase.value}'" for phase in sorted(ACTIVE))
_TASK = 1 << 52
_SHOWN_ID = f"CASE WHEN id < {_TASK} THEN id ELSE ((id & ~{_TASK}) >> {INDEX_BITS}) || '_' || (id & {MOST_INDEX}) END"
_SAYS = f"(instr({_SHOWN_ID}, ?) OR instr(lower(name), ?) OR (instr(lower(spec), ?) AND says(?, spec)))"
_NO_ARRAY = "(more IS NULL OR instr(more, '\"tasks\":') = 0)"
_KEYS = {
    "id": "id", "user": "user", "name": "name", "account": "account", "host": "host", "cores": "cores",
    "memory": "memory", "started": "started_at", "ended": "ended_at", "duration": "ended_at - started_at",
    "cpu": "cpu_seconds", "rss": "max_rss",
}  # fmt: skip
_MAY_BE_UNKNOWN = frozenset({"host", "started", "ended", "duration", "cpu", "rss"})


class Part(NamedTuple):
    """A statement and its values; the ids it yields come in order, and all of them before those of the next part."""

    sql: str
    values: list[object]


def teach(connection: sqlite3.Connection) -> None:
    """Let *connection* know the functions that the statements here use."""
    connection.create_function("named", 2, named, deterministic=True)
    connection.create_function("says", 2, says, deterministic=True)


def named(name: str | None, pattern: str) -> bool:
    """Whether *name* is one that the glob *pattern* means."""
    return fnmatchcase(name or "", pattern)


def page_parts(query: JobQuery) -> list[Part]:
    """Return what yields the rows of the page, part by part, as long as it is not full: `FIELDS` of each."""
    where, values = _wanted(query)
    parts = []
    for condition, more in _from_start(query):
        conditions = " AND ".join([*where, *condition]) or "true"
        order = _order(query)
        inner = f"SELECT id FROM jobs WHERE {conditions} ORDER BY {order} LIMIT ?"
        sql = f"SELECT {FIELDS} FROM jobs WHERE id IN ({inner}) ORDER BY {order}"
        parts.append(Part(sql, [*values, *more]))
    return parts


def count_part(query: JobQuery) -> Part:
    """Return what yields (phase, how many jobs) of all that *query* means."""
    where, values = _wanted(replace(query, after=0))
    return Part(f"SELECT phase, count(*) FROM jobs WHERE {' AND '.join(where) or 'true'} GROUP BY phase", values)


def _order(query: JobQuery) -> str:
    direction = " DESC" if query.descending else ""
    return f"id{direction}" if query.order == "id" else f"{_KEYS[query.order]}{direction}, id{direction}"


def _from_start(query: JobQuery) -> list[tuple[list[str], list[object]]]:
    """Return the conditions of the parts of a page: where it goes on, what is not known yet after all else."""
    key, start = _KEYS[query.order], query.start
    beyond = "<" if query.descending else ">"
    if query.order == "id":
        return [([f"id {beyond} ?"], [start.id])] if start else [([], [])]
    if query.order not in _MAY_BE_UNKNOWN:
        return [([f"({key}, id) {beyond} (?, ?)"], list(start))] if start else [([], [])]
    known: tuple[list[str], list[object]] = ([f"{key} IS NOT NULL"], [])
    unknown: tuple[list[str], list[object]] = ([f"{key} IS NULL"], [])
    parts = [unknown, known] if query.descending else [known, unknown]
    if start is None:
        return parts
    if start.value is None:
        goes_on: tuple[list[str], list[object]] = ([f"{key} IS NULL", f"id {beyond} ?"], [start.id])
        return [goes_on, known] if query.descending else [goes_on]
    goes_on = ([f"{key} IS NOT NULL", f"({key}, id) {beyond} (?, ?)"], list(start))
    return [goes_on] if query.descending else [goes_on, unknown]


def _wanted(query: JobQuery) -> tuple[list[str], list[object]]:
    """Return the conditions of what *query* means, and their values."""
    where: list[str] = []
    values: list[object] = []

    def also(condition: str, *more: object) -> None:
        where.append(condition)
        values.extend(more)

    _ids(query, also)
    if query.user is not None:
        also("user = ?", query.user)
    if query.phases:
        _phases(query, also)
    if query.name is not None:
        also("named(name, ?)", query.name)
    for column, value in (("account", query.account), ("host", query.host)):
        if value is not None:
            also(f"{column} = ?", value)
    for comparison, at in ((">=", query.since), ("<", query.until)):
        if at is not None:
            also(f"ended_at {comparison} ?", at)
    if query.overlap is not None:
        also("started_at < ? AND (ended_at >= ? OR ended_at IS NULL)", query.overlap[1], query.overlap[0])
    if query.text:
        needle = lowered(query.text)
        also(_SAYS, needle, needle, safe_part(needle), needle)
    return where, values


def _ids(query: JobQuery, also: Any) -> None:
    if query.array is not None:
        tasks = tasks_of(query.array)
        also("id BETWEEN ? AND ?", max(query.after + 1, tasks[0]), tasks[-1])
        return
    if query.after:
        also("id > ?", query.after)
    if query.each:
        also(f"({_NO_ARRAY} OR phase IN ({_ACTIVE}))")
    else:
        also("id <= ?", MOST_PLAIN)


def _phases(query: JobQuery, also: Any) -> None:
    words = [phase.value for phase in sorted(query.phases)]
    condition = f"phase IN ({', '.join('?' * len(words))})"
    if not query.also:
        also(condition, *words)
    else:
        ids = sorted(query.also)
        also(f"({condition} OR id IN (SELECT value FROM json_each(?)))", *words, f"[{','.join(map(str, ids))}]")
    if query.phases <= ACTIVE:
        also(f"phase IN ({_ACTIVE})")


def safe_part(needle: str) -> str:
    """Return the longest part of *needle* that stands in a request as it does in its command: nothing is quoted."""
    parts = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else " " for letter in needle)
    return max(parts.split(), key=len, default="")


def at_of(row: Sequence[Any], query: JobQuery) -> Position:
    """Return the position of a row of `FIELDS` in the order of *query*."""
    values = dict(zip(COLUMNS, row, strict=True))
    if query.order == "duration":
        known = values["ended_at"] is not None and values["started_at"] is not None
        return Position(values["ended_at"] - values["started_at"] if known else None, row[0])
    return Position(values[_KEYS[query.order]], row[0])


def sorted_rows(rows: Iterable[Sequence[Any]], query: JobQuery) -> list[Any]:
    """Return *rows* of several sources in the order of *query*."""

    def key(row: Sequence[Any]) -> tuple[bool, object, int]:
        at = at_of(row, query)
        return at.value is None, 0 if at.value is None else at.value, at.id

    return sorted(rows, key=key, reverse=query.descending)
