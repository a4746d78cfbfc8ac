"""Who is let in without a certificate: links that open a session once, sessions, and tokens of programs.

The law: no secret is kept, only its SHA-256, and what is asked for is found by that; secrets and ids are made by who
asks. Nobody gets more than they asked for themselves, over a connection of their own certificate: a session may what
its link said, and is over with that certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

from tm.errors import RefusedError
from tm.model.rights import Users
from tm.model.views import Shown, shown_time

LINK, SESSION, TOKEN = "link", "session", "token"
LINK_SECONDS = 600.0
SESSION_SECONDS = 12 * 3600.0
MOST_DAYS = 366
MOST_LINKS, MOST_SESSIONS, MOST_TOKENS = 20, 50, 100
"""Of one user at a time; the oldest link or session gives way to a new one, tokens are ended by who made them."""
REMEMBER_SECONDS = 3600.0
"""How long a link is known after its end, to say why it opens nothing; and how exactly last uses are kept."""
MOST_AGENT, MOST_ADDRESS = 200, 64
ANOTHER = "'hRunJob --web' prints a new one"


class Session(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A link, session or token (*kind*) of *user*, from *made_at* to *until* (seconds since the epoch).

    *digest* is the SHA-256 of its secret; *may* one of `tm.model.rights.MAY`. *fingerprint* is the certificate with
    which it was asked for, *grant* and *sig* what the user's own server gave along. *used_at* is its last use, of a
    link its only one.
    """

    id: str
    kind: str
    user: str
    may: str
    digest: str
    made_at: float
    until: float
    name: str = ""
    agent: str = ""
    address: str = ""
    fingerprint: str = ""
    grant: str = ""
    sig: str = ""
    used_at: float | None = None


class Fresh(msgspec.Struct, frozen=True):
    """What a new one is made of: an unguessable *secret*, an *id* that no other has, and the time *now*."""

    secret: str
    id: str
    now: float


class Wish(msgspec.Struct, frozen=True):
    """What *user* asked for: what it *may*, over which certificate, with which word of their own server."""

    user: str
    may: str
    fingerprint: str = ""
    grant: str = ""
    sig: str = ""


class Browser(msgspec.Struct, frozen=True):
    """What is seen of the other side: the program, as it calls itself, and its *address*."""

    agent: str = ""
    address: str = ""


UNSEEN = Browser()


