"""Who an InfoServer is: which certificate is whose, as the commands that started them have said.

The law: a fingerprint is what a start command said over a launcher that has checked the host's key, and is written down
before anything is done with it. Nobody becomes a user that way, nor another host.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from twisted.logger import Logger

from tm.errors import RefusedError
from tm.model.host import HostConfig
from tm.model.infoserver import Started
from tm.model.infoserver import started as read_started
from tm.model.rights import Users

PREFIX = "infoserver@"
MOST_VERSION = 64
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


class InfoNames:
    """All InfoServers that are known: those of the configured hosts, and those that are still to be told to leave."""

    def __init__(self, care: InfoCare | None) -> None:
        self._care = care
        self._known = {one.infoserver: one for one in care.load()} if care is not None else {}
        self._by_fingerprint = {one.fingerprint: one.infoserver for one in self._known.values()}

    def host_of(self, fingerprint: str) -> str | None:
        """Return the host whose InfoServer has this certificate, None for a certificate of no InfoServer."""
        return self._by_fingerprint.get(fingerprint)

    def of(self, host: str) -> Started | None:
        """Return what is known of the InfoServer of *host*."""
        return self._known.get(host)

    def learn(self, host: str, output: str, users: Users) -> None:
        """Take from the *output* of the start on *host* who its InfoServer is; raise `RefusedError` ``info.start``."""
        started = read_started(output)
        if started is None or started.infoserver != host or not _is_whole(started):
            raise RefusedError("info.start", f"its start said nothing that was expected: {output.strip()[-200:]!r}")
        owner = self._by_fingerprint.get(started.fingerprint, host)
        if owner != host or users.user_of(started.fingerprint) is not None:
            raise RefusedError("info.start", "it has the certificate of somebody else; remove its folder there")
        before = self._known.get(host)
        if before == started:
            return
        if before is not None:
            self._by_fingerprint.pop(before.fingerprint, None)
        self._known[host] = started
        self._by_fingerprint[started.fingerprint] = host
        self._save()

    def forget(self, host: str) -> None:
        """Know the InfoServer of *host* no longer: it has been told to leave."""
        started = self._known.pop(host, None)
        if started is not None:
            self._by_fingerprint.pop(started.fingerprint, None)
            self._save()

    def _save(self) -> None:
        if self._care is None:
            return
        try:
            self._care.save(self._known.values())
        except OSError as error:
            _log.error("what is known of InfoServers cannot be kept: {text}", event="infoserver", text=str(error))


def _is_whole(started: Started) -> bool:
    """Whether what a host said at a start can be true, and be shown."""
    good = _FINGERPRINT.match(started.fingerprint) is not None and 0 <= started.port < 65536
    return good and len(started.version) <= MOST_VERSION and started.version.isprintable()


def is_infoserver(user: str) -> bool:
    """Whether the peer called *user* is an InfoServer; no user's name has an ``@``."""
    return user.startswith(PREFIX)
