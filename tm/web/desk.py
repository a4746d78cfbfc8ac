"""The desk: where pages ask. Whatever is asked for a visitor is asked with their session, and with nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from tm.errors import RefusedError, TaskManagerError
from tm.ports import Link
from tm.web import checked
from tm.web.asked import RANKS, Asked, Visitor
from tm.web.board import Board
from tm.web.hub import Hub
from tm.web.later import Later
from tm.web.meter import Meter
from tm.web.turns import Turns
from tm.wire.frames import LARGE_LIMIT
from tm.wire.message import Reply

CHECK_SECONDS = 1.5
"""So long an answer to who somebody is holds: who is removed is out after it."""
MOST_KNOWN = 4096
MOST_SAID = LARGE_LIMIT - 1024
"""Bytes of what a visitor says: a longer line would cut the one link that all visitors share."""

SLOW = ("own", "hostask")
"""What other servers answer: that comes when it comes, and holds up no other answer on the link."""

_decode = msgspec.json.decode
_encode = msgspec.json.encode


def at_once(work: Callable[[], Any]) -> Awaitable[Any]:
    """Do *work* now."""
    return maybeDeferred(work)


class _Session(msgspec.Struct):
    id: str
    user: str
    may: str
    until: str
    secret: str = ""
    rights: list[str] = []
    groups: list[str] = []

    def visitor(self) -> Visitor:
        may = self.may if self.may in RANKS else RANKS[0]
        return Visitor(self.secret, self.id, self.user, may, self.until, frozenset(self.rights), tuple(self.groups))


class Desk:
    """Asks the dispatcher over the one link there is; *clock* gives seconds since the epoch. *events* are what pages
    follow, None where nothing is to be followed; *timer* bounds what pages wait for; *aside* does what takes long
    without holding up other pages.
    """

    def __init__(self, clock: Callable[[], float], cluster: str = "") -> None:
        self.clock = clock
        self.cluster = cluster
        self.link: Link | None = None
        self.events: Hub | None = None
        self.why_away = "it has not been reached yet"
        self.board = Board()
        self.meter = Meter()
        self.since = clock()
        self._known: dict[str, tuple[float, Visitor | None]] = {}
        self._later = Later()
        self._turns = Turns()
        self.timer: IReactorTime | None = None
        self.aside: Callable[[Callable[[], Any]], Awaitable[Any]] = at_once

    # -- for pages ------------------------------------------------------------------------------------------------

    async def ask(self, asked: Asked, verb: str, rest: str | None = None) -> list[Any]:
        """Return the JSON values that the dispatcher answers *asked*'s visitor to ``verb.json:rest``.

        Raises `RefusedError` as the dispatcher refuses, `TaskManagerError` ``net.dispatcher`` when it is not reached.
        """
        reply = await self.said(asked, verb, rest)
        return [_decode(line) for line in reply.body]

    async def one(self, asked: Asked, verb: str, rest: str | None = None) -> Any:
        """Return the first of the values that `ask` gives. Raises as `ask`."""
        values = await self.ask(asked, verb, rest)
        if not values:
            raise RefusedError("web.answer", f"the dispatcher has no answer to '{verb}'; go back and try again")
        return values[0]

    async def own(self, asked: Asked, verb: str, argument: object) -> Any:
        """Return what the visitor's own server (TMS) answers. Raises ``web.server`` when it does not run."""
        return await self.one(asked, "own", _encode({"verb": verb, "argument": argument}).decode())

    async def soon(self, answer: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Return what *answer* gives; raise `TaskManagerError` ``net.timeout`` where that takes more than *seconds*."""
        waiting = Deferred.fromCoroutine(answer)
        if self.timer is not None:
            waiting.addTimeout(seconds, self.timer, _slow)
        return await waiting

    async def said(self, asked: Asked, verb: str, rest: str | None = None) -> Reply:
        """Return the whole reply. Raises as `ask`."""
        said: dict[str, object] = {"secret": asked.who.secret, "verb": verb, "rest": rest}
        if verb not in SLOW:
            return await self._as(asked.user, said)
        number, answer = self._later.begin()
        try:
            await self._as(asked.user, {**said, "number": number})
            reply = await answer
            if reply.word == "auth.session":
                reply.word = "web.answer"  # whose session is over is for the dispatcher to say
        finally:
            self._later.end(number)
        if reply.word is not None:
            raise AnswerError(reply)
        checked.check(verb, rest or "", reply.body)
        return reply

    async def _as(self, user: str, said: dict[str, object]) -> Reply:
        line = _encode(said).decode().replace("\x7f", "\\u007f")
        if len(line.encode()) > MOST_SAID:
            raise RefusedError("web.large", f"what is asked may have {MOST_SAID // 1024} KiB; send less at once")
        return await self._turns.take(user, lambda: Deferred.fromCoroutine(self.system("as", line)))

    def hear(self, json: bytes) -> None:
        """An answer, or a part of one, that did not hold up the others has come."""
        self._later.hear(json)

    def lost(self, reason: str) -> None:
        """The link is gone, and with it all answers that have not come."""
        self.link, self.why_away = None, reason
        self._later.lost(TaskManagerError("net.dispatcher", f"the TaskDispatcher is not reached: {reason}"))

    # -- for the web server itself --------------------------------------------------------------------------------

    async def system(self, verb: str, rest: str | None = None) -> Reply:
        """Return the reply to what the web server asks in its own name. Raises as `ask`."""
        if self.link is None:
            raise TaskManagerError("net.dispatcher", f"the TaskDispatcher is not reached: {self.why_away}")
        try:
            reply = await self.link.ask(verb, rest, True)
        except TaskManagerError as error:
            raise TaskManagerError("net.dispatcher", f"the TaskDispatcher is not reached: {error.text}") from None
        if reply.word is not None:
            raise AnswerError(reply)
        return reply

    async def visitor(self, secret: str) -> Visitor | None:
        """Return whose session has *secret*; None where it is nobody's. Raises as `ask`."""
        now = self.clock()
        at, known = self._known.get(secret, (0.0, None))
        if 0 <= now - at < CHECK_SECONDS:
            return known
        found = (await self.sessions([secret])).get(secret)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        if found is not None:
            self._known[secret] = (now, found)
        else:
            self._known.pop(secret, None)
        return found

    async def sessions(self, secrets: Iterable[str]) -> Mapping[str, Visitor]:
        """Return those of *secrets* that are not over with whose each is. Raises as `ask`."""
        reply = await self.system("checksessions", _encode({"secrets": list(secrets)}).decode())
        return {visitor.secret: visitor for visitor in map(_visitor, reply.body)}

    def mark(self, visitor: Visitor | None) -> str:
        """Return the id of the last event, for a page that is about to be made for *visitor*."""
        return self.events.mark(visitor) if self.events is not None else ""

    def forget(self, secret: str) -> None:
        """A session is over: ask anew whose it is."""
        self._known.pop(secret, None)

    async def redeem(self, token: str, asked: Asked) -> Visitor:
        """Return the visitor whom a login link gives a session. Raises `RefusedError` ``auth.link``."""
        said = {"token": token, "agent": asked.agent[:200], "address": asked.address}
        reply = await self.system("webredeem", _encode(said).decode())
        return _visitor(reply.body[0])

    async def by_certificate(self, asked: Asked) -> Visitor:
        """Return the visitor whom the browser's certificate gives a session. Raises `RefusedError` ``auth.unknown``."""
        said = {"fingerprint": asked.certificate, "agent": asked.agent[:200], "address": asked.address}
        reply = await self.system("webcertificate", _encode(said).decode())
        return _visitor(reply.body[0])


class AnswerError(RefusedError):
    """What the dispatcher refused; *body* are the lines of its answer, JSON values where it gave any."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.word or "internal.error", reply.text)
        self.body = list(reply.body)


def _slow(value: object, seconds: float) -> None:
    raise TaskManagerError("net.timeout", f"there was no answer within {seconds:g} s; it may come later")


def _visitor(line: str) -> Visitor:
    return _decode(line, type=_Session).visitor()
