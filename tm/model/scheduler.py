"""Which waiting job starts where and when, by class and by host: what nothing has happened to is not looked at again.

`Around` is what it asks of whoever uses it, the dispatcher's brain or a replay (`tm.model.hall`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from tm.model.fairshare import FairShare
from tm.model.job import Job
from tm.model.matching import Matcher
from tm.model.queue import JobClass, WaitingQueue
from tm.model.room import Room
from tm.model.rules import OURS, Rules
from tm.model.settings import Scheduling


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
        raise NotImplementedError

    def host_changed(self, host: str) -> None:
        """Something is, or may be, other than before on *host*: look at it again."""
        raise NotImplementedError

    def user_changed(self, user: str) -> None:
        """What *user* may, or where their servers are, is other than before."""
        raise NotImplementedError

    def place(self, at: float) -> int:
        """Start what can start now; return how many started. What did not change since costs nothing."""
        raise NotImplementedError

    def tick(self, at: float) -> None:
        """About once a second of the cluster's time: what time alone changes is looked at by the next `place`."""
        raise NotImplementedError

    def in_order(self, at: float) -> list[tuple[float, JobClass]]:
        """Return every waiting class and its score, the one that is first in turn first."""
        raise NotImplementedError

    def verdict(self, kind: JobClass) -> Verdict | None:
        """Return why jobs of *kind* waited when they were last looked at; None when they were not yet."""
        raise NotImplementedError
