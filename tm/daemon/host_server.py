"""TMMS, the user's server on a host: claims orders on disk, has a keeper run them, and tells what became of them.

Nothing is acted on before its journal line is on disk, and nothing is forgotten before the dispatcher has
acknowledged it. While one report is under way, all facts that come join the next. Keepers outlive this server; the next
one finds them by their sockets and journals in the spool.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

import tm
from tm import failpoint
from tm.daemon import background
from tm.daemon.answers import json_line
from tm.daemon.bundling import Bundling
from tm.daemon.host_book import Book, Claim, done_line, fact_line, limit_line
from tm.daemon.keeping import Keeping
from tm.daemon.orders import Order, OrderLine
from tm.daemon.visitors import KINDS, Visitors
from tm.errors import RefusedError, StoreError, TaskManagerError
from tm.model.lifecycle import PASSING, Fact
from tm.ports import Link, Worker

_log = Logger()
_decode_line = msgspec.json.Decoder(OrderLine).decode

FACTS_PER_REPORT = 500
BRIEF = 64 * 1024
"""So many bytes for the journal hardly take longer than the disk alone."""
REVIVE_AFTER = 3.0
REVIVE_EVERY = 30.0


class _Topic(msgspec.Struct):
    topic: str = ""


class _Agreed(msgspec.Struct):
    epoch: int
    run: str


class SpoolFiles(Protocol):
    """The spool as this server uses it."""

    def append(self, lines: list[bytes], durable: bool) -> int:
        """Write journal lines; return the journal's size."""

    def rewrite(self, lines: list[bytes]) -> None:
        """Go on with a journal of these lines alone."""

    def keep_environment(self, digest: str, text: str) -> None:
        """Keep an environment for the keepers."""

    def drop_environments(self) -> None:
        """Forget all environments."""


@dataclass(frozen=True, slots=True)
class HostSurroundings:
    """What a server on a host is given."""

    host: str
    cores: int | None
    memory: int | None
    clock: IReactorTime
    spool: SpoolFiles
    writer: Worker
    revive: Callable[[], None]
    stop: Callable[[], None]
    idle_seconds: float
    survives: str = ""
    journal_limit: int = 1024 * 1024


