"""The store on SQLite: one connection that writes (used by one thread at a time), one that reads.

A commit is a whole batch. Many rows go to SQLite in one statement, so that the interpreter's lock is given back once
for all of them and not once a row.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, BinaryIO

from tm.errors import StoreError
from tm.model.accounting import Use, UseQuery
from tm.model.audit import Change
from tm.model.cluster import Spool
from tm.model.effects import Attempt, JobEvent, Message, Records
from tm.model.ids import MOST_PLAIN, tasks_of
from tm.model.job import Job
from tm.model.phase import ACTIVE, Phase
from tm.ports import JobQuery, Loaded, StoreSize
from tm.store import schema
from tm.store.archive import Archive, file_size
from tm.store.asking import (
    FIELDS,
    Group,
    Sizes,
    archived_groups,
    count_parts,
    page_groups,
    sizes_part,
    sorted_rows,
)  # fmt: skip
from tm.store.meant import teach
from tm.store.rows import (
    CHANGE_COLUMNS,
    COLUMNS,
    began,
    change_of,
    job_of,
    jobs_of,
    memo_of,
    row_of,
    row_of_change,
    row_of_memo,
    row_of_session,
    session_of,
)  # fmt: skip

Batch = dict[str, list[object]]
_OF_CHANGE = ", ".join(CHANGE_COLUMNS)
_WRITE_JOBS = f"INSERT INTO jobs ({FIELDS}) VALUES {{}} ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS[4:]
)
_STATEMENTS = {
    "environments": (2, "INSERT OR IGNORE INTO environments VALUES {}"),
    "submissions": (4, "INSERT INTO submissions VALUES {}"),
    "jobs": (len(COLUMNS), _WRITE_JOBS),
    "spools": (5, "INSERT OR REPLACE INTO spools VALUES {}"),
    "hosts": (2, "INSERT OR REPLACE INTO hosts VALUES {}"),
    "audit": (len(CHANGE_COLUMNS), "INSERT INTO audit VALUES {}"),
    "facts": (2, "INSERT OR REPLACE INTO facts VALUES {}"),
    "attempts": (11, "INSERT OR REPLACE INTO attempts VALUES {}"),
    "events": (4, "INSERT INTO events VALUES {}"),
    "shares": (3, "INSERT OR REPLACE INTO shares VALUES {}"),
    "families": (2, "INSERT OR REPLACE INTO families VALUES {}"),
    "messages": (5, "INSERT OR REPLACE INTO messages VALUES {}"),
    "forgotten": (1, "DELETE FROM families WHERE name IN (VALUES {})"),
    "sent": (1, "DELETE FROM messages WHERE id IN (VALUES {})"),
    "sessions": (2, "INSERT OR REPLACE INTO sessions VALUES {}"),
    "ended": (1, "DELETE FROM sessions WHERE id IN (VALUES {})"),
}
_CHUNKS = (512, 128, 32, 8, 4, 2, 1)
_HIGHEST = (1 << 63) - 1
_LATEST = 253_402_300_799.0
_ACTIVE = ", ".join(f"'{phase.value}'" for phase in Phase if phase in ACTIVE)  # as the index jobs_active has them


class SqliteStore:
    """A `JobStore` in one file. Raises `StoreError` ``store.locked`` when another dispatcher has it open."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._lock = _lock(self._path)
        self._archive = Archive(self._path)
        try:
            self._writer = schema.connect(self._path)
            self._reader = schema.connect(self._path, check=False)
        except StoreError:
            self._lock.close()
            raise
        teach(self._reader)

    def load(self) -> Loaded:
        """Begin a new epoch, durably, and return all that is active."""
        writer = self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            epoch = int(writer.execute("SELECT value FROM facts WHERE name = 'epoch'").fetchone()[0]) + 1
            writer.execute("UPDATE facts SET value = ? WHERE name = 'epoch'", (str(epoch),))
            writer.execute("COMMIT")
            jobs = jobs_of(writer.execute(f"SELECT {FIELDS} FROM jobs WHERE phase IN ({_ACTIVE}) ORDER BY id"))
            spools = [Spool(*row) for row in writer.execute("SELECT id, user, host, commands, reports FROM spools")]
            memos = [memo_of(row) for row in writer.execute("SELECT name, memo FROM hosts")]
            highest = writer.execute("SELECT coalesce(max(id), 0) FROM jobs WHERE id <= ?", (MOST_PLAIN,)).fetchone()[0]
            shares = {row[0]: row[1:] for row in writer.execute("SELECT user, usage, at FROM shares")}
            families = dict(writer.execute("SELECT name, learned FROM families").fetchall())
            messages = [Message(*row) for row in writer.execute("SELECT * FROM messages ORDER BY id")]
            sessions = [session_of(row) for row in writer.execute("SELECT id, session FROM sessions")]
            sessions.sort(key=lambda one: one.made_at)
            changes = writer.execute("SELECT coalesce(max(id), 0) FROM audit").fetchone()[0]
            known = writer.execute("SELECT value FROM facts WHERE name = 'configuration'").fetchone()
        except sqlite3.Error as error:
            self._roll_back()
            raise self._failure(error) from error
        arrays = [job for job in jobs if job.tasks is not None]
        began(arrays, {job.id: self.begun(job.id) for job in arrays})
        return Loaded(
            epoch, highest + 1, jobs, spools, changes + 1, memos, known[0] if known else None, shares, families,
            messages, sessions,
        )  # fmt: skip

    def begun(self, array: int) -> Iterator[tuple[int, Phase]]:
        """Yield (index, phase) of the tasks of *array* that have started."""
        ids = tasks_of(array)
        sql = "SELECT id, phase FROM jobs WHERE id BETWEEN ? AND ?"
        for number, phase in self._read(sql, ids[0], ids[-1]):
            yield number - ids[0], Phase(phase)

    def commit(self, batch: Batch) -> None:
        """Write what `prepare` made, wholly or not at all, and return when it is durable.

        Raises `StoreError` ``store.full`` or ``store.io``; then nothing of it has been kept.
        """
        writer = self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            for name, values in batch.items():
                self._write(name, values)
            writer.execute("COMMIT")
        except (sqlite3.Error, OverflowError, ValueError) as error:
            self._roll_back()
            raise self._failure(error) from error

    def _write(self, name: str, values: list[object]) -> None:
        """Write flat *values* in statements of many rows each: one release of the interpreter's lock per statement."""
        width, statement = _STATEMENTS[name]
        row = f"({', '.join('?' * width)})"
        at = 0
        for chunk in _CHUNKS:
            step = chunk * width
            while len(values) - at >= step:
                self._writer.execute(statement.format(", ".join([row] * chunk)), values[at : at + step])
                at += step

    def prepare(self, records: Records) -> Batch:
        """Return *records* as they are now, ready for `commit` in another thread."""
        groups: Batch = {}
        if records.environments:
            groups["environments"] = _flat(records.environments.items())
        if records.submissions:
            groups["submissions"] = _flat(records.submissions)
        if records.new or records.changed:
            jobs = {**records.new, **records.changed} if records.changed else records.new
            groups["jobs"] = _flat(map(row_of, jobs.values()))
        if records.spools:
            groups["spools"] = _flat((s.id, s.user, s.host, s.commands, s.reports) for s in records.spools.values())
        if records.memos:
            groups["hosts"] = _flat(map(row_of_memo, records.memos.values()))
        if records.changes:
            groups["audit"] = _flat(map(row_of_change, records.changes))
        stories: dict[str, Sequence[tuple[object, ...]]] = {
            "attempts": records.attempts, "events": records.events,
            "families": [(name, learned) for name, learned in records.families.items() if learned],
            "forgotten": [(name,) for name, learned in records.families.items() if not learned],
            "shares": [(user, *share) for user, share in records.shares.items()], "messages": records.messages,
            "sent": [(number,) for number in records.sent],
            "sessions": [row_of_session(one) for one in records.sessions.values()],
            "ended": [(id,) for id in records.ended],
        }  # fmt: skip
        groups.update((name, _flat(rows)) for name, rows in stories.items() if rows)
        if records.known is not None:
            groups["facts"] = ["configuration", records.known]
        return groups

    def submission(self, user: str, token: str) -> range | None:
        """Return the ids given to this token before, or None."""
        found = self._read("SELECT first, count FROM submissions WHERE user = ? AND token = ?", user, token)
        return range(found[0][0], found[0][0] + found[0][1]) if found else None

    def environment(self, digest: str) -> str | None:
        """Return the environment's text, or None when it was never recorded."""
        found = self._read("SELECT text FROM environments WHERE digest = ?", digest)
        return found[0][0] if found else None

    def job(self, number: int) -> Job | None:
        """Return the job as it was last recorded, or None."""
        if number > _HIGHEST:
            return None
        sql = f"SELECT {FIELDS} FROM jobs WHERE id = ?"
        found = self._read(sql, number) or self._read_archive(self._archive.months(), sql, number)
        return job_of(found[0]) if found else None

    def jobs(self, query: JobQuery) -> list[Job]:
        """Return the first jobs of *query*, at most its limit, in its order."""
        found = [row for group in page_groups(query, self._sizes(query)) for row in self._page(group, query.limit)]
        months = self._months(query)
        if not months:
            rows = sorted_rows(found, query)
            return [job_of(row) for row in rows[: query.limit]]
        merged = {row[0]: row for row in self._archived(query, months)}
        merged.update((row[0], row) for row in found)
        return [job_of(row) for row in sorted_rows(merged.values(), query)[: query.limit]]

    def counted(self, query: JobQuery) -> dict[Phase, int]:
        """Return how many jobs there are of *query* in each phase, whatever its order, start and limit are."""
        query = replace(query, after=0)
        sizes, months = self._sizes(query), self._months(query)
        if query.plain and not query.also:
            return {phase: count for phase, count in sizes.items() if not query.phases or phase in query.phases}
        found: Counter[Phase] = Counter()
        for phases, part in count_parts(query, sizes):
            found.update(dict(zip(phases, self._read(part.sql, *part.values)[0], strict=True)))
        for phases, part in count_parts(query, sizes, archived=True) if months else ():
            for row in self._read_archive(months, part.sql, *part.values):
                found.update(dict(zip(phases, row, strict=True)))
        return {phase: count for phase, count in found.items() if count}

    def _sizes(self, query: JobQuery) -> Sizes:
        """Return how many jobs there are in each phase of whom *query* asks about."""
        part = sizes_part(query)
        return {Phase(phase): count for phase, count in self._read(part.sql, *part.values) if count}

    def _page(self, group: Group, limit: int) -> list[Any]:
        found: list[Any] = []
        for part in group:
            if len(found) < limit:
                found += self._read(part.sql, *part.values, limit - len(found))
        return found

    def _archived(self, query: JobQuery, months: Sequence[str]) -> Iterator[Any]:
        """Yield the rows of the page that the archive has."""
        for group in archived_groups(query):
            for part in group:
                yield from self._read_archive(months, part.sql, *part.values, query.limit)

    def _months(self, query: JobQuery) -> list[str]:
        """Return the months of the archive in which jobs of *query* may be."""
        if query.since is None and query.array is None and query.overlap is None:
            return []
        since = query.overlap[0] if query.overlap is not None else query.since or 0.0
        return self._archive.months(since, _LATEST if query.until is None else query.until)

    def attempts(self, number: int) -> list[Attempt]:
        """Return the attempts of a job that another one followed, the first first."""
        sql = "SELECT * FROM attempts WHERE job = ? ORDER BY attempt"
        found = self._read(sql, number) or self._read_archive(self._archive.months(), sql, number)
        return [Attempt(*row) for row in found]

    def events(self, number: int) -> list[JobEvent]:
        """Return the story of a job, the first event first."""
        sql = "SELECT * FROM events WHERE job = ? ORDER BY at, rowid"
        found = self._read(sql, number) or self._read_archive(self._archive.months(), sql, number)
        return [JobEvent(*row) for row in found]

    def uses(self, query: UseQuery) -> list[Use]:
        """Return what jobs used by user, account and month, some of these more than once."""
        try:
            return self._archive.uses(self._reader, query)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def archive(self, before: float) -> int:
        """Move some jobs that ended before then to the files of their months; return how many."""
        try:
            return self._archive.take(self._writer, before)
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            raise self._failure(error) from error

    def change(self, number: int) -> Change | None:
        """Return a record of the audit log, or None."""
        found = self._read(f"SELECT {_OF_CHANGE} FROM audit WHERE id = ?", number) if number <= _HIGHEST else []
        return change_of(found[0]) if found else None

    def changes(self, limit: int) -> list[Change]:
        """Return the last *limit* records of the audit log, ascending by number."""
        rows = self._read(f"SELECT {_OF_CHANGE} FROM audit ORDER BY id DESC LIMIT ?", max(0, min(limit, _HIGHEST)))
        return [change_of(row) for row in reversed(rows)]

    def size(self) -> StoreSize:
        """Return how large it is; jobs in the archive are not counted."""
        jobs = self._read("SELECT coalesce(sum(count), 0) FROM counts")[0][0]
        return StoreSize(file_size(self._path), file_size(self._path + "-wal"), self._archive.bytes(), jobs)

    def _read(self, sql: str, *values: object) -> list[Any]:
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _read_archive(self, months: Sequence[str], sql: str, *values: object) -> list[Any]:
        try:
            return list(self._archive.read(months, sql, values)) if months else []
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()
        self._lock.close()

    def _roll_back(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer.close()
            self._writer = schema.connect(self._path)

    def _failure(self, error: Exception) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            return StoreError("store.full", f"no space for {self._path}: free some; nothing was accepted meanwhile")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return StoreError("store.corrupt", f"{self._path} is damaged ({error}); look at the disk, restore a copy")
        return StoreError("store.io", f"{self._path}: {error} ({name}); look at the disk; nothing was accepted")


def _flat(rows: Iterable[tuple[object, ...]]) -> list[object]:
    return list(chain.from_iterable(rows))


def _lock(path: str) -> BinaryIO:
    if not os.path.exists(path):
        raise schema.missing(path)
    try:
        held = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # who can open it could hold it
        file = open(held, "ab")  # noqa: SIM115  held as long as the store is open
    except OSError as error:
        raise StoreError("store.io", f"{path}.lock: {error.strerror}; look at who owns the folder") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StoreError(
            "store.locked", f"another TaskDispatcher has {path} open; stop that one first, or give this one --state DIR"
        ) from None
    return file
