"""What people ask of jobs and have done with them: lists, one job, the orders. Each names whose right it takes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tm.daemon.answers import Answer, Spoken, as_lines, as_reply
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import job_ids, job_lines, job_query
from tm.errors import RefusedError
from tm.model.job import Job
from tm.model.phase import ON_HOST
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import permitted
from tm.model.spec import accepted_spec
from tm.model.views import Shown, show_job, shown_state
from tm.model.waiting import why_waiting
from tm.ports import JobQuery, Peer
from tm.wire.message import Reply, Request

MOST_LISTED_COMMAND = 1000

_log = Logger()


class JobVerbs:
    """The verbs about jobs; whose job it is decides, so each asks for permission itself."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {
            "lsjobs": self._lsjobs, "jobinfo": self._jobinfo, "canceljob": self._canceljob,
        }  # fmt: skip

    def _lsjobs(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        listing = job_query(arguments, peer.user, self._dispatcher.rights_of(peer.user))
        found = Deferred.fromCoroutine(self._listed(*listing))
        return found.addCallback(lambda seen: as_reply(request, seen, job_lines(seen)))

    async def _listed(self, query: JobQuery, states: Set[str]) -> list[Shown]:
        """Return the views of the jobs of *query* whose state, as it is shown, is one of *states*."""
        dispatcher = self._dispatcher
        seen: list[Shown] = []
        while True:
            page: list[Job] = await dispatcher.around.reader.run(partial(dispatcher.around.store.jobs, query))
            views = [_brief(self._show(dispatcher.brain.jobs.get(job.id, job))) for job in page]
            seen += [view for view in views if view["state"] in states]
            if len(page) < query.limit or len(seen) >= query.limit:
                return seen[: query.limit]
            query = replace(query, after=page[-1].id)

    def _jobinfo(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        numbers = job_ids(arguments[0])
        if len(numbers) != 1:
            raise RefusedError("proto.arguments", "jobinfo takes one id")

        def shown(job: Job | None) -> Reply:
            if job is None or not self._may(peer, "jobinfo", job.user):
                raise _unknown(numbers[0])
            seen = self._show(dispatcher.brain.jobs.get(job.id, job))
            return as_reply(request, seen, as_lines(seen))

        active = dispatcher.brain.jobs.get(numbers[0])
        if active is not None:
            return shown(active)
        found: Deferred[Job | None] = dispatcher.around.reader.run(lambda: dispatcher.around.store.job(numbers[0]))
        return found.addCallback(shown)

    def _canceljob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        dispatcher.check_store()
        reason = arguments[1] if len(arguments) > 1 else ""
        unknown: list[int] = []
        asked = 0
        for number in job_ids(arguments[0]):
            job = dispatcher.brain.jobs.get(number)
            if job is None or not self._may(peer, "canceljob", job.user):
                unknown.append(number)
                continue
            dispatcher.brain.cancel_asked(number, peer.user, reason, dispatcher.now)
            asked += 1
        if not asked:
            raise _unknown(unknown[0])
        _log.info("{user} cancels {ids}", event="cancel", user=peer.user, ids=arguments[0])
        notes = [f"{number}: not waiting or running, or not yours" for number in unknown]
        return dispatcher.turns.durable(Reply(f"cancelling {asked}", notes))

    # -- views ----------------------------------------------------------------------------------------------------

    def _may(self, peer: Peer, verb: str, owner: str) -> bool:
        return permitted(RULES, verb, self._dispatcher.rights_of(peer.user), own=owner == peer.user)

    def state(self, job: Job) -> tuple[str, str]:
        """Return the state and reason that users see of *job*, unreachable hosts taken into account."""
        session = self._dispatcher.brain.sessions.get((job.user, job.host or ""))
        return shown_state(job, session) if job.phase in ON_HOST else (str(job.phase), job.reason)

    def _show(self, job: Job) -> Shown:
        brain = self._dispatcher.brain
        state, reason = self.state(job)
        if job.id in brain.jobs and state == "pending":
            reason = why_waiting(brain, job, self._dispatcher.now)
        return show_job(job, accepted_spec(job.spec), state, reason)


def _brief(shown: Shown) -> Shown:
    """Return *shown* with as much of a long command as a list needs: a thousand of them are one answer."""
    command = str(shown["command"])
    if len(command) > MOST_LISTED_COMMAND:
        shown["command"] = command[:MOST_LISTED_COMMAND] + "…"
    return shown


def _unknown(number: int) -> RefusedError:
    return RefusedError("job.unknown", f"there is no job {number} of yours that this could be done with")
