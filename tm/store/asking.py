"""Questions about many jobs as SQL: which are meant, in which order, where a page begins, on which way they are found.

The law: a page is found in two steps. The first goes through one index, which has what lists are sorted by and narrowed
to, and yields ids; only those are read as a whole. Which index that is depends on how many jobs there are of whom, and
is said in the statement, never guessed by SQLite. Values are always parameters, never text of a statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from tm.model.ids import INDEX_BITS, MOST_INDEX, MOST_PLAIN, tasks_of
from tm.model.paging import Position, Value, lowered, says
from tm.model.phase import ACTIVE, FINAL, Phase
from tm.ports import JobQuery
from tm.store.rows import COLUMNS

FIELDS = ", ".join(COLUMNS)
MOST_READ = 2000
"""Rather than read more jobs than that as a whole, go through an index that has all of them."""
MOST_PARTS = 4
_ACTIVE = ", ".join(f"'{phase.value}'" for phase in Phase if phase in ACTIVE)  # as the index jobs_active has them
_TASK = 1 << 52
_SHOWN_ID = f"CASE WHEN id < {_TASK} THEN id ELSE ((id & ~{_TASK}) >> {INDEX_BITS}) || '_' || (id & {MOST_INDEX}) END"
_OF_IDS = frozenset("0123456789_")
_LIKE = "LIKE ? ESCAPE '\\'"
_NO_ARRAY = "(host IS NOT NULL OR more IS NULL OR instr(more, '\"tasks\":') = 0)"
_KEYS = {
    "id": "id", "user": "user", "name": "name", "account": "account", "host": "host", "cores": "cores",
    "memory": "memory", "started": "started_at", "ended": "ended_at", "duration": "ended_at - started_at",
    "cpu": "cpu_seconds", "rss": "max_rss",
}  # fmt: skip
_MAY_BE_UNKNOWN = frozenset({"host", "started", "ended", "duration", "cpu", "rss"})
_KNOWN_AT_END = frozenset({"ended", "duration", "cpu", "rss"})
_BY_ID = "NOT INDEXED"
_OF_USER = "INDEXED BY jobs_of_user"
_OF_ACTIVE = "INDEXED BY jobs_active"
_OF_ENDED = "INDEXED BY jobs_ended"
ALL = ACTIVE | FINAL
_IS_ACTIVE = f"phase IN ({_ACTIVE})"
_HAS_ENDED = "ended_at IS NOT NULL"

Sizes = Mapping[Phase, int]
"""How many jobs there are in each phase, those of one user where one is asked for."""


class Part(NamedTuple):
    """A statement and its values; the last one, how many rows are wanted at most, is still to be added."""

    sql: str
    values: list[object]


Group = list[Part]
"""Parts whose rows come one after the other: the next one is asked only where there is still room."""


class _Asked:
    """Conditions and their values."""

    def __init__(self, *conditions: str) -> None:
        self.where = list(conditions)
        self.values: list[object] = []

    def also(self, condition: str, *values: object) -> None:
        self.where.append(condition)
        self.values.extend(values)

    def and_(self, other: _Asked) -> _Asked:
        both = _Asked(*self.where, *other.where)
        both.values = [*self.values, *other.values]
        return both


def teach(connection: sqlite3.Connection) -> None:
    """Let *connection* know the functions that the statements here use."""
    connection.create_function("named", 2, named, deterministic=True)
    connection.create_function("says", 2, says, deterministic=True)


def named(name: str | None, pattern: str) -> bool:
    """Whether *name* is one that the glob *pattern* means."""
    return fnmatchcase(name or "", pattern)


# -- pages ------------------------------------------------------------------------------------------------------------


def page_groups(query: JobQuery, sizes: Sizes) -> list[Group]:
    """Return what yields the rows of the page, `FIELDS` of each; those of several groups are still to be merged."""
    if query.array is not None:
        return [_parts(query, _BY_ID)]
    phases = query.phases or ALL
    if query.order == "id" and _soon_found(query, sizes, phases):
        return [_parts(query, _BY_ID if query.user is None else _OF_USER)]
    active, ended = _active_parts(query, sizes, phases), _ended_parts(query, sizes, phases)
    if query.order != "ended":
        return [group for group in (active, ended) if group]
    unknown_first = active if query.start is None or query.start.value is None else []
    if query.descending:
        return [[*unknown_first, *ended]]
    return [[*(ended if query.start is None or query.start.value is not None else []), *active]]


def archived_groups(query: JobQuery) -> list[Group]:
    """Return the same for a file of the archive, in which everything has ended."""
    if query.order == "ended":
        return [] if _past_known(query) else [_part_each(query, "", [_edge(query)], FINAL)]
    return [_parts(query, "", half=FINAL)]


def _past_known(query: JobQuery) -> bool:
    """Whether a page begins where what its order sorts by is unknown, with nothing known after it."""
    return query.start is not None and query.start.value is None and not query.descending


def _soon_found(query: JobQuery, sizes: Sizes, phases: frozenset[Phase]) -> bool:
    """Whether one who goes through the jobs by their id soon has the page."""
    if query.text and phases >= FINAL:
        return True  # every job has to be read anyhow, and most of them in their order is the least
    if query.host or query.name or query.account is not None or query.overlap or query.since or query.until is not None:
        return False
    if query.also or phases <= ACTIVE:
        return False
    found, there = sum(sizes.get(phase, 0) for phase in phases), sum(sizes.values())
    return there <= MOST_READ or query.limit * there <= MOST_READ * max(1, found)


def _active_parts(query: JobQuery, sizes: Sizes, phases: frozenset[Phase]) -> Group:
    if not phases & ACTIVE or query.since is not None or query.until is not None:
        return []
    if query.order in _KNOWN_AT_END:
        if query.start is not None and query.start.value is not None and query.descending:
            return []
        edge = _Asked()
        if query.start is not None and query.start.value is None:
            edge.also(f"id {'<' if query.descending else '>'} ?", query.start.id)
        query = replace(query, order="id")
        return _part_each(query, _way(query, sizes, _OF_ACTIVE), [_Asked(_IS_ACTIVE).and_(edge)], ACTIVE)
    return _parts(query, _way(query, sizes, _OF_ACTIVE), _Asked(_IS_ACTIVE), ACTIVE)


def _ended_parts(query: JobQuery, sizes: Sizes, phases: frozenset[Phase]) -> Group:
    if not phases & FINAL:
        return []
    way, ended = _way(query, sizes, _OF_ENDED), _Asked(_HAS_ENDED)
    if query.order == "ended":
        return [] if _past_known(query) else _part_each(query, way, [ended.and_(_edge(query))], FINAL)
    return _parts(query, way, ended, FINAL)


def _way(query: JobQuery, sizes: Sizes, usual: str) -> str:
    """Return the index by which to look: the user's own where they have few jobs."""
    return _OF_USER if query.user is not None and sum(sizes.values()) <= MOST_READ else usual


