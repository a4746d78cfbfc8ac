"""Answers of people's own servers and of hosts on their way to the web server.

The law: only as much is sent as the web server takes. What others answer may be large, and a connection that has too
much before it is cut, this one for everybody who looks at a page.
"""

from __future__ import annotations

from collections import deque

from tm.daemon.questions import answer_lines
from tm.ports import Peer
from tm.wire.message import Reply

MOST_KEPT = 32 * 1024 * 1024
"""Bytes that wait; an answer that does not fit beside them is refused."""


class Outbox:
    """What *peer*, the web server, is still to hear."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._choked = False
        peer.on_congestion(self._congested)

    def send(self, number: int, reply: Reply) -> None:
        """Send *reply* to question *number*, as soon as the web server takes it."""
        lines = [_event(line) for line in answer_lines(number, reply)]
        if self._size + sum(map(len, lines)) > MOST_KEPT:
            full = Reply("too many large answers are on their way; try again", word="limit.reply")
            lines = [_event(line) for line in answer_lines(number, full)]
        self._lines += lines
        self._size += sum(map(len, lines))
        self._flush()

    def _congested(self, choked: bool) -> None:
        self._choked = choked
        self._flush()

    def _flush(self) -> None:
        while self._lines and not self._choked:
            line = self._lines.popleft()
            self._size -= len(line)
            self._peer.send_event(line)


def _event(line: str) -> bytes:
    return f'{{"topic":"answer",{line[1:]}'.encode(errors="replace")
