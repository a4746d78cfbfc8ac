"""The dispatcher's links to InfoServers: one on each active host, started there, revived, cut when its host has gone.

The law: nothing is started that is not wanted, wanted is what the configuration says and an active host, and whatever
fails is tried again, ever more rarely. `tm.daemon.info_names` says who they are, `tm.daemon.info_desk` hears them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from tm.daemon import background
from tm.daemon.answers import json_line
from tm.daemon.info_link import InfoLink
from tm.daemon.info_names import InfoCare, InfoNames
from tm.errors import TaskManagerError
from tm.model.condition import Info
from tm.model.report import About, HostReport
from tm.ports import Peer

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

MOST_STARTING = 32
REDIAL_SECONDS = 5.0
REVIVE_SECONDS = 2.0
START_SECONDS = 60.0
JOIN_SECONDS = 15.0
PAUSES = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0)
STEADY_SECONDS = 60.0
SILENT_SECONDS = 20.0
DEAD_SECONDS = 45.0
LAST_WORD_SECONDS = 1.0

_log = Logger()


class InfoLinks:
    """All InfoServers of one dispatcher."""

    def __init__(self, dispatcher: Dispatcher, care: InfoCare | None) -> None:
        self._dispatcher = dispatcher
        self._care = care
        self._links: dict[str, InfoLink] = {}
        self._names = InfoNames(care)
        self._tables: object = None
        self._people: object = None
        self._running = False

    # -- what is asked of it --------------------------------------------------------------------------------------

    def host_of(self, fingerprint: str) -> str | None:
        """Return the host whose InfoServer has this certificate, None for a certificate of no InfoServer."""
        return self._names.host_of(fingerprint)

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
        self._configure()
        for link in self._links.values():
            if link.started is not None and link.wanted:
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
                             f"{link.config.address} reach the dispatcher? see infoserver.log there")  # fmt: skip
            self._want(link, now)
        self._start_due(now)

    def configured(self) -> None:
        """The tables of ``etc/`` have changed: cut what is no longer wanted, tell the others who may ask them."""
        before = self._people
        self._configure()
        if before != self._people:
            line = json_line({"topic": "people", "people": self._people}).encode()
            for link in self._links.values():
                if link.about is not None and link.peer is not None:
                    link.peer.send_event(line)

    def _configure(self) -> None:
        self._tables = self._dispatcher.tables
        self._people = dict(self._dispatcher.tables.users.by_fingerprint)
        now = self._dispatcher.now
        configs = {config.name: config for config in self._dispatcher.tables.hosts if config.infoserver}
        for name, link in list(self._links.items()):
            if name not in configs or link.config.address != configs[name].address:
                self._forget(self._links.pop(name))
        for name, config in configs.items():
            link = self._links.setdefault(name, InfoLink(config, self._names.of(name)))
            if link.config.launcher != config.launcher:
                link.failures, link.due = 0, min(link.due, now)
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
        """The host has gone, is elsewhere or is to have none: let its InfoServer go."""
        link.wanted = False
        self._tell_brain(link, None, None)
        if link.peer is not None:
            peer, link.peer = link.peer, None
            self.retire(peer, link.name)
        if self._care is not None:
            self._dispatcher.clock.callLater(LAST_WORD_SECONDS, self._care.let_go, link.name)
        _log.info("{host} has no InfoServer any more", event="infoserver", host=link.name)

    def retire(self, peer: Peer, host: str) -> None:
        """Tell an InfoServer that nobody wants to leave, and know it no longer; one that is away hears it later."""
        if host not in self._links:
            self._names.forget(host)
        peer.send_event(b'{"topic":"retire"}')
        self._dispatcher.clock.callLater(LAST_WORD_SECONDS, peer.abort)

    # -- starting -------------------------------------------------------------------------------------------------

    def _start_due(self, now: float) -> None:
        """Start as many as may be started at once, those that failed least first."""
        places = MOST_STARTING - sum(link.launching for link in self._links.values())
        if places <= 0 or not self._running:
            return
        due = [link for link in self._links.values() if self._is_due(link, now)]
        for link in sorted(due, key=lambda link: (link.failures, link.due))[:places]:
            link.launching = True
            link.due = now + START_SECONDS
            self._set(link, "starting", f"being started by {link.config.launcher}", link.lost)
            background.start(self._launch(link), f"starting InfoServer on {link.name}")

    @staticmethod
    def _is_due(link: InfoLink, now: float) -> bool:
        return link.wanted and link.peer is None and not link.launching and now >= link.due

    async def _launch(self, link: InfoLink) -> None:
        assert self._care is not None
        try:
            output = await self._care.start(link.config)
            self._names.learn(link.name, output, self._dispatcher.tables.users)
        except TaskManagerError as error:
            self._failed(link, f"{error.word}: {error.text}")
        except OSError as error:
            self._failed(link, f"launch.command: {error}")
        else:
            if not link.wanted:
                self._care.let_go(link.name)
            link.started = self._names.of(link.name)
            link.due = self._dispatcher.now + JOIN_SECONDS
            if link.peer is not None:
                link.launching = False
        self._start_due(self._dispatcher.now)

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
