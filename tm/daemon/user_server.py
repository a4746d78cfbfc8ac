"""TMS, the user's server: it signs what its user orders, checks what the dispatcher sends, and relays.

It keeps nothing whose loss matters: kill it at any moment, start another, and everything goes on. Its links are one
to the dispatcher (dialled), one from each of its servers on hosts, and its clients'.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from typing_extensions import override

import tm
from tm import failpoint
from tm.daemon import background
from tm.daemon.answers import json_line
from tm.daemon.host_checks import Run
from tm.daemon.orders import Order
from tm.daemon.rerun import Rerun, signed_again
from tm.daemon.signing_desk import Chunk, Signer, Wish, checked_line, sign_wish
from tm.daemon.start_desk import StartDesk
from tm.daemon.telling_desk import Bell, Merge, TellingDesk
from tm.errors import RefusedError, TaskManagerError
from tm.model.installed import Paths
from tm.ports import Here, Launcher, Link, Peer, Target, Tunnels
from tm.wire.message import Reply

_log = Logger()

PATIENCE_SECONDS = 5.0
JOIN_SECONDS = 10.0
ATTACH_EVERY = 2.0
TUNNEL_IDLE_SECONDS = 60.0
MOST_RECORDED = 10_000
_ID = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


class _Topic(msgspec.Struct):
    topic: str = ""


class _Want(msgspec.Struct):
    host: str
    address: str
    launcher: str
    options: dict[str, Any] = {}
    python: str = ""
    root: str = ""
    program: str = ""
    tunnel: bool = False


@dataclass(frozen=True, slots=True)
class UserSurroundings:
    """What a user's server is given."""

    user: str
    machine: str
    clock: IReactorTime
    signer: Signer
    environment: Mapping[str, str]
    home: str
    launcher: Callable[[str], Launcher]
    tunnels: Tunnels
    host_command: Callable[[str, Paths, tuple[str, int] | None], list[str]]
    stop: Callable[[], None]
    log_path: str
    bell: Callable[[], Bell]
    merge: Merge
    grant_signer: Signer
    tm_command: Run
    here: Here
    starts: StartDesk


class Accepted(NamedTuple):
    """The ids of what was submitted, and lines of advice (``# …``) for whoever submits the like again."""

    ids: list[int]
    advice: list[str]

    def reply(self, json: bool) -> Reply:
        """Return the answer to whoever submitted."""
        if json:
            notes = [json_line({"advice": line[1:].strip()}) for line in self.advice]
            return Reply(f"accepted {len(self.ids)}", [*(json_line({"id": number}) for number in self.ids), *notes])
        return Reply(f"accepted {len(self.ids)}", [*map(str, self.ids), *self.advice])


