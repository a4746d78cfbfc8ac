"""Chunks of bytes become whole frames: a line, or the raw bytes announced by ``= CHANNEL COUNT``.

The buffer is bounded: a line may hold *limit* bytes, and *large_limit* when it begins with one of the *large* words.
Any chunking of the same bytes gives the same frames, but for empty lines where these are *skipped*.
"""

from __future__ import annotations

import re

from tm.errors import WireError

LINE_LIMIT = 64 * 1024
LARGE_LIMIT = 1024 * 1024
BULK_LIMIT = 256 * 1024

_EMPTY_LINES = re.compile(rb"(?:\n+|\r\n)*")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Bulk:
    """Raw bytes that belong to one channel of the connection."""

    __slots__ = ("channel", "data")

    def __init__(self, channel: int, data: bytes) -> None:
        self.channel = channel
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bulk) and (self.channel, self.data) == (other.channel, other.data)

    __hash__ = None  # type: ignore[assignment]  # a value with mutable-sized content: never a key

    def __repr__(self) -> str:
        return f"Bulk({self.channel}, {len(self.data)} bytes)"


def encode_bulk(channel: int, data: bytes) -> bytes:
    """Return *data* as a bulk frame of *channel*."""
    return b"= %d %d\n%b" % (channel, len(data), data)


class FrameBuffer:
    """Turn chunks into frames; hold at most one partial frame."""

    __slots__ = ("_channel", "_large", "_large_limit", "_limit", "_missing", "_partial", "_skip_empty")

    def __init__(
        self, limit: int = LINE_LIMIT, large: tuple[bytes, ...] = (), large_limit: int = LARGE_LIMIT,
        skip_empty: bool = False,
    ) -> None:  # fmt: skip
        self._limit = limit
        self._large = large
        self._large_limit = large_limit
        self._partial = bytearray()
        self._channel = 0
        self._missing = 0
        self._skip_empty = skip_empty

    @property
    def begun(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._partial or self._missing)

    def feed(self, chunk: bytes) -> Iterator[bytes | Bulk]:
        """Yield the frames that *chunk* completes: a line without its end, or a `Bulk`. Many empty lines may be none.

        Raises `WireError` (``limit.line``, ``limit.bulk``, ``proto.malformed``) at the first frame that is not one.
        """
        start = 0
        end = len(chunk)
        while start < end or (self._missing and len(self._partial) >= self._missing):
            if self._missing:
                wanted = self._missing - len(self._partial)
                self._partial += chunk[start : start + wanted]
                start = min(end, start + wanted)
                if len(self._partial) < self._missing:
                    return
                bulk = Bulk(self._channel, bytes(self._partial))
                self._partial.clear()
                self._missing = 0
                yield bulk
                continue
            if self._skip_empty and not self._partial:
                start = _after_empty(chunk, start)
                if start == end:
                    return
            newline = chunk.find(b"\n", start)
            if newline < 0:
                self._grow(chunk[start:])
                return
            self._grow(chunk[start:newline])
            line = bytes(self._partial)
            self._partial.clear()
            start = newline + 1
            if line.endswith(b"\r"):
                line = line[:-1]
            if line.startswith(b"= "):
                empty = self._announce(line)
                if empty is not None:
                    yield empty
            else:
                yield line

    def _grow(self, piece: bytes) -> None:
        size = len(self._partial) + len(piece)
        if size > self._limit:
            head = bytes(self._partial[:16]) + piece[:16]
            limit = self._large_limit if head.startswith(self._large) and self._large else self._limit
            if size > limit:
                raise WireError("limit.line", f"a line may have {limit} bytes; this one has more")
        self._partial += piece

    def _announce(self, line: bytes) -> Bulk | None:
        words = line.split(b" ")
        if len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
            raise WireError("proto.malformed", "bulk data is announced as '= CHANNEL COUNT'")
        if len(words[1]) > 9 or len(words[2]) > 9 or int(words[2]) > BULK_LIMIT:
            raise WireError("limit.bulk", f"a bulk frame may have {BULK_LIMIT} bytes")
        self._channel = int(words[1])
        self._missing = int(words[2])
        return None if self._missing else Bulk(self._channel, b"")


def _after_empty(chunk: bytes, start: int) -> int:
    found = _EMPTY_LINES.match(chunk, start)
    return found.end() if found is not None else start
