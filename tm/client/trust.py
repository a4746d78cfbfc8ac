"""Whom a client trusts beside those whose certificates it has: InfoServers that the TaskDispatcher knows.

An InfoServer makes its own certificate, so nobody can hold it beforehand. Whoever is shown one asks the dispatcher,
whose certificate is pinned, whose it is, before a word is said to that server.
"""

from __future__ import annotations

import hashlib
import json

from tm.client import tls
from tm.client.connection import Connection
from tm.errors import RefusedError, TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
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
            kind = _kind_of(places, presented)
        except RefusedError:
            raise refusal from None
        except TaskManagerError as error:
            raise TaskManagerError(
                "auth.server",
                f"{refusal.text}. Whether it is an InfoServer cannot be found out now: {error.text}",
            ) from None
        if kind != INFOSERVER:
            raise refusal

    return tls.open_vouched(places, host, port, "the server", vouch)


def _kind_of(places: Places, presented: bytes) -> str:
    """Return what the dispatcher says has the certificate *presented* (DER); raise `TaskManagerError`."""
    with tls.open_dispatcher(places) as dispatcher:
        reply = dispatcher.ask("whois", hashlib.sha256(presented).hexdigest(), json=True)
    try:
        return str(json.loads(reply.body[0])["kind"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