def digest_of(secret: str) -> str:
    """Return what is kept of *secret*."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


class Sessions:
    """All that are known, by what their secrets are kept as; `take` gives what has changed."""

    def __init__(self, kept: Iterable[Session] = ()) -> None:
        self._by_id = {one.id: one for one in kept}
        self._by_digest = {one.digest: one for one in self._by_id.values()}
        self._changed: dict[str, Session] = {}
        self._ended: list[str] = []

    def take(self) -> tuple[dict[str, Session], list[str]]:
        """Return those that are new or other than at the last call, and the ids of those that are no more."""
        changed, self._changed = self._changed, {}
        ended, self._ended = self._ended, []
        return changed, ended

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    # -- letting in -----------------------------------------------------------------------------------------------

    def link(self, wish: Wish, fresh: Fresh) -> Session:
        """Make a link."""
        self._make_room(wish.user, LINK, MOST_LINKS)
        return self._add(LINK, wish, fresh, LINK_SECONDS)

    def redeem(self, secret: str, browser: Browser, fresh: Fresh) -> Session:
        """Make the session that the link with this *secret* opens, once; raise `RefusedError` ``auth.link``."""
        link = self._by_digest.get(digest_of(secret))
        if link is None or link.kind != LINK:
            raise RefusedError("auth.link", f"this link is not known here, or no longer; {ANOTHER}")
        if link.used_at is not None:
            where = f" from {link.address}" if link.address else ""
            raise RefusedError(
                "auth.link",
                f"this link was used at {shown_time(link.used_at)}{where}, and works once; {ANOTHER}."
                " If that was not you, 'tm web sessions' shows what it opened, 'tm web end ID' ends it",
            )
        if fresh.now >= link.until:
            raise RefusedError("auth.link", f"this link was good until {shown_time(link.until)}; {ANOTHER}")
        link.used_at, link.address = fresh.now, _plain(browser.address, MOST_ADDRESS)
        self._changed[link.id] = link
        wish = Wish(link.user, link.may, link.fingerprint, link.grant, link.sig)
        link.grant = link.sig = ""
        return self.session(wish, browser, fresh)

    def session(self, wish: Wish, browser: Browser, fresh: Fresh) -> Session:
        """Make a session."""
        self._make_room(wish.user, SESSION, MOST_SESSIONS)
        return self._add(SESSION, wish, fresh, SESSION_SECONDS, browser=browser)

    def token(self, wish: Wish, name: str, days: int, fresh: Fresh) -> Session:
        """Make a token; raise `RefusedError` ``limit.tokens``."""
        if sum(one.kind == TOKEN for one in self.of_user(wish.user)) >= MOST_TOKENS:
            raise RefusedError("limit.tokens", f"you have {MOST_TOKENS} tokens; 'tm token revoke ID' ends one")
        return self._add(TOKEN, wish, fresh, days * 86400.0, name=name)

    # -- asking ---------------------------------------------------------------------------------------------------

    def found(self, secret: str, now: float) -> Session | None:
        """Return the session or token with this *secret*, None where there is none or it is over; note its use."""
        one = self._by_digest.get(digest_of(secret))
        if one is None or one.kind == LINK or now >= one.until:
            return None
        if one.used_at is None or now - one.used_at >= REMEMBER_SECONDS:
            one.used_at = now
            self._changed[one.id] = one
        return one

    def get(self, id: str) -> Session | None:
        """Return the one with this *id*, or None."""
        return self._by_id.get(id)

    def of_user(self, user: str | None) -> list[Session]:
        """Return those of *user* (None: of everybody), the oldest first."""
        return [one for one in self._by_id.values() if user is None or one.user == user]

    def open(self, user: str | None, now: float) -> list[Session]:
        """Return those of *user* (None: of everybody) that can still be used, the oldest first."""
        alive = (one for one in self.of_user(user) if now < one.until)
        return [one for one in alive if one.kind != LINK or one.used_at is None]

    # -- ending ---------------------------------------------------------------------------------------------------

    def end(self, id: str) -> None:
        """It is over."""
        one = self._by_id.pop(id)
        del self._by_digest[one.digest]
        self._changed.pop(id, None)
        self._ended.append(id)

    def end_where(self, over: Callable[[Session], bool]) -> list[Session]:
        """End those that are *over*; return them."""
        ended = [one for one in self._by_id.values() if over(one)]
        for one in ended:
            self.end(one.id)
        return ended

    def people_changed(self, users: Users) -> list[Session]:
        """End those whose user, or the certificate they were asked for with, is registered no longer; return them."""
        return self.end_where(
            lambda one: one.user not in users or (one.fingerprint != "" and users.user_of(one.fingerprint) != one.user)
        )

    def tick(self, now: float) -> None:
        """Forget what has been over for long enough."""
        self.end_where(lambda one: now >= one.until + (REMEMBER_SECONDS if one.kind == LINK else 0.0))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _add(
        self, kind: str, wish: Wish, fresh: Fresh, seconds: float, name: str = "", browser: Browser = UNSEEN
    ) -> Session:
        one = Session(
            id=fresh.id, kind=kind, user=wish.user, may=wish.may, digest=digest_of(fresh.secret), made_at=fresh.now,
            until=fresh.now + seconds, fingerprint=wish.fingerprint, grant=wish.grant, sig=wish.sig, name=name,
            agent=_plain(browser.agent, MOST_AGENT), address=_plain(browser.address, MOST_ADDRESS),
        )  # fmt: skip
        self._by_id[one.id] = self._by_digest[one.digest] = self._changed[one.id] = one
        return one

    def _make_room(self, user: str, kind: str, most: int) -> None:
        kept = sorted((one for one in self.of_user(user) if one.kind == kind), key=lambda one: one.made_at)
        for one in kept[: max(0, len(kept) - most + 1)]:
            self.end(one.id)


def _plain(text: str, most: int) -> str:
    """Return what a stranger said as it may be kept and shown."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])


def show_session(one: Session) -> Shown:
    """Return the public view: no secret, nothing made of one."""
    return {
        "id": one.id, "kind": one.kind, "user": one.user, "may": one.may, "name": one.name,
        "made": shown_time(one.made_at), "until": shown_time(one.until), "used": shown_time(one.used_at),
        "agent": one.agent, "address": one.address,
    }  # fmt: skip
