"""From the events of the dispatcher to the event streams of browsers.

What goes out says *that* something has changed and what it is about, never how: the browser asks for its page again, as
its visitor, and sees what that visitor may see. So messages can be united without harm, and are: two a second of each
topic at most, however many events there are.

The law: a reader that comes back with the id of the last message it got hears of everything that has changed since,
or gets ``reset``: everything may have. Work for an event does not depend on how many readers there are: what is noted
are changes by topic and user (`tm.web.changes`), and all readers that may hear the same get the same bytes.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tm.errors import RefusedError, TaskManagerError
from tm.web.asked import Visitor
from tm.web.changes import NAMED, Changes, message, with_id
from tm.web.readers import Audience, Reader, audience, seen_by

SOON_SECONDS = 0.05
APART_SECONDS = 0.5
CHECK_SECONDS = 2.0
BEAT_SECONDS = 15.0
STUCK_SECONDS = 60.0
KEPT_SECONDS = 120.0
"""So long it is noted what changes for a user who has no stream."""
MOST_USERS = 2000
MOST_STREAMS = 600
PAGES_A_SECOND = 50
MOST_OF_ADDRESS = 200
MOST_OF_SESSION = 8
LOOPBACK = ("127.0.0.1", "::1")

Check = Callable[[Iterable[str]], Awaitable[Mapping[str, Visitor]]]
"""Given secrets of sessions, returns whose each is that is not over."""
_log = Logger()


class Hub:
    """Hears events and tells readers. *check* says which sessions are still good."""

    def __init__(self, clock: IReactorTime, check: Check, run: str = "") -> None:
        self.clock = clock
        self.run = run or secrets.token_hex(4)
        self.number = self.flushed = 0
        self.stale: tuple[str, float] | None = None
        self._check = check
        self._changes: dict[tuple[str, str], Changes] = {}
        self._together: dict[tuple[Audience, str], dict[Reader, None]] = {}
        self._readers: dict[Reader, None] = {}
        self._flushed_at = 0.0
        self._calls: dict[str, Any] = {}
        self._begin_anew()

    # -- what happens ---------------------------------------------------------------------------------------------

    def heard(self, event: Mapping[str, Any]) -> None:
        """The dispatcher, or a part of the web server, says that something has changed."""
        topic = str(event.get("topic"))
        if topic not in NAMED:
            return
        if topic == "log" and event.get("event") == "audit":
            self.heard({"topic": "audit"})
        self.number += 1
        self._changes[topic, ""].note(event, self.number)
        own = self._changes.get((topic, str(event.get("user") or "")))
        if own is not None and own is not self._changes[topic, ""]:
            own.note(event, self.number)
        if self._readers:
            self.flush_soon()

    def down(self, reason: str) -> None:
        """The dispatcher is not reached: what is shown gets old."""
        self.stale = (reason, self.clock.seconds())
        self._tell_all(self._state())

    def up(self) -> None:
        """The dispatcher is reached again: anything may have changed meanwhile."""
        self.stale = None
        self._begin_anew()
        self._tell_all(self._state())
        for reader in self._readers:
            reader.behind = -1
        self.flush_soon()

    def stop(self) -> None:
        """The web server ends."""
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return len(self._readers)

    # -- readers --------------------------------------------------------------------------------------------------

    def mark(self, visitor: Visitor | None) -> str:
        """Return the id of now, for a page made for *visitor*: who goes on from it misses nothing."""
        if visitor is not None:
            for topic in NAMED:
                for of in audience(visitor, (topic,)):
                    self._noted(of)
        return self._id("" if visitor is None else seen_by(visitor))

    def check_room(self, address: str) -> None:
        """Raise `RefusedError` ``limit.streams`` when there are too many streams."""
        bound = MOST_STREAMS if address in LOOPBACK else MOST_OF_ADDRESS
        here = len(self._readers) if address in LOOPBACK else Counter(one.address for one in self._readers)[address]
        if here >= bound or len(self._readers) >= MOST_STREAMS:
            raise RefusedError("limit.streams", f"{bound} pages follow events already; this one is asked for again")

    def open(
        self, visitor: Visitor, address: str, topics: Iterable[str], after: str, send: Callable[[bytes], object],
        close: Callable[[bool], object],
    ) -> Reader:  # fmt: skip
        """Return the reader of a stream that has begun; *after* is the last id its browser knows."""
        of_session = [one for one in self._readers if one.visitor.secret == visitor.secret]
        for one in of_session[: max(0, len(of_session) + 1 - MOST_OF_SESSION)]:
            self._end(one, "full", "too many streams of one session")
        reader = Reader(self, visitor, address, tuple(topics), send, close)
        if not self._readers:
            self.flushed = self.number
        self._enter(reader)
        send(
            b"retry: 3000\n"
            + self._hello(reader)
            + self._state()
            + self._since(reader, self._at(after, reader.seen_by))
        )
        self._later("check", CHECK_SECONDS, self._check_sessions)
        self._later("beat", BEAT_SECONDS, self._beat)
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget *reader*."""
        if reader in self._readers:
            del self._readers[reader]
            self._part(reader)

    # -- what is sent ---------------------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """Send what has changed, as soon as readers may be told again."""
        if "flush" not in self._calls:
            wait = self._flushed_at + APART_SECONDS - self.clock.seconds()
            self._later("flush", max(SOON_SECONDS, wait), self._flush)

    def _flush(self) -> None:
        self._flushed_at = self.clock.seconds()
        since, self.flushed = self.flushed, self.number
        messages: dict[tuple[str, str], bytes] = {}
        for (heard, seen), readers in list(self._together.items()):
            for of in heard:
                if of not in messages:
                    messages[of] = self._noted(of).message(since)
            data = with_id(b"".join(messages[of] for of in heard), self._id(seen))
            for reader in list(readers):
                if reader.stuck is not None:
                    continue
                if reader.behind is not None:
                    after, reader.behind = reader.behind, None
                    reader.send(self._state() + self._since(reader, after))
                elif data:
                    reader.send(data)

    def _since(self, reader: Reader, after: int) -> bytes:
        """Return all that *reader* has to hear of that changed after the number *after*, with the id of now."""
        changes = [self._noted(of) for of in reader.audience]
        if not 0 <= after <= self.number or any(after < one.floor for one in changes):
            return with_id(message("reset", {}), self._id(reader.seen_by))
        return with_id(b"".join(one.message(after) for one in changes), self._id(reader.seen_by))

    def _hello(self, reader: Reader) -> bytes:
        said = {"topics": [topic for topic, _ in reader.audience], "user": reader.visitor.user, "pace": self._pace()}
        return message("hello", said)

    def _state(self) -> bytes:
        if self.stale is None:
            return message("fresh", {})
        return message("stale", {"reason": self.stale[0], "since": self.stale[1]})

    def _tell_all(self, data: bytes) -> None:
        for reader in list(self._readers):
            if reader.stuck is None:
                reader.send(data)

    def _pace(self) -> float:
        """Return how many seconds a page should rest between two questions, so that all together ask not too often."""
        return max(1.0, len(self._readers) / PAGES_A_SECOND)

    def _beat(self) -> None:
        """Say that there is nothing to say: proxies keep the stream, and browsers see that it is alive."""
        if self._readers:
            self._tell_all(message("beat", {"pace": self._pace()}))
            self._later("beat", BEAT_SECONDS, self._beat)

    # -- who hears it ---------------------------------------------------------------------------------------------

    def _check_sessions(self) -> None:
        Deferred.fromCoroutine(self._checked()).addErrback(self._not_checked).addBoth(self._check_again)

    async def _checked(self) -> None:
        asked = list(self._readers)
        good = await self._check({reader.visitor.secret for reader in asked})
        for reader in asked:
            if reader not in self._readers:
                continue
            visitor = good.get(reader.visitor.secret)
            if visitor is None:
                self._end(reader, "over", "this session is over")
            elif seen_by(visitor) != reader.seen_by:
                self._part(reader)
                reader.now(visitor)
                reader.behind = -1
                self._enter(reader)
                if reader.stuck is None:
                    reader.send(self._hello(reader))
                self.flush_soon()

    def _not_checked(self, failure: Failure) -> None:
        failure.trap(TaskManagerError)  # without the dispatcher nobody's session ends, and nothing is told

    def _check_again(self, result: object) -> None:
        if isinstance(result, Failure):
            _log.failure("sessions not checked", result, event="broken")
        now = self.clock.seconds()
        for reader in list(self._readers):
            if reader.stuck is not None and now - reader.stuck >= STUCK_SECONDS:
                self.leave(reader)
                reader.close(True)
        if self._readers:
            self._later("check", CHECK_SECONDS, self._check_sessions)

    def _end(self, reader: Reader, event: str, text: str) -> None:
        self.leave(reader)
        if reader.stuck is None:
            reader.send(message(event, {"text": text}))
        reader.close(reader.stuck is not None)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _enter(self, reader: Reader) -> None:
        self._readers[reader] = None
        self._together.setdefault((reader.audience, reader.seen_by), {})[reader] = None

    def _part(self, reader: Reader) -> None:
        key = (reader.audience, reader.seen_by)
        del self._together[key][reader]
        if not self._together[key]:
            del self._together[key]

    def _begin_anew(self) -> None:
        self.number += 1
        self._changes = {(topic, ""): Changes(topic, self.number) for topic in NAMED}

    def _noted(self, of: tuple[str, str]) -> Changes:
        """Return the changes of *of*; from now on they are noted."""
        found = self._changes.get(of)
        if found is None:
            self._forget_unused()
            self.number += 1
            found = self._changes[of] = Changes(of[0], self.number)
        found.used = self.clock.seconds()
        return found

    def _forget_unused(self) -> None:
        before = self.clock.seconds() - KEPT_SECONDS
        used: Set[tuple[str, str]] = {of for heard, _ in self._together for of in heard}
        resting = sorted((one.used, of) for of, one in self._changes.items() if of[1] and of not in used)
        for at, of in resting:
            if at < before or len(self._changes) >= MOST_USERS:
                del self._changes[of]

    def _id(self, seen: str) -> str:
        return f"{self.run}.{seen}.{self.number}"

    def _at(self, id: str, seen: str) -> int:
        """Return the number of *id*, -1 where it is none that we have given to somebody who sees what *seen* says."""
        whose, _, number = id.rpartition(".")
        good = whose == f"{self.run}.{seen}" and number.isascii() and number.isdecimal() and len(number) < 16
        return int(number) if good else -1

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        if name not in self._calls:
            self._calls[name] = self.clock.callLater(seconds, self._called, name, call)

    def _called(self, name: str, call: Callable[[], None]) -> None:
        del self._calls[name]
        call()