def _parts(query: JobQuery, way: str, given: _Asked | None = None, half: Set[Phase] = ALL) -> Group:
    """Return the parts of a page of jobs in one *half* of the phases: what is sorted by something unknown comes after
    all else, or downwards before it."""
    given = given or _Asked()
    if query.order not in _MAY_BE_UNKNOWN:
        return _part_each(query, way, [given.and_(_edge(query))], half)
    key, start = _KEYS[query.order], query.start
    known, unknown = given.and_(_Asked(f"{key} IS NOT NULL")), given.and_(_Asked(f"{key} IS NULL"))
    if start is None:
        parts = [unknown, known] if query.descending else [known, unknown]
    elif start.value is None:
        edge = _Asked()
        edge.also(f"id {'<' if query.descending else '>'} ?", start.id)
        parts = [unknown.and_(edge), known] if query.descending else [unknown.and_(edge)]
    else:
        known = known.and_(_edge(query))
        parts = [known] if query.descending else [known, unknown]
    return _part_each(query, way, parts, half)


def _edge(query: JobQuery) -> _Asked:
    """Return where the page begins, in what is known."""
    key, start, edge = _KEYS[query.order], query.start, _Asked()
    beyond = "<" if query.descending else ">"
    if start is not None and query.order == "id":
        edge.also(f"id {beyond} ?", start.id)
    elif start is not None and start.value is not None:
        edge.also(f"({key}, id) {beyond} (?, ?)", start.value, start.id)
    return edge


