"""Whom a client trusts beside those whose certificates it has: InfoServers that the TaskDispatcher knows.

An InfoServer makes its own certificate, so nobody can hold it beforehand. Whoever is shown one asks the dispatcher,
whose certificate is pinned, whose it is, before a word is said to that server. An InfoServer speaks for its own host
alone: one that answers where another was called, because its host was broken into, is refused.
"""

from __future__ import annotations

import hashlib
import json
import socket

from tm.client import tls
from tm.client.connection import Connection
from tm.errors import RefusedError, TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tm.places import Places

INFOSERVER = "infoserver"


def open_server(places: Places, host: str, port: int) -> Connection:
    """Return a greeted connection to a server of the cluster; raise `TaskManagerError`, ``auth.server`` for others."""
    try:
        return tls.open_tls(places, host, port, tls.EITHER, "the server")
    except TaskManagerError as error:
        if error.word != "auth.server":
            raise
        refusal = error

    def vouch(presented: bytes) -> None:
        try:
            owner = _owner_of(places, presented)
        except RefusedError:
            raise refusal from None
        except TaskManagerError as error:
            raise TaskManagerError(
                "auth.server",
                f"{refusal.text}. Whether it is an InfoServer cannot be found out now: {error.text}",
            ) from None
        if owner.get("kind") != INFOSERVER:
            raise refusal
        name, address = str(owner.get("name")), str(owner.get("host") or "")
        if is_elsewhere(host, name, address):
            raise TaskManagerError(
                "auth.server",
                f"at {host} the InfoServer of another host answers, that of {name} at {address}; nothing was sent."
                f" If that is the one you mean, say: hSend {address} {port}",
            )

    return tls.open_vouched(places, host, port, "the server", vouch)


def _owner_of(places: Places, presented: bytes) -> dict[str, object]:
    """Return what the dispatcher says of the certificate *presented* (DER); raise `TaskManagerError`."""
    with tls.open_dispatcher(places) as dispatcher:
        reply = dispatcher.ask("whois", hashlib.sha256(presented).hexdigest(), json=True)
    try:
        owner = json.loads(reply.body[0])
    except (ValueError, IndexError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _addresses(name: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def is_elsewhere(called: str, name: str, address: str, look_up: Callable[[str], set[str]] = _addresses) -> bool:
    """Whether *called* surely is not the host *name*, which is configured at *address*.

    What cannot be looked up, and this machine itself (where the end of a tunnel may be), may be any host.
    """
    if not address or called in (name, address):
        return False
    here, there = look_up(called), look_up(address)
    if any(one.startswith("127.") or one == "::1" for one in here | there):
        return False
    return bool(here and there) and not here & there
