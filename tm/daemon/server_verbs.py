"""What users' servers (TMS) say to the TaskDispatcher: who they are, signed jobs, and what hosts report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from twisted.logger import Logger

from tm.daemon.answers import Answer, Spoken, decoded, json_line
from tm.daemon.dependencies import named_in
from tm.daemon.dispatcher import Dispatcher, check_own
from tm.errors import RefusedError
from tm.model.cluster import Hello
from tm.model.job import Job
from tm.model.lifecycle import Count, Fact
from tm.model.spec import accepted_spec
from tm.ports import Peer
from tm.wire.message import Reply, Request

MOST_ENVIRONMENT = 1024 * 1024
"""Bytes of an environment and the script that goes along with it."""
MOST_TOKEN = 80

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


class Told(msgspec.Struct):
    """The argument of ``told``: the number of a message, and why it could not be told."""

    id: int
    failed: str = ""


class ServerVerbs:
    """The verbs of users' servers."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._dependencies = dispatcher.dependencies
        self.methods: dict[str, Spoken] = {
            "attach": self._attach, "submit": self._submit, "hello": self._hello, "report": self._report,
            "hostnews": self._hostnews, "told": self._told,
        }  # fmt: skip

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
        self._check_environments(given)
        known = dispatcher.token_ids(peer.user, given.token)
        if known is not None:
            dispatcher.brain.environments_given(given.environments)
            return dispatcher.turns.durable(_accepted(known))
        if not given.orders:
            raise RefusedError("job.invalid", "there is no job in it")
        targets = named_in(text for text, _ in given.orders)
        known_all = all(number in dispatcher.brain.jobs for number in targets)
        if known_all and not self._dependencies.stands_in_line(peer.user):
            return dispatcher.turns.durable(self._accept(peer.user, given, {}))
        done = self._dependencies.in_line(peer.user, lambda: self._accept_later(peer.user, given, targets))
        return done.addCallback(dispatcher.turns.durable)

    async def _accept_later(self, user: str, given: Submission, targets: set[int]) -> Reply:
        ended = await self._dependencies.ended(targets)
        self._dispatcher.check_store()
        known = self._dispatcher.token_ids(user, given.token)  # the same may have stood before it in the line
        return self._accept(user, given, ended) if known is None else _accepted(known)

    def _accept(self, user: str, given: Submission, ended: Mapping[int, Job]) -> Reply:
        dispatcher = self._dispatcher
        ids = dispatcher.brain.submitted(user, given.token, given.orders, given.environments, dispatcher.now, ended)
        dispatcher.token_used(user, given.token, ids)
        return _accepted(ids, self._advice(ids))

    def _advice(self, ids: range) -> list[str]:
        """Return what those who submit like this could ask for, and of which of their addresses nothing was heard.

        Jobs of one submission are mostly of a kind: the first speaks for all.
        """
        brain, post = self._dispatcher.brain, self._dispatcher.post
        job = brain.jobs.get(ids[0])
        if job is None:
            return []
        targets = accepted_spec(job.spec).notify if job.notify else []
        deaf = [f"{target} could not be told when last tried: {post.complaint(target)}" for target in targets
                if post.complaint(target)]  # fmt: skip
        return [*deaf, *brain.families.advice(job)]

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
        return dispatcher.turns.durable(Reply(urgent=False))

    def _told(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        check_own(self._dispatcher, peer.user, peer)
        given = decoded(Told, arguments[0])
        self._dispatcher.post.told(peer.user, given.id, given.failed)
        return Reply()

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


def _accepted(ids: range, advice: Sequence[str] = ()) -> Reply:
    return Reply(f"accepted {len(ids)}", [*map(str, ids), *(f"# {text}" for text in advice)])
