"""Open, create and upgrade the store's file. A missing store is never an empty one: creating it has to be asked for."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from importlib import resources

from tm.errors import StoreError

VERSION = 6
_NETWORK_FILE_SYSTEMS = {
    0x6969: "NFS", 0xFF534D42: "CIFS", 0xFE534D42: "SMB2", 0x65735546: "FUSE", 0x0BD00BD0: "Lustre",
    0x47504653: "GPFS", 0x5346414F: "AFS", 0x00C36400: "Ceph", 0x19830326: "BeeGFS", 0x01021997: "9P",
}  # fmt: skip


def create(path: str) -> None:
    """Create an empty store at *path*, whole or not at all. Raises `StoreError` ``store.exists`` or ``store.io``."""
    path = os.path.abspath(path)
    if os.path.exists(path):
        raise StoreError("store.exists", f"{path} exists already; start without --init to use it")
    temporary = path + ".new"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if os.path.exists(temporary):
            os.unlink(temporary)
        _fill(temporary)
        os.rename(temporary, path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError("store.io", f"{path} cannot be created: {error}") from None


def _fill(path: str) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for number in range(1, VERSION + 1):
            connection.executescript(_script(number))
        connection.execute("INSERT INTO facts VALUES ('epoch', '0')")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        connection.close()


def connect(path: str, check: bool = True) -> sqlite3.Connection:
    """Return a connection to the store at *path*, durable at each commit; *check* its soundness and its schema.

    Raises `StoreError`: ``store.missing``, ``store.network`` (not on a local disk), ``store.corrupt``,
    ``store.version``, ``store.locked``, ``store.io``.
    """
    if not os.path.exists(path):
        raise missing(path)
    kind = network_file_system(os.path.dirname(path))
    if kind:
        raise StoreError("store.network", f"{path} is on {kind}; put the store on a local disk (--state DIR)")
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 4000", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        if check:
            _check(path, connection)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where a damaged word is to be complained about
        connection.close()
        raise _unusable(path, error) from None
    except StoreError:
        connection.close()
        raise
    return connection


def missing(path: str) -> StoreError:
    """Return the failure of a store that is not there."""
    return StoreError(
        "store.missing",
        f"{path} does not exist. If this is a new cluster, start once with --init; if not, restore the store: "
        "an empty one would forget every job",
    )


def _check(path: str, connection: sqlite3.Connection) -> None:
    complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if complaint != "ok":
        raise StoreError("store.corrupt", f"{path} is damaged ({complaint}); restore it from a copy")
    if not 1 <= version <= VERSION:
        raise StoreError("store.version", f"{path} has schema {version}, this program knows 1 to {VERSION}")
    for number in range(version + 1, VERSION + 1):
        connection.executescript(f"BEGIN;{_script(number)};PRAGMA user_version = {number};COMMIT")


def _unusable(path: str, error: Exception) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError("store.locked", f"another program has {path} open ({error}); end that one first")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or isinstance(error, UnicodeDecodeError):
        return StoreError("store.corrupt", f"{path} cannot be read ({error}); restore it from a copy")
    return StoreError("store.io", f"{path} cannot be opened ({error}); look at its disk and at who owns it")


def network_file_system(folder: str) -> str:
    """Return the name of the network file system that holds *folder*, or an empty string for a local one."""
    buffer = ctypes.create_string_buffer(256)
    try:
        if ctypes.CDLL(None).statfs(os.fsencode(folder), buffer) != 0:
            return ""
    except (OSError, AttributeError):
        return ""
    magic = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_long))[0] & 0xFFFFFFFF
    return _NETWORK_FILE_SYSTEMS.get(magic, "")


def _script(number: int) -> str:
    return resources.files("tm.store").joinpath(f"sql/{number:04}.sql").read_text()
