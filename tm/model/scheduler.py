"""Which waiting job starts where and when, by class and by host: what nothing has happened to is not looked at again.

The law: a class that was looked at and found no room waits until something happens on a host it may use, and then only
that host is looked at; so a decision costs as much as there are classes and changed hosts, however many jobs wait.
Classes come in turn (`tm.model.score`), each job after the other; one that finds no room may be passed within the law
of backfilling (`tm.model.reservation`). `tm.model.around` is what is asked of whoever uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush

from tm.model.around import Around, Permit, Verdict
from tm.model.fairshare import FairShare
from tm.model.floor import Floor, Freest
from tm.model.holds import RESERVED, Holds
from tm.model.job import Job
from tm.model.matching import Matcher
from tm.model.queue import JobClass, WaitingQueue
from tm.model.reservation import Hold, lasting
from tm.model.room import Room
from tm.model.rules import OURS, Rules
from tm.model.scavenging import Scavenging
from tm.model.score import Entry, Order
from tm.model.settings import Scheduling

__all__ = ["Around", "Permit", "Scheduler", "Verdict"]

FEW_HOSTS = 8
MOST_ROUNDS = 4
MOST_SEEN = 100
"""So many hosts to which a job could go once a server has been started there are looked at for one where there is."""
NO_ROOM = frozenset({"room", RESERVED, "yield"})


class Scheduler:
    """Decides for one cluster. *jobs* holds at least all that wait and run; *estimate* says how many seconds a job is
    likely to last (inf where nobody knows)."""

    def __init__(
        self,
        queue: WaitingQueue,
        jobs: Mapping[int, Job],
        around: Around,
        matcher: Matcher,
        fairshare: FairShare,
        *,
        rules: Rules = OURS,
        settings: Scheduling = Scheduling(),  # noqa: B008  a frozen value
        permit: Permit | None = None,
        estimate: Callable[[Job], float] | None = None,
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._around = around
        self._matcher = matcher
        self._rules = rules
        self._estimate = estimate
        self.permit = permit
        self.order = Order(queue, jobs, fairshare, rules, settings.age_weight, estimate)
        self._floor = Floor(around, matcher.may_hold)
        self._holds = Holds(queue, self._floor, around, matcher, estimate)
        self._scavenging = Scavenging(self._floor, self._holds, around, matcher)
        self._most_reserved = settings.reservations if rules.reservations is None else rules.reservations
        self._again: set[JobClass] = set()
        self._verdicts: dict[JobClass, Verdict] = {}
        self._limited: dict[str, set[JobClass]] = {}
        self._freed = False
        self._unkept = False
        self._exhausted: set[JobClass] = set()
        self._looks = 0
        self.most_looks: int | None = None
        self.unfinished = False

    # -- what happened --------------------------------------------------------------------------------------------

    def configured(self, settings: Scheduling) -> None:
        """Take other settings."""
        self.order.age_weight = settings.age_weight
        self._most_reserved = settings.reservations if self._rules.reservations is None else self._rules.reservations
        self.everything_changed()

    def everything_changed(self) -> None:
        """Look at all classes and hosts again."""
        self._floor.changed.update(self._floor.rooms)
        self._again.update(self._queue.kinds)

    def host_changed(self, host: str) -> None:
        """Something is, or may be, other than before on *host*: look at it again."""
        self._floor.changed.add(host)

    def server_changed(self, host: str) -> None:
        """A user's server on *host* is there, or will not be: what was kept until then is not any more."""
        self._again.update(self._holds.settled(host))
        self._floor.changed.add(host)

    def user_changed(self, user: str) -> None:
        """What *user* may, or where their servers are, is other than before."""
        self._again.update(self._queue.kinds_of(user))

    def freed(self) -> None:
        """Somebody uses less than before of what is limited."""
        self._freed = bool(self._limited)

    def licenses_freed(self) -> None:
        """Something is free of which the cluster as a whole has so many: whoever asks for such is looked at again."""
        self._again.update(kind for kind in self._queue.kinds if kind.demand.consumables)

    def tick(self, at: float) -> None:
        """About once a second of the cluster's time: what time alone changes is looked at by the next `place`."""
        self.order.update()
        self.order.refresh(at)
        verdicts = self._verdicts
        for kind in [kind for kind in verdicts if kind not in self._queue.kinds]:
            del verdicts[kind]
        self._again.update(kind for kind, verdict in verdicts.items() if verdict.why == "away" and verdict.host)
        for host in self._holds.overdue(at):
            self.server_changed(host)
        blocked = [
            kind for _, kind in self.in_order(at)
            if kind in verdicts and verdicts[kind].why in NO_ROOM and not kind.demand.scavenge
        ]  # fmt: skip
        alone = len(self._queue.kinds) == 1
        self._unkept = self._unkept or (alone and bool(blocked))
        self._holds.tick(blocked[: self._most_reserved], at, more=not alone)

    # -- deciding -------------------------------------------------------------------------------------------------

    def place(self, at: float) -> int:
        """Start what can start now; return how many started. What did not change since costs nothing.

        It is *unfinished* where it has looked at classes and hosts `most_looks` times: then it goes on when it is next
        called, with those that are first in turn.
        """
        started = rounds = 0
        self._looks, self.unfinished = 0, False
        for kind in list(self._exhausted):
            if kind not in self._queue.kinds or self._queue.next_of(kind, self._holds.ready.get(kind, 0)) is not None:
                self._exhausted.discard(kind)
                self._again.add(kind)
        while (self._floor.changed or self._queue.fresh or self._again or self._freed) and rounds < MOST_ROUNDS:
            if self.unfinished:
                break
            started += self._pass(at)
            rounds += 1
        return started

    def _pass(self, at: float) -> int:
        started = 0
        self.order.update()
        changed = self._look(at)
        if self._unkept and self._queue.fresh:
            self._keep_all(at)
        heap, everywhere = self._candidates(changed, at)
        heapify(heap)
        freest = Freest(self._floor, changed)
        left = freest.most()
        while heap:
            if not left and not everywhere:
                break
            if self.most_looks is not None and self._looks >= self.most_looks:
                self._again.update(kind for _, _, kind in heap)
                self.unfinished = True
                break
            _, _, kind = heappop(heap)
            anywhere = kind in everywhere
            if not anywhere and kind.demand.cores > left:
                continue
            everywhere.discard(kind)
            while kind in self._queue.kinds:
                room, verdict = self._choose(kind, None if anywhere else changed, at)
                if room is None:
                    if self._blocked(kind, verdict, anywhere, at):
                        for _, _, other in heap:
                            self._verdicts.setdefault(other, Verdict("turn"))
                        return started
                    break
                started += self._start(kind, room, at)
                freest.looked(room.name)
                left = freest.most()
                key = -self.order.key(kind, at) if kind in self._queue.kinds else 0.0
                if heap and key > heap[0][0] and kind in self._queue.kinds:
                    heappush(heap, (key, self._queue.head(kind), kind))
                    if anywhere:
                        everywhere.add(kind)
                    break
        return started

    def _look(self, at: float) -> list[str]:
        """Look at the hosts that changed; return those where something is free."""
        names = sorted(self._floor.changed)
        self._floor.changed.clear()
        free = []
        for name in names:
            room = self._floor.look(name)
            if room is not None:
                self._again.update(self._holds.settled(name, room))
            self._holds.review(name, at)
            if room is not None and room.free_cores > 0:
                free.append(name)
        return free

    def _candidates(self, changed: list[str], at: float) -> tuple[list[Entry], set[JobClass]]:
        """Return the classes that may start now in their order, and for which of them all hosts are to be looked at."""
        queue, entries = self._queue, self.order.entries
        if self._rules.strict or len(changed) > FEW_HOSTS:
            again = set(queue.kinds)
        else:
            again = (queue.fresh | self._again) & queue.kinds
            if self._freed:
                again |= self._no_longer_limited()
        queue.fresh.clear()
        self._again.clear()
        self._freed = False
        if len(again) == len(queue.kinds):
            return [entry for user in queue.users for entry in entries(user, at)], again
        found = [entry for user in {kind.user for kind in again} for entry in entries(user, at) if entry[2] in again]
        if changed:
            cores = max(self._floor.rooms[name].free_cores for name in changed)
            memory = max(self._floor.rooms[name].free_memory for name in changed)
            limited = self._limited
            found += [
                entry
                for user in queue.users
                for entry in entries(user, at)
                if entry[2].demand.cores <= cores and entry[2].demand.memory <= memory
                and not (limited and entry[2] in limited.get(user, ())) and not (again and entry[2] in again)
            ]  # fmt: skip
        return found, again

    def _no_longer_limited(self) -> set[JobClass]:
        if self.permit is None:
            return set()
        free = set()
        for user, kinds in list(self._limited.items()):
            told: dict[tuple[int, int], str] = {}
            kinds &= self._queue.kinds
            if not kinds:
                del self._limited[user]
            for kind in kinds:
                asked = (kind.demand.cores, kind.demand.memory)
                if asked not in told:
                    told[asked] = self.permit.may_start(user, *asked)
                if not told[asked]:
                    free.add(kind)
        return free

    def _choose(self, kind: JobClass, where: list[str] | None, at: float) -> tuple[Room | None, Verdict]:
        """Return the room for the next job of *kind*, of the hosts *where* or all; else why there is none."""
        demand, user, around = kind.demand, kind.user, self._around
        if self._queue.next_of(kind, self._holds.ready.get(kind, 0)) is None:
            self._exhausted.add(kind)
            return None, self._verdicts.get(kind) or Verdict("start")
        if not around.here(user):
            return None, Verdict("away")
        if self.permit is not None:
            text = self.permit.may_start(user, demand.cores, demand.memory)
            if text:
                self._limited.setdefault(user, set()).add(kind)
                return None, Verdict("limit", text=text)
            self._limited.get(user, set()).discard(kind)
        verdict = Verdict("room")
        second: Room | None = None
        seen = 0
        liked: tuple[int, int, Room] | None = None
        for room in self._rooms(kind, where):
            self._looks += 1 + self._holds.count(room.name)
            if not self._matcher.room_for(demand, room) or self._matcher.may_ever(demand, user, room.host):
                continue
            reach = around.reach(user, room.name)
            hold = self._in_the_way(kind, room.name, at) if reach else None
            if not reach:
                verdict = Verdict("away", room.name) if verdict.why == "room" else verdict
            elif hold is not None:
                verdict = Verdict(hold.why, room.name, self._queue.head(hold.kind), hold.until)
            elif demand.prefer:
                points = self._matcher.preference(demand, room.host)
                if liked is None or (points, reach) > liked[:2]:
                    liked = points, reach, room
            elif reach == 2:
                return room, verdict
            else:
                if second is None or self._holds.left(room) > self._holds.left(second):
                    second = room
                seen += 1
                if seen >= MOST_SEEN:
                    break
        return (liked[2] if liked is not None else second), verdict

    def _rooms(self, kind: JobClass, where: list[str] | None) -> Iterable[Room]:
        full_first = kind.demand.layout == "pack"
        if where is None:
            return self._floor.with_free(kind.demand.cores, full_first, kind.demand.constraint)
        rooms = [self._floor.rooms[name] for name in where if name in self._floor.rooms]
        return sorted(rooms, key=lambda room: room.free_cores, reverse=not full_first) if len(rooms) > 1 else rooms

    def _in_the_way(self, kind: JobClass, host: str, at: float) -> Hold | None:
        """Return what keeps the next job of *kind* from using what is free on *host*."""
        holds = self._holds.on(host)
        if not holds:
            return None
        demand = kind.demand

        def end() -> float:
            return at + lasting(self._jobs[self._queue.head(kind)], self._estimate)

        for hold in holds:
            if hold.why == RESERVED and (hold.kind == kind or demand.scavenge):
                continue
            if hold.kind != kind and self.order.key(kind, at) > self.order.key(hold.kind, at):
                continue
            if not hold.lets(demand, end, self._matcher):
                return hold
        return None

    def _start(self, kind: JobClass, room: Room, at: float) -> int:
        """Start the next job of *kind* in *room*, or see to it that it can; return how many started."""
        number = self._queue.next_of(kind, self._holds.ready.get(kind, 0))
        assert number is not None
        if kind.demand.scavenge:
            self._scavenging.hosts.add(room.name)
        held = self._holds.reserved.get(kind)
        if not self._around.start(number, room.name):
            self._holds.get_ready(kind, room.name, "start", at)
            self._verdicts[kind] = Verdict("start", room.name)
            return 0
        if held is not None and held.host == room.name:
            self._holds.drop(held)
        self.order.moved(kind)
        self._floor.look(room.name)
        self._holds.review(room.name, at)
        self._verdicts[kind] = Verdict("turn")
        return 1

    def _blocked(self, kind: JobClass, verdict: Verdict, everywhere: bool, at: float) -> bool:
        """No more of *kind* can start now, as *verdict* says; return whether nobody may pass it."""
        before = self._verdicts.get(kind)
        if everywhere or before is None or before.why in ("turn", "start") or verdict.why != "room":
            self._verdicts[kind] = verdict
        if kind.demand.scavenge or verdict.why not in NO_ROOM:
            return False
        if self._scavenging.make_room(kind, self._queue, at):
            self._verdicts[kind] = Verdict("yield", self._scavenging.last)
        self._keep(kind, at)
        return self._rules.strict

    def _keep(self, kind: JobClass, at: float) -> None:
        """Keep some of a host for *kind*, if it is one of the first in turn that found no room."""
        reserved = self._holds.reserved
        if kind in reserved or not self._most_reserved:
            return
        if len(self._queue.kinds) == 1:
            self._unkept = True
            return
        if len(reserved) >= self._most_reserved:
            last = min(reserved, key=lambda one: self.order.key(one, at) if one in self._queue.kinds else 1e18)
            if last in self._queue.kinds and self.order.key(last, at) >= self.order.key(kind, at):
                return
            self._holds.drop(reserved[last])
        self._holds.reserve(kind, at)

    def _keep_all(self, at: float) -> None:
        """Somebody came whom the first in turn could have to wait for, alone in the queue until now."""
        self._unkept = False
        for kind in [kind for kind in self._queue.kinds if kind not in self._queue.fresh]:
            verdict = self._verdicts.get(kind)
            if verdict is not None and verdict.why in NO_ROOM and not kind.demand.scavenge:
                self._keep(kind, at)

    # -- what is known --------------------------------------------------------------------------------------------

    def in_order(self, at: float) -> list[tuple[float, JobClass]]:
        """Return every waiting class and its score, the one that is first in turn first."""
        self.order.update()
        found = sorted(entry for user in self._queue.users for entry in self.order.entries(user, at))
        gained = self.order.gained(at)
        return [(gained - points, kind) for points, _, kind in found]

    def first(self, at: float) -> JobClass | None:
        """Return the class that is first in turn, or None."""
        self.order.update()
        kinds = self._queue.kinds
        if len(kinds) == 1:
            return next(iter(kinds))
        return max(kinds, key=lambda kind: (self.order.key(kind, at), -self._queue.head(kind))) if kinds else None

    def verdict(self, kind: JobClass) -> Verdict | None:
        """Return why jobs of *kind* waited when they were last looked at; None when they were not yet."""
        return self._verdicts.get(kind)

    def most_free(self) -> int:
        """Return how many cores are free on the host that has the most."""
        return self._floor.most_free()

    def holds(self) -> Iterator[Hold]:
        """Yield what is kept of hosts for whom."""
        yield from self._holds.everything()
