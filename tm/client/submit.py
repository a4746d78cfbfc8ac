"""Handing jobs in: many in one line, some lines on the way at once, each repeatable because of its token.

A submission is known to be accepted when its ids have been read. Until then a line is kept, and sent again
with the same token over the next connection; the same token gives the same ids, so nothing is ever doubled.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque

from tm.client.connection import Connection, LostError, refusal
from tm.errors import RefusedError, TaskManagerError, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

MOST_JOBS = 10000
MOST_BYTES = 900000
LINES_ON_THE_WAY = 4
UNSURE_SECONDS = 60.0
REFUSED_SECONDS = 20.0
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Line:
    """One ``submit`` line: its bytes, and the number of jobs in it."""

    __slots__ = ("count", "data")

    def __init__(self, data: bytes, count: int) -> None:
        self.data = data
        self.count = count


def encode_json(value: object) -> bytes:
    """Return *value* as JSON for a protocol line; raise `RefusedError` when it holds what is not UTF-8."""
    try:
        return _encode(value).replace("\x7f", "\\u007f").encode()
    except UnicodeEncodeError as error:
        text = error.object
        begin, end = text.rfind('"', 0, error.start) + 1, text.find('"', error.end)
        word = text[max(begin, error.start - 20) : min(end, error.start + 20)]
        shown = word.encode(errors="backslashreplace").decode()
        raise RefusedError(
            "job.invalid", f"'{shown}' holds bytes that are not UTF-8; rename it, or use a script"
        ) from None


def make_lines(
    commands: Iterable[str | list[str]],
    common: dict[str, Any],
    token: Callable[[], str] = lambda: os.urandom(12).hex(),
) -> Iterator[Line]:
    """Yield the lines that submit *commands*; raise `RefusedError` for what does not fit into one."""
    shared = encode_json(common)
    room = MOST_BYTES - len(shared)
    entries: list[bytes] = []
    size = 0
    for number, command in enumerate(commands, 1):
        entry = b'{"command":%b}' % encode_json(command)
        if len(entry) > room:
            raise RefusedError(
                "limit.line",
                f"command {number} and the environment have more than {MOST_BYTES} bytes; use a script",
            )
        if entries and (len(entries) == MOST_JOBS or size + len(entry) + 1 > room):
            yield _line(entries, shared, token())
            entries, size = [], 0
        entries.append(entry)
        size += len(entry) + 1
    if entries:
        yield _line(entries, shared, token())


def _line(entries: list[bytes], shared: bytes, token: str) -> Line:
    head = b'submit:{"token":%b,"common":%b,"jobs":[' % (_encode(token).encode(), shared)
    return Line(head + b",".join(entries) + b"]}\n", len(entries))


class Submission:
    """Submits *lines* over connections that *connect* makes; *listen* also subscribes to the jobs' events.

    After `run` or its failure *ids* has the ids of what was accepted, *advice* what was said of it, and
    *connection* the open one, if any; *heard_all* says whether that has been subscribed since before the first job.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        lines: Iterable[Line],
        listen: bool = False,
        say: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ids: list[int] = []
        self.advice: list[str] = []
        self.connection: Connection | None = None
        self.heard_all = False
        self._connect = connect
        self._lines = iter(lines)
        self._listen = listen
        self._say = say
        self._clock = clock
        self._pause = pause
        self._pending: deque[Line] = deque()
        self._refused: TaskManagerError | None = None
        self._sent = False
        self._unsure = False
        self._exhausted = False

    def run(self) -> list[int]:
        """Return the ids, in the order of the commands; raise `TaskManagerError` unless all are accepted."""
        troubles = 0
        since = 0.0
        while True:
            done = len(self.ids)
            try:
                self._drive()
                break
            except TaskManagerError as error:
                if not _passing(error, self._unsure):
                    raise
                if not troubles or len(self.ids) > done:
                    since, troubles = self._clock(), 0
                limit = UNSURE_SECONDS if self._unsure else REFUSED_SECONDS
                if self._clock() - since > limit:
                    raise
                if not troubles:
                    self._say(f"{error.text}; trying again for up to {limit:.0f} s")
                self._drop()
                self._pause(_PAUSES[min(troubles, len(_PAUSES) - 1)])
                troubles += 1
        if self._refused is None:
            return self.ids
        if not self.ids:
            raise self._refused
        raise RefusedError(self._refused.word, f"{self._refused.text} ({len(self.ids)} accepted, the others not)")

    def _drive(self) -> None:
        if self.connection is None:
            self.connection = self._connect()
            first = not self._sent and not self.ids
            if self._listen:
                self.connection.request("subscribe", "jobs")
            for line in self._pending:
                self._send(self.connection, line)
            self._fill(self.connection)
            if self._listen:
                self.heard_all = self.connection.reply(check=False).ok and first
        while True:
            self._fill(self.connection)
            if not self._pending:
                return
            self._take(self.connection)

    def _fill(self, connection: Connection) -> None:
        while len(self._pending) < LINES_ON_THE_WAY and not self._exhausted and self._refused is None:
            try:
                line = next(self._lines, None)
            except TaskManagerError as error:
                self._refused = error
                return
            if line is None:
                self._exhausted = True
                return
            self._pending.append(line)
            self._send(connection, line)

    def _send(self, connection: Connection, line: Line) -> None:
        self._sent = self._unsure = True
        connection.send(line.data)

    def _take(self, connection: Connection) -> None:
        reply = connection.reply(check=False)
        if reply.ok:
            said = [line for line in reply.body if not line.startswith("#")]
            ids = _read_ids(said, self._pending[0].count, connection.peer)
            self.advice += [line[1:].strip() for line in reply.body if line.startswith("#")]
            self._pending.popleft()
            self.ids += ids
            return
        error = refusal(reply)
        if error.word.startswith("net."):
            self._unsure = len(self._pending) > 1
            raise error
        self._pending.popleft()
        if self._refused is None:
            self._refused = error

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _passing(error: TaskManagerError, unsure: bool) -> bool:
    """Whether it may be better soon; jobs that may have been sent justify more patience."""
    if isinstance(error, LostError) or error.word.startswith("net."):
        return error.word != "net.name"
    return unsure and error.word == "internal.tms"


def _read_ids(body: list[str], count: int, peer: str) -> list[int]:
    try:
        ids = [int(line) for line in body]
    except ValueError:
        ids = []
    if len(ids) != count:
        raise WireError("proto.malformed", f"{peer} answered {count} jobs with {len(ids)} ids")
    return ids
