"""The dispatcher's links to InfoServers: one on each active host, started there, revived, cut when its host has gone.

The law: who an InfoServer is follows from its certificate alone. Its fingerprint is what the command that started it
said, over a launcher that has checked the host's key; it is written down before anything else is done with it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.logger import Logger

from tm.daemon import background
from tm.daemon.answers import json_line
from tm.errors import RefusedError, TaskManagerError
from tm.model.condition import Info
from tm.model.host import HostConfig
from tm.model.infoserver import Started
from tm.model.infoserver import started as read_started
from tm.model.report import About, HostReport
from tm.ports import Peer

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

MOST_STARTING = 16
REDIAL_SECONDS = 5.0
REVIVE_SECONDS = 2.0
JOIN_SECONDS = 15.0
PAUSES = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0)
STEADY_SECONDS = 60.0
SILENT_SECONDS = 20.0
DEAD_SECONDS = 45.0
LAST_WORD_SECONDS = 1.0
PREFIX = "infoserver@"

_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")
_log = Logger()


@dataclass(frozen=True, slots=True)
class InfoCare:
    """What is needed to care for InfoServers: how one is started, and where what is known of them is kept.

    *start* runs the command on a host and returns its output; it raises `TaskManagerError`. *save* raises `OSError`.
    *let_go* ends what *start* keeps for a host: the tunnel by which its InfoServer comes back.
    """

    start: Callable[[HostConfig], Awaitable[str]]
    load: Callable[[], Iterable[Started]]
    save: Callable[[Iterable[Started]], None]
    let_go: Callable[[str], None] = lambda host: None


@dataclass(slots=True, eq=False)
class InfoLink:
    """The InfoServer of one host."""

    config: HostConfig
    started: Started | None = None
    peer: Peer | None = None
    about: About | None = None
    state: str = "off"
    reason: str = ""
    lost: bool = False
    launching: bool = False
    wanted: bool = False
    heard: float = 0.0
    joined_at: float = 0.0
    due: float = 0.0
    failures: int = 0
    complaint: str = ""
    credit: float = 0.0
    told_jobs: list[tuple[int, str, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The host's name."""
        return self.config.name

    @property
    def info(self) -> Info:
        """How it is, for those who look at the host."""
        about, started = self.about, self.started
        port = about.port if about is not None else started.port if started is not None else 0
        version = about.version if about is not None else started.version if started is not None else ""
        return Info(self.state, self.reason, port, version, about.survives if about is not None else "", self.lost)


