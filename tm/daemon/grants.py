"""Grants: what a user's own server does for the web interface, said and signed by that server itself.

The law: whatever the dispatcher asks counts for nothing; only a grant that this user's key has signed, that is not
over, and that permits as much, opens anything (``docs/decisions/0029-web-sessions.md``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from twisted.logger import Logger

from tm.daemon.answers import decoded, json_line
from tm.daemon.signing_desk import Signer
from tm.errors import RefusedError
from tm.model.rights import enough
from tm.model.views import shown_time

SESSION_SECONDS = 12 * 3600.0 + 600.0
"""A session is good for twelve hours from the moment its link is used, and that for ten minutes."""
MOST_DAYS = 366
DAY_SECONDS = 86400.0

_log = Logger()
May = Literal["look", "act", "submit"]


class Grant(msgspec.Struct, frozen=True):
    """*user* lets a session do as much as it *may* until then, seconds since the epoch."""

    user: str
    may: May
    until: float


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``weblogin`` at a user's server."""

    may: May = "act"


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``addtoken`` at a user's server."""

    name: str
    may: May = "look"
    days: int = 90


class Grants:
    """Makes and checks the grants of *user*; *now* gives seconds since the epoch."""

    def __init__(self, user: str, signer: Signer, now: Callable[[], float]) -> None:
        self._user = user
        self._signer = signer
        self._now = now

    def login(self, argument: str) -> str:
        """Return the argument of ``weblogin`` at the dispatcher."""
        wish = decoded(Login, argument)
        return self._with_grant(msgspec.to_builtins(wish), wish.may, SESSION_SECONDS)

    def token(self, argument: str) -> str:
        """Return the argument of ``addtoken`` at the dispatcher; raise `RefusedError` ``proto.arguments``."""
        wish = decoded(NewToken, argument)
        if not 1 <= wish.days <= MOST_DAYS:
            raise RefusedError("proto.arguments", f"a token is good for 1 to {MOST_DAYS} days, not {wish.days}")
        return self._with_grant(msgspec.to_builtins(wish), wish.may, wish.days * DAY_SECONDS)

    def _with_grant(self, wish: dict[str, object], may: May, seconds: float) -> str:
        until = self._now() + seconds
        text = json_line(Grant(self._user, may, until))
        _log.info("granted a session to {may} until {until}", event="granted", may=may, until=shown_time(until))
        return json_line({**wish, "grant": text, "sig": self._signer.sign(text)})

    def check(self, text: str, sig: str, needed: May) -> None:
        """Raise `RefusedError` ``perm.grant`` unless *text* is a grant of ours for what is *needed*, and not over."""
        if not text:
            raise RefusedError(
                "perm.grant", "your own server has not agreed to this session; 'hRunJob --web' prints a link to one"
            )
        if not self._signer.check(text, sig):
            raise RefusedError("perm.grant", "your own server has not signed this grant with your key; log in anew")
        grant = decoded(Grant, text)
        if grant.user != self._user or self._now() >= grant.until:
            raise RefusedError("perm.grant", "what your own server agreed to is over; 'hRunJob --web' prints a link")
        if not enough(grant.may, needed):
            raise RefusedError(
                "perm.grant", f"this needs a session that may {needed}, this one may {grant.may}:"
                f" 'hRunJob --web {needed}' prints a link to one",
            )  # fmt: skip
