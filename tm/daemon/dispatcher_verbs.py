"""What can be said to the TaskDispatcher: each verb's permission is asked first, then its method answers."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import replace
from functools import partial

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

import tm
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, decoded, find, help_reply, json_line, version_reply
from tm.daemon.dispatcher import Dispatcher, check_own
from tm.daemon.listing import host_lines, job_ids, job_lines, job_query, whole_number
from tm.errors import RefusedError
from tm.model.cluster import Hello, Session
from tm.model.job import ON_HOST, Job, accepted_spec
from tm.model.lifecycle import Count, Fact
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import TOPICS, demand
from tm.model.views import Shown, show_host, show_job, shown_state, shown_time, why_waiting
from tm.ports import JobQuery, Peer
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request
from tm.wire.verbs import DISPATCHER as VERBS

MOST_ENVIRONMENT = 256 * 1024
MOST_TOKEN = 80
MOST_LISTED_COMMAND = 1000

_log = Logger()


class Submission(msgspec.Struct):
    """The argument of ``submit``: signed texts, and the environments they name."""

    token: str
    orders: list[tuple[str, str]]
    environments: dict[str, str] = {}


class Report(msgspec.Struct):
    """The argument of ``report``: report *k* of the spool of *host*."""

    host: str
    spool: str
    k: Count
    facts: list[Fact]


class Attachment(msgspec.Struct):
    """The argument of ``attach``."""

    version: str = ""
    host: str = ""


class HostNews(msgspec.Struct):
    """The argument of ``hostnews``."""

    host: str
    state: str
    reason: str = ""


class DispatcherVerbs:
    """The conversation of the dispatcher's connections; *identify* says who is on the other side."""

    def __init__(self, dispatcher: Dispatcher, identify: Callable[[object], str]) -> None:
        self._dispatcher = dispatcher
        self.identify = identify
        self._methods: dict[str, Spoken] = {
            "help": lambda peer, request, arguments: help_reply(VERBS, request, arguments),
            "version": lambda peer, request, arguments: version_reply(request, "TaskDispatcher"),
            "whoami": self._whoami, "status": self._status, "runjob": self._runjob, "submit": self._submit,
            "lsjobs": self._lsjobs, "jobinfo": self._jobinfo, "canceljob": self._canceljob, "lshosts": self._lshosts,
            "hostinfo": self._hostinfo, "activatehost": self._activatehost, "deactivatehost": self._deactivatehost,
            "subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "reload": self._reload, "log": self._recent,
            "shutdown": self._shutdown, "attach": self._attach, "hello": self._hello, "report": self._report,
            "hostnews": self._hostnews,
        }  # fmt: skip

    def greeting(self, user: str) -> str:
        """Return what the greeting says after ``OK``."""
        cluster = self._dispatcher.around.cluster
        return f"TaskDispatcher {tm.__version__} protocol={tm.PROTOCOL} user={user} cluster={cluster}"

    def answer(self, peer: Peer, request: Request) -> Answer:
        """Return the reply to *request*; raise `RefusedError` when it is not permitted or not possible."""
        verb = find(VERBS, request)
        if verb.name not in ("lsjobs", "jobinfo", "canceljob"):
            demand(RULES, verb.name, self._dispatcher.rights_of(peer.user))
        return self._methods[verb.name](peer, request, verb.arguments(request))

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Nothing here takes raw bytes."""
        peer.abort()

    # -- questions ------------------------------------------------------------------------------------------------

    def _whoami(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        groups = self._dispatcher.tables.groups
        shown: Shown = {
            "user": peer.user,
            "groups": list(groups.groups_of(peer.user)),
            "rights": sorted(groups.rights_of(peer.user)),
        }
        return as_reply(request, shown, as_lines(shown))

    def _status(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        brain = dispatcher.brain
        on_hosts = [job for session in brain.sessions.values() for job in session.jobs]
        jobs = Counter(self._state(job)[0] for job in on_hosts)
        if brain.queue:
            jobs["pending"] = len(brain.queue)
        hosts = Counter(str(show_host(host, self._sessions(host.name))["state"]) for host in brain.hosts.values())
        shown: Shown = {
            "server": "TaskDispatcher", "pid": os.getpid(), "version": tm.__version__,
            "cluster": dispatcher.around.cluster, "since": shown_time(dispatcher.since), "jobs": dict(jobs),
            "hosts": dict(hosts), "users": len(dispatcher.server_users()), "epoch": brain.epoch,
        }  # fmt: skip
        return as_reply(request, shown, as_lines(shown))

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

    def _lshosts(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        hosts = [self._show_host(peer, name) for name in sorted(self._dispatcher.brain.hosts)]
        return as_reply(request, hosts, host_lines(hosts))

    def _hostinfo(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        if arguments[0] not in self._dispatcher.brain.hosts:
            raise RefusedError("host.unknown", f"there is no host '{arguments[0]}'; 'lshosts' lists them")
        shown = self._show_host(peer, arguments[0])
        return as_reply(request, shown, as_lines(shown))

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

    def _activatehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._set_active(peer, arguments[0], True, "")

    def _deactivatehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        reason = arguments[1] if len(arguments) > 1 else f"deactivated by {peer.user}"
        return self._set_active(peer, arguments[0], False, reason)

    def _set_active(self, peer: Peer, host: str, active: bool, reason: str) -> Answer:
        dispatcher = self._dispatcher
        if host not in dispatcher.brain.hosts:
            raise RefusedError("host.unknown", f"there is no host '{host}'; 'lshosts' lists them")
        dispatcher.around.write_active(host, active)
        dispatcher.brain.host_activated(host, active, reason, dispatcher.now)
        _log.info("{user} sets {host} active={active}", event="host", user=peer.user, host=host, active=active)
        return dispatcher.turns.durable(Reply(f"{host} is {'active' if active else 'not active: ' + reason}"))

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
        return Reply(self._dispatcher.reload())

    def _shutdown(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        _log.info("{user} shuts the dispatcher down", event="shutdown", user=peer.user)
        self._dispatcher.clock.callLater(0.1, self._dispatcher.around.stop)
        return Reply("stopping; running jobs go on")

    # -- daemons --------------------------------------------------------------------------------------------------

    def _attach(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(Attachment, arguments[0])
        self._dispatcher.check_store()
        self._dispatcher.attach(peer.user, peer)
        _log.info("server of {user} attached from {host}", event="attached", user=peer.user, host=given.host)
        return Reply(f"attached in epoch {self._dispatcher.brain.epoch}")

    def _submit(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        dispatcher.check_store()
        given = decoded(Submission, arguments[0])
        if not 0 < len(given.token) <= MOST_TOKEN:
            raise RefusedError("job.invalid", f"the token must have 1 to {MOST_TOKEN} characters")
        known = dispatcher.token_ids(peer.user, given.token)
        if known is not None:
            return dispatcher.turns.durable(_accepted(known))
        if not given.orders:
            raise RefusedError("job.invalid", "there is no job in it")
        self._check_environments(given)
        ids = dispatcher.brain.submitted(
            peer.user, given.token, given.orders, given.environments, dispatcher.now
        )
        dispatcher.token_used(peer.user, given.token, ids)
        return dispatcher.turns.durable(_accepted(ids))

    def _check_environments(self, given: Submission) -> None:
        for digest, text in given.environments.items():
            if len(text) > MOST_ENVIRONMENT:
                raise RefusedError("limit.environment", f"an environment may have {MOST_ENVIRONMENT} bytes")
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                raise RefusedError("job.invalid", f"the environment is not the one of its digest {digest[:16]}…")

    def _hello(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        check_own(dispatcher, peer.user, peer)
        dispatcher.check_store()
        hello = decoded(Hello, arguments[0])
        try:
            dispatcher.brain.host_joined(peer.user, hello, dispatcher.now)
        except RefusedError as error:
            _log.error("{text}", event="stale", word=error.word, text=error.text, host=hello.host, user=peer.user)
            raise
        _log.info("{user} is reached on {host}", event="joined", user=peer.user, host=hello.host)
        shown = {"epoch": dispatcher.brain.epoch, "run": dispatcher.run}
        return dispatcher.turns.durable(Reply(json_line(shown)))

    def _report(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        check_own(dispatcher, peer.user, peer)
        given = decoded(Report, arguments[0])
        dispatcher.brain.facts_reported(peer.user, given.host, given.spool, given.k, given.facts, dispatcher.now)
        return dispatcher.turns.durable(Reply())

    def _hostnews(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        check_own(dispatcher, peer.user, peer)
        given = decoded(HostNews, arguments[0])
        if given.state == "failed":
            _log.warn("{host} for {user}: {reason}", event="host", host=given.host, user=peer.user, reason=given.reason)
        if given.state == "gone":
            dispatcher.brain.host_left(peer.user, given.host, dispatcher.now, given.reason)
        else:
            dispatcher.brain.launch_reported(peer.user, given.host, given.state, given.reason, dispatcher.now)
        dispatcher.turns.happened()
        return Reply()

    # -- views ----------------------------------------------------------------------------------------------------

    def _may(self, peer: Peer, verb: str, owner: str) -> bool:
        return RULES[verb].permits(self._dispatcher.rights_of(peer.user), owner == peer.user)

    def _sessions(self, host: str) -> list[Session]:
        return [s for s in self._dispatcher.brain.sessions.values() if s.host.name == host]

    def _show_host(self, peer: Peer, name: str) -> Shown:
        return show_host(self._dispatcher.brain.hosts[name], self._sessions(name))

    def _state(self, job: Job) -> tuple[str, str]:
        session = self._dispatcher.brain.sessions.get((job.user, job.host or ""))
        return shown_state(job, session) if job.phase in ON_HOST else (str(job.phase), job.reason)

    def _show(self, job: Job) -> Shown:
        brain = self._dispatcher.brain
        state, reason = self._state(job)
        if job.id in brain.jobs and state == "pending":
            reason = why_waiting(job, list(brain.hosts.values()), brain.sessions, job.user in brain.attached)
        return show_job(job, accepted_spec(job.spec), state, reason)


def _brief(shown: Shown) -> Shown:
    """Return *shown* with as much of a long command as a list needs: a thousand of them are one answer."""
    command = str(shown["command"])
    if len(command) > MOST_LISTED_COMMAND:
        shown["command"] = command[:MOST_LISTED_COMMAND] + "…"
    return shown


def _accepted(ids: range) -> Reply:
    return Reply(f"accepted {len(ids)}", map(str, ids))


def _unknown(number: int) -> RefusedError:
    return RefusedError("job.unknown", f"there is no job {number} of yours that this could be done with")
