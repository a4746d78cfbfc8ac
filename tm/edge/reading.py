"""Reading files that grow, for whoever follows them: where they are written, and only while somebody does.

One look at a time, off the reactor's thread, for all who follow: a network file system that hangs holds up followers
alone. What several want of a file is read once. Nothing is read ahead of who does not take it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

LOOK_SECONDS = 0.1
BLOCK = 256 * 1024

Files = list[tuple[int, str, int]]
Piece = tuple[int, bytes]


class Place:
    """How far a file at *path* has been read for one follower: *at* of the file that had *identity*."""

    def __init__(self, channel: int, path: str, at: int) -> None:
        self.channel = channel
        self.path = path
        self.at = at
        self.identity: tuple[int, int] | None = None
        self._fd = -1

    def read(self, lines: int | None, cache: dict[tuple[int, int, int], bytes]) -> bytes:
        """Return the next piece, empty at the end; one read for another follower in this look is in *cache*."""
        try:
            if self._fd < 0:
                self._open(lines)
            found = os.fstat(self._fd)
            if found.st_size < self.at:
                self.at = 0
            mark = (found.st_dev, found.st_ino, self.at)
            data = cache.get(mark)
            if data is None:
                data = cache[mark] = os.pread(self._fd, BLOCK, self.at)
            if not data and self._replaced(found):
                self._open(None)
                self.at = 0
                data = os.pread(self._fd, BLOCK, 0)
        except OSError:
            self.at = max(self.at, 0)  # what comes into being now is read from its beginning
            return b""
        self.at += len(data)
        return data

    def _open(self, lines: int | None) -> None:
        """Open what is at the path; raise `OSError` where that is no file."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise OSError(f"{self.path} is no file")
        self.close()
        self._fd = fd
        if self.at < 0:
            self.at = 0 if lines is None else start_of_last_lines(fd, found.st_size, lines)

    def _replaced(self, found: os.stat_result) -> bool:
        """Whether another file has the path by now: somebody rotates."""
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@implementer(IPushProducer)
class Reader:
    """One follower: *output* takes pieces by channel, *begun* the places in all files where they begin, *done* those
    where they end once it is *over*."""

    def __init__(
        self, files: Files, lines: int | None, begun: Callable[[dict[int, int]], None],
        output: Callable[[int, bytes], None], done: Callable[[dict[int, int]], None],
    ) -> None:  # fmt: skip
        self.places = [Place(channel, path, at) for channel, path, at in files]
        self.over = False
        self.paused = False
        self.gone = False
        self.wake: Callable[[], None] = lambda: None
        self._lines = lines
        self._begun: Callable[[dict[int, int]], None] | None = begun
        self._output = output
        self._done = done
        self._ending = False

    def look(self, cache: dict[tuple[int, int, int], bytes]) -> list[Piece]:
        """Return what there is now. In another thread."""
        self._ending = self.over
        pieces = [(place.channel, place.read(self._lines, cache)) for place in self.places]
        return [piece for piece in pieces if piece[1]]

    def take(self, pieces: list[Piece]) -> None:
        """Hand on what a look has found."""
        if self._begun is not None:
            sizes = {channel: len(data) for channel, data in pieces}
            self._begun({place.channel: place.at - sizes.get(place.channel, 0) for place in self.places})
            self._begun = None
        for channel, data in pieces:
            self._output(channel, data)
        if not pieces and self._ending:
            self.gone = True
            self._done({place.channel: place.at for place in self.places})

    def close(self) -> None:
        """Let go of the files."""
        for place in self.places:
            place.close()

    def pauseProducing(self) -> None:  # noqa: N802  IPushProducer
        """The follower does not keep up."""
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802  IPushProducer
        """It does again."""
        self.paused = False
        self.wake()

    def stopProducing(self) -> None:  # noqa: N802  IPushProducer
        """Its connection is going."""
        self.gone = True


class Lookout:
    """All followers. *in_thread* does a piece of work off the reactor's thread."""

    def __init__(self, clock: IReactorTime, in_thread: Callable[[Callable[[], Any]], Deferred[Any]]) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._readers: list[Reader] = []
        self._call: IDelayedCall | None = None
        self._looking = False

    def add(self, reader: Reader) -> None:
        """Read for *reader* from now on."""
        reader.wake = self._soon
        self._readers.append(reader)
        self._soon()

    def remove(self, reader: Reader) -> None:
        """Read no more for *reader*."""
        reader.gone = True
        self._soon()

    def _soon(self) -> None:
        if self._looking:
            return
        if self._call is not None and self._call.active():
            self._call.reset(0)
        else:
            self._call = self._clock.callLater(0, self._look)

    def _look(self) -> None:
        for reader in [reader for reader in self._readers if reader.gone]:
            self._readers.remove(reader)
            reader.close()
        wanting = [reader for reader in self._readers if not reader.paused]
        if not wanting:
            return  # who goes on wakes us
        self._looking = True
        self._in_thread(lambda: _look_for(wanting)).addCallbacks(self._seen, self._failed)

    def _seen(self, found: list[tuple[Reader, list[Piece]]]) -> None:
        self._looking = False
        for reader, pieces in found:
            if not reader.gone:
                reader.take(pieces)
        more = any(pieces and not reader.paused for reader, pieces in found)
        ending = any(reader.gone or reader.over for reader, _ in found)
        self._call = self._clock.callLater(0 if more or ending else LOOK_SECONDS, self._look)

    def _failed(self, failure: Failure) -> None:
        self._looking = False
        self._call = self._clock.callLater(LOOK_SECONDS, self._look)
        failure.trap(OSError, MemoryError)


def _look_for(readers: list[Reader]) -> list[tuple[Reader, list[Piece]]]:
    cache: dict[tuple[int, int, int], bytes] = {}
    return [(reader, reader.look(cache)) for reader in readers]


def start_of_last_lines(fd: int, size: int, lines: int) -> int:
    """Return where the last *lines* lines of a file of *size* bytes begin, at most a block from its end."""
    start = max(0, size - BLOCK)
    block = os.pread(fd, size - start, start)
    at = len(block) - 1 if block.endswith(b"\n") else len(block)
    for _ in range(lines):
        at = block.rfind(b"\n", 0, at)
        if at < 0:
            return start
    return start + at + 1
