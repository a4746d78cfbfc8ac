"""The archive: jobs that ended long ago, in a file a month beside the store, so that the store stays small.

A row moves in two steps, each durable: it is copied, then removed here. What a crash leaves in both places counts once:
what the store has holds. The files are ordinary SQLite files with the store's own tables; nothing but this module
writes them, and one that is taken away is missed by nobody but its readers.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from tm.model.accounting import Use, UseQuery
from tm.store.meant import teach

MOST_MOVED = 2000
_NAME = "jobs-{}.sqlite"
_NOT_AN_ARRAY = "(more IS NULL OR json_extract(more, '$.tasks') IS NULL)"
_SUMS = f"""
SELECT user, account, strftime('%Y-%m', ended_at, 'unixepoch'), count(*), sum(phase = 'completed'),
    sum(phase NOT IN ('completed', 'cancelled')), coalesce(sum((ended_at - started_at) * cores), 0.0),
    coalesce(sum(cpu_seconds), 0.0), coalesce(sum((ended_at - started_at) * gpus), 0.0),
    coalesce(sum(max(0.0, coalesce(started_at, ended_at) - submitted_at)), 0.0), coalesce(max(max_rss), 0)
FROM {{}}jobs AS j
WHERE ended_at >= ? AND ended_at < ? AND (? = '' OR user = ?) AND (? = '' OR account = ?) AND {_NOT_AN_ARRAY} {{}}
GROUP BY 1, 2, 3
UNION ALL
SELECT user, account, strftime('%Y-%m', a.ended_at, 'unixepoch'), 0, 0, 0,
    coalesce(sum((a.ended_at - a.started_at) * cores), 0.0), coalesce(sum(a.cpu_seconds), 0.0),
    coalesce(sum((a.ended_at - a.started_at) * gpus), 0.0), 0.0, coalesce(max(a.max_rss), 0)
FROM {{}}attempts AS a JOIN {{}}jobs AS j ON j.id = a.job
WHERE a.ended_at >= ? AND a.ended_at < ? AND (? = '' OR user = ?) AND (? = '' OR account = ?) {{}}
GROUP BY 1, 2, 3
"""
_TABLES = ("jobs", "attempts", "events")
_KEY = {"jobs": "id", "attempts": "job", "events": "job"}


class Archive:
    """The files of the months beside the store at *path*."""

    def __init__(self, path: str) -> None:
        self._folder = os.path.join(os.path.dirname(path), "archive")

    # -- moving -------------------------------------------------------------------------------------------------------

    def take(self, writer: sqlite3.Connection, before: float) -> int:
        """Move jobs that ended before then out of the store; return how many were moved, at most `MOST_MOVED`.

        A task goes with its array, when that has ended. Raises `sqlite3.Error` or `OSError`; then nothing is lost.
        """
        rows = writer.execute(
            "SELECT id, strftime('%Y-%m', ended_at, 'unixepoch') FROM jobs WHERE ended_at < ? AND phase NOT IN"
            " ('held', 'pending', 'starting', 'running', 'suspended') AND NOT EXISTS (SELECT 1 FROM jobs AS array"
            " WHERE jobs.id >= 1 << 52 AND array.id = (jobs.id & ~(1 << 52)) >> 20 AND array.ended_at IS NULL)"
            " ORDER BY ended_at LIMIT ?",
            (before, MOST_MOVED),
        ).fetchall()
        months: dict[str, list[int]] = {}
        for number, month in rows:
            months.setdefault(month, []).append(number)
        for month, ids in months.items():
            self._move(writer, month, ids)
        return len(rows)

    def _move(self, writer: sqlite3.Connection, month: str, ids: Sequence[int]) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        path = self._path(month)
        if not os.path.exists(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        writer.execute("ATTACH ? AS month", (path,))
        try:
            writer.execute("PRAGMA month.synchronous = EXTRA")
            writer.execute("BEGIN IMMEDIATE")
            try:
                self._copy(writer, ids)
                writer.execute("COMMIT")
                writer.execute("BEGIN IMMEDIATE")
                for table in _TABLES:
                    writer.executemany(f"DELETE FROM main.{table} WHERE {_KEY[table]} = ?", [(n,) for n in ids])
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise
        finally:
            writer.execute("DETACH month")

    @staticmethod
    def _copy(writer: sqlite3.Connection, ids: Sequence[int]) -> None:
        for table in _TABLES:
            fields = ", ".join(row[1] for row in writer.execute(f"PRAGMA main.table_info({table})"))
            there = [row[1] for row in writer.execute(f"PRAGMA month.table_info({table})")]
            if not there:
                key = "PRIMARY KEY (id)" if table == "jobs" else "PRIMARY KEY (job, attempt)"
                key = "UNIQUE (job, at, what, text)" if table == "events" else key
                writer.execute(f"CREATE TABLE month.{table} ({fields}, {key})")
                if table == "jobs":
                    writer.execute("CREATE INDEX month.jobs_ended ON jobs (ended_at, id, phase, user, host, name)")
            for field in fields.split(", "):
                if there and field not in there:
                    writer.execute(f"ALTER TABLE month.{table} ADD COLUMN {field}")
            writer.executemany(
                f"INSERT OR IGNORE INTO month.{table} ({fields}) SELECT {fields} FROM main.{table}"
                f" WHERE {_KEY[table]} = ?",
                [(number,) for number in ids],
            )

    # -- reading ------------------------------------------------------------------------------------------------------

    def months(self, since: float = 0.0, until: float = 253_402_300_799.0) -> list[str]:
        """Return the months that have a file, from that of *since* to that of *until*, the latest first."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        found = sorted(name[5:-7] for name in names if name.startswith("jobs-") and name.endswith(".sqlite"))
        first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m") for at in (since, until))
        return [month for month in reversed(found) if first <= month <= last]

    def read(self, months: Sequence[str], sql: str, values: Sequence[object]) -> Iterator[Any]:
        """Yield the rows of *sql* from the files of *months*, one file after the other."""
        for month in months:
            # to be written as well: what a cut left half done is undone by who reads it first
            with closing(sqlite3.connect(f"file:{self._path(month)}?mode=rw", uri=True)) as connection:
                connection.execute("PRAGMA query_only = ON")
                teach(connection)
                if _is_begun(connection, "main"):
                    yield from connection.execute(sql, values)

    def uses(self, reader: sqlite3.Connection, query: UseQuery) -> list[Use]:
        """Return the sums of the store itself and of the months that *query* touches."""
        asked = (query.since, query.until, query.user, query.user, query.group, query.group)
        found = reader.execute(_SUMS.format("", "", "", "", ""), asked * 2).fetchall()
        for month in self.months(query.since, query.until):
            reader.execute("ATTACH ? AS month", (self._path(month),))
            try:
                other = "AND j.id NOT IN (SELECT id FROM main.jobs)"
                sql = _SUMS.format("month.", other, "month.", "month.", other)
                if _is_begun(reader, "month"):
                    found += reader.execute(sql, asked * 2).fetchall()
            finally:
                reader.execute("DETACH month")
        return [Use(*row) for row in found]

    def bytes(self) -> int:
        """Return how large the files are together."""
        return sum(map(file_size, map(self._path, self.months())))

    def _path(self, month: str) -> str:
        return os.path.join(self._folder, _NAME.format(month))


def _is_begun(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the file attached as *name* has its tables: a cut before its first jobs leaves an empty one."""
    tables = connection.execute(f"SELECT count(*) FROM {name}.sqlite_master WHERE type = 'table'").fetchone()[0]
    return bool(tables >= len(_TABLES))


def file_size(path: str) -> int:
    """Return how many bytes the file has, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
