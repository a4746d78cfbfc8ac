"""How much users and groups use of the cluster, and what their limits leave them.

The law: a user counts in all groups they are in, and the limits of all of these hold at once: those of a group for its
members together, its *user limits* for each member alone. What is used is kept as sums, so that a question costs as
much as the user has groups, however many jobs there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tm.model.job import Job
from tm.model.resources import format_memory
from tm.model.rights import Group, Groups, Limits

Shown = dict[str, int]


class Amount:
    """What jobs of somebody use: how many run, their cores and memory (bytes), and how many wait."""

    __slots__ = ("cores", "memory", "queued", "running")

    def __init__(self, running: int = 0, cores: int = 0, memory: int = 0, queued: int = 0) -> None:
        self.running = running
        self.cores = cores
        self.memory = memory
        self.queued = queued

    def add(self, other: Amount, times: int = 1) -> None:
        """Count *other* in, or out where *times* is -1."""
        self.running += times * other.running
        self.cores += times * other.cores
        self.memory += times * other.memory
        self.queued += times * other.queued

    def shown(self) -> Shown:
        """Return the four numbers by name."""
        return {"running": self.running, "cores": self.cores, "memory": self.memory, "queued": self.queued}

    def __bool__(self) -> bool:
        return bool(self.running or self.cores or self.memory or self.queued)


class Bound(NamedTuple):
    """Limits that hold for a user, for whom they are meant, and what they count."""

    group: str
    together: bool
    limits: Limits
    used: Amount

    @property
    def whose(self) -> str:
        """Say whom this holds for, as the beginning of a sentence."""
        return f"group {self.group} together" if self.together else f"each member of group {self.group}"


class _Sums:
    """Amounts by user and by group, the groups of each user looked up once."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._groups_of: dict[str, tuple[Group, ...]] = {}
        self.users: dict[str, Amount] = {}
        self.groups: dict[str, Amount] = {}

    def groups_of(self, user: str) -> tuple[Group, ...]:
        found = self._groups_of.get(user)
        if found is None:
            found = self._groups_of[user] = self._groups.having(user)
        return found

    def add(self, user: str, amount: Amount, times: int = 1) -> None:
        _count_in(self.users, user, amount, times)
        for group in self.groups_of(user):
            _count_in(self.groups, group.name, amount, times)


