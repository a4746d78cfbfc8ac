"""What a browser asks: plain values, so that a page is a function that a test can call."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

RANKS = ("look", "act", "submit")
"""What a session may: look; also act; also have jobs signed. Each includes the ones before it."""


def seal_of(secret: str, text: str) -> str:
    """Return the seal of *text* for the session with *secret*."""
    return hmac.digest(secret.encode(errors="replace"), b"seal:" + text.encode(errors="replace"), "sha256").hex()[:32]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who has logged in: the session of *user* with its *secret* and what it *may*, one of `RANKS`.

    *until* is when it ends (ISO 8601), *rights* and *groups* are the user's now.
    """

    secret: str
    id: str
    user: str
    may: str = "look"
    until: str = ""
    rights: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()

    def has(self, right: str) -> bool:
        """Whether the user has *right* and this session may use it."""
        return right in self.rights and self.may_act

    @property
    def may_act(self) -> bool:
        """Whether this session may change anything."""
        return self.can("act")

    @property
    def may_submit(self) -> bool:
        """Whether the user's own server signs what this session submits."""
        return self.can("submit")

    def seal(self, text: str) -> str:
        """Return the word that says in an address that *text* is ours: nobody else makes one for this session."""
        return seal_of(self.secret, text)

    def sealed(self, text: str, seal: str) -> bool:
        """Whether *seal* is that of *text*."""
        return hmac.compare_digest(self.seal(text).encode(), seal.encode(errors="replace"))

    def can(self, rank: str) -> bool:
        """Whether this session may *rank*, one of `RANKS`."""
        return self.may in RANKS and RANKS.index(self.may) >= RANKS.index(rank)

    @property
    def csrf(self) -> str:
        """The word that every form of this session carries."""
        return hmac.digest(self.secret.encode(), b"form", "sha256").hex()[:32]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: *path* below *prefix* (where the interface is mounted, without a slash at its end), the arguments of
    the address *args* (the last one of each name) and the fields of a *form*; *now* in seconds since the epoch.

    *certificate* is the fingerprint of the browser's certificate, empty where none was presented; *json*: the program
    that asks wants JSON. *mark* is the id of the last event before (`tm.web.hub`);
    *again*: a page that is shown already asks what has changed;
    *content_type* that of the *body*, in lower case and without parameters.
    """

    method: str = "GET"
    path: str = "/"
    prefix: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, list[str]] = field(default_factory=dict)
    visitor: Visitor | None = None
    now: float = 0.0
    cluster: str = ""
    agent: str = ""
    address: str = ""
    certificate: str = ""
    body: bytes = b""
    json: bool = False
    host: str = ""
    content_type: str = ""
    mark: str = ""
    again: bool = False

    @property
    def user(self) -> str:
        """The name of who is logged in, empty for nobody."""
        return self.visitor.user if self.visitor is not None else ""

    @property
    def who(self) -> Visitor:
        """Who is logged in, on pages that only those reach who are."""
        assert self.visitor is not None
        return self.visitor

    def field(self, name: str, default: str = "") -> str:
        """Return the last value of the field *name* of the form, without space around it."""
        values = self.form.get(name)
        return values[-1].strip() if values else default

    def filled(self) -> dict[str, str]:
        """Return the last value of each field of the form that is not empty."""
        return {name: values[-1].strip() for name, values in self.form.items() if values and values[-1].strip()}

    def by(self, visitor: Visitor | None, mark: str = "") -> Asked:
        """Return the same request as *visitor*'s."""
        return replace(self, visitor=visitor, mark=mark)
