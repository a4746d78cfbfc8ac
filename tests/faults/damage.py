"""A store as a crash leaves it, damaged in many ways: it must be right, an older state of itself, or refused.

What a store holds of jobs is read through the store alone, and compared with what was committed. Tokens of submissions
and counters of hosts have no checksum, and are not judged.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.brain import order
from tm.errors import StoreError
from tm.model.cluster import Spool
from tm.model.effects import Records
from tm.model.job import Job, new_job
from tm.model.phase import Phase
from tm.ports import JobQuery
from tm.store import schema
from tm.store.sqlite import SqliteStore

NAME = "TaskDispatcher.sqlite"
JOBS = 40
State = tuple[object, ...]


def state_of(store: SqliteStore) -> State:
    """Return all that *store* holds of jobs, in a form that can be compared."""
    loaded = store.load()
    return tuple(map(repr, store.jobs(JobQuery(limit=10 * JOBS)))), tuple(map(repr, loaded.jobs))


class Damaged:
    """An image of a store in the folder *folder*, the `states` it went through, and copies of it that are damaged."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder
        self._chance = chance
        self._image = folder / "image"
        self.states: list[State] = []
        self.kinds: dict[str, Callable[[Path], None]] = {
            "bits of the file": lambda copy: self._flip(copy / NAME),
            "bits of a file at rest": lambda copy: self._flip(self._at_rest(copy)),
            "bits of the log": lambda copy: self._flip(copy / (NAME + "-wal")),
            "a block of the file": lambda copy: self._blot(copy / NAME),
            "a block of the log": lambda copy: self._blot(copy / (NAME + "-wal")),
            "the log cut": lambda copy: self._cut(copy / (NAME + "-wal")),
            "the file cut": lambda copy: self._cut(copy / NAME),
            "the log missing": lambda copy: os.unlink(copy / (NAME + "-wal")),
        }
        self._make()

    def _make(self) -> None:
        path = str(self._folder / "store" / NAME)
        schema.create(path)
        store = SqliteStore(path)
        jobs: dict[int, Job] = {}
        try:
            for number in range(1, JOBS + 1):
                self._commit(store, jobs, number)
                if number == JOBS // 2:
                    store.close()  # what is until then is in the file, the rest in its log
                    store = SqliteStore(path)
                if number >= JOBS // 2:
                    self.states.append(state_of(store))
            shutil.copytree(self._folder / "store", self._image)
        finally:
            store.close()

    def _commit(self, store: SqliteStore, jobs: dict[int, Job], number: int) -> None:
        """Accept one more job and move an older one on."""
        made, _ = new_job(number, order("alice", comment=f"number {number}")[0], f"signature {number}", float(number))
        jobs[number] = made
        records = Records(new={number: made}, submissions=[("alice", f"t{number}", number, 1)])
        older = jobs[self._chance.randint(1, number)]
        if older is not made:
            older.phase = self._chance.choice((Phase.STARTING, Phase.RUNNING, Phase.COMPLETED, Phase.FAILED))
            older.host, older.attempt, older.exit_code = "n1", 1, 0 if older.phase is Phase.COMPLETED else 7
            older.ended_at = 1000.0 + number if older.phase in (Phase.COMPLETED, Phase.FAILED) else None
            records.changed[older.id] = older
            records.spools["s"] = Spool("s", "alice", "n1", number, number)
        store.commit(store.prepare(records))

    def _copy(self, name: str) -> Path:
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self._image, target)
        for unneeded in ("-shm", ".lock"):
            (target / (NAME + unneeded)).unlink(missing_ok=True)
        return target

    @staticmethod
    def _read(copy: Path) -> State:
        store = SqliteStore(str(copy / NAME))
        try:
            return state_of(store)
        finally:
            store.close()

    def trial(self, kind: str) -> str:
        """Damage a copy; return ``refused``, ``right``, ``older``, or what is wrong."""
        copy = self._copy("copy")
        self.kinds[kind](copy)
        try:
            state = self._read(copy)
        except StoreError as error:
            return "refused" if error.word.startswith("store.") and error.text else f"{kind}: said {error}"
        except Exception as error:  # noqa: BLE001  whatever it is, no operator is to see it
            return f"{kind}: {type(error).__name__}: {error}"
        if state == self.states[-1]:
            return "right"
        return "older" if state in self.states else f"{kind}: another state than there ever was"

    def _at_rest(self, copy: Path) -> Path:
        """Bring what the log says into the file, as an orderly end does."""
        self._read(copy)
        return copy / NAME

    def _flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        for _ in range(self._chance.choice((1, 1, 1, 2, 8))):
            content[self._chance.randrange(len(content))] ^= 1 << self._chance.randrange(8)
        path.write_bytes(content)

    def _blot(self, path: Path) -> None:
        size = self._chance.choice((512, 4096))
        at = self._chance.randrange(0, path.stat().st_size, 512)
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(self._chance.choice((bytes(size), self._chance.randbytes(size))))

    def _cut(self, path: Path) -> None:
        os.truncate(path, self._chance.randrange(path.stat().st_size))
