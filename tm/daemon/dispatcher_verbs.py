"""What can be said to the TaskDispatcher: each verb's permission is asked first, then its method answers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

import tm
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, find, help_reply, version_reply
from tm.daemon.audit_verbs import AuditVerbs
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.host_orders import HostOrders
from tm.daemon.host_verbs import HostVerbs
from tm.daemon.info_desk import InfoDesk
from tm.daemon.listing import job_ids, job_lines, job_query, whole_number
from tm.daemon.people_verbs import PeopleVerbs
from tm.daemon.server_verbs import ServerVerbs
from tm.errors import RefusedError
from tm.model.job import Job
from tm.model.people_views import all_warnings, dispatcher_warnings
from tm.model.phase import ON_HOST
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import TOPICS, demand, permitted
from tm.model.spec import accepted_spec
from tm.model.views import Shown, show_job, shown_state, shown_time
from tm.model.waiting import why_waiting
from tm.ports import JobQuery, Peer
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request
from tm.wire.verbs import DISPATCHER as VERBS

MOST_LISTED_COMMAND = 1000

_log = Logger()


class DispatcherVerbs:
    """The conversation of the dispatcher's connections; *identify* says who is on the other side."""

    def __init__(self, dispatcher: Dispatcher, identify: Callable[[object], str]) -> None:
        self._dispatcher = dispatcher
        self.identify = identify
        self._hosts = HostVerbs(dispatcher)
        self._methods: dict[str, Spoken] = {
            "help": lambda peer, request, arguments: help_reply(VERBS, request, arguments),
            "version": lambda peer, request, arguments: version_reply(request, "TaskDispatcher"),
            "status": self._status, "runjob": self._runjob,
            "lsjobs": self._lsjobs, "jobinfo": self._jobinfo, "canceljob": self._canceljob,
            "subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "reload": self._reload, "log": self._recent,
            "shutdown": self._shutdown, **self._hosts.methods, **HostOrders(dispatcher).methods,
            **AuditVerbs(dispatcher).methods,
            **PeopleVerbs(dispatcher).methods,
            **ServerVerbs(dispatcher).methods,
            **InfoDesk(dispatcher).methods,
        }  # fmt: skip

    def greeting(self, user: str) -> str:
        """Return what the greeting says after ``OK``."""
        cluster = self._dispatcher.around.cluster
        return f"TaskDispatcher {tm.__version__} protocol={tm.PROTOCOL} user={user} cluster={cluster}"

    def answer(self, peer: Peer, request: Request) -> Answer:
        """Return the reply to *request*; raise `RefusedError` when it is not permitted or not possible."""
        verb = find(VERBS, request)
        self._dispatcher.farewell.check(peer, verb.name)
        if verb.name not in ("lsjobs", "jobinfo", "canceljob"):
            demand(RULES, verb.name, self._dispatcher.rights_of(peer.user))
        return self._methods[verb.name](peer, request, verb.arguments(request))

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Nothing here takes raw bytes."""
        peer.abort()

    # -- questions ------------------------------------------------------------------------------------------------

    def _status(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        brain = dispatcher.brain
        on_hosts = [job for session in brain.sessions.values() for job in session.jobs]
        jobs = Counter(self._state(job)[0] for job in on_hosts)
        if brain.queue:
            jobs["pending"] = len(brain.queue)
        tables, rights = dispatcher.tables, dispatcher.rights_of(peer.user)
        hosts = Counter(str(shown["state"]) for shown in dispatcher.conditions.shown(brain.hosts))
        shown: dict[str, Any] = {
            "server": "TaskDispatcher", "pid": os.getpid(), "version": tm.__version__,
            "cluster": dispatcher.around.cluster, "since": shown_time(dispatcher.since), "jobs": dict(jobs),
            "hosts": dict(hosts), "users": len(dispatcher.server_users()), "epoch": brain.epoch,
            "warnings": [
                *dispatcher_warnings(dispatcher.around.fingerprint, dispatcher.around.not_after, dispatcher.now),
                *all_warnings(peer.user, peer.fingerprint, tables.users, rights, dispatcher.now),
            ],
        }  # fmt: skip
        return as_reply(request, shown, as_lines({**shown, "warnings": "; ".join(shown["warnings"])}))

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

    def _recent(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        lines = arguments[0] if arguments else "50"
        count = whole_number(lines, f"'{lines:.40}': expected a number of lines")
        return Reply(body=self._dispatcher.around.recent_log(count))

    # -- orders of people -----------------------------------------------------------------------------------------

    def _runjob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        raise RefusedError(
            "auth.unsigned",
            "a job must be signed by its user's own server:"
            " use hRunJob, or say this to your TMS (hSend does it for you)",
        )

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

    def _subscribe(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        rights = self._dispatcher.rights_of(peer.user)
        for topic in arguments or ["jobs"]:
            if topic not in TOPICS:
                raise RefusedError("proto.arguments", f"there is no topic '{topic}'; topics are {', '.join(TOPICS)}")
            demand(TOPICS, topic, rights)
        return Reply("hearing " + " ".join(sorted(self._dispatcher.watch(peer, arguments or ["jobs"]))))

    def _unsubscribe(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return Reply("hearing " + (" ".join(sorted(self._dispatcher.unwatch(peer, arguments))) or "nothing"))

    def _reload(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._dispatcher.turns.durable(Reply(self._dispatcher.reload(peer.user)))

    def _shutdown(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        _log.info("{user} shuts the dispatcher down", event="shutdown", user=peer.user)
        self._dispatcher.clock.callLater(0.1, self._dispatcher.around.stop)
        return Reply("stopping; running jobs go on")

    # -- views ----------------------------------------------------------------------------------------------------

    def _may(self, peer: Peer, verb: str, owner: str) -> bool:
        return permitted(RULES, verb, self._dispatcher.rights_of(peer.user), own=owner == peer.user)

    def _state(self, job: Job) -> tuple[str, str]:
        session = self._dispatcher.brain.sessions.get((job.user, job.host or ""))
        return shown_state(job, session) if job.phase in ON_HOST else (str(job.phase), job.reason)

    def _show(self, job: Job) -> Shown:
        brain = self._dispatcher.brain
        state, reason = self._state(job)
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
