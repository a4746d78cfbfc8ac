"""What can be said to the TaskDispatcher: each verb's permission is asked first, then its method answers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

import tm
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, find, help_reply, version_reply
from tm.daemon.audit_verbs import AuditVerbs
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.fit_verbs import FitVerbs
from tm.daemon.host_orders import HostOrders
from tm.daemon.host_questions import HostQuestions
from tm.daemon.host_verbs import HostVerbs
from tm.daemon.info_desk import InfoDesk
from tm.daemon.job_texts import TextVerbs
from tm.daemon.job_verbs import JobVerbs
from tm.daemon.listing import log_wish
from tm.daemon.own_verbs import OwnVerbs
from tm.daemon.people_verbs import PeopleVerbs
from tm.daemon.property_verbs import PropertyVerbs
from tm.daemon.server_verbs import ServerVerbs
from tm.daemon.share_verbs import ShareVerbs
from tm.daemon.usage_verbs import UsageVerbs
from tm.daemon.web_verbs import WebVerbs
from tm.errors import RefusedError, StoreError
from tm.model.cluster import Link
from tm.model.people_views import all_warnings, dispatcher_warnings
from tm.model.phase import ON_HOST
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import OWNER, TOPICS, demand
from tm.model.selection import UNREACHABLE
from tm.model.views import shown_time
from tm.ports import Peer, StoreSize
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request
from tm.wire.verbs import DISPATCHER as VERBS

_log = Logger()

LOOK_SECONDS = 10.0
"""How large the store is, is not looked up again so soon."""


class DispatcherVerbs:
    """The conversation of the dispatcher's connections; *identify* says who is on the other side."""

    def __init__(self, dispatcher: Dispatcher, identify: Callable[[object], str]) -> None:
        self._dispatcher = dispatcher
        self.identify = identify
        self._hosts = HostVerbs(dispatcher)
        self._jobs = JobVerbs(dispatcher)
        self._size, self._looked = StoreSize(), -LOOK_SECONDS
        self._methods: dict[str, Spoken] = {
            "help": lambda peer, request, arguments: help_reply(VERBS, request, arguments),
            "version": lambda peer, request, arguments: version_reply(request, "TaskDispatcher"),
            "status": self._status, "runjob": self._runjob,
            **self._jobs.methods, **TextVerbs(dispatcher).methods,
            "subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "reload": self._reload, "log": self._log,
            "shutdown": self._shutdown, **self._hosts.methods, **HostOrders(dispatcher).methods,
            **AuditVerbs(dispatcher).methods,
            **PeopleVerbs(dispatcher).methods,
            **PropertyVerbs(dispatcher).methods,
            **ServerVerbs(dispatcher).methods,
            **ShareVerbs(dispatcher).methods,
            **UsageVerbs(dispatcher).methods,
            **FitVerbs(dispatcher).methods,
            **InfoDesk(dispatcher).methods,
            **HostQuestions(dispatcher).methods, **OwnVerbs(dispatcher).methods,
            **WebVerbs(dispatcher, self.answer).methods,
        }  # fmt: skip

    def greeting(self, user: str) -> str:
        """Return what the greeting says after ``OK``."""
        cluster = self._dispatcher.around.cluster
        return f"TaskDispatcher {tm.__version__} protocol={tm.PROTOCOL} user={user} cluster={cluster}"

    def answer(self, peer: Peer, request: Request) -> Answer:
        """Return the reply to *request*; raise `RefusedError` when it is not permitted or not possible."""
        verb = find(VERBS, request)
        self._dispatcher.farewell.check(peer, verb.name)
        if RULES.get(verb.name) is not OWNER:
            demand(RULES, verb.name, self._dispatcher.rights_of(peer.user))
        return self._methods[verb.name](peer, request, verb.arguments(request))

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Nothing here takes raw bytes."""
        peer.abort()

    # -- questions ------------------------------------------------------------------------------------------------

    def _status(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        around, now = self._dispatcher.around, self._dispatcher.now
        if not self._looked <= now < self._looked + LOOK_SECONDS:
            looked: Deferred[StoreSize] = around.reader.run(around.store.size)
            looked.addCallbacks(self._remember, lambda failure: failure.trap(StoreError) and self._size)
            return looked.addCallback(lambda size: self._told_status(peer, request, size))
        return self._told_status(peer, request, self._size)

    def _remember(self, size: StoreSize) -> StoreSize:
        self._size, self._looked = size, self._dispatcher.now
        return size

    def _told_status(self, peer: Peer, request: Request, size: StoreSize) -> Reply:
        dispatcher = self._dispatcher
        brain = dispatcher.brain
        jobs: Counter[str] = Counter()
        for session in brain.sessions.values():
            unseen = ON_HOST if session.link is not Link.UP else frozenset()
            jobs.update([UNREACHABLE if job.phase in unseen else job.phase.value for job in session.jobs])
        held = brain.gate.held
        for word, count in (("pending", len(brain.queue) + len(brain.gate) - held), ("held", held)):
            if count:
                jobs[word] = count
        tables, rights = dispatcher.tables, dispatcher.rights_of(peer.user)
        hosts = dispatcher.conditions.states()
        shown: dict[str, Any] = {
            "server": "TaskDispatcher", "pid": os.getpid(), "version": tm.__version__,
            "cluster": dispatcher.around.cluster, "since": shown_time(dispatcher.since), "jobs": dict(jobs),
            "hosts": dict(hosts), "users": len(dispatcher.server_users()), "epoch": brain.epoch,
            "web": dispatcher.web.url or None, "store": asdict(size),
            "warnings": [
                *dispatcher_warnings(dispatcher.around.fingerprint, dispatcher.around.not_after, dispatcher.now),
                *all_warnings(peer.user, peer.fingerprint, tables.users, rights, dispatcher.now),
            ],
        }  # fmt: skip
        return as_reply(request, shown, as_lines({**shown, "warnings": "; ".join(shown["warnings"])}))

    def _log(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        wish, around = log_wish(arguments), self._dispatcher.around
        found: Deferred[list[str]] = around.reader.run(lambda: around.read_log(wish))
        return found.addCallback(lambda lines: Reply(body=lines))

    # -- orders of people -----------------------------------------------------------------------------------------

    def _runjob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        raise RefusedError(
            "auth.unsigned",
            "a job must be signed by its user's own server:"
            " use hRunJob, or say this to your TMS (hSend does it for you)",
        )

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