class InfoLinks:
    """All InfoServers of one dispatcher."""

    def __init__(self, dispatcher: Dispatcher, care: InfoCare | None) -> None:
        self._dispatcher = dispatcher
        self._care = care
        self._links: dict[str, InfoLink] = {}
        self._by_fingerprint: dict[str, str] = {}
        self._tables: object = None
        self._running = False

    # -- what is asked of it --------------------------------------------------------------------------------------

    def host_of(self, fingerprint: str) -> str | None:
        """Return the host whose InfoServer has this certificate, None for a certificate of no InfoServer."""
        return self._by_fingerprint.get(fingerprint)

    def link(self, name: str) -> InfoLink | None:
        """Return the link of the host *name*, None if it has none."""
        return self._links.get(name)

    def info(self, name: str) -> Info:
        """Return how the InfoServer of a host is."""
        link = self._links.get(name)
        return link.info if link is not None else Info()

    def people(self) -> str:
        """Return the JSON of who may ask an InfoServer."""
        return json_line({"people": self._dispatcher.tables.users.by_fingerprint})

    # -- life -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take what was known of InfoServers, which may dial back by themselves, and start the others."""
        self._running = True
        now = self._dispatcher.now
        known = {one.infoserver: one for one in self._care.load()} if self._care is not None else {}
        self._configure()
        for name, link in self._links.items():
            if name in known:
                link.started = known[name]
                self._by_fingerprint[link.started.fingerprint] = name
                if link.wanted:
                    self._starting(link, "it may dial back by itself", now + REDIAL_SECONDS)
        self._start_due(now)

    def end(self) -> None:
        """Start nothing more; InfoServers stay."""
        self._running = False

    def tick(self) -> None:
        """Called about once a second."""
        dispatcher = self._dispatcher
        now = dispatcher.now
        if self._tables is not dispatcher.tables:
            self.configured()
        for link in self._links.values():
            if link.peer is not None:
                self._watch(link, now)
            elif link.launching and now >= link.due:
                self._failed(link, f"info.silent: it was started but did not connect in {JOIN_SECONDS:.0f} s; can "
                             f"{link.config.address} reach the dispatcher? see InfoServer.log there")  # fmt: skip
            self._want(link, now)
        self._start_due(now)

    def configured(self) -> None:
        """The tables of ``etc/`` have changed: cut what is no longer wanted, tell the others who may ask them."""
        before = self._tables
        self._configure()
        if before is not None:
            line = json_line({"topic": "people", "people": self._dispatcher.tables.users.by_fingerprint}).encode()
            for link in self._links.values():
                if link.about is not None and link.peer is not None:
                    link.peer.send_event(line)

    def _configure(self) -> None:
        self._tables = self._dispatcher.tables
        now = self._dispatcher.now
        configs = {config.name: config for config in self._dispatcher.tables.hosts if config.infoserver}
        for name in self._links.keys() - configs.keys():
            self._forget(self._links.pop(name))
        for name, config in configs.items():
            link = self._links.get(name)
            if link is None:
                link = self._links[name] = InfoLink(config)
            elif (link.config.address, link.config.launcher) != (config.address, config.launcher):
                link.failures, link.due = 0, now
            link.config = config
            self._want(link, now)

    def _want(self, link: InfoLink, now: float) -> None:
        """See whether an InfoServer is wanted on this host: on an active one."""
        host = self._dispatcher.brain.hosts.get(link.name)
        wanted = self._care is not None and host is not None and host.active
        if wanted == link.wanted:
            return
        link.wanted = wanted
        if link.peer is None and not link.launching:
            link.failures = 0
            if wanted:
                self._starting(link, "it is about to be started", now)
            else:
                self._set(link, "off", "the host is not active")

    def _forget(self, link: InfoLink) -> None:
        """The host has gone, or is to have none: let it go, and know it no longer."""
        link.wanted = False
        if link.started is not None:
            self._by_fingerprint.pop(link.started.fingerprint, None)
            link.started = None
            self._save()
        self._tell_brain(link, None, None)
        if link.peer is not None:
            peer, link.peer = link.peer, None
            peer.send_event(b'{"topic":"retire"}')
            self._dispatcher.clock.callLater(LAST_WORD_SECONDS, peer.abort)
        if self._care is not None:
            self._dispatcher.clock.callLater(LAST_WORD_SECONDS, self._care.let_go, link.name)
        _log.info("{host} has no InfoServer any more", event="infoserver", host=link.name)

    # -- starting -------------------------------------------------------------------------------------------------

    def _start_due(self, now: float) -> None:
        """Start as many as may be started at once, those that failed least first."""
        places = MOST_STARTING - sum(link.launching for link in self._links.values())
        if places <= 0 or not self._running:
            return
        due = [link for link in self._links.values() if self._is_due(link, now)]
        for link in sorted(due, key=lambda link: (link.failures, link.due))[:places]:
            link.launching = True
            link.due = float("inf")
            self._set(link, "starting", f"being started by {link.config.launcher}", link.lost)
            background.start(self._launch(link), f"starting InfoServer on {link.name}")

    @staticmethod
    def _is_due(link: InfoLink, now: float) -> bool:
        return link.wanted and link.peer is None and not link.launching and now >= link.due

    async def _launch(self, link: InfoLink) -> None:
        assert self._care is not None
        try:
            self._learn(link, await self._care.start(link.config))
        except TaskManagerError as error:
            self._failed(link, f"{error.word}: {error.text}")
        except OSError as error:
            self._failed(link, f"launch.command: {error}")
        else:
            link.due = self._dispatcher.now + JOIN_SECONDS
            if link.peer is not None:
                link.launching = False
        self._start_due(self._dispatcher.now)

    def _learn(self, link: InfoLink, output: str) -> None:
        """Take from the output of the start command who the InfoServer is; raise `RefusedError` ``info.start``."""
        started = read_started(output)
        if started is None or started.infoserver != link.name or not _FINGERPRINT.match(started.fingerprint):
            raise RefusedError("info.start", f"its start said nothing that was expected: {output.strip()[-200:]!r}")
        owner = self._by_fingerprint.get(started.fingerprint, link.name)
        if owner != link.name or self._dispatcher.tables.users.user_of(started.fingerprint) is not None:
            raise RefusedError("info.start", "it has the certificate of somebody else; remove its folder there")
        if self._links.get(link.name) is not link:
            return
        before, link.started = link.started, started
        if before is not None and before.fingerprint != started.fingerprint:
            self._by_fingerprint.pop(before.fingerprint, None)
        self._by_fingerprint[started.fingerprint] = link.name
        if before != started:
            self._save()

    def _save(self) -> None:
        if self._care is None:
            return
        try:
            self._care.save([link.started for link in self._links.values() if link.started is not None])
        except OSError as error:
            _log.error("what is known of InfoServers cannot be kept: {text}", event="infoserver", text=str(error))

    def _starting(self, link: InfoLink, reason: str, due: float) -> None:
        link.due = due
        self._set(link, "starting", reason, link.lost)

    def _failed(self, link: InfoLink, reason: str) -> None:
        link.launching = False
        link.due = self._dispatcher.now + PAUSES[min(link.failures, len(PAUSES) - 1)]
        link.failures += 1
        if link.peer is None and self._care is not None:
            self._care.let_go(link.name)
        if link.peer is None:
            self._set(link, "failed" if link.wanted else "off", reason, link.lost)

    # -- links ----------------------------------------------------------------------------------------------------

    def joined(self, link: InfoLink, peer: Peer, about: About | None) -> None:
        """An InfoServer takes its place; *about* is None when what it says of itself cannot be true."""
        older = link.peer
        now = self._dispatcher.now
        if older is not peer:
            link.joined_at = now
            link.credit = 0.0
            peer.keep()
            peer.on_close(lambda: self._left(link, peer))
        link.peer, link.about, link.heard, link.launching, link.told_jobs = peer, about, now, False, []
        if older is not None and older is not peer:
            older.abort()
        if about is not None:
            self._set(link, "up", "")
        self._tell_brain(link, about, None)

    def reported(self, link: InfoLink, report: HostReport) -> list[tuple[int, str, int]] | None:
        """Take a report that can be true; return the jobs there, with pids, if the InfoServer must hear of them."""
        link.heard = self._dispatcher.now
        self._set(link, "up", "")
        self._tell_brain(link, link.about, report)
        jobs = self._dispatcher.brain.running_pids(link.name)
        if jobs == link.told_jobs:
            return None
        link.told_jobs = jobs
        return jobs

    def rejected(self, link: InfoLink, peer: Peer, reason: str) -> None:
        """An InfoServer that cannot take its place here is cut; another is started after a pause."""
        self._dispatcher.clock.callLater(LAST_WORD_SECONDS, peer.abort)
        if link.peer is None:
            self._failed(link, reason)

    def faulty(self, link: InfoLink, reason: str, lost: bool = False) -> None:
        """What an InfoServer said cannot be true: its host is handled by its configuration."""
        if link.state != "bad":
            self._tell_brain(link, None, None)
        self._set(link, "bad", reason, lost)

    def _watch(self, link: InfoLink, now: float) -> None:
        silent = now - link.heard
        assert link.peer is not None
        if silent > DEAD_SECONDS:
            link.peer.abort()
        elif silent > SILENT_SECONDS:
            self.faulty(link, f"silent for more than {SILENT_SECONDS:.0f} s", lost=True)
        if now - link.joined_at > STEADY_SECONDS:
            link.failures = 0

    def _left(self, link: InfoLink, peer: Peer) -> None:
        if link.peer is not peer:
            return
        link.peer = link.about = None
        self._tell_brain(link, None, None)
        if not link.wanted:
            self._set(link, "off", "the host is not active")
            return
        pause = PAUSES[min(link.failures - 1, len(PAUSES) - 1)] if link.failures else REVIVE_SECONDS
        link.failures += 1
        link.lost = True
        self._starting(link, "its connection is lost; it may dial back by itself", self._dispatcher.now + pause)

    def _tell_brain(self, link: InfoLink, about: About | None, report: HostReport | None) -> None:
        dispatcher = self._dispatcher
        if link.name in dispatcher.brain.hosts:
            dispatcher.brain.host_reported(link.name, about, report, dispatcher.now)
            dispatcher.turns.happened()

    def _set(self, link: InfoLink, state: str, reason: str, lost: bool = False) -> None:
        """Let the link be in *state*; one line of the log and one event for each change of it."""
        before = (link.state, link.lost)
        link.state, link.reason, link.lost = state, reason, lost
        if before == (state, lost):
            return
        if state == "up":
            link.complaint = ""
            _log.info("InfoServer of {host} is there", event="infoserver", host=link.name)
        elif state in ("bad", "failed") and link.complaint != reason:
            link.complaint = reason
            word = "info.bad" if state == "bad" else reason.partition(":")[0]
            _log.warn("InfoServer of {host}: {text}", event="infoserver", word=word, host=link.name, text=reason)
        self._dispatcher.conditions.changed(link.name)


def is_infoserver(user: str) -> bool:
    """Whether the peer called *user* is an InfoServer; no user's name has an ``@``."""
    return user.startswith(PREFIX)
