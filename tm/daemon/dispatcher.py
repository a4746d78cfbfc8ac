"""TaskDispatcher: the service around the brain. It owns the brain, its turns, and the links to the users' servers.

What it is told by its verbs (`tm.daemon.dispatcher_verbs`) goes to the brain; what the brain wants is committed and
then said to users' servers and watchers. After a failed commit the brain is made anew from the store.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from tm.daemon.archiving import Archiving
from tm.daemon.auditing import Auditing
from tm.daemon.conditions import Conditions
from tm.daemon.dependencies import Dependencies
from tm.daemon.farewell import Farewell
from tm.daemon.info_links import InfoLinks
from tm.daemon.info_names import is_infoserver
from tm.daemon.orders import order_lines, want_line
from tm.daemon.post_office import PostOffice
from tm.daemon.surroundings import Surroundings, Tables
from tm.daemon.turns import Turns
from tm.daemon.web_desk import WebDesk, is_web
from tm.errors import RefusedError, StoreError
from tm.model.brain import Brain
from tm.model.cluster import HostState
from tm.model.effects import Effects, JobEvent, Message, Notice, Records
from tm.model.host import HostConfig
from tm.model.rights import INFOSERVER, TOPICS, WEB, Users, permitted
from tm.model.telling import subject_of
from tm.model.views import shown_time
from tm.ports import Loaded, Peer

_log = Logger()
_encode = msgspec.json.Encoder().encode

__all__ = ["Dispatcher", "Surroundings", "Tables", "check_own"]

RETRY_STORE_SECONDS = 2.0
GRACE_SECONDS = 10.0
MOST_KNOWN = 10_000


class Dispatcher(Service):
    """The one dispatcher of a cluster."""

    name = "TaskDispatcher"

    def __init__(self, surroundings: Surroundings, loaded: Loaded) -> None:
        self.around = surroundings
        self.clock = surroundings.clock
        self.tables = surroundings.read_tables()
        self.run = secrets.token_hex(8)
        self.since = self._ticked = self.clock.seconds()
        self.cut: Callable[[Callable[[Peer], bool]], None] = lambda picked: None
        self._servers: dict[str, Peer] = {}
        self._sent: dict[tuple[str, str], set[str]] = {}
        self._watchers: dict[Peer, set[str]] = {}
        self._tokens: dict[tuple[str, str], range] = {}
        self._trouble: StoreError | None = None
        self.audit = Auditing(self, self.tables.raw)
        self.post = PostOffice(
            self.clock, surroundings.cluster, lambda: surroundings.mailer(self.tables.mail), self._tell_server,
            self._delivered,
        )
        self._archiving = Archiving(surroundings)
        self.farewell = Farewell(self)
        self._pulse = LoopingCall(self._tick)
        self._pulse.clock = self.clock
        self.infoservers = InfoLinks(self, surroundings.infoservers)
        self.conditions = Conditions(self)
        self.dependencies = Dependencies(self)
        self.web = WebDesk(self)
        self._begin(loaded, map(HostState, self.tables.hosts))
        self.audit.begins(loaded.known)

    @override
    def startService(self) -> None:
        super().startService()
        self._pulse.start(1.0, now=False)
        self.infoservers.begin()
        self._archiving.begin(self.tables.scheduling.archive_months)
        _log.info("dispatcher of {cluster} in epoch {epoch}", event="started", cluster=self.around.cluster,
                  epoch=self.brain.epoch)  # fmt: skip

    @override
    def stopService(self) -> Deferred[Any]:
        super().stopService()
        if self._pulse.running:
            self._pulse.stop()
        self.infoservers.end()
        self.post.end()
        self._archiving.end()
        _log.info("stopping", event="stopping")
        return self.turns.durable(None).addErrback(lambda failure: failure.trap(StoreError) and None)

    # -- what the verbs use ---------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.seconds()

    def check_store(self) -> None:
        """Raise the `StoreError` that is in the way of accepting anything, if one is."""
        if self._trouble is not None:
            raise self._trouble

    def rights_of(self, user: str) -> frozenset[str]:
        """Return the rights of *user*; InfoServers and web server have their own, and no group gives them another."""
        if is_infoserver(user):
            return frozenset({INFOSERVER})
        if is_web(user):
            return frozenset({WEB})
        return self.tables.groups.rights_of(user)

    def reload(self, by: str = "") -> str:
        """Read ``etc/`` again, wholly or not at all; return what changed, which is recorded. Raises `ConfigError`."""
        before = self.tables
        self.configured(self.around.read_tables())
        self.people_changed(before.users, by)
        self.audit.reloaded(by or "SIGHUP", self.tables.raw)
        _log.info("read etc/ again", event="reloaded")
        users, gone = self.tables.users, set(before.users.by_fingerprint) - set(self.tables.users.by_fingerprint)
        return f"{len(users.by_name)} users, {len(self.tables.hosts)} hosts, {len(gone)} certificates removed"

    def configured(self, tables: Tables) -> None:
        """The files say *tables*: let what concerns hosts and cluster count at once."""
        self.tables = tables
        self.brain.cluster_configured(tables.scheduling, self.now)
        self._archiving.keep(tables.scheduling.archive_months)
        self.hosts_changed(tables.hosts)

    def people_changed(self, before: Users, by: str) -> None:
        """The tables have other users and groups than *before*: let that count at once."""
        self.brain.people_configured(self.tables.groups, self.now)
        self.farewell.changed(before, by)
        self.web.people_changed()
        self.turns.happened()
        self.infoservers.configured()

    def hosts_changed(self, hosts: Iterable[HostConfig]) -> None:
        """There are these *hosts* from now on."""
        self.tables = replace(self.tables, hosts=tuple(hosts))
        self.brain.hosts_configured(self.tables.hosts, self.now)
        self.turns.happened()
        self.infoservers.configured()

    def token_ids(self, user: str, token: str) -> range | None:
        """Return the ids given to this submit token before, durable or about to be."""
        return self._tokens.get((user, token)) or self.around.store.submission(user, token)

    def token_used(self, user: str, token: str, ids: range) -> None:
        """Remember the ids of a token until they are durable."""
        self._tokens[user, token] = ids
        done = self.turns.durable(None)
        done.addErrback(lambda failure: failure.trap(StoreError) and None)
        done.addCallback(lambda _: self._tokens.pop((user, token), None) and None)

    def attach(self, user: str, peer: Peer) -> None:
        """Make *peer* the server of *user*; an older one is told that it is replaced."""
        older = self._servers.get(user)
        if older is not None and older is not peer:
            older.send_event(b'{"topic":"replaced"}')
            self._detached(user, older)
        self._servers[user] = peer
        peer.keep()
        peer.on_close(lambda: self._detached(user, peer))
        for key in [key for key in self._sent if key[0] == user]:
            del self._sent[key]
        self.brain.user_server_attached(user)
        self.post.server_came(user)
        self.turns.happened()

    def is_server(self, user: str, peer: Peer) -> bool:
        """Whether *peer* is the attached server of *user*."""
        return self._servers.get(user) is peer

    def server_of(self, user: str) -> Peer | None:
        """Return the attached server of *user*, None where there is none."""
        return self._servers.get(user)

    def server_users(self) -> set[str]:
        """Return whose servers are attached."""
        return set(self._servers)

    def watch(self, peer: Peer, topics: Iterable[str]) -> set[str]:
        """Let *peer* hear of *topics* too; return all it hears of."""
        if peer not in self._watchers:
            self._watchers[peer] = set()
            peer.on_close(lambda: self._watchers.pop(peer, None))
        self._watchers[peer].update(topics)
        peer.wait_for_ever()
        return self._watchers[peer]

    def unwatch(self, peer: Peer, topics: Iterable[str]) -> set[str]:
        """Let *peer* hear no more of *topics* (of nothing, when there are none)."""
        watched = self._watchers.get(peer, set())
        wanted = set(topics) or set(watched)
        watched -= wanted
        return watched

    def logged(self, line: dict[str, object]) -> None:
        """A line was logged: tell those who watch the log."""
        if self._watchers:
            self._notify(Notice("log", None, line))

    def announce(self, notice: Notice) -> None:
        """Tell those who watch of something that is in no store."""
        if self._watchers:
            self._notify(notice)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _begin(self, loaded: Loaded, hosts: Iterable[HostState]) -> None:
        self.brain = Brain(
            epoch=loaded.epoch, next_id=loaded.next_id, jobs=loaded.jobs, spools=loaded.spools, hosts=hosts,
            memos=loaded.memos, families=loaded.families, shares=loaded.shares,
            next_message=max((message.id for message in loaded.messages), default=0) + 1,
        )  # fmt: skip
        self.turns = Turns(
            self.brain, self.around.store, self.around.writer, self.clock, self._tell, self._store_failed
        )
        self.brain.people_configured(self.tables.groups, self.now)
        self.brain.cluster_configured(self.tables.scheduling, self.now)
        self.audit.goes_on(loaded.next_change)
        self.post.post(loaded.messages)
        self.web.begins(loaded.sessions)
        self._trouble = None

    def _begin_again(self, loaded: Loaded) -> None:
        """Go on with what the store holds; what is known of hosts is not in it."""
        hosts = [HostState(config) for config in self.tables.hosts]
        for host in hosts:
            before = self.brain.hosts.get(host.name)
            if before is not None:
                host.follow(before)
        self._begin(loaded, hosts)

    def _tick(self) -> None:
        before, self._ticked = self._ticked, self.now
        if self.now < before:
            _log.warn("the clock was set back by {seconds} s", event="clock", seconds=round(before - self.now, 1))
            self.brain.clock_set_back(before - self.now)
        self.brain.tick(self.now)
        self.farewell.tick()
        self.turns.happened()
        self.infoservers.tick()
        self.conditions.tick()
        self.web.tick()

    def _detached(self, user: str, peer: Peer) -> None:
        if self._servers.get(user) is peer:
            del self._servers[user]
            self.brain.user_server_detached(user, self.now)
            self.turns.happened()

    def _store_failed(self, error: StoreError) -> None:
        _log.error("{text}", event="store", word=error.word, text=error.text)
        self._trouble = error
        for peer in list(self._servers.values()):
            peer.abort()
        self.clock.callLater(RETRY_STORE_SECONDS, self._try_store)

    def _try_store(self) -> None:
        if not self.running:
            return
        done = self.around.writer.run(self.around.store.load)
        done.addCallbacks(
            self._begin_again, lambda failure: self.clock.callLater(RETRY_STORE_SECONDS, self._try_store) and None
        )

    def _tell_server(self, user: str, line: bytes) -> bool:
        """Say an event line to the server of *user*; return whether there is one."""
        peer = self._servers.get(user)
        if peer is not None:
            peer.send_event(line)
        return peer is not None

    def _delivered(self, messages: list[Message], failed: str) -> None:
        """What owners were to be told they have been, or why they cannot be."""
        told = f"{messages[0].target} cannot be told: {failed}" if failed else ""
        events = [JobEvent(subject_of(one), self.now, "telling", told) for one in messages if told]
        self.turns.note(Records(sent=[one.id for one in messages], events=events))

    def _tell(self, effects: Effects) -> None:
        self.post.post(effects.records.messages)
        for want in effects.wants:
            peer = self._servers.get(want.user)
            host = self.brain.hosts.get(want.host)
            if peer is not None and host is not None:
                peer.send_event(want_line(host))
        for (user, name), orders in effects.orders.items():
            peer = self._servers.get(user)
            if peer is None:
                continue
            known = self._sent.setdefault((user, name), set())
            if orders.anew:
                known.clear()
            if len(known) > MOST_KNOWN:
                known.clear()
            try:
                for line in order_lines(
                    orders, self.brain.epoch, self.run, GRACE_SECONDS, known, self._environment,
                    self.tables.scheduling.processes,
                ):  # fmt: skip
                    peer.send_event(line)
            except StoreError as error:
                _log.error("orders for {host} not sent: {text}", event="store", host=name, user=user, text=error.text)
                peer.abort()  # when it comes back its hosts say what they have, and all the rest is sent again
        for notice in effects.notices:
            if notice.topic == "hosts" and "host" in notice.fields:
                self.conditions.changed(str(notice.fields["host"]))
            if notice.fields.get("state") == "lost":
                _log.warn("job {job} is lost: {reason}", event="lost", job=notice.fields["id"], user=notice.user,
                          host=notice.fields["host"], reason=notice.fields["reason"])  # fmt: skip
            if notice.fields.get("trouble"):
                _log.error("{host} is {reason}", event="trouble", host=notice.fields["host"],
                           reason=notice.fields["trouble"])  # fmt: skip
            if self._watchers:
                self._notify(notice)

    def _environment(self, digest: str) -> str | None:
        return self.around.store.environment(digest)

    def _notify(self, notice: Notice) -> None:
        line: bytes | None = None
        when = {} if notice.at is None else {"at": shown_time(notice.at)}
        for peer, topics in list(self._watchers.items()):
            if notice.topic not in topics:
                continue
            own = notice.user is None or notice.user == peer.user
            if permitted(TOPICS, notice.topic, self.rights_of(peer.user), own=own):
                line = line or _encode({"topic": notice.topic, **notice.fields, **when})
                peer.send_event(line)


def check_own(dispatcher: Dispatcher, user: str, peer: Peer) -> None:
    """Raise `RefusedError` ``perm.denied`` unless *peer* is the attached server of *user*."""
    if not dispatcher.is_server(user, peer):
        raise RefusedError("perm.denied", "only the attached server of a user says this; say attach first")
