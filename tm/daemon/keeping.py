"""Keepers, as a user's server on a host uses them: gives them claims, takes their facts, survives their deaths.

New work goes to a keeper that is this server's own child, so that one kill never costs an exit code. Keepers found at
the start finish what they run and give back what they have not begun. When a keeper dies its journal says what became
of each claim.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tm import failpoint
from tm.daemon import background
from tm.daemon.adoption import Orphanage, endings_of
from tm.daemon.host_book import Book, Claim, Key, fact_line, start_entry
from tm.daemon.visitors import Holding
from tm.errors import TaskManagerError
from tm.keeper import journal as keeper_journal
from tm.keeper import procfs
from tm.keeper.cgroup import Groups
from tm.keeper.order import Order
from tm.model.lifecycle import PASSING, Fact

_log = Logger()

LOOK_SECONDS = 0.1


class KeeperLink(Protocol):
    """A connection to one keeper."""

    number: int
    pid: int

    def tell(self, **keys: object) -> None:
        """Say one line."""


class Greeting(Protocol):
    """What a keeper says first."""

    pid: int
    queued: list[Key]
    running: list[Fact]
    ended: list[Fact]


class Keepers(Protocol):
    """Starts keepers and connects to them."""

    def connect(self, number: int, user: Keeping) -> Deferred[Any]:
        """Connect to a running keeper; fails with `TaskManagerError` when there is none."""

    async def start(self, number: int, user: Keeping) -> Any:
        """Start a keeper as our child and connect to it."""


class KeeperFiles(Protocol):
    """The keepers' files in the spool."""

    def keepers(self) -> list[int]:
        """Return the numbers of all keepers that have left something."""

    def keeper_file(self, number: int, kind: str) -> str:
        """Return the path of one of their files."""

    def bury(self, number: int) -> None:
        """Remove what a dead keeper has left."""


class Told(Protocol):
    """Who hears facts."""

    def facts(self, facts: list[Fact], to_keep: bool) -> list[Fact]:
        """Take facts; return those of no claim."""


