"""Answers of the dispatcher that come as events, each with the number under which it was asked for."""

from __future__ import annotations

import msgspec
from twisted.internet.defer import Deferred

from tm.errors import TaskManagerError
from tm.wire.message import Reply


class _Part(msgspec.Struct):
    number: int
    word: str | None = None
    text: str = ""
    body: list[str] = []
    more: bool = False


class Later:
    """What is waited for: the lines that have come, and who waits for all of them."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[list[str], Deferred[Reply]]] = {}
        self._last = 0

    def begin(self) -> tuple[int, Deferred[Reply]]:
        """Return a new number, and the answer that will come with it."""
        self._last += 1
        answer: Deferred[Reply] = Deferred()
        self._waiting[self._last] = ([], answer)
        return self._last, answer

    def end(self, number: int) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(number, None)

    def hear(self, json: bytes) -> None:
        """Take an answer, or a part of one; what nobody waits for is passed over."""
        part = msgspec.json.decode(json, type=_Part)
        if part.number not in self._waiting:
            return
        body, answer = self._waiting[part.number]
        body += part.body
        if not part.more:
            del self._waiting[part.number]
            answer.callback(Reply(part.text, body, word=part.word))

    def lost(self, error: TaskManagerError) -> None:
        """No answer will come any more: all fail with *error*."""
        waiting, self._waiting = self._waiting, {}
        for _, answer in waiting.values():
            answer.errback(error)
