"""What a scheduler asks of whoever uses it, the dispatcher's brain or a replay, and has done by them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from tm.model.job import Job
from tm.model.room import Room


class Verdict(NamedTuple):
    """Why the jobs of a class wait: *why* in one word, *host* and *job* whom it concerns, *until* when (0: unknown).

    The words: ``room`` (none free), ``reserved`` (what is free on *host* is kept for *job*), ``limit`` (of the user),
    ``away`` (their servers cannot be reached), ``start`` (their server on *host* is being started), ``yield``
    (scavengers on *host* have been asked to make room), ``turn`` (others are before it), ``never`` (no host fits).
    """

    why: str
    host: str = ""
    job: int = 0
    until: float = 0.0
    text: str = ""


class Around(Protocol):
    """What a scheduler asks of whoever uses it, and has done by them."""

    def room(self, host: str) -> Room | None:
        """Return what is free on *host* now; None where nothing may start now, or where there is no such host."""

    def here(self, user: str) -> bool:
        """Return whether jobs of *user* can be sent anywhere at all now."""

    def reach(self, user: str, host: str) -> int:
        """Return whether jobs of *user* can be sent there: 0 not, 1 once a server has been started, 2 now."""

    def running(self, host: str) -> Iterable[Job]:
        """Return the jobs that occupy some of *host*."""

    def start(self, number: int, host: str) -> bool:
        """Start the job or task *number* there at once; False where it cannot be yet (its server is being started)."""

    def give_way(self, number: int, to: int) -> None:
        """Ask the scavenger *number*, which is running, to make room for the waiting job *to*."""


class Permit(Protocol):
    """What users may use at once (`tm.model.limits.Usage`)."""

    def may_start(self, user: str, cores: int, memory: int) -> str:
        """Return why one more job may not start, or an empty text."""
