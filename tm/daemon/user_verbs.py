"""What can be said to a user's server. What is not its own affair it passes on to the dispatcher."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

import tm
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, decoded, help_reply, json_line, version_reply
from tm.daemon.asked import AskedDesk
from tm.daemon.grants import Grants
from tm.daemon.listing import whole_number
from tm.daemon.rerun import Rerun
from tm.daemon.runs import Runs
from tm.daemon.signing_desk import Wish
from tm.daemon.user_server import UserServer
from tm.errors import RefusedError
from tm.model.rights import TOPICS, demand
from tm.model.rights import USER_SERVER as RULES
from tm.ports import Peer
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request
from tm.wire.verbs import DISPATCHER, SIGNALS, USER_SERVER

_DAEMONS_OWN = ("attach", "hello", "hostnews", "report", "answered", "infoanswer")
_ASKED_THERE = ("hostask", "own")


class _Named(msgspec.Struct):
    host: str


class UserVerbs:
    """The conversation of a user's server; *identify* says who is on the other side: always its user."""

    def __init__(self, server: UserServer, identify: Callable[[object], str]) -> None:
        self._server = server
        self.identify = identify
        self._runs = Runs(server)
        self._grants = Grants(server.around.user, server.around.grant_signer, server.clock.seconds)
        server.asked = AskedDesk(server, self._runs, self._grants).hear
        self._methods: dict[str, Spoken] = {
            "help": lambda peer, request, arguments: help_reply({**DISPATCHER, **USER_SERVER}, request, arguments),
            "version": lambda peer, request, arguments: version_reply(request, "TMS"),
            "status": self._status, "runjob": self._runjob, "submit": self._submit, "run": self._run,
            "rerun": self._rerun,
            "retire": self._retire, "join": self._join, "report": self._report, "stream": self._stream,
            "runstate": lambda peer, request, arguments: self._runs.state(peer, arguments[0]),
            "runsignal": self._runsignal, "runsize": self._runsize,
            "runattach": lambda peer, request, arguments: _later(self._runs.attach(peer, arguments[0])),
            "runbeside": lambda peer, request, arguments: _later(self._runs.beside(peer, arguments[0])),
            "follow": lambda peer, request, arguments: _later(self._runs.follow(peer, arguments[0])),
            "rundetach": lambda peer, request, arguments: self._runs.detach(peer),
            "subscribe": self._subscribe, "unsubscribe": self._unsubscribe,
            "weblogin": lambda peer, request, arguments: self._granted(request, self._grants.login(arguments[0])),
            "addtoken": lambda peer, request, arguments: self._granted(request, self._grants.token(arguments[0])),
        }  # fmt: skip

    def greeting(self, user: str) -> str:
        """Return what the greeting says after ``OK``."""
        return f"TMS {tm.__version__} protocol={tm.PROTOCOL} user={user}"

    def answer(self, peer: Peer, request: Request) -> Answer:
        """Return the reply to *request*, the dispatcher's where it is the dispatcher's affair."""
        verb = USER_SERVER.get(request.verb) or DISPATCHER.get(request.verb)
        if verb is None:
            raise RefusedError("proto.verb", f"there is no verb '{request.verb}' here; 'help' lists them")
        if verb.name in USER_SERVER:
            demand(RULES, verb.name, frozenset())
        method = self._methods.get(verb.name)
        if method is not None:
            return method(peer, request, verb.arguments(request))
        if verb.name in _DAEMONS_OWN:
            raise RefusedError("perm.denied", f"'{verb.name}' is said by daemons to the dispatcher only")
        if verb.name in _ASKED_THERE:
            raise RefusedError("perm.denied", f"'{verb.name}' may take long: say it to the dispatcher itself")
        return _later(self._server.relay(request.verb, request.rest, request.json))

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Input or output of a command that runs now."""
        self._runs.bulk(peer, data)

    def _status(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        server = self._server
        shown: dict[str, object] = {
            "server": "TMS", "user": server.around.user, "pid": os.getpid(), "version": tm.__version__,
            "dispatcher": server.dispatcher_state, "hosts": {name: host.state for name, host in server.hosts.items()},
            "log": server.around.log_path,
        }  # fmt: skip
        return as_reply(request, shown, as_lines(shown))

    def _runjob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        async def submitted() -> Reply:
            ids = await self._server.submit(self._server.plain_wish(arguments[0]))
            return Reply(f"accepted {ids[0]}", [json_line({"id": ids[0]})] if request.json else [])

        return _later(submitted())

    def _submit(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        wish = decoded(Wish, arguments[0])

        async def submitted() -> Reply:
            return (await self._server.accepted(wish)).reply(request.json)

        return _later(submitted())

    def _rerun(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        asked = decoded(Rerun, arguments[0])

        async def submitted() -> Reply:
            return (await self._server.rerun(asked)).reply(request.json)

        return _later(submitted())

    def _granted(self, request: Request, argument: str) -> Answer:
        return _later(self._server.relay(request.verb, argument, request.json))

    def _run(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return _later(self._runs.run(peer, arguments[0]))

    def _stream(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        complaint = "stream takes the number of a job, and that of a visit"
        job, number = (whole_number(word, complaint) for word in [*arguments, "0"][:2])
        return self._runs.stream(peer, job, number)

    def _runsignal(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        if arguments[0] not in SIGNALS:
            raise RefusedError("proto.arguments", f"runsignal takes one of {', '.join(SIGNALS)}")
        return self._runs.tell(peer, {"signal": arguments[0]})

    def _runsize(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        complaint = "runsize takes rows and columns, each below 65,536"
        rows, columns = (whole_number(word, complaint) for word in arguments)
        if max(rows, columns) >= 65536:
            raise RefusedError("proto.arguments", complaint)
        return self._runs.tell(peer, {"rows": rows, "columns": columns})

    def _retire(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        self._server.clock.callLater(0.05, self._server.around.stop)
        return Reply("stopping; running jobs go on")

    def _join(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        name = decoded(_Named, arguments[0]).host
        return _later(self._server.join(peer, name, arguments[0]))

    def _report(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        async def reported() -> Reply:
            reply = await self._server.report(arguments[0])
            reply.urgent = not reply.ok
            return reply

        return _later(reported())

    def _subscribe(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        topics = set(arguments or ["jobs"])

        async def subscribed() -> Reply:
            for topic in topics - set(TOPICS):
                raise RefusedError("proto.arguments", f"there is no topic '{topic}'; topics are {', '.join(TOPICS)}")
            self._server.watch(peer, topics)
            reply = await self._server.relay("subscribe", ":".join(sorted(topics)))
            if not reply.ok:
                self._server.unwatch(peer, topics)
            return reply

        return _later(subscribed())

    def _unsubscribe(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        left = self._server.unwatch(peer, set(arguments))
        return Reply("hearing " + (" ".join(sorted(left)) or "nothing"))


def _later(coroutine: Coroutine[Deferred[Any], Any, Reply]) -> Deferred[Reply]:
    return Deferred.fromCoroutine(coroutine)
