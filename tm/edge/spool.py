"""The folder of a user's server on a host: its lock, its name, its journal, the environments of its jobs.

On the host's local disk, mode 0700, owned by the user; anything else is refused. The journal is written by one thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import uuid
from collections.abc import Iterable
from typing import BinaryIO

from tm.errors import ConfigError, StoreError

JOURNAL_LIMIT = 1024 * 1024


def private_directory(path: str) -> None:
    """Make sure *path* is a folder of this user alone, and make it so; raise `ConfigError` ``config.spool``.

    Where everybody may make folders, as in ``/var/tmp``, those on the way to it must not be a stranger's.
    """
    wanted = f"must be a folder of user number {os.getuid()} with mode 0700; remove it or choose another place"
    try:
        missing = _missing(path)
        stranger = _strangers_folder(missing[-1] if missing else path)  # nothing is made below it
        if not stranger:
            _make(missing)
            stranger = _strangers_folder(path)
        status = os.lstat(path)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; it {wanted}"], "config.spool") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigError([f"{path}: {wanted}"], "config.spool")
    if stranger:
        raise ConfigError([f"{stranger}: belongs to somebody else; choose another place"], "config.spool")


def _missing(path: str) -> list[str]:
    """Return what is not there of *path* and the folders above it, the uppermost last."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def _make(missing: list[str]) -> None:
    """Make the folders *missing*, each in the one before; a link that somebody puts there meanwhile is not followed."""
    if not missing:
        return
    above = os.open(os.path.dirname(missing[-1]) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for one in map(os.path.basename, reversed(missing)):
            with contextlib.suppress(FileExistsError):
                os.mkdir(one, 0o700, dir_fd=above)
            below = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            os.close(above)
            above = below
    finally:
        os.close(above)


def _strangers_folder(path: str) -> str:
    """Return the folder above *path* that a stranger made where everybody may make one, or an empty string."""
    folder = os.path.dirname(os.path.abspath(path))
    while folder != os.path.dirname(folder):
        above = os.path.dirname(folder)
        if os.stat(above).st_mode & stat.S_IWOTH and os.lstat(folder).st_uid not in (0, os.getuid()):
            return folder
        folder = above
    return ""


def hold(path: str) -> int:
    """Keep what tidies up where everybody may write away from the folder *path*; return what is closed to let go of it.

    Programs like systemd-tmpfiles remove from ``/var/tmp`` what nobody has touched for a month, as the files of a long
    job may be, but nothing in a folder that somebody has locked.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return folder  # a file system without locks, or somebody tidies just now
    return folder


class Spool:
    """An open spool. Raises `StoreError` ``busy.running`` when another server works in it."""

    def __init__(self, path: str) -> None:
        private_directory(path)
        self.path = path
        self._lock = _lock(os.path.join(path, "lock"))
        self._held = hold(path)
        self._journal_path = os.path.join(path, "orders.log")
        self._file: BinaryIO | None = None
        os.makedirs(os.path.join(path, "environments"), mode=0o700, exist_ok=True)

    @property
    def name(self) -> str:
        """The spool's own name, made with it."""
        path = os.path.join(self.path, "identity")
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:
            name = uuid.uuid4().hex
            _write_whole(path, name.encode() + b"\n")
            return name

    def lines(self) -> list[bytes]:
        """Return the journal's whole lines."""
        try:
            with open(self._journal_path, "rb") as file:
                return [line[:-1] for line in file if line.endswith(b"\n")]
        except FileNotFoundError:
            return []

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Go on with a journal of *lines* alone."""
        _write_whole(self._journal_path, b"".join(line + b"\n" for line in lines))
        if self._file is not None:
            self._file.close()
        self._file = open(self._journal_path, "ab", buffering=0)  # noqa: SIM115  open as long as the spool

    def append(self, lines: list[bytes], durable: bool) -> int:
        """Write *lines*, on the disk itself when *durable*; return the journal's size. Raises `StoreError`."""
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        data = b"".join(line + b"\n" for line in lines)
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(28, "No space left on device")
            if durable:
                os.fdatasync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), size)
            raise StoreError("store.full", f"{self._journal_path}: {error.strerror}; free some space there") from None
        return size + len(data)

    def keep_environment(self, digest: str, text: str) -> None:
        """Keep an environment where the keepers find it; the same digest is the same text."""
        path = os.path.join(self.path, "environments", digest)
        if not os.path.exists(path):
            _write_whole(path, text.encode())

    def drop_environments(self) -> None:
        """Forget all environments and scripts: no job here needs one."""
        for kind in ("environments", "scripts"):
            folder = os.path.join(self.path, kind)
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                os.unlink(os.path.join(folder, name))

    def keepers(self) -> list[int]:
        """Return the numbers of all keepers that have left something here."""
        found = set()
        for name in os.listdir(self.path):
            stem, _, kind = name.partition(".")
            if stem.startswith("keeper-") and kind in ("log", "sock", "pid") and stem[7:].isdigit():
                found.add(int(stem[7:]))
        return sorted(found)

    def keeper_file(self, number: int, kind: str) -> str:
        """Return the path of a keeper's ``log``, ``sock``, ``pid`` or ``lock``."""
        return os.path.join(self.path, f"keeper-{number}.{kind}")

    def bury(self, number: int) -> None:
        """Remove what a dead keeper has left."""
        for kind in ("log", "log.new", "sock", "pid", "lock"):
            try:
                os.unlink(self.keeper_file(number, kind))
            except FileNotFoundError:
                continue

    def close(self) -> None:
        """Let go of the spool."""
        if self._file is not None:
            self._file.close()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
        self._lock.close()


def _write_whole(path: str, content: bytes) -> None:
    new = path + ".new"
    with open(new, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lock(path: str) -> BinaryIO:
    file = open(path, "ab")  # noqa: SIM115  held as long as the spool is open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StoreError(
            "busy.running", f"another server of this user already works in {os.path.dirname(path)}"
        ) from None
    return file


def boot_id() -> str:
    """Return what changes with each boot of this machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"