class Trial:
    """What could start now if what was tried before had started: for one placement, then thrown away."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._tried = _Sums(usage.groups)

    def may_start(self, user: str, cores: int, memory: int) -> str:
        """Return why a job of *user* may not start beside all that runs and was taken, or an empty text."""
        return self._usage.exceeded(user, Amount(1, cores, memory), self._tried)

    def take(self, user: str, cores: int, memory: int) -> None:
        """Count a job that is to start."""
        self._tried.add(user, Amount(1, cores, memory))


class Usage:
    """All that is used, and the limits of *groups* on it; without groups nothing is limited.

    The queue says what `waits`, the brain what `started` (sent to a host, if only ahead) and what `ended` or waits
    again. A placement asks a `trial`, a submission asks `never` and `queued`, a view asks `may_start`.
    """

    def __init__(self, groups: Groups = Groups()) -> None:  # noqa: B008  a frozen value
        self.groups = groups
        self._sums = _Sums(groups)
        self._started: dict[int, tuple[str, Amount]] = {}

    def configured(self, groups: Groups) -> None:
        """Take a new table of groups; what runs beyond a new limit goes on."""
        used = self._sums.users
        self.groups = groups
        self._sums = _Sums(groups)
        for user, amount in used.items():
            self._sums.add(user, amount)

    # -- what happens ---------------------------------------------------------------------------------------------

    def waits(self, user: str, jobs: int) -> None:
        """So many more *jobs* of *user* wait; fewer where the number is negative."""
        self._sums.add(user, Amount(queued=jobs))

    def started(self, job: Job) -> None:
        """*job* goes to a host: from now on it counts as running, however often this is said."""
        if job.id not in self._started:
            amount = Amount(1, job.cores, job.memory)
            self._started[job.id] = job.user, amount
            self._sums.add(job.user, amount)

    def ended(self, job: Job) -> None:
        """*job* is on no host any more; nothing happens where it was on none."""
        user, amount = self._started.pop(job.id, ("", None))
        if amount is not None:
            self._sums.add(user, amount, -1)

    # -- what is possible -----------------------------------------------------------------------------------------

    def trial(self) -> Trial:
        """Return what a placement asks, so that the jobs it places are counted one after the other."""
        return Trial(self)

    def may_start(self, user: str, cores: int, memory: int) -> str:
        """Return why a job of *user* may not start now, as a sentence that names the limit, or an empty text."""
        return self.exceeded(user, Amount(1, cores, memory))

    def queued(self, user: str, jobs: int) -> str:
        """Return why no *jobs* more of *user* may wait, what is used and what to do, or an empty text."""
        for bound in self._bounds(user):
            most = bound.limits.queued
            if most is not None and bound.used.queued + jobs > most:
                return (
                    f"{bound.whose} may have {_count(most, 'job')} waiting ({bound.used.queued} now),"
                    f" {jobs} more would be too many; submit again when some have started, or have the limit"
                    f" 'queued' of group {bound.group} raised in etc/groups"
                )
        return ""

    def never(self, user: str, cores: int, memory: int) -> str:
        """Return which limit keeps a job of *user* from starting even were nothing else there, or an empty text."""
        for bound in self._bounds(user):
            text = _exceeded(bound._replace(used=Amount()), Amount(1, cores, memory))
            if text:
                return f"{text}; ask for less, or have the limit raised in etc/groups"
        return ""

    def exceeded(self, user: str, asked: Amount, more: _Sums | None = None) -> str:
        """Return which limit *asked* would exceed beside what runs and what *more* is meant to."""
        for bound in self._bounds(user, more):
            text = _exceeded(bound, asked)
            if text:
                return text
        return ""

    # -- what is shown --------------------------------------------------------------------------------------------

    def of_user(self, user: str) -> Shown:
        """Return what *user* uses."""
        return self._sums.users.get(user, Amount()).shown()

    def of_group(self, group: str) -> Shown:
        """Return what the members of *group* use together."""
        return self._sums.groups.get(group, Amount()).shown()

    def bounds(self, user: str) -> list[Bound]:
        """Return all that limits *user*, with what is used of it."""
        return list(self._bounds(user))

    def _bounds(self, user: str, more: _Sums | None = None) -> Iterator[Bound]:
        sums = self._sums
        for group in sums.groups_of(user):
            if group.limits.any:
                used = _both(sums.groups.get(group.name), more.groups.get(group.name) if more else None)
                yield Bound(group.name, True, group.limits, used)
            if group.user_limits.any:
                used = _both(sums.users.get(user), more.users.get(user) if more else None)
                yield Bound(group.name, False, group.user_limits, used)


def limit_words(limits: Limits) -> dict[str, int]:
    """Return the limits that are set, by name."""
    return {name: value for name in Limits.__struct_fields__ if (value := getattr(limits, name)) is not None}


def _count_in(amounts: dict[str, Amount], name: str, amount: Amount, times: int) -> None:
    """Count *amount* in at *name*; who uses nothing is not kept."""
    sums = amounts.get(name)
    if sums is None:
        sums = amounts[name] = Amount()
    sums.add(amount, times)
    if not sums:
        del amounts[name]


def _both(one: Amount | None, other: Amount | None) -> Amount:
    if one is None or other is None:
        return one or other or Amount()
    total = Amount()
    total.add(one)
    total.add(other)
    return total


def _exceeded(bound: Bound, asked: Amount) -> str:
    limits, used = bound.limits, bound.used
    if limits.running is not None and used.running + asked.running > limits.running:
        return f"{bound.whose} may have {_count(limits.running, 'job')} running at once ({used.running} now)"
    if limits.cores is not None and used.cores + asked.cores > limits.cores:
        return (
            f"{bound.whose} may use {_count(limits.cores, 'core')} at once ({used.cores} now), the job asks"
            f" for {asked.cores}"
        )
    if limits.memory is not None and used.memory + asked.memory > limits.memory:
        return (
            f"{bound.whose} may use {format_memory(limits.memory)} of memory at once"
            f" ({format_memory(used.memory)} now), the job asks for {format_memory(asked.memory)}"
        )
    return ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
