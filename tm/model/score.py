"""Whose turn it is: the order of the classes of waiting jobs, as numbers that can be shown.

A class scores the fair-share factor of its user (0 to 1), its oldest job's waiting time as a part of the age weight,
and what an operator added (`boost`). So a day of waiting, or one point of boost, is worth the whole range of the fair
share, and whoever waits long enough comes first at last: nobody starves. A user's own priorities count only among that
user's classes: these keep the places they have in the order of all, and share them by priority, one point of which
outweighs one age weight of waiting. Scavengers come after everybody else.

Where it is known how long alike jobs last, short ones count as a little older than they are, and long ones as younger:
each doubling is worth `SHORT` age weights, within bounds. That shortens the waiting of most and starves nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tm.model.fairshare import FairShare
from tm.model.ids import place_of
from tm.model.job import Job
from tm.model.queue import JobClass, WaitingQueue
from tm.model.rules import Rules

LAST = -1e9
SHORT = 0.05
NEITHER = 3600.0
MOST_SHORT = 0.3
MOST_LONG = -0.5
SLACK = 1e-3

Entry = tuple[float, int, JobClass]


class Order:
    """The order of the classes of *queue*. Scores rise with time for all alike; what is kept is without that part."""

    def __init__(
        self,
        queue: WaitingQueue,
        jobs: Mapping[int, Job],
        fairshare: FairShare,
        rules: Rules,
        age_weight: float,
        estimate: Callable[[Job], float] | None = None,
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._fairshare = fairshare
        self._rules = rules
        self.age_weight = age_weight
        self._estimate = estimate if rules.short_first else None
        self._places: dict[str, dict[JobClass, float]] = {}
        self._ages: dict[JobClass, float] = {}
        self._entries: dict[str, tuple[float, list[Entry]]] = {}

    def refresh(self, at: float) -> None:
        """Look at all anew: who is here, what they have used, how long they wait."""
        self._fairshare.refresh(self._queue.waiting_users(), at)
        self._places.clear()
        self._entries.clear()

    def update(self) -> None:
        """Take up which users have other classes than before."""
        for user in self._queue.turned:
            self._forget(user)
        self._queue.turned.clear()

    def _forget(self, user: str) -> None:
        self._places.pop(user, None)
        self._entries.pop(user, None)

    def entries(self, user: str, at: float) -> list[Entry]:
        """Return the classes of *user*, each behind what orders it among all: the lower the sooner."""
        factor = self._fairshare.factor(user, at) if self._rules.shared else 0.0
        found = self._entries.get(user)
        if found is None or found[0] != factor:
            head, key = self._queue.head, self.key
            made = [(-key(kind, at), head(kind), kind) for kind in self._queue.kinds_of(user)]
            found = self._entries[user] = factor, made
        return found[1]

    def key(self, kind: JobClass, at: float) -> float:
        """Return what orders *kind*, the higher the sooner: its score without what all scores gain with time."""
        if not self._rules.shared:
            return -float(place_of(self._queue.head(kind)))
        return self._fairshare.factor(kind.user, at) + self._place(kind)

    def gained(self, at: float) -> float:
        """Return what every score has gained with time that keys leave out."""
        return at / self.age_weight if self._rules.shared else 0.0

    def moved(self, kind: JobClass) -> None:
        """The oldest of *kind* is another than before; it may be younger by much."""
        if not self._rules.shared:
            self._entries.pop(kind.user, None)
            return
        before = self._ages.get(kind)
        if before is None or kind not in self._queue.kinds:
            return
        if self._since(kind) - before > SLACK * self.age_weight:
            self._forget(kind.user)

    def _place(self, kind: JobClass) -> float:
        mine = self._places.get(kind.user)
        if mine is None or kind not in mine:
            mine = self._places[kind.user] = self._share_out(kind.user)
        return mine[kind]

    def _share_out(self, user: str) -> dict[JobClass, float]:
        """Give the classes of *user* the places these hold together, by the user's own priority."""
        given: dict[JobClass, float] = {}
        alike: dict[int, list[tuple[float, int, JobClass]]] = {}
        for kind in self._queue.kinds_of(user):
            since = self._ages[kind] = self._since(kind)
            age = self._shortness(kind) - since / self.age_weight
            if kind.demand.scavenge:
                given[kind] = LAST + age
            else:
                alike.setdefault(kind.boost, []).append((age, -place_of(self._queue.head(kind)), kind))
        for boost, kinds in alike.items():
            places = sorted((age + boost for age, _, _ in kinds), reverse=True)
            own = sorted(kinds, key=lambda one: (one[0] - one[2].order, one[1]), reverse=True)
            given.update(zip((kind for _, _, kind in own), places, strict=True))
        return given

    def _shortness(self, kind: JobClass) -> float:
        """Return how much better short jobs stand, in age weights; below 0 for long ones."""
        lasts = self._estimate(self._jobs[self._queue.head(kind)]) if self._estimate is not None else math.inf
        if not math.isfinite(lasts):
            return 0.0
        return min(MOST_SHORT, max(MOST_LONG, SHORT * math.log2(NEITHER / max(1.0, lasts))))

    def _since(self, kind: JobClass) -> float:
        return self._jobs[self._queue.head(kind)].submitted_at
