"""Open, create and upgrade the store's file. A missing store is never an empty one: creating it has to be asked for."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from importlib import resources

from tm.errors import StoreError

VERSION = 1
_NETWORK_FILE_SYSTEMS = {
    0x6969: "NFS", 0xFF534D42: "CIFS", 0xFE534D42: "SMB2", 0x65735546: "FUSE", 0x0BD00BD0: "Lustre",
    0x47504653: "GPFS", 0x5346414F: "AFS",
}  # fmt: skip


def create(path: str) -> None:
    """Create an empty store at *path*, whole or not at all. Raises `StoreError` ``store.exists``."""
    if os.path.exists(path):
        raise StoreError("store.exists", f"{path} exists already; start without --init to use it")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = path + ".new"
    if os.path.exists(temporary):
        os.unlink(temporary)
    connection = sqlite3.connect(temporary, isolation_level=None)
    try:
        for number in range(1, VERSION + 1):
            connection.executescript(_script(number))
        connection.execute("INSERT INTO facts VALUES ('epoch', '0')")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        connection.close()
    os.rename(temporary, path)


def connect(path: str) -> sqlite3.Connection:
    """Return a checked connection to the store at *path*, durable at each commit.

    Raises `StoreError`: ``store.missing``, ``store.network`` (no local disk), ``store.corrupt``, ``store.version``.
    """
    if not os.path.exists(path):
        raise StoreError(
            "store.missing",
            f"{path} does not exist. If this is a new cluster, start once with --init; if not, restore the store: "
            "an empty one would forget every job",
        )
    kind = network_file_system(os.path.dirname(path))
    if kind:
        raise StoreError("store.network", f"{path} is on {kind}; put the store on a local disk (--state DIR)")
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA foreign_keys = ON")
        complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise StoreError("store.corrupt", f"{path} cannot be read ({error}); restore it from a copy") from None
    if complaint != "ok":
        raise StoreError("store.corrupt", f"{path} is damaged ({complaint}); restore it from a copy")
    if not 1 <= version <= VERSION:
        raise StoreError("store.version", f"{path} has schema {version}, this program knows 1 to {VERSION}")
    for number in range(version + 1, VERSION + 1):
        connection.executescript(f"BEGIN;{_script(number)};PRAGMA user_version = {number};COMMIT")
    return connection


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
