"""What InfoServers say to the TaskDispatcher, and who answers for a certificate.

The law: nothing of it is believed. What cannot be read, or cannot be true, makes the InfoServer ``info.bad`` until it
says something that can.
"""

from __future__ import annotations

import re
from typing import TypeVar

import tm
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, decoded, json_line
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.info_link import InfoLink
from tm.daemon.info_names import PREFIX
from tm.errors import RefusedError
from tm.model.report import About, HostReport, about_faults, report_faults
from tm.model.views import Shown
from tm.ports import Peer
from tm.wire.message import Reply, Request

LINES_A_SECOND = 2.0
MOST_LINES = 20.0
PAUSE_SECONDS = 1.0
MOST_FAULTS = 3
_FINGERPRINT = re.compile(r"[0-9a-fA-F:]{64,95}\Z")
_Said = TypeVar("_Said", About, HostReport)


class InfoDesk:
    """The verbs of InfoServers, and ``whois``."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"infojoin": self._infojoin, "info": self._info, "whois": self._whois}

    def _infojoin(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        links = self._dispatcher.infoservers
        link = self._link(peer)
        try:
            about = self._read(link, peer, About, arguments[0])
            faults = self._strange(link, about)
        except RefusedError:
            links.joined(link, peer, None)
            raise
        if about.version != tm.__version__:
            refusal = RefusedError(
                "info.version", f"InfoServer {_seen(about.version)} at a dispatcher {tm.__version__}"
            )
            links.rejected(link, peer, f"{refusal.word}: {refusal.text}")
            raise refusal
        links.joined(link, peer, None if faults else about)
        if faults:
            raise self._bad(link, faults)
        return Reply(links.people())

    def _strange(self, link: InfoLink, about: About) -> list[str]:
        """Return what *about* says that cannot be true of this host."""
        faults = about_faults(about)
        if about.host != link.name:
            faults.append(f"it says that it is on {_seen(about.host)}")
        if link.started is not None and about.fingerprint != link.started.fingerprint:
            faults.append("it names a certificate that is not its own")
        return faults

    def _info(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        link = self._link(peer)
        if link.peer is not peer or link.about is None:
            raise RefusedError("info.bad", "say infojoin first, and let it be true")
        report = self._read(link, peer, HostReport, arguments[0])
        faults = report_faults(report, link.about, self._dispatcher.now)
        if report.host != link.name:
            faults.append(f"it speaks for {_seen(report.host)}")
        if faults:
            raise self._bad(link, faults)
        jobs = self._dispatcher.infoservers.reported(link, report)
        return Reply() if jobs is None else Reply(json_line({"jobs": jobs}))

    def _whois(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        if not _FINGERPRINT.match(arguments[0]):
            raise RefusedError("proto.arguments", "a fingerprint is the SHA-256 of a certificate, 64 digits of hex")
        fingerprint = arguments[0].replace(":", "").lower()
        shown = self._owner(fingerprint)
        if shown is None:
            raise RefusedError("auth.unknown", f"nobody here has the certificate {fingerprint[:16]}…")
        return as_reply(request, shown, as_lines(shown))

    def _owner(self, fingerprint: str) -> Shown | None:
        dispatcher = self._dispatcher
        user = dispatcher.tables.users.user_of(fingerprint)
        if user is not None:
            return {"fingerprint": fingerprint, "kind": "user", "name": user, "host": None, "port": None}
        if fingerprint == dispatcher.around.fingerprint:
            name = dispatcher.around.cluster
            return {"fingerprint": fingerprint, "kind": "dispatcher", "name": name, "host": None, "port": None}
        host = dispatcher.infoservers.host_of(fingerprint)
        link = dispatcher.infoservers.link(host) if host is not None else None
        if link is None:
            return None
        return {
            "fingerprint": fingerprint, "kind": "infoserver", "name": link.name, "host": link.config.address,
            "port": link.info.port or None,
        }  # fmt: skip

    # -- trust ----------------------------------------------------------------------------------------------------

    def _link(self, peer: Peer) -> InfoLink:
        host = peer.user.removeprefix(PREFIX)
        link = self._dispatcher.infoservers.link(host)
        if link is None:
            self._dispatcher.infoservers.retire(peer, host)
            raise RefusedError("host.unknown", "your host is no longer in etc/ComputerCluster.config")
        return link

    def _read(self, link: InfoLink, peer: Peer, kind: type[_Said], text: str) -> _Said:
        """Return what *text* says; raise `RefusedError` ``info.bad``. Who says too much is not heard for a while."""
        link.credit = max(0.0, link.credit - (self._dispatcher.now - link.heard) * LINES_A_SECOND) + 1.0
        link.heard = self._dispatcher.now
        if link.credit > MOST_LINES:
            peer.hold(True)
            self._dispatcher.clock.callLater(PAUSE_SECONDS, peer.hold, False)
            raise self._bad(link, [f"more than {LINES_A_SECOND:g} reports a second"])
        try:
            return decoded(kind, text)
        except RefusedError as error:
            raise self._bad(link, [error.text]) from None

    def _bad(self, link: InfoLink, faults: list[str]) -> RefusedError:
        text = "; ".join(faults[:MOST_FAULTS])
        self._dispatcher.infoservers.faulty(link, text)
        return RefusedError("info.bad", text)


def _seen(text: str) -> str:
    """Return *text* as it may be shown, whoever said it."""
    return text[:64].encode("unicode_escape").decode()
