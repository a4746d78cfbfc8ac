"""The dispatcher's brain: what happened goes in by its methods, what to do comes out of `take`.

It knows all jobs that have not ended, all hosts and all sessions, and decides alone. It does no I/O; every method
that needs the time is given it (*at*, seconds since the epoch). A job that ends leaves the brain with the records of
that turn; the store keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tm.errors import RefusedError
from tm.model.control import Control
from tm.model.effects import Effects
from tm.model.expecting import NONE_ENDED, Ended
from tm.model.job import Job, new_job
from tm.model.placing import LAUNCH_PATIENCE, Placing
from tm.model.possible import Possible

__all__ = ["LAUNCH_PATIENCE", "Brain"]

MOST_SPAN = 1 << 25
"""So many indices, from the first to the last, all arrays of one user that are not over may have: a byte each."""


class Brain(Control, Placing, Possible):
    """All that is active in one cluster, and what to do about it."""

    # -- what comes out -------------------------------------------------------------------------------------------

    def take(self) -> Effects:
        """Return what is to be done because of all that happened since the last call."""
        effects, self._effects = self._effects, Effects()
        for key, orders in effects.orders.items():
            session = self.sessions[key]
            if session.spool is not None:
                orders.grant, orders.spool = session.grant, session.spool.id
        return effects

    # -- jobs -----------------------------------------------------------------------------------------------------

    def submitted(
        self, user: str, token: str, orders: list[tuple[str, str]], environments: Mapping[str, str], at: float,
        ended: Ended = NONE_ENDED,
    ) -> range:  # fmt: skip
        """Accept signed requests (text, signature), all or none; return their ids. *ended* are targets of their
        dependencies that are over (`expected_of` names those).

        Raises `RefusedError`: ``job.invalid`` for a request that cannot be read or never run, ``job.user`` for one in
        another's name, ``busy.hosts`` for an interactive one when no host is vacant, ``limit.jobs`` for more than the
        limits of the user's groups, or `MOST_SPAN`, let wait, ``job.impossible`` for what no host has or these limits
        never permit, ``job.dependency`` for what cannot be waited for.
        """
        made: list[Job] = []
        first, span = self._next_id, self.spans[user]
        for text, signature in orders:
            if made and made[-1].spec == text:  # alike jobs, of which there may be very many, share their request
                text = made[-1].spec
            job, spec = new_job(first + len(made), text, signature, at)
            if spec.user != user:
                raise RefusedError("job.user", f"the job is in the name of '{spec.user}', the sender is '{user}'")
            span += job.tasks.span if job.tasks is not None else 0
            if span > MOST_SPAN:
                raise RefusedError(
                    "limit.jobs", f"your arrays may reach over {MOST_SPAN:,} indices together; wait for some to end"
                )
            job.account = self.account_of(user, spec.account)
            self.give_usual_time(job)
            self._check_possible(job)
            self.check_expected(job, ended)
            made.append(job)
        too_many = self.limits.queued(user, sum(job.waiting for job in made)) if self._limited else ""
        if too_many:
            raise RefusedError("limit.jobs", too_many)
        self._next_id += len(made)
        self.environments_given(environments)
        records = self._effects.records
        records.submissions.append((user, token, first, len(made)))
        self.spans[user] = span
        for job in made:
            self.jobs[job.id] = job
            if job.tasks is not None:
                self.arrays[job.id] = job
            records.new[job.id] = job
            self.gate.came(job)
            self._wait(job)
            self._notice(job, at)
            if job.notify:
                self.teller.waits(job)
            self._expect(job, ended, at)
        return range(first, self._next_id)

    def environments_given(self, environments: Mapping[str, str]) -> None:
        """Record *environments*, also those of a submission that was accepted before: who sent them names them then."""
        self._effects.records.environments.update(environments)
