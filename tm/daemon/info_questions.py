"""What an InfoServer is asked through the dispatcher, and its answers: those that it gives whoever asks it itself."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tm.daemon import background
from tm.daemon.answers import Answer
from tm.daemon.questions import answer_lines
from tm.daemon.somebody import Somebody
from tm.errors import RefusedError, TaskManagerError
from tm.ports import Link, Peer
from tm.wire.message import Reply, Request

MOST_AT_ONCE = 64
_log = Logger()


class Asked(msgspec.Struct):
    """A *question* of *user* with the *number* of its answer: a verb, and what stands behind its first colon."""

    number: int
    question: str
    user: str
    rest: str | None = None
    json: bool = False


class InfoQuestions:
    """Gives what *answer* says to *questions*, and to no others."""

    def __init__(self, answer: Callable[[Peer, Request], Answer], questions: tuple[str, ...]) -> None:
        self._answer = answer
        self._questions = questions
        self._under_way = 0

    def hear(self, link: Link, json: bytes) -> None:
        """The dispatcher asks."""
        try:
            asked = msgspec.json.decode(json, type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _log.warn("the dispatcher asks what is not understood: {text}", event="malformed", text=str(error))
            return
        background.start(self._answered(link, asked), "answering a question")

    async def _answered(self, link: Link, asked: Asked) -> None:
        self._under_way += 1
        reply = Reply("the InfoServer failed at this question; its log says how", word="internal.error")
        try:
            reply = await self._reply(asked)
        except TaskManagerError as error:
            reply = Reply(error.text, word=error.word)
        finally:
            self._under_way -= 1
            background.start(_tell(link, asked.number, reply), "telling an answer")

    async def _reply(self, asked: Asked) -> Reply:
        if asked.question not in self._questions:
            raise RefusedError("proto.verb", f"'{asked.question:.40}' is not asked through the dispatcher")
        if self._under_way > MOST_AT_ONCE:
            raise RefusedError("limit.questions", "too many questions to this computer are under way; try again")
        answer = self._answer(Somebody(asked.user), Request(asked.question, asked.rest, asked.json))
        return await answer if isinstance(answer, Deferred) else answer


async def _tell(link: Link, number: int, reply: Reply) -> None:
    for line in answer_lines(number, reply):
        await link.ask("infoanswer", line)
