"""Questions that the dispatcher passes on to another server and the answers that come back: each to who asked.

The law: an answer counts only from the connection that was asked, only once, only in time, and only up to a size.
Whoever is asked may be broken or hostile; it costs the dispatcher no more than a question's place until its time is up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tm.daemon.answers import decoded, json_line
from tm.errors import RefusedError, TaskManagerError
from tm.ports import Peer
from tm.wire.message import Reply

MOST_OF_ALL = 64
"""Questions under way to one server, of all users together."""
MOST_BYTES = 8 * 1024 * 1024
PART_BYTES = 256 * 1024
"""Of JSON lines in a line of an answer; written as JSON once more they are at most seven times as long in one piece."""
LARGEST_LINE = 900 * 1024
_WORD = re.compile(r"[a-z]{1,20}\.[a-z]{1,20}\Z")


class Answered(msgspec.Struct, omit_defaults=True):
    """The answer to question *number*, or with *more* a part of it: a reply's class, text and body."""

    number: int
    word: str | None = None
    text: str = ""
    body: list[str] = []
    more: bool = False


def answer_lines(number: int, reply: Reply) -> Iterator[str]:
    """Yield *reply* to question *number* in lines that may be sent."""
    part: list[str] = []
    size = 0
    for line in reply.body:
        length = len(line.encode(errors="replace"))
        if part and size + length > PART_BYTES:
            yield json_line(Answered(number, body=part, more=True))
            part, size = [], 0
        part.append(line)
        size += length
    last = json_line(Answered(number, reply.word, reply.text, part))
    if len(last.encode()) > LARGEST_LINE:
        last = json_line(Answered(number, "limit.reply", "the answer is too long; ask for less at once"))
    yield last


@dataclass(eq=False, slots=True)
class _Question:
    number: int
    peer: Peer
    user: str
    answer: Deferred[Reply]
    timer: IDelayedCall
    body: list[str] = field(default_factory=list)
    size: int = 0


class Questions:
    """All questions of one kind that are under way; each has *seconds*. *whom* says who is asked, in a sentence; of one
    user *most_of_one* may be under way to the same server, and an answer may have *most_bytes*."""

    def __init__(
        self, clock: IReactorTime, seconds: float, whom: str, most_of_one: int = MOST_OF_ALL,
        most_bytes: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        self._most_of_one = most_of_one
        self._most_bytes = most_bytes
        self._clock = clock
        self._seconds = seconds
        self._whom = whom
        self._waiting: dict[int, _Question] = {}
        self._by_peer: dict[Peer, Counter[str]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, peer: Peer, asker: str, **fields: object) -> Deferred[Reply]:
        """Ask *peer* for *asker*; the answer comes, or fails: ``net.timeout``, ``net.lost``, ``limit.reply``.

        Raises `RefusedError` ``limit.questions`` when too many are under way.
        """
        count = self._known(peer)
        if count[asker] >= self._most_of_one or count.total() >= MOST_OF_ALL:
            raise RefusedError("limit.questions", f"too many questions to {self._whom} are under way; try again")
        self._last += 1
        number = self._last
        count[asker] += 1
        timer = self._clock.callLater(self._seconds, self._late, number)
        question = self._waiting[number] = _Question(number, peer, asker, Deferred(), timer)
        peer.send_event(json_line({"topic": "asked", "number": number, **fields}).encode())
        return question.answer

    def answered(self, peer: Peer, argument: str) -> Reply:
        """Take an answer of *peer*, or a part of one. One that nobody waits for (any more) is passed over.

        Raises `RefusedError` ``perm.denied`` when somebody else was asked.
        """
        given = decoded(Answered, argument)
        question = self._waiting.get(given.number)
        if question is None:
            return Reply("nobody waits for it", urgent=False)
        if question.peer is not peer:
            raise RefusedError("perm.denied", "that was asked of somebody else")
        question.size += len(argument)
        question.body += given.body
        if question.size > self._most_bytes:
            self._fail(question, RefusedError("limit.reply", f"the answer of {self._whom} is too long"))
        elif not given.more:
            self._end(question)
            if given.word is not None and not _WORD.match(given.word):
                given.word = "internal.error"
            question.answer.callback(Reply(given.text[:2000], question.body, word=given.word))
        return Reply(urgent=False)

    def _known(self, peer: Peer) -> Counter[str]:
        """Return how many questions *peer* has of each user; from now on its end is heard of."""
        count = self._by_peer.get(peer)
        if count is None:
            count = self._by_peer[peer] = Counter()
            peer.on_close(lambda: self._gone(peer))
        return count

    def _late(self, number: int) -> None:
        text = f"{self._whom} did not answer in {self._seconds:.0f} s; try again"
        self._fail(self._waiting[number], TaskManagerError("net.timeout", text))

    def _gone(self, peer: Peer) -> None:
        for question in [one for one in self._waiting.values() if one.peer is peer]:
            text = f"the connection to {self._whom} broke before the answer; try again"
            self._fail(question, TaskManagerError("net.lost", text))
        self._by_peer.pop(peer, None)

    def _fail(self, question: _Question, error: TaskManagerError) -> None:
        self._end(question)
        question.answer.errback(error)

    def _end(self, question: _Question) -> None:
        del self._waiting[question.number]
        count = self._by_peer[question.peer]
        count[question.user] -= 1
        if not count[question.user]:
            del count[question.user]
        if question.timer.active():
            question.timer.cancel()