class HostLink:
    """The connection of this user's server on one host, or the attempt to get one."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.peer: Peer | None = None
        self.spool = ""
        self.state = "down"
        self.deadline: IDelayedCall | None = None

    def settled(self) -> None:
        """Wait for it no longer."""
        if self.deadline is not None and self.deadline.active():
            self.deadline.cancel()
        self.deadline = None


class UserServer(Service):
    """One user's server."""

    name = "TMS"

    def __init__(self, surroundings: UserSurroundings) -> None:
        self.around = surroundings
        self.clock = surroundings.clock
        self.dispatcher: Link | None = None
        self._link: Link | None = None
        self.dispatcher_state = "connecting"
        self.redial: Callable[[], None] = lambda: None
        self.asked: Callable[[Link, bytes], None] = lambda link, json: None
        self.hosts: dict[str, HostLink] = {}
        self._waiting: list[Deferred[Link]] = []
        self._watchers: dict[Peer, set[str]] = {}
        self._recorded: set[str] = set()
        self._telling = TellingDesk(surroundings.signer, surroundings.bell, surroundings.merge, self._told)

    @override
    def startService(self) -> None:
        super().startService()
        _log.info("server of {user}", event="started", user=self.around.user)

    # -- the dispatcher -------------------------------------------------------------------------------------------

    def link_up(self, link: Link, greeting: str) -> None:
        """The dispatcher has greeted us: take our place."""
        shown = json_line({"version": tm.__version__, "host": self.around.machine})
        background.start(self._attach(link, shown), "attaching to the dispatcher")

    async def _attach(self, link: Link, shown: str) -> None:
        self._link = link
        reply = await link.ask("attach", shown)
        if not reply.ok:
            self.dispatcher_state = reply.text
            self.clock.callLater(ATTACH_EVERY, self._attach_again, link, shown)
            return
        self.around.starts.link_up()
        topics = set().union(*self._watchers.values())
        if topics:
            await link.ask("subscribe", ":".join(sorted(topics)))
        self.dispatcher = link
        self.dispatcher_state = "connected"
        self._recorded.clear()
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer.callback(link)
        for host in self.hosts.values():
            if host.peer is not None:
                host.peer.send_event(b'{"topic":"rejoin"}')

    def _attach_again(self, link: Link, shown: str) -> None:
        if link is self._link and self.dispatcher is None:
            background.start(self._attach(link, shown), "attaching to the dispatcher again")

    def link_down(self, reason: str) -> None:
        """The dispatcher is not reached."""
        self._link = None
        if self.dispatcher is not None or self.dispatcher_state != reason:
            _log.warn("no dispatcher: {reason}", event="unreachable", reason=reason)
        self.dispatcher = None
        self.dispatcher_state = reason
        if reason.startswith("auth."):
            waiting, self._waiting = self._waiting, []
            for answer in waiting:
                answer.errback(RefusedError(*reason.split(" ", 1)))

    def event(self, link: Link, json: bytes) -> None:
        """The dispatcher says something."""
        topic = msgspec.json.decode(json, type=_Topic).topic
        if topic == "orders":
            self._orders(json)
        elif topic == "want":
            self._wanted(msgspec.json.decode(json, type=_Want))
        elif topic == "tell":
            background.start(self._telling.tell(json), "telling the user")
        elif topic == "asked":
            self.asked(link, json)
        elif topic == "replaced":
            _log.info("a newer server has taken over", event="replaced")
            self.around.stop()
        else:
            for peer, topics in list(self._watchers.items()):
                if topic in topics:
                    peer.send_event(json)

    async def _told(self, told: str) -> None:
        link = self.dispatcher
        if link is not None:
            await link.ask("told", told)

    def bulk(self, link: Link, data: object) -> None:
        """The dispatcher sends no raw bytes."""

    async def dispatcher_link(self) -> Link:
        """Return the link to the dispatcher, waiting a little for it.

        Raises `RefusedError`: ``net.dispatcher``, or ``auth.…`` when the dispatcher does not know our user any more.
        """
        if self.dispatcher is not None:
            return self.dispatcher
        waiting: Deferred[Link] = Deferred()
        self._waiting.append(waiting)
        waiting.addTimeout(PATIENCE_SECONDS, self.clock, lambda value, seconds: self._no_dispatcher(waiting))
        self.redial()
        return await waiting

    def _no_dispatcher(self, waiting: Deferred[Link]) -> Link:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        raise RefusedError(
            "net.dispatcher",
            f"the TaskDispatcher is not reached ({self.dispatcher_state}); your server keeps trying. "
            "Jobs that were accepted are kept; 'hRunJob -s' shows when it is there again",
        )

    async def relay(self, verb: str, rest: str | None, json: bool = False) -> Reply:
        """Return the dispatcher's reply to a request that is passed on unchanged."""
        link = await self.dispatcher_link()
        failpoint.reach("tms.relay")
        reply = await link.ask(verb, rest, json)
        failpoint.reach("tms.relayed")
        return reply

    # -- jobs -----------------------------------------------------------------------------------------------------

    async def submit(self, wish: Wish) -> list[int]:
        """Sign *wish* and hand it to the dispatcher; return the ids once they are durable.

        Raises `RefusedError` as the dispatcher or `sign_wish` refuse; the same token may then be sent again.
        """
        return (await self.accepted(wish)).ids

    async def accepted(self, wish: Wish) -> Accepted:
        """Do as `submit`; return also what the dispatcher advises."""
        return await self._submitted(sign_wish(wish, self.around.user, self.around.signer))

    async def rerun(self, asked: Rerun) -> Accepted:
        """Submit jobs again, as they were signed; the new ids are in the order of the old. Raises `RefusedError`."""
        reply = await self.relay("jobtexts", asked.question())
        if reply.word is not None:
            raise RefusedError(reply.word, "\n".join([reply.text, *reply.body]))
        around = self.around
        return await self._submitted(
            signed_again(asked.token, reply.body, around.user, around.signer, self.clock.seconds())
        )

    async def _submitted(self, chunks: list[Chunk]) -> Accepted:
        link = await self.dispatcher_link()
        failpoint.reach("tms.submit")
        if len(chunks) == 1:
            accepted = await self._hand_in(link, chunks[0])
        else:
            accepted = await _joined([Deferred.fromCoroutine(self._hand_in(link, chunk)) for chunk in chunks])
        failpoint.reach("tms.submitted")
        return accepted

    async def _hand_in(self, link: Link, chunk: Chunk) -> Accepted:
        """Return the ids of *chunk*; an environment that the dispatcher has recorded is only named."""
        digests = set(chunk.environments)
        if digests <= self._recorded:
            chunk.environments = {}
        reply = await link.ask("submit", chunk.encode())
        if reply.word is not None:
            raise RefusedError(reply.word, "\n".join([reply.text, *reply.body]))
        if link is self.dispatcher and len(self._recorded) < MOST_RECORDED:
            self._recorded |= digests
        ids = [line for line in reply.body if not line.startswith("#")]
        if len(ids) != len(chunk.orders) or not all(map(_ID.match, ids)):
            wanted = f"the dispatcher has not said which ids the {len(chunk.orders)} jobs have"
            raise RefusedError("proto.malformed", f"{wanted}; look with 'hRunJob -s'")
        return Accepted(list(map(int, ids)), [line for line in reply.body if line.startswith("#")])

    def plain_wish(self, command: str) -> Wish:
        """Return the wish of ``runjob``: one shell command in the home folder, with this server's environment."""
        common: dict[str, object] = {
            "environment": dict(self.around.environment), "cwd": self.around.home, "stdout": "tm-%j.out",
        }  # fmt: skip
        return Wish(secrets.token_hex(16), [{"command": command}], common)

    def _orders(self, json: bytes) -> None:
        line, passed_on, complaints = checked_line(json, self.around.signer, self._not_again)
        for complaint in complaints:
            _log.error("refused: {complaint}", event="refused", complaint=complaint, host=line.host)
        failpoint.reach("tms.order")
        host = self.hosts.get(line.host)
        if host is not None and host.peer is not None:
            self.around.starts.passed(line, host.spool)
            host.peer.send_event(passed_on)
        failpoint.reach("tms.ordered")

    def _not_again(self, host: str, order: Order) -> str:
        """Return why *order* must not go to *host*, or an empty text; what goes nowhere is not asked about."""
        there = self.hosts.get(host)
        if there is None or there.peer is None:
            return ""
        return self.around.starts.unfit(order, there.spool)

    async def report(self, report: str) -> Reply:
        """Pass on what a server on a host reports; return the dispatcher's reply."""
        read = self.around.starts.said(report)
        reply = await self.relay("report", report)
        if reply.ok:
            self.around.starts.acknowledged(read)
        return reply

    def watch(self, peer: Peer, topics: set[str]) -> None:
        """Pass the dispatcher's events of *topics* on to *peer*."""
        if peer not in self._watchers:
            self._watchers[peer] = set()
            peer.on_close(lambda: self._watchers.pop(peer, None))
        self._watchers[peer] |= topics
        peer.wait_for_ever()

    def unwatch(self, peer: Peer, topics: set[str]) -> set[str]:
        """Pass no more of *topics* (of nothing, when empty) on to *peer*; return what is left."""
        watched = self._watchers.get(peer, set())
        watched -= topics or set(watched)
        return watched

    # -- hosts ----------------------------------------------------------------------------------------------------

    async def join(self, peer: Peer, name: str, hello: str) -> Reply:
        """A server on host *name* takes its place once the dispatcher has agreed to what it holds."""
        host = self.hosts.setdefault(name, HostLink(name))
        if host.peer is not None and host.peer is not peer:
            older, host.peer = host.peer, None
            self.around.starts.left(host.spool)
            older.abort()
        if host.peer is None:
            peer.on_close(lambda: self._left(host, peer))
        host.peer, host.spool = peer, self.around.starts.joined(hello)
        peer.keep()
        reply = await self.relay("hello", hello)
        if host.peer is peer and reply.ok:
            host.state = "up"
            host.settled()
        return reply

    def _left(self, host: HostLink, peer: Peer) -> None:
        if host.peer is not peer:
            return
        host.peer = None
        self.around.starts.left(host.spool)
        host.state = "down"
        self._news(host.host, "gone", "its connection is lost")
        self.clock.callLater(TUNNEL_IDLE_SECONDS, self._end_tunnel, host)

    def _end_tunnel(self, host: HostLink) -> None:
        if host.peer is None and host.state != "starting":
            self.around.tunnels.close(host.host)

    def _wanted(self, want: _Want) -> None:
        host = self.hosts.setdefault(want.host, HostLink(want.host))
        if host.state == "starting":
            return
        if host.peer is not None:
            host.peer.send_event(b'{"topic":"rejoin"}')
            return
        host.state = "starting"
        self._news(want.host, "starting", f"starting its server by {want.launcher}")
        background.start(self._launch(host, want), f"starting a server on {want.host}")

    async def _launch(self, host: HostLink, want: _Want) -> None:
        reason = "internal.error: its start failed; see the log of your server (TMS)"
        try:
            await self._start(want)
            reason = ""
        except TaskManagerError as error:
            reason = f"{error.word}: {error.text}"
        except OSError as error:
            reason = f"launch.command: {error}"
        finally:
            if reason:  # whatever it was: a host that seemed to be starting for ever would never be asked again
                self._launch_failed(host, reason)
        if host.peer is None and not reason:
            host.deadline = self.clock.callLater(
                JOIN_SECONDS, self._launch_failed, host,
                f"its server was started but did not connect back in {JOIN_SECONDS:.0f} s; see its log on {want.host}",
            )  # fmt: skip

    async def _start(self, want: _Want) -> None:
        """Run the start command on a host, which tells a server that runs there already by which way to come back."""
        paths = Paths(want.python, want.root, want.program)
        way = None
        if want.tunnel:
            way = await self.around.tunnels.open(Target(want.host, want.address, ["true"], want.options), want.launcher)
        target = Target(want.host, want.address, self.around.host_command(want.host, paths, way), want.options)
        await self.around.launcher(want.launcher).launch(target)

    def _launch_failed(self, host: HostLink, reason: str) -> None:
        host.settled()
        if host.peer is None:
            self.around.tunnels.close(host.host)
            host.state = "failed: " + reason
            _log.error("{host}: {reason}", event="launch", host=host.host, reason=reason)
            self._news(host.host, "failed", reason)

    def _news(self, host: str, state: str, reason: str) -> None:
        if self.dispatcher is not None:
            shown = json_line({"host": host, "state": state, "reason": reason})
            asked = self.dispatcher.ask("hostnews", shown)
            background.start(_ignored(asked), "host news")


async def _joined(answers: list[Deferred[Accepted]]) -> Accepted:
    """Return the ids of all *answers* in order; raise the first failure once all have come."""
    results: list[tuple[bool, Any]] = await DeferredList(answers, consumeErrors=True)
    ids: list[int] = []
    advice: dict[str, None] = {}
    for good, answer in results:
        if not good:
            raise answer.value
        ids += answer.ids
        advice.update(dict.fromkeys(answer.advice))
    return Accepted(ids, list(advice))


async def _ignored(asked: Any) -> None:
    await asked
