"""Who used how much of the cluster lately, and what that makes of their jobs: pure numbers, shown to everybody.

The law: what somebody used counts half after each half-life; nobody's numbers depend on how often they were asked for.
A user's *factor* is 2 to the power of minus (their part of all that was used) over (the part that is theirs): 1 for who
used nothing, 1/2 for who used just what is theirs. Cores in use count a minute ahead, so that users who begin at the
same time share from the first core on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, log

from tm.model.rights import Groups

AHEAD_SECONDS = 60.0
NOTHING = 1.0
"""Core-seconds; who used less and has no jobs is not shown."""


class Account:
    """What one user has *used* (core-seconds, decayed) until *at*, and how many cores they use since."""

    __slots__ = ("at", "cores", "used")

    def __init__(self, used: float = 0.0, at: float = 0.0) -> None:
        self.used = used
        self.at = at
        self.cores = 0

    def settle(self, decay: float, at: float) -> None:
        """Let *used* hold at *at*: exact, however long the cores have been in use."""
        if at <= self.at:
            return
        if not self.used and not self.cores:
            self.at = at
            return
        level = self.cores / decay
        self.used = level + (self.used - level) * exp(-decay * (at - self.at))
        self.at = at


class FairShare:
    """Shares and usage of all users. Times are seconds since the epoch, usage is core-seconds.

    Groups with `shares` divide the cluster in these proportions among those of them that have members with jobs; such
    members divide what is their group's evenly. Who is in no such group belongs to one of all the others, with 1 share.
    """

    def __init__(self, half_life: float, kept: Mapping[str, tuple[float, float]] | None = None) -> None:
        """*kept* are (usage, when) by user, as `to_keep` said."""
        self._decay = log(2) / half_life
        self._accounts = {user: Account(used, at) for user, (used, at) in (kept or {}).items()}
        self._groups = Groups()
        self._parts: dict[str, float] = {}
        self._total = 0.0
        self._factors: dict[str, float] = {}

    def configured(self, groups: Groups, half_life: float, at: float) -> None:
        """Take a new table of groups, or another half-life."""
        for account in self._accounts.values():
            account.settle(self._decay, at)
        self._decay = log(2) / half_life
        self._groups = groups
        self.refresh(self._parts, at)

    def occupies(self, user: str, cores: int, at: float) -> None:
        """From now on *user* uses so many more cores; fewer where *cores* is negative."""
        account = self._accounts.get(user)
        if account is None:
            account = self._accounts[user] = Account(at=at)
        account.settle(self._decay, at)
        account.cores += cores
        self._factors.pop(user, None)

    def refresh(self, present: Iterable[str], at: float) -> None:
        """See anew who shares: those who are *present* with jobs; and sum up what all have used."""
        total = 0.0
        for account in self._accounts.values():
            account.settle(self._decay, at)
            total += account.used + account.cores * AHEAD_SECONDS
        self._total = total
        self._factors.clear()
        running = {user for user, account in self._accounts.items() if account.cores}
        self._parts = parts_of(self._groups, running.union(present))

    def factor(self, user: str, at: float) -> float:
        """Return what the share makes of the jobs of *user*: 1 the best, towards 0; as at the last `refresh`, but
        for what *user* has begun or ended to use since."""
        found = self._factors.get(user)
        if found is None:
            found = self._factors[user] = self._factor(user, at)
        return found

    def _factor(self, user: str, at: float) -> float:
        account = self._accounts.get(user)
        if user not in self._parts:
            self._parts = parts_of(self._groups, {*self._parts, user})
            self._factors.clear()
        if account is None:
            return 1.0
        account.settle(self._decay, at)
        used = account.used + account.cores * AHEAD_SECONDS
        return float(2.0 ** -min(1000.0, used / max(self._total, AHEAD_SECONDS) / self._parts[user]))

    def used(self, user: str, at: float) -> float:
        """Return the core-seconds that *user* has used, decayed until *at*."""
        account = self._accounts.get(user)
        if account is None:
            return 0.0
        account.settle(self._decay, at)
        return account.used

    def shown(self, at: float) -> list[dict[str, object]]:
        """Return a row for every user who has jobs or used something lately, who is to be served first at the top.

        ``user``, ``groups`` (those with shares), ``share`` (the part of the cluster that is theirs, 0 to 1), ``used``
        (core-seconds, decayed), ``part`` (of all that was used, 0 to 1), ``cores`` in use now, ``factor``.
        """
        self.refresh(self._parts, at)
        users = {user for user, account in self._accounts.items() if account.cores or account.used >= NOTHING}
        users.update(self._parts)
        whole = sum(account.used for account in self._accounts.values())
        parts = parts_of(self._groups, users)
        rows: list[dict[str, object]] = []
        for user in sorted(users, key=lambda user: (-self.factor(user, at), user)):
            used = self.used(user, at)
            rows.append(
                {
                    "user": user,
                    "groups": [group.name for group in self._groups.having(user) if group.shares],
                    "share": round(self._parts.get(user, parts[user]), 4), "used": round(used, 1),
                    "part": round(used / whole, 4) if whole else 0.0,
                    "cores": self._accounts[user].cores if user in self._accounts else 0,
                    "factor": round(self.factor(user, at), 4),
                }
            )  # fmt: skip
        return rows

    def to_keep(self, users: Iterable[str], at: float) -> dict[str, tuple[float, float]]:
        """Return (usage, when) of *users*, for a store."""
        return {user: (self.used(user, at), at) for user in users if user in self._accounts}

    def busy(self) -> list[str]:
        """Return who uses cores now."""
        return [user for user, account in self._accounts.items() if account.cores]


def parts_of(groups: Groups, present: Iterable[str]) -> dict[str, float]:
    """Return which part of the cluster is whose of those who are *present*; together they have all of it."""
    users = set(present)
    sharing = [(group.shares, group.members) for group in groups.groups if group.shares]
    parts = dict.fromkeys(users, 0.0)
    for shares, members in sharing:
        mine = users if "*" in members else users & members
        for user in mine:
            parts[user] += shares / len(mine)
    others = [user for user, part in parts.items() if not part]
    for user in others:
        parts[user] = 1.0 / len(others)
    whole = sum(parts.values())
    return {user: part / whole for user, part in parts.items()}
