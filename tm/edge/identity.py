"""The own identity of a server that no user stands behind: key and certificate, made where they are used.

They are made at the first start and made anew when the certificate nears its end or cannot be read; the key never
leaves its folder. Whoever trusts the server was told the fingerprint by who started it.
"""

from __future__ import annotations

import datetime
import os

import msgspec

from tm.edge.certificates import Subject, make_certificate, make_key, to_pem, write_new
from tm.edge.keys import fingerprint, load_pair
from tm.errors import ConfigError

RENEW_BEFORE = datetime.timedelta(days=60)


class Identity(msgspec.Struct, frozen=True):
    """Where key and certificate are, and the certificate's fingerprint."""

    key: str
    certificate: str
    fingerprint: str


def own_identity(folder: str, name: str, now: datetime.datetime) -> Identity:
    """Return the identity in *folder*, called *name*, made if there is none that is good; raise `ConfigError`."""
    key, certificate = os.path.join(folder, "server.key"), os.path.join(folder, "server.crt")
    try:
        _, found = load_pair(key, certificate)
        if found.not_valid_after_utc - now > RENEW_BEFORE and found.not_valid_before_utc <= now:
            return Identity(key, certificate, fingerprint(found))
    except ConfigError:
        pass
    for path in (key, certificate):
        for stale in (path, path + ".new"):
            if os.path.lexists(stale):
                os.unlink(stale)
    made = make_certificate(make_key(key), Subject(name), now)
    write_new(certificate, to_pem(made))
    return Identity(key, certificate, fingerprint(made))