class HostServer(Service):
    """One user's server on one host."""

    name = "TMMS"

    def __init__(self, surroundings: HostSurroundings, book: Book) -> None:
        self.around = surroundings
        self.clock = surroundings.clock
        self.book = book
        self.keeping: Keeping | None = None
        self.visitors: Visitors | None = None
        self.bundling: Bundling | None = None
        self._link: Link | None = None
        self._joined = False
        self._lines: list[bytes] = []
        self._writing = False
        self._leaving = False
        self._untold: list[Fact] = []
        self._reported: list[Fact] = []
        self._busy_at = self.clock.seconds()
        self._down_since = self.clock.seconds()
        self._revived_at = 0.0
        self._pulse = LoopingCall(self._tick)
        self._pulse.clock = self.clock

    @override
    def startService(self) -> None:
        super().startService()
        self._pulse.start(1.0, now=False)
        _log.info("server on {host}", event="started", host=self.around.host)

    @override
    def stopService(self) -> Any:
        super().stopService()
        if self._pulse.running:
            self._pulse.stop()

    # -- the user's server ----------------------------------------------------------------------------------------

    def link_up(self, link: Link, greeting: str) -> None:
        """The user's server has greeted us."""
        self._link = link
        background.start(self._join(link), "joining the user's server")

    def link_down(self, reason: str) -> None:
        """The user's server is not reached; everything here goes on."""
        if self._link is not None:
            self._down_since = self.clock.seconds()
            _log.warn("no user's server: {reason}", event="unreachable", reason=reason)
        self._link = None
        self._joined = False

    def event(self, link: Link, json: bytes) -> None:
        """The user's server says something."""
        topic = msgspec.json.decode(json, type=_Topic).topic
        if topic == "orders" and self._leaving:
            return  # the next server here says that it has not seen them, and gets them again
        if topic == "orders":
            self._lines.append(json)
            self._admit()
        elif topic == "rejoin":
            self._joined = False
            background.start(self._join(link), "joining the user's server again")
        elif topic in KINDS and self.visitors is not None:
            self.visitors.event(json)

    def bulk(self, link: Link, data: object) -> None:
        """No raw bytes come on this link."""

    async def _join(self, link: Link) -> None:
        around = self.around
        while self._writing:  # the mark counts orders that are no claims yet: they would seem to have been lost here
            await around.writer.run(lambda: None)
        hello = self.book.hello(around.host, tm.__version__, around.cores, around.memory, around.survives)
        failpoint.reach("tmms.join")
        reply = await link.ask("join", json_line(hello))
        if link is not self._link:
            return
        if not reply.ok:
            _log.error("not admitted: {text}", event="refused", word=reply.word, text=reply.text)
            self.clock.callLater(5.0, self._join_again, link)
            return
        agreed = msgspec.json.decode(reply.text, type=_Agreed)
        self.book.about.epoch, self.book.about.run = max(agreed.epoch, self.book.about.epoch), agreed.run
        self._write(list(self.book.snapshot())[:1], durable=False)
        self._reported = []
        self._untold = self.book.untold()
        self._joined = True
        self._report()

    def _join_again(self, link: Link) -> None:
        if link is self._link and not self._joined:
            background.start(self._join(link), "joining the user's server again")

    # -- orders ---------------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        if self._writing or not self._lines:
            return
        self._busy_at = self.clock.seconds()
        lines, self._lines = self._lines, []
        mark = self.book.about.mark
        journal: list[bytes] = []
        environments: dict[str, str] = {}
        todo: list[tuple[OrderLine, list[Order]]] = []
        for raw in lines:
            line = _decode_line(raw)
            try:
                fresh = self.book.admit(line)
            except RefusedError as error:
                _log.error("order refused: {text}", event="refused", word=error.word, text=error.text)
                if error.word == "proto.gap":
                    self._hear_anew()
                continue
            environments.update(line.environments)
            if fresh:
                journal.append(b"o" + raw)
            todo.append((line, fresh))
        if not journal and not environments:
            self._claimed(todo)
            return
        self._writing = True
        brief = not environments and sum(map(len, journal)) <= BRIEF
        done = self.around.writer.run(lambda: self._keep(environments, journal), brief)
        done.addCallbacks(lambda size: self._on_disk(size, todo), lambda failure: self._not_on_disk(failure, mark))

    def _hear_anew(self) -> None:
        """Join again after an order that was lost on the way: all that is not here is then sent again."""
        if self._link is not None and self._joined:
            self._joined = False
            background.start(self._join(self._link), "joining the user's server again")

    def _keep(self, environments: dict[str, str], journal: list[bytes]) -> int:
        for digest, text in environments.items():
            self.around.spool.keep_environment(digest, text)
        failpoint.reach("tmms.order")
        return self.around.spool.append(journal, durable=True)

    def _on_disk(self, size: int, todo: list[tuple[OrderLine, list[Order]]]) -> None:
        failpoint.reach("tmms.claimed")
        self._writing = False
        self._claimed(todo)
        if size > self.around.journal_limit:
            background.start(self._compact(), "rewriting the journal")
        self._admit()

    def _not_on_disk(self, failure: Any, mark: int) -> None:
        failure.trap(StoreError, OSError)
        _log.error("cannot claim orders: {reason}", event="store", reason=failure.getErrorMessage())
        self.book.about.mark = mark
        self._writing = False
        self._lines.clear()
        if self._link is not None:
            self.clock.callLater(5.0, self._join_again, self._link)
            self._joined = False

    def _claimed(self, todo: list[tuple[OrderLine, list[Order]]]) -> None:
        assert self.keeping is not None
        for line, fresh in todo:
            claims = self.book.claim(fresh)
            given = [claim for claim in claims if self._is_for_keeper(claim)]
            self.keeping.give(given)
            for job, attempt, grace in [*line.cancel, *line.give_way]:
                self.keeping.cancel((job, attempt), grace)
            self.keeping.recall(line.recall)
            self.keeping.pause(line.suspend, line.resume, line.nice)
            if line.limit or line.signal:
                self._change(line)
            if line.forget:
                self._forget([claim for key in line.forget if (claim := self.book.claims.get(key)) is not None])

    def _change(self, line: OrderLine) -> None:
        """Send signals, and give other wall times, which outlive this server."""
        assert self.keeping is not None
        limits = self.book.limit(line.limit)
        if limits:
            self._write([limit_line(limits)], durable=True)
            self.keeping.limit(limits)
        numbers = ((job, attempt, getattr(signal, "SIG" + name, 0)) for job, attempt, name in line.signal)
        self.keeping.signal([(job, attempt, int(number)) for job, attempt, number in numbers if number])

    def _is_for_keeper(self, claim: Claim) -> bool:
        order = claim.order
        if order.refused:
            self.facts([Fact(*claim.key, "refused", self.clock.seconds(), exit_code=125, reason=order.refused)], True)
            return False
        if claim.spec.interactive and self.visitors is not None:
            self.visitors.start(claim)
        return True

    # -- facts ----------------------------------------------------------------------------------------------------

    def facts(self, facts: list[Fact], to_keep: bool) -> list[Fact]:
        """Take facts, ours to keep or kept by a keeper; return those that are of no claim here."""
        self._busy_at = self.clock.seconds()
        strange = []
        for fact in facts:
            if (fact.job, fact.attempt) not in self.book.claims:
                strange.append(fact)
            elif self.book.learn(fact) is not None:
                if to_keep and fact.what not in PASSING:
                    self._write([fact_line(fact)], durable=True)
                self._untold.append(fact)
        if self.visitors is not None:
            self.visitors.facts(facts)
        self._report()
        return strange

    def report(self) -> None:
        """Tell what may be told by now."""
        self._report()

    def _report(self) -> None:
        if not self._joined or self._link is None or not self._untold or self._reported:
            return
        facts = self._ready()
        if not facts:
            return
        self._reported = facts
        failpoint.reach("tmms.report")
        background.start(self._tell(self._link, self.book.about.acked + 1, facts), "reporting")
        failpoint.reach("tmms.reported")

    def _ready(self) -> list[Fact]:
        """Take what may be told out of what is untold; outputs that are still to be bundled are, meanwhile."""
        ready: list[Fact] = []
        later: list[Fact] = []
        waiting: list[Claim] = []
        for fact in self._untold:
            claim = self.book.claims.get((fact.job, fact.attempt))
            if claim is None or self.bundling is None or self.bundling.may_tell(claim, fact):
                (ready if len(ready) < FACTS_PER_REPORT else later).append(fact)
            else:
                waiting.append(claim)
                later.append(fact)
        self._untold = later
        if self.bundling is not None:
            self.bundling.begin(waiting)
        return ready

    async def _tell(self, link: Link, number: int, facts: list[Fact]) -> None:
        about = {"host": self.around.host, "spool": self.book.about.spool, "k": number, "facts": _merged(facts)}
        try:
            reply = await link.ask("report", json_line(about))
        except TaskManagerError:
            return
        if link is not self._link or facts is not self._reported:
            return
        if not reply.ok:
            _log.warn("report not taken: {text}", event="refused", word=reply.word, text=reply.text)
            self._joined = False
            self.clock.callLater(2.0, self._join_again, link)
            return
        failpoint.reach("tmms.acknowledged")
        self._reported = []
        self._forget(self.book.done(number, facts))
        self._report()

    def _forget(self, claims: list[Claim]) -> None:
        if not claims:
            return
        assert self.keeping is not None
        for claim in claims:
            self.book.claims.pop(claim.key, None)
        self._write([done_line(claims)], durable=False)
        if self.bundling is not None:
            self.bundling.forget(claims)
        self.keeping.forget(claims)

    # -- the journal and time -------------------------------------------------------------------------------------

    def _write(self, lines: list[bytes], durable: bool) -> None:
        brief = sum(map(len, lines)) <= BRIEF
        done = self.around.writer.run(lambda: self.around.spool.append(lines, durable), brief)
        background.start(done, "writing the journal")

    async def _compact(self) -> None:
        lines = list(self.book.snapshot())
        await self.around.writer.run(lambda: self.around.spool.rewrite(lines))

    def _tick(self) -> None:
        assert self.keeping is not None
        self.keeping.tick()
        now = self.clock.seconds()
        if self.book.claims or self._lines or self._writing:
            self._busy_at = now
        if self._link is None and self._untold_exists() and not 0 <= now - self._down_since <= REVIVE_AFTER:
            if not 0 <= now - self._revived_at <= REVIVE_EVERY:
                self._revived_at = now
                _log.info("starting the user's server: there are endings to report", event="revive")
                self.around.revive()
        if now - self._busy_at > self.around.idle_seconds and not self._leaving:
            background.start(self._leave(), "leaving")

    def _untold_exists(self) -> bool:
        return any(claim.fact is not None for claim in self.book.claims.values())

    async def _leave(self) -> None:
        assert self.keeping is not None
        _log.info("idle: leaving", event="leaving")
        self._leaving = True
        self.keeping.leave()
        lines = list(self.book.snapshot())
        try:
            await self.around.writer.run(lambda: self.around.spool.rewrite(lines))
            await self.around.writer.run(self.around.spool.drop_environments)
        finally:
            self.around.stop()


def _merged(facts: list[Fact]) -> list[Fact]:
    """Return *facts* without what was before the endings that are among them."""
    over = {(fact.job, fact.attempt) for fact in facts if fact.what not in PASSING}
    return [fact for fact in facts if fact.what not in PASSING or (fact.job, fact.attempt) not in over]
