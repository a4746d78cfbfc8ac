"""The own identity of a server that no user stands behind: key and certificate, made where they are used.

They are made at the first start and made anew when the certificate nears its end or cannot be read; the key never
leaves its folder. Whoever trusts the server was told the fingerprint by who started it.
"""

from __future__ import annotations

import datetime
import os

import msgspec

from tm.edge.certificates import Subject, make_certificate, make_key, to_pem, write_new
from tm.edge.keys import fingerprint, load_certificate, load_pair
from tm.errors import ConfigError

RENEW_BEFORE = datetime.timedelta(days=60)


class Identity(msgspec.Struct, frozen=True):
    """Where key and certificate are, and the certificate's fingerprint."""

    key: str
    certificate: str
    fingerprint: str


def own_identity(folder: str, name: str, now: datetime.datetime) -> Identity:
    """Return the identity in *folder*, called *name*, made if there is none that is good; raise `ConfigError`."""
    return _identity(os.path.join(folder, "server"), name, now)


def web_identity(etc: str, now: datetime.datetime) -> Identity:
    """Return the web server's identity, ``certs/taskweb.key`` and ``.crt`` below *etc*, made if there is none that is
    good; raise `ConfigError`.

    The dispatcher knows the web server by that certificate, so who can write there says who it is.
    """
    return _identity(_web_pair(etc), "taskweb", now)


def web_fingerprint(etc: str) -> str | None:
    """Return the fingerprint of the web server's certificate as it is now, None where there is none that is good."""
    try:
        return fingerprint(load_certificate(_web_pair(etc) + ".crt"))
    except ConfigError:
        return None


def _web_pair(etc: str) -> str:
    return os.path.join(etc, "certs", "taskweb")


def _identity(path: str, name: str, now: datetime.datetime) -> Identity:
    key, certificate = path + ".key", path + ".crt"
    try:
        _, found = load_pair(key, certificate)
        if found.not_valid_after_utc - now > RENEW_BEFORE and found.not_valid_before_utc <= now:
            return Identity(key, certificate, fingerprint(found))
    except ConfigError:
        pass
    for file in (key, certificate):
        for stale in (file, file + ".new"):
            if os.path.lexists(stale):
                os.unlink(stale)
    made = make_certificate(make_key(key), Subject(name), now)
    write_new(certificate, to_pem(made))
    return Identity(key, certificate, fingerprint(made))
