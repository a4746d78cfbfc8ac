"""The file of a user's book of starts: lines are added, and now and then it is written anew with what still counts.

In the local folder of the user's server, mode 0600. It is a guard, not a record: what cannot be read or written makes
the guard weaker, is said in the log once, and stops nothing. Nothing waits for the disk: what was written survives the
process, if not a loss of power.
"""

from __future__ import annotations

import os

from twisted.logger import Logger

from tm.model.starts import StartBook

_log = Logger()

REWRITE_AT = 4 * 1024 * 1024
"""Bytes at which it is written anew, or at three times what that gave before."""


class StartFile:
    """The file at *path*."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._size = 0
        self._limit = REWRITE_AT
        self._failed = False

    def read(self) -> StartBook:
        """Return the book that is kept there, an empty one where there is none."""
        book = StartBook()
        try:
            with open(self._path, encoding="ascii", errors="replace", opener=_no_link) as file:
                book = StartBook(file)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._cannot(error)
        self._anew(book)
        return book

    def keep(self, book: StartBook) -> None:
        """Write what is fresh in *book*."""
        data = "".join(book.fresh).encode()
        book.fresh.clear()
        if self._size + len(data) > self._limit:
            self._anew(book)
            return
        try:
            self._size += os.write(self._file, data)
        except OSError as error:
            self._cannot(error)

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _anew(self, book: StartBook) -> None:
        data = "".join(book.snapshot()).encode()
        new = self._path + ".new"
        try:
            with open(new, "wb", opener=_private) as file:
                file.write(data)
            os.rename(new, self._path)
            self.close()
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self._cannot(error)
            self._limit = self._size + REWRITE_AT
            return
        self._size, self._failed = len(data), False
        self._limit = max(REWRITE_AT, 3 * len(data))

    def _cannot(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            told = "cannot keep which jobs have been started: {reason}; a replay after a restart may not be noticed"
            _log.warn(told, event="starts", reason=f"{self._path}: {error.strerror}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
