"""A cluster without daemons: hosts, what waits and what runs, and the very scheduler of the dispatcher between them.

For replays, forecasts and tests: whoever uses it says what is submitted and what ends, and has the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tm.model.host import HostConfig
from tm.model.job import Job
from tm.model.rights import Groups
from tm.model.rules import OURS, Rules
from tm.model.settings import Scheduling


class Hall:
    """Hosts, waiting and running jobs of one imagined cluster; every user is everywhere at once."""

    def __init__(
        self,
        hosts: Iterable[HostConfig],
        *,
        rules: Rules = OURS,
        settings: Scheduling = Scheduling(),  # noqa: B008  a frozen value
        groups: Groups = Groups(),  # noqa: B008  a frozen value
        estimate: Callable[[Job], float] | None = None,
    ) -> None:
        raise NotImplementedError

    def submitted(self, job: Job, at: float) -> None:
        """*job* waits from now on; make it with `tm.model.job.Job`, arrays too."""
        raise NotImplementedError

    def ended(self, number: int, at: float) -> None:
        """The running job *number* is over."""
        raise NotImplementedError

    def place(self, at: float) -> list[Job]:
        """Start what can start now; return those that did, with `host` and `started_at` set."""
        raise NotImplementedError

    def asked_to_leave(self) -> list[int]:
        """Return scavengers that were asked to make room since the last call; say `ended`, then `submitted`, of them."""
        raise NotImplementedError
