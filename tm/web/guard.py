"""What is refused before any page is asked: foreign hosts, foreign origins, forms without their word.

The law: a request that changes something is a POST of ours, said by a page of ours. A cookie alone proves nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tm.errors import RefusedError
from tm.web.asked import Visitor

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Front:
    """Where people reach us: the outer *url*, ending in a slash, and the *hosts* (with port) by which we are called."""

    url: str
    hosts: frozenset[str]

    @classmethod
    def of(cls, url: str, others: Iterable[str] = ()) -> Front:
        """Return the front at *url*, also called by the hosts *others*. A loopback address has all loopback names."""
        parts = urlsplit(url)
        hosts = {parts.netloc.lower(), *others}
        if parts.hostname in ("127.0.0.1", "::1", "localhost"):
            port = f":{parts.port}" if parts.port else ""
            hosts |= {name + port for name in ("127.0.0.1", "localhost", "[::1]")}
        return cls(url if url.endswith("/") else url + "/", frozenset(hosts))

    @property
    def prefix(self) -> str:
        """The path below which everything is, without a slash at its end; empty for none."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether people come by https."""
        return self.url.startswith("https:")

    @property
    def origins(self) -> frozenset[str]:
        """The origins of our own pages."""
        scheme = "https" if self.secure else "http"
        return frozenset(f"{scheme}://{host}" for host in self.hosts)

    def below(self, path: str) -> str:
        """Return *path* without our prefix; a proxy may have taken it off already."""
        if self.prefix and (path == self.prefix or path.startswith(self.prefix + "/")):
            return path[len(self.prefix) :] or "/"
        return path


def check_host(front: Front, host: str) -> None:
    """Raise `RefusedError` ``web.host`` when we are called by a name that is not ours, as DNS rebinding does."""
    if host.lower() not in front.hosts:
        raise RefusedError(
            "web.host", f"this server is not called '{host:.100}'; it is at {front.url} (its option --url says where)"
        )


def check_origin(front: Front, method: str, headers: Mapping[str, str]) -> None:
    """Raise `RefusedError` ``web.origin`` for what another site's page asks, unless it is a link that was followed.

    A page of another port of this host is of the same site, and browsers send cookies along with what it asks.
    """
    if method in SAFE:
        link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site") in ("same-site", "cross-site") and not link:
            raise RefusedError("web.origin", "a page of another server asks for this; open it here")
        return
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is None or origin not in front.origins or site not in ("same-origin", "none"):
        raise RefusedError("web.origin", "this form was not sent by a page of this server; open the page and try again")


def check_form(visitor: Visitor | None, form: Mapping[str, list[str]], header: str = "") -> None:
    """Raise `RefusedError` ``web.form`` when a form does not carry the word of its session, *header* in its place."""
    if visitor is None:
        return
    given = header or (form.get("csrf") or [""])[-1]
    if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
        raise RefusedError("web.form", "this form is of another session; open the page again and send it once more")


def cookies_of(lines: Iterable[bytes]) -> dict[str, str]:
    """Return the cookies of the header's *lines*. What is none, as others on this host may have set, is passed over;
    of two that differ under one name neither counts: one of them is not ours, and nobody can tell which."""
    found: dict[str, str] = {}
    for part in b";".join(lines).decode("latin-1").split(";"):
        name, equals, value = (word.strip() for word in part.partition("="))
        if equals and name:
            found[name] = value if found.get(name, value) == value else ""
    return found


def local_path(path: str) -> str:
    """Return *path* where it is one of ours, else ``/``: nobody is sent elsewhere."""
    inside = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if inside and path.isprintable() else "/"


_STATUS = {
    "web.unknown": 404, "web.method": 405, "web.host": 421, "web.origin": 403, "web.form": 403, "web.large": 413,
    "web.media": 415, "info.away": 503, "info.bad": 502, "auth.session": 401, "auth.link": 403, "auth.unknown": 403,
    "web.metrics": 501, "web.server": 503, "web.answer": 502, "web.away": 503,
}  # fmt: skip
_FAMILY = {
    "perm": 403, "auth": 403, "proto": 400, "config": 400, "conflict": 409, "net": 503, "store": 503, "busy": 503,
    "limit": 429, "internal": 500,
}  # fmt: skip
_KIND = {"unknown": 404, "exists": 409, "changed": 409, "stale": 409, "state": 409}


def status_of(word: str) -> int:
    """Return the HTTP status of an error of class *word*."""
    if word in _STATUS:
        return _STATUS[word]
    family, _, kind = word.partition(".")
    return _KIND.get(kind) or _FAMILY.get(family, 400)
