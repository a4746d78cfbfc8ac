"""The fast way through a connection that carries bulk data: the bytes of a frame are handed on where they
lie.

`Splitter` says the same as `tm.wire.dialogue.ClientDialogue`, but a bulk frame comes out in the pieces in
which it arrived, as views of the receive buffer, valid until the next call. Lines still go through the
dialogue.
"""

from __future__ import annotations

from tm.errors import WireError
from tm.wire.dialogue import ClientDialogue
from tm.wire.frames import BULK_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tm.wire.message import Event, Reply

_HEADER_LIMIT = 64


class Piece:
    """Some bytes of *channel*; *last* when they end a frame."""

    __slots__ = ("channel", "data", "last")

    def __init__(self, channel: int, data: memoryview, last: bool) -> None:
        self.channel = channel
        self.data = data
        self.last = last


class Splitter:
    """Turns what a server sends into replies, events and pieces of bulk data."""

    def __init__(self) -> None:
        self._dialogue = ClientDialogue()
        self._partial = b""
        self._in_line = False
        self._channel = 0
        self._missing = 0

    def receive(self, buffer: bytearray, size: int) -> Iterator[Reply | Event | Piece]:
        """Yield what the first *size* bytes of *buffer* complete; raise `WireError` where it cannot go on."""
        view = memoryview(buffer)
        start = 0
        while start < size:
            if self._missing:
                end = min(size, start + self._missing)
                self._missing -= end - start
                yield Piece(self._channel, view[start:end], not self._missing)
                start = end
                continue
            newline = buffer.find(b"\n", start, size)
            end = newline + 1 if newline >= 0 else size
            piece = self._partial + bytes(view[start:end])
            self._partial = b""
            start = end
            if not self._in_line and self._may_announce(piece):
                if newline < 0:
                    self._hold(piece)
                    return
                yield from self._announce(piece)
            else:
                self._in_line = newline < 0
                yield from self._words(piece)

    @staticmethod
    def _may_announce(piece: bytes) -> bool:
        return piece.startswith(b"= ") or piece == b"="

    def _hold(self, piece: bytes) -> None:
        if len(piece) > _HEADER_LIMIT:
            raise WireError("proto.malformed", "bulk data is announced as '= CHANNEL COUNT'")
        self._partial = piece

    def _announce(self, line: bytes) -> Iterator[Piece]:
        words = line.rstrip(b"\r\n").split(b" ")
        if len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
            raise WireError("proto.malformed", "bulk data is announced as '= CHANNEL COUNT'")
        if len(words[1]) > 9 or len(words[2]) > 9 or int(words[2]) > BULK_LIMIT:
            raise WireError("limit.bulk", f"a bulk frame may have {BULK_LIMIT} bytes")
        self._channel = int(words[1])
        self._missing = int(words[2])
        if not self._missing:
            yield Piece(self._channel, memoryview(b""), True)

    def _words(self, data: bytes) -> Iterator[Reply | Event]:
        yield from self._dialogue.receive(data)  # type: ignore[misc]  # no bulk frame reaches the dialogue
