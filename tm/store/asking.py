"""Questions about many jobs as SQL: which are meant, in which order, where a page begins, on which way they are found.

The law: a page is found in two steps. The first goes through one index, which has what lists are sorted by and narrowed
to, and yields ids; only those are read as a whole. Which index that is depends on how many jobs there are of whom, and
is said in the statement, never guessed by SQLite. Values are always parameters, never text of a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

from tm.model.paging import Position, Value
from tm.model.phase import ACTIVE, FINAL, Phase
from tm.ports import JobQuery
from tm.store.meant import ALL, IS_ACTIVE, Asked, wanted
from tm.store.rows import COLUMNS

FIELDS = ", ".join(COLUMNS)
MOST_READ = 2000
"""Rather than read more jobs than that as a whole, go through an index that has all of them."""
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
_HAS_ENDED = "ended_at IS NOT NULL"

Sizes = Mapping[Phase, int]
"""How many jobs there are in each phase, those of one user where one is asked for."""


class Part(NamedTuple):
    """A statement and its values; the last one, how many rows are wanted at most, is still to be added."""

    sql: str
    values: list[object]


Group = list[Part]
"""Parts whose rows come one after the other: the next one is asked only where there is still room."""


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
        edge = Asked()
        if query.start is not None and query.start.value is None:
            edge.also(f"id {'<' if query.descending else '>'} ?", query.start.id)
        query = replace(query, order="id")
        return _part_each(query, _way(query, sizes, _OF_ACTIVE), [Asked(IS_ACTIVE).and_(edge)], ACTIVE)
    return _parts(query, _way(query, sizes, _OF_ACTIVE), Asked(IS_ACTIVE), ACTIVE)


def _ended_parts(query: JobQuery, sizes: Sizes, phases: frozenset[Phase]) -> Group:
    if not phases & FINAL:
        return []
    way, ended = _way(query, sizes, _OF_ENDED), Asked(_HAS_ENDED)
    if query.order == "ended":
        return [] if _past_known(query) else _part_each(query, way, [ended.and_(_edge(query))], FINAL)
    return _parts(query, way, ended, FINAL)


def _way(query: JobQuery, sizes: Sizes, usual: str) -> str:
    """Return the index by which to look: the user's own where they have few jobs."""
    return _OF_USER if query.user is not None and sum(sizes.values()) <= MOST_READ else usual


def _parts(query: JobQuery, way: str, given: Asked | None = None, half: Set[Phase] = ALL) -> Group:
    """Return the parts of a page of jobs in one *half* of the phases: what is sorted by something unknown comes after
    all else, or downwards before it."""
    given = given or Asked()
    if query.order not in _MAY_BE_UNKNOWN:
        return _part_each(query, way, [given.and_(_edge(query))], half)
    key, start = _KEYS[query.order], query.start
    known, unknown = given.and_(Asked(f"{key} IS NOT NULL")), given.and_(Asked(f"{key} IS NULL"))
    if start is None:
        parts = [unknown, known] if query.descending else [known, unknown]
    elif start.value is None:
        edge = Asked()
        edge.also(f"id {'<' if query.descending else '>'} ?", start.id)
        parts = [unknown.and_(edge), known] if query.descending else [unknown.and_(edge)]
    else:
        known = known.and_(_edge(query))
        parts = [known] if query.descending else [known, unknown]
    return _part_each(query, way, parts, half)


def _edge(query: JobQuery) -> Asked:
    """Return where the page begins, in what is known."""
    key, start, edge = _KEYS[query.order], query.start, Asked()
    beyond = "<" if query.descending else ">"
    if start is not None and query.order == "id":
        edge.also(f"id {beyond} ?", start.id)
    elif start is not None and start.value is not None:
        edge.also(f"({key}, id) {beyond} (?, ?)", start.value, start.id)
    return edge


def _part_each(query: JobQuery, way: str, parts: Iterable[Asked], half: Set[Phase]) -> Group:
    meant = wanted(query, half)
    key, direction = _KEYS[query.order], " DESC" if query.descending else ""
    order = f"id{direction}" if key == "id" else f"{key}{direction}, id{direction}"
    made = []
    for part in parts:
        asked = part.and_(meant)
        inner = f"SELECT id FROM jobs {way} WHERE {' AND '.join(asked.where) or 'true'} ORDER BY {order} LIMIT ?"
        made.append(Part(f"SELECT {FIELDS} FROM jobs WHERE id IN ({inner}) ORDER BY {order}", asked.values))
    return made


# -- counts -----------------------------------------------------------------------------------------------------------


def sizes_part(query: JobQuery) -> Part:
    """Return what yields (phase, how many jobs), without going through them, of those that *query* is about: its user's
    or everybody's, arrays folded or each task by itself."""
    arrays = f"kind = 'task' OR {IS_ACTIVE}" if query.each else "kind = 'array'"
    asked = Asked(f"(kind = 'plain' OR {arrays})")
    if query.user is not None:
        asked.also("user = ?", query.user)
    return Part(f"SELECT phase, sum(count) FROM counts WHERE {' AND '.join(asked.where)} GROUP BY phase", asked.values)


def count_parts(query: JobQuery, sizes: Sizes, archived: bool = False) -> list[tuple[list[Phase], Part]]:
    """Return statements that yield one row each: how many jobs of *query* are in each of these phases."""
    query = replace(query, after=0)
    phases = query.phases | (ACTIVE if query.also and query.phases else frozenset()) or ALL
    if query.text and phases == ALL and not archived and query.array is None:
        return [_counting(query, _BY_ID, sorted(ALL), Asked(), ALL)]
    made = []
    for half, way, is_half in ((ACTIVE, _OF_ACTIVE, IS_ACTIVE), (FINAL, _OF_ENDED, _HAS_ENDED)):
        some = sorted(phases & half)
        if not some or (archived and half is ACTIVE):
            continue
        way = "" if archived else _BY_ID if query.array is not None else _way(query, sizes, way)
        made.append(_counting(query, way, some, Asked(is_half), half))
    return made


def _counting(
    query: JobQuery, way: str, phases: list[Phase], given: Asked, half: Set[Phase]
) -> tuple[list[Phase], Part]:
    asked = given.and_(wanted(query, half))
    sums = ", ".join(f"coalesce(sum(phase = '{phase.value}'), 0)" for phase in phases)
    return phases, Part(f"SELECT {sums} FROM jobs {way} WHERE {' AND '.join(asked.where)}", asked.values)


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
