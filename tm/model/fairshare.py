"""Who used how much of the cluster lately, and what that makes of their jobs: pure numbers, shown to everybody.

The law: what somebody used counts half after each half-life; nobody's numbers depend on how often they were asked for.
A user's *factor* is 2 to the power of minus (their part of all that was used) over (the part that is theirs): 1 for who
used nothing, 1/2 for who used just what is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tm.model.rights import Groups


class FairShare:
    """Shares and usage of all users. Times are seconds since the epoch, usage is core-seconds."""

    def __init__(self, half_life: float, kept: Mapping[str, tuple[float, float]] | None = None) -> None:
        """*kept* are (usage, when) by user, as `to_keep` said."""
        raise NotImplementedError

    def configured(self, groups: Groups, half_life: float, at: float) -> None:
        """Take a new table of groups, or another half-life."""
        raise NotImplementedError

    def occupies(self, user: str, cores: int, at: float) -> None:
        """From now on *user* uses so many more cores; fewer where *cores* is negative."""
        raise NotImplementedError

    def factor(self, user: str, at: float) -> float:
        """Return what the share makes of the jobs of *user*: 1 the best, towards 0."""
        raise NotImplementedError

    def shown(self, at: float) -> list[dict[str, object]]:
        """Return a row for every user with shares, usage, or jobs."""
        raise NotImplementedError

    def to_keep(self, users: Iterable[str], at: float) -> dict[str, tuple[float, float]]:
        """Return (usage, when) of *users*, for a store."""
        raise NotImplementedError
