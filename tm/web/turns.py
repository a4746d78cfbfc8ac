"""Turns on the one link that all visitors share: of one user only so many questions are under way.

The law: a question holds its turn until its answer is there, even where nobody waits for it any more. So whoever asks
much, or asks and leaves, waits in a line of their own, and the others wait for a few of their questions at most.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

MOST_AT_ONCE = 4

_Answer = TypeVar("_Answer")


class Turns:
    """Who has a turn, and who waits for one."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._waiting: dict[str, deque[Deferred[None]]] = {}
        self._over: deque[str] = deque()
        self._passing = False

    async def take(self, user: str, ask: Callable[[], Deferred[_Answer]]) -> _Answer:
        """Return what *ask* gives, called as soon as it is *user*'s turn. Raises what it fails with."""
        await self._turn(user)
        answer: Deferred[_Answer] = Deferred()

        def over(result: _Answer | Failure) -> None:
            self._done(user)
            if not answer.called:
                answer.callback(result)

        ask().addBoth(over)
        return await answer

    def _turn(self, user: str) -> Deferred[None]:
        turn: Deferred[None] = Deferred(lambda left: self._waiting[user].remove(left))
        if self._under_way[user] < MOST_AT_ONCE:
            self._under_way[user] += 1
            turn.callback(None)
        else:
            self._waiting.setdefault(user, deque()).append(turn)
        return turn

    def _done(self, user: str) -> None:
        """Pass a turn on; one after the other, however many fail at once when the link is gone."""
        self._over.append(user)
        if self._passing:
            return
        self._passing = True
        try:
            while self._over:
                self._pass_on(self._over.popleft())
        finally:
            self._passing = False

    def _pass_on(self, user: str) -> None:
        waiting = self._waiting.get(user)
        if waiting:
            waiting.popleft().callback(None)
            return
        self._waiting.pop(user, None)
        self._under_way[user] -= 1
        if not self._under_way[user]:
            del self._under_way[user]
