"""One conversation, seen from either side. Bytes go in, messages come out; nothing here knows a transport.

The serving side reads requests and bulk frames; the asking side reads replies (the greeting is the first), events
between them, and bulk frames.
"""

from __future__ import annotations

from tm.errors import RefusedError, WireError
from tm.wire.frames import LARGE_LIMIT, LINE_LIMIT, Bulk, FrameBuffer
from tm.wire.message import Event, Reply, Request, harmless, parse_request, parse_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE_VERBS = (
    b"submit:", b"submit.json:", b"run:", b"run.json:", b"report:", b"join:", b"hello:", b"attach:", b"info:",
    b"infojoin:", b"runbeside:", b"as:", b"as.json:", b"checksessions:", b"checksessions.json:",
    b"answered:", b"infoanswer:",
)  # fmt: skip


class ServerDialogue:
    """What a server reads. A malformed request comes out as the `RefusedError` to answer it with."""

    __slots__ = ("_frames",)

    def __init__(self, limit: int = LINE_LIMIT, large_limit: int = LARGE_LIMIT) -> None:
        self._frames = FrameBuffer(limit, LARGE_VERBS, large_limit, skip_empty=True)

    @property
    def begun(self) -> bool:
        """Whether something has begun that is not whole."""
        return self._frames.begun

    def receive(self, data: bytes) -> Iterator[Request | Bulk | RefusedError]:
        """Yield what *data* completes, in order; raise `WireError` where the conversation cannot go on."""
        for frame in self._frames.feed(data):
            if isinstance(frame, Bulk):
                yield frame
            elif frame:
                try:
                    request: Request | RefusedError = parse_request(frame)
                except RefusedError as error:
                    request = error
                yield request


class ClientDialogue:
    """What a client reads. *limit* bounds one line of the server."""

    def __init__(self, limit: int = 2 * LARGE_LIMIT, body_limit: int = 64 * LARGE_LIMIT) -> None:
        self._frames = FrameBuffer(limit)
        self._body_limit = body_limit
        self._size = 0
        self._reply: Reply | None = None

    def receive(self, data: bytes) -> Iterator[Reply | Event | Bulk]:
        """Yield what *data* completes, in order; raise `WireError` where the conversation cannot go on."""
        for frame in self._frames.feed(data):
            if isinstance(frame, Bulk):
                yield frame
            elif self._reply is not None:
                done = self._body_line(self._reply, frame)
                if done:
                    yield done
            elif frame.startswith(b"* "):
                yield Event(frame[2:])
            else:
                self._reply = parse_status(frame)
                self._size = 0

    def _body_line(self, reply: Reply, line: bytes) -> Reply | None:
        if line == b".":
            self._reply = None
            return reply
        self._size += len(line) + 1
        if self._size > self._body_limit:
            raise WireError("limit.reply", f"an answer may have {self._body_limit} bytes; this one has more")
        reply.body.append(harmless(line[1:] if line.startswith(b".") else line))
        return None