class Keeping:
    """All keepers of one spool, and the jobs that have none."""

    def __init__(
        self, keepers: Keepers, files: KeeperFiles, book: Book, told: Told, clock: IReactorTime,
        host: str, cluster: str,
        keep: Callable[[list[bytes]], Deferred[Any]], holding: Holding, groups: Groups | None = None,
        outputs: str = "",
    ) -> None:  # fmt: skip
        self._keepers = keepers
        self._files = files
        self._book = book
        self._told = told
        self._clock = clock
        self._host = host
        self._cluster = cluster
        self._keep = keep
        self._holding = holding
        self._outputs = outputs
        self._links: dict[int, KeeperLink] = {}
        self._own: KeeperLink | None = None
        self._starting = False
        self._settling = 0
        self._read: set[int] = set()
        self._finding = True
        self._next_number = 1
        self._to_give: list[Claim] = []
        self._moving: set[Key] = set()
        self._orphans = Orphanage(clock.seconds, groups)
        self._granted = -1
        self._look = LoopingCall(self._look_at_orphans)
        self._look.clock = clock

    # -- start ----------------------------------------------------------------------------------------------------

    async def find(self, rebooted: bool) -> None:
        """Find the keepers of earlier servers, living and dead, and settle what became of every claim."""
        dead = []
        for number in self._files.keepers():
            self._next_number = max(self._next_number, number + 1)
            try:
                await self._keepers.connect(number, self)
            except TaskManagerError:
                dead.append(number)
        for number in dead:
            await self._settle_dead(number, ours=False, rebooted=rebooted)
        if rebooted:
            self._lose_all()

    def _lose_all(self) -> None:
        now = self._clock.seconds()
        for claim in list(self._book.claims.values()):
            if claim.fact is None and claim.keeper is None:
                self._told.facts([self._rebooted(claim.key, now)], True)

    def _rebooted(self, key: Key, now: float) -> Fact:
        return Fact(*key, "rebooted", now, reason=f"{self._host} was restarted")

    def settled(self) -> None:
        """Every keeper has been asked: what none of them knows has never been started."""
        self._finding = False
        free = [claim for claim in self._book.claims.values() if self._is_free(claim)]
        refused = [claim for claim in free if claim.order.refused]
        self._told.facts([_refused(claim, self._clock.seconds()) for claim in refused], True)
        self.give([claim for claim in free if claim not in refused])

    def _is_free(self, claim: Claim) -> bool:
        return claim.fact is None and claim.keeper is None and claim.key not in self._orphans

    # -- work -----------------------------------------------------------------------------------------------------

    def give(self, claims: list[Claim]) -> None:
        """Have *claims* run; also says the grant."""
        self._to_give += claims
        if self._own is None:
            if self._to_give and not self._starting and not self._settling:
                self._starting = True
                background.start(self._start_own(), "starting a keeper")
            return
        keys: dict[str, object] = {}
        grant = max(0, self._book.grant - self._cores_elsewhere())
        if grant != self._granted:
            self._granted = grant
            keys["grant"] = grant
        entries = []
        variables: dict[str, Mapping[str, str]] = {}
        for claim in self._to_give:
            if self._is_free(claim) and claim.key in self._book.claims:
                claim.keeper = self._own.number
                entry, layers = start_entry(claim, self._host, self._cluster, self._outputs)
                entries.append(self._holding.first(claim, entry) if claim.spec.interactive else entry)
                variables.update(layers)
        self._to_give.clear()
        if entries:
            keys["env"] = variables
            keys["start"] = entries
        if keys:
            failpoint.reach("tmms.give")
            self._own.tell(**keys)
            failpoint.reach("tmms.given")

    def beside(self, claim: Claim, make: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
        """Have what *make* makes of its entry run beside *claim*, as of its tree; return whether that has a keeper."""
        link = self._links.get(claim.keeper or 0)
        if link is not None:
            entry, layers = start_entry(claim, self._host, self._cluster, self._outputs)
            link.tell(env=dict(layers), beside=[make(entry)])
        return link is not None

    def cancel(self, key: Key, grace: float) -> None:
        """End the attempt *key*, wherever it is here."""
        claim = self._book.claims.get(key)
        if claim is None or claim.fact is not None:
            return
        claim.doomed = grace
        link = self._links.get(claim.keeper or 0)
        if link is not None:
            self._moving.discard(key)
            link.tell(cancel=[(*key, grace)])
        elif not self._orphans.cancel(key, grace) and claim in self._to_give:
            self._to_give.remove(claim)
            self._told.facts([self._returned(key)], True)

    def _returned(self, key: Key) -> Fact:
        return Fact(*key, "returned", self._clock.seconds())

    def recall(self, keys: list[Key]) -> None:
        """Take back what has not begun."""
        by_link: dict[int, list[Key]] = {}
        for key in keys:
            claim = self._book.claims.get(key)
            if claim is not None and claim.keeper in self._links:
                by_link.setdefault(claim.keeper or 0, []).append(key)
        for number, waiting in by_link.items():
            self._links[number].tell(recall=waiting)

    def pause(self, suspend: list[Key], resume: list[Key], nice: list[tuple[int, int, int]]) -> None:
        """Stop the trees of some attempts, let others go on, give others this niceness, wherever they are here."""
        by_link: dict[int, dict[str, list[Any]]] = {}
        for word, values in (("suspend", suspend), ("resume", resume), ("nice", nice)):
            for value in values:
                claim = self._book.claims.get(value[:2])
                if claim is not None and claim.fact is None:
                    if claim.keeper in self._links:
                        by_link.setdefault(claim.keeper or 0, {}).setdefault(word, []).append(value)
                    else:
                        self._told.facts(self._orphans.pause(word, value), False)
        for number, keys in by_link.items():
            self._links[number].tell(**keys)

    def signal(self, signals: list[tuple[int, int, int]]) -> None:
        """Send signals (job, attempt, number) to the trees of attempts, wherever they are here."""
        self._say("signal", signals, lambda value: self._orphans.signal(value[:2], int(value[2])))

    def limit(self, limits: list[tuple[int, int, float]]) -> None:
        """Give attempts another wall time (job, attempt, seconds), which is in the book, wherever they are here."""
        self._say("limit", limits, lambda value: self._orphans.limit(value[:2], value[2]))

    def _say(self, word: str, values: Iterable[Any], to_orphan: Callable[[Any], None]) -> None:
        by_link: dict[int, list[Any]] = {}
        for value in values:
            claim = self._book.claims.get(value[:2])
            if claim is not None and claim.fact is None:
                if claim.keeper in self._links:
                    by_link.setdefault(claim.keeper or 0, []).append(value)
                else:
                    to_orphan(value)
        for number, said in by_link.items():
            self._links[number].tell(**{word: said})

    def forget(self, claims: list[Claim]) -> None:
        """The dispatcher knows how *claims* ended."""
        by_link: dict[int, list[Key]] = {}
        for claim in claims:
            if claim.keeper in self._links:
                by_link.setdefault(claim.keeper or 0, []).append(claim.key)
        for number, keys in by_link.items():
            self._links[number].tell(forget=keys)

    def leave(self) -> None:
        """Let the keepers end: nothing is left to do."""
        for link in self._links.values():
            link.tell(leave=True)
        if self._look.running:
            self._look.stop()

    def tick(self) -> None:
        """Called about once a second: give what could not be given, let old keepers go that have finished."""
        self.give([])
        busy = {claim.keeper for claim in self._book.claims.values()}
        for number, link in self._links.items():
            if link is not self._own and number not in busy:
                link.tell(leave=True)

    def _cores_elsewhere(self) -> int:
        own = self._own.number if self._own else None
        return sum(
            claim.order.cores for claim in self._book.claims.values()
            if claim.fact is None and claim.started is not None and claim.keeper != own
        )  # fmt: skip

    async def _start_own(self) -> None:
        number = self._next_number
        self._next_number += 1
        try:
            self._own = await self._keepers.start(number, self)
        finally:
            self._starting = False
        self._granted = -1
        self.give([])

    # -- what keepers say -----------------------------------------------------------------------------------------

    def keeper_greets(self, link: KeeperLink, greeting: Greeting) -> None:
        """A keeper says what it has."""
        self._links[link.number] = link
        given_back = {(fact.job, fact.attempt) for fact in greeting.ended if fact.what == "returned"}
        held = {(job, attempt) for job, attempt in greeting.queued}
        held |= {(fact.job, fact.attempt) for fact in [*greeting.running, *greeting.ended]} - given_back
        for claim in list(self._book.claims.values()):
            if claim.key in held:
                claim.keeper = link.number
                if claim.doomed is not None and claim.fact is None:
                    link.tell(cancel=[(*claim.key, claim.doomed)])  # it may not have heard it
                if claim.time is not None and claim.fact is None:
                    link.tell(limit=[(*claim.key, claim.time)])
            elif claim.keeper == link.number:
                self._not_begun(claim)
        self._moving |= given_back
        if greeting.queued and (self._own is None or link.number != self._own.number):
            self._moving |= {(job, attempt) for job, attempt in greeting.queued}
            link.tell(grant=0, recall=greeting.queued)
        self.keeper_says(link, [*greeting.running, *greeting.ended])

    def keeper_says(self, link: KeeperLink, facts: list[Fact]) -> None:
        """A keeper tells facts; they stay in its journal until they are forgotten."""
        told = []
        for fact in facts:
            key = (fact.job, fact.attempt)
            if fact.what == "returned" and key in self._moving:
                self._moving.discard(key)
                link.tell(forget=[key])
                claim = self._book.claims.get(key)
                if claim is not None and claim.keeper == link.number:
                    self._not_begun(claim)
            else:
                told.append(fact)
        strange = self._told.facts(told, False)
        forget = [(fact.job, fact.attempt) for fact in strange if fact.what not in PASSING]
        if forget:
            link.tell(forget=forget)
        if self._own is not None and link is not self._own:
            self.give([])

    def _not_begun(self, claim: Claim) -> None:
        """The keeper of *claim* has not begun it, and will not: another may, once all keepers have been asked."""
        claim.keeper = None
        if claim.fact is not None:
            return
        if claim.doomed is not None:
            self._told.facts([self._returned(claim.key)], True)
        elif not self._finding:
            self.give([claim])

    def keeper_gone(self, link: KeeperLink) -> None:
        """The connection to a keeper broke: it has left, or it has been killed."""
        if self._links.get(link.number) is not link:
            return
        del self._links[link.number]
        ours = self._own is link
        if ours:
            self._own = None
        if any(claim.keeper == link.number for claim in self._book.claims.values()):
            _log.error("keeper {number} is gone", event="keeper", number=link.number, pid=link.pid)
            self._settling += 1
            background.start(self._settle_killed(link, ours), "settling what a keeper left")

    @property
    def _pids(self) -> set[int]:
        return {link.pid for link in self._links.values()}

    # -- dead keepers ---------------------------------------------------------------------------------------------

    async def _settle_killed(self, link: KeeperLink, ours: bool) -> None:
        """Settle what *link*'s keeper left once it is dead and the last child it forked has come to its program.

        Of one that lives, and has only lost the connection, nothing is settled: it is asked what it has.
        """
        try:
            for _ in range(100):
                await _pause(self._clock, 0.05)
                if _lives(link.pid):
                    if await self._found_again(link.number, ours):
                        return
                elif not self._orphans.has_unborn(self._pids):
                    break
            while _lives(link.pid, surely=True):
                os.kill(link.pid, signal.SIGKILL)  # it hears nobody, and would start what others are given
                await _pause(self._clock, 0.05)
            await self._settle_dead(link.number, ours, False, link.pid)
        finally:
            self._settling -= 1
        self.give([])

    async def _found_again(self, number: int, ours: bool) -> bool:
        try:
            link = await self._keepers.connect(number, self)
        except TaskManagerError:
            return False
        if ours and self._own is None:
            self._own, self._granted = link, -1
        return True

    async def _settle_dead(self, number: int, ours: bool, rebooted: bool, pid: int = 0) -> None:
        left = keeper_journal.read(self._files.keeper_file(number, "log"))
        known = {pid, *self._pids, *(one.pid for one in left.started.values())}
        ended = endings_of(left, self._clock.seconds())
        known |= {fact.pid for fact in ended if fact.pid is not None}
        self._told.facts(self._endings(number, ended), True)
        again: list[Claim] = []
        for claim in list(self._book.claims.values()):
            if claim.fact is not None or (claim.keeper not in (number, None)):
                continue
            if claim.keeper is None and ours:
                continue
            self._settle(claim, number, left, known if ours else None, rebooted, again)
        await self._keep([])
        self._read.add(number)
        self._bury()
        if self._orphans and not self._look.running:
            self._look.start(LOOK_SECONDS, now=False)
        self._told.facts([self._returned(claim.key) for claim in again if claim.doomed is not None], True)
        if not self._finding:
            self.give([claim for claim in again if claim.doomed is None])

    def _endings(self, number: int, ended: list[Fact]) -> list[Fact]:
        """Return the endings that count of what *ended* under a dead keeper: not of what another one has by now.

        What it gave back has not begun there and may have been given to another: that is no ending.
        """
        endings = []
        for fact in ended:
            claim = self._book.claims.get((fact.job, fact.attempt))
            if claim is not None and claim.keeper in (number, None) and fact.what != "returned":
                claim.keeper = None
                endings.append(fact)
        return endings

    def _settle(
        self, claim: Claim, number: int, left: keeper_journal.Journal, known: set[int] | None, rebooted: bool,
        again: list[Claim],
    ) -> None:  # fmt: skip
        """Say what became of *claim*; *known* are processes that it is not, None if there is no child of ours."""
        key = claim.key
        started = left.started.get(key)
        now = self._clock.seconds()
        if rebooted and (started is not None or key in left.intents):
            claim.keeper = None
            self._told.facts([self._rebooted(key, now)], True)
        elif started is not None:
            claim.keeper = None
            self._adopt(claim, number, started)
            rung = self._orphans.rung(key)
            self._told.facts([Fact(*key, "started", started.at, pid=started.pid, rung=rung)], False)
            if self._orphans.is_suspended(key):
                self._told.facts(self._orphans.paused(key), False)
        elif key in left.intents:
            claim.keeper = None
            child = self._orphans.stray_child(key, known) if known is not None else None
            if child is not None:
                self._adopt(claim, number, keeper_journal.Started(child.pid, child.ticks, now))
            elif known is not None:
                again.append(claim)
            else:
                reason = "its keeper and its server were killed as it was about to start; whether it did nobody knows"
                self._told.facts([Fact(*key, "lost", now, reason=reason)], True)
        elif claim.keeper == number:
            claim.keeper = None
            again.append(claim)

    def _adopt(self, claim: Claim, number: int, started: keeper_journal.Started) -> None:
        entry, _ = start_entry(claim, self._host, self._cluster, self._outputs)
        self._orphans.take(claim.key, number, started, Order(entry).limits)
        if claim.doomed is not None:
            self._orphans.cancel(claim.key, claim.doomed)

    def _look_at_orphans(self) -> None:
        self._told.facts(self._orphans.standing(), False)
        for fact, pid in self._orphans.look():
            background.start(self._bring_in(fact, pid), "keeping the ending of an adopted job")
        self._bury()
        if not self._orphans:
            self._look.stop()

    def _bury(self) -> None:
        """Remove the journals that have been read and are not needed any more, and no other."""
        for number in self._read - self._orphans.keepers:
            self._read.discard(number)
            self._files.bury(number)

    async def _bring_in(self, fact: Fact, pid: int | None) -> None:
        key = (fact.job, fact.attempt)
        await self._keep([fact_line(fact)])
        if key not in self._orphans:
            return
        whole = msgspec.structs.replace(fact, **self._orphans.over(key, pid))
        self._told.facts([whole], False)
        self.give([])


def _pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()
    clock.callLater(seconds, waiting.callback, None)
    return waiting


def _refused(claim: Claim, now: float) -> Fact:
    return Fact(*claim.key, "refused", now, exit_code=125, reason=claim.order.refused)


def _lives(pid: int, surely: bool = False) -> bool:
    """Whether *pid* has not ended; *surely*: and is a daemon of ours, not another process with its pid."""
    process = procfs.read(pid)
    return process is not None and not process.dead and (process.daemon or not surely)


def machine() -> tuple[int, int]:
    """Return the cores this process may use and the memory of this machine in bytes."""
    return len(os.sched_getaffinity(0)), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