def _part_each(query: JobQuery, way: str, parts: Iterable[_Asked], half: Set[Phase]) -> Group:
    wanted = _wanted(query, half)
    key, direction = _KEYS[query.order], " DESC" if query.descending else ""
    order = f"id{direction}" if key == "id" else f"{key}{direction}, id{direction}"
    made = []
    for part in parts:
        asked = part.and_(wanted)
        inner = f"SELECT id FROM jobs {way} WHERE {' AND '.join(asked.where) or 'true'} ORDER BY {order} LIMIT ?"
        made.append(Part(f"SELECT {FIELDS} FROM jobs WHERE id IN ({inner}) ORDER BY {order}", asked.values))
    return made


# -- counts -----------------------------------------------------------------------------------------------------------


def sizes_part(query: JobQuery) -> Part:
    """Return what yields (phase, how many jobs), without going through them, of those that *query* is about: its user's
    or everybody's, arrays folded or each task by itself."""
    arrays = f"kind = 'task' OR {_IS_ACTIVE}" if query.each else "kind = 'array'"
    asked = _Asked(f"(kind = 'plain' OR {arrays})")
    if query.user is not None:
        asked.also("user = ?", query.user)
    return Part(f"SELECT phase, sum(count) FROM counts WHERE {' AND '.join(asked.where)} GROUP BY phase", asked.values)


def count_parts(query: JobQuery, sizes: Sizes, archived: bool = False) -> list[tuple[list[Phase], Part]]:
    """Return statements that yield one row each: how many jobs of *query* are in each of these phases."""
    query = replace(query, after=0)
    phases = query.phases | (ACTIVE if query.also and query.phases else frozenset()) or ALL
    if query.text and phases == ALL and not archived and query.array is None:
        return [_counting(query, _BY_ID, sorted(ALL), _Asked(), ALL)]
    made = []
    for half, way, is_half in ((ACTIVE, _OF_ACTIVE, _IS_ACTIVE), (FINAL, _OF_ENDED, _HAS_ENDED)):
        some = sorted(phases & half)
        if not some or (archived and half is ACTIVE):
            continue
        way = "" if archived else _BY_ID if query.array is not None else _way(query, sizes, way)
        made.append(_counting(query, way, some, _Asked(is_half), half))
    return made


def _counting(
    query: JobQuery, way: str, phases: list[Phase], given: _Asked, half: Set[Phase]
) -> tuple[list[Phase], Part]:
    asked = given.and_(_wanted(query, half))
    sums = ", ".join(f"coalesce(sum(phase = '{phase.value}'), 0)" for phase in phases)
    return phases, Part(f"SELECT {sums} FROM jobs {way} WHERE {' AND '.join(asked.where)}", asked.values)


# -- conditions -------------------------------------------------------------------------------------------------------


def _wanted(query: JobQuery, half: Set[Phase]) -> _Asked:
    """Return the conditions of what *query* means among jobs in one *half* of the phases, or `ALL`."""
    asked = _Asked()
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


def _ids(query: JobQuery, asked: _Asked) -> None:
    if query.array is not None:
        tasks = tasks_of(query.array)
        asked.also("id BETWEEN ? AND ?", max(query.after + 1, tasks[0]), tasks[-1])
        return
    if query.after:
        asked.also("id > ?", query.after)
    if query.each:
        asked.also(f"({_NO_ARRAY} OR {_IS_ACTIVE})")
    else:
        asked.also("id <= ?", MOST_PLAIN)


def _phases(query: JobQuery, asked: _Asked) -> None:
    words = [phase.value for phase in sorted(query.phases)]
    condition = f"phase IN ({', '.join('?' * len(words))})"
    if query.also:
        ids = f"[{','.join(map(str, sorted(query.also)))}]"
        asked.also(f"({condition} OR id IN (SELECT value FROM json_each(?)))", *words, ids)
    else:
        asked.also(condition, *words)


def _text(text: str, asked: _Asked) -> None:
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


# -- merging ----------------------------------------------------------------------------------------------------------


def sorted_rows(rows: Iterable[Sequence[Any]], query: JobQuery) -> list[Any]:
    """Return *rows* of several sources in the order of *query*."""
    ended, started = COLUMNS.index("ended_at"), COLUMNS.index("started_at")
    column = -1 if query.order == "duration" else COLUMNS.index(_KEYS[query.order])

    def key(row: Sequence[Any]) -> tuple[bool, object, int]:
        value: Value
        if column >= 0:
            value = row[column]
        else:
            value = None if row[ended] is None or row[started] is None else row[ended] - row[started]
        return Position(value, row[0]).key

    return sorted(rows, key=key, reverse=query.descending)
