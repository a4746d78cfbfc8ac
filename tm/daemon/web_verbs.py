"""What people say to the TaskDispatcher about their sessions of the web interface, and what its server says for them.

The law: a secret is answered once, to who asked for it, and stands in no log.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tm.daemon import background
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, decoded
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.web_desk import WebPeer
from tm.errors import RefusedError, TaskManagerError
from tm.model.audit import Deed
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import MAY, demand_through_web, enough, permitted
from tm.model.sessions import LINK, MOST_DAYS, SESSION, TOKEN, Browser, Session, Wish, show_session
from tm.model.views import shown_time
from tm.places import valid_name
from tm.ports import Peer
from tm.wire.message import Reply, Request, parse_request

TOKEN_BEGINS = "tm_"
MOST_GRANT = 4096
MOST_SECRETS = 2000
_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]{1,255}(?:/[A-Za-z0-9._~/-]{0,200})?\Z")
_log = Logger()


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``weblogin``; *grant* and *sig* are the word of the user's own server."""

    may: str = "act"
    grant: str = ""
    sig: str = ""


class NewToken(Login, forbid_unknown_fields=True):
    """The argument of ``addtoken``."""

    name: str = ""
    may: str = "look"
    days: int = 90


class Joining(msgspec.Struct):
    """The argument of ``webjoin``: where people reach the web server."""

    url: str
    version: str = ""


class Redeeming(msgspec.Struct):
    """The argument of ``webredeem``."""

    token: str
    agent: str = ""
    address: str = ""


class Presented(msgspec.Struct):
    """The argument of ``webcertificate``: a browser has proved to have the key of this certificate."""

    fingerprint: str
    agent: str = ""
    address: str = ""


class Checked(msgspec.Struct):
    """The argument of ``checksessions``."""

    secrets: list[str]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``as``: VERB, and all that stands behind its first colon; with a *number* the answer comes as an
    event with that number, when it is there, and holds up no other answer."""

    secret: str
    verb: str
    rest: str | None = None
    number: int | None = None


class WebVerbs:
    """The verbs of the web interface; *answer* is how the dispatcher answers a request of somebody."""

    def __init__(self, dispatcher: Dispatcher, answer: Callable[[Peer, Request], Answer]) -> None:
        self._dispatcher = dispatcher
        self._desk = dispatcher.web
        self._answer = answer
        self.methods: dict[str, Spoken] = {
            "weblogin": self._weblogin, "addtoken": self._addtoken, "lssessions": self._lssessions,
            "endsession": self._endsession, "webjoin": self._webjoin, "webredeem": self._webredeem,
            "webcertificate": self._webcertificate, "checksessions": self._checksessions, "as": self._as,
        }  # fmt: skip

    # -- people, over a connection of their own --------------------------------------------------------------------

    def _weblogin(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        wish = _wish(peer, decoded(Login, arguments[0]))
        self._dispatcher.check_store()
        if not self._desk.url:
            raise RefusedError(
                "web.away", "the web interface does not run; the account of the dispatcher starts it: 'twistd taskweb'"
            )
        fresh = self._desk.fresh(LINK)
        link = self._desk.sessions.link(wish, fresh)
        shown: dict[str, object] = {"url": f"{self._desk.url}login/{fresh.secret}", "until": shown_time(link.until)}
        return self._desk.durable(as_reply(request, shown, as_lines(shown)))

    def _addtoken(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(NewToken, arguments[0])
        wish = _wish(peer, given)
        if not valid_name(given.name):
            raise RefusedError(
                "token.invalid", f"'{given.name:.64}' cannot name a token; expected letters, digits, '_', '.', '-'"
            )
        if not 1 <= given.days <= MOST_DAYS:
            raise RefusedError("token.invalid", f"a token is good for 1 to {MOST_DAYS} days, not {given.days}")
        self._dispatcher.check_store()
        fresh = self._desk.fresh(TOKEN, TOKEN_BEGINS)
        one = self._desk.sessions.token(wish, given.name, given.days, fresh)
        self._desk.note()
        until = shown_time(one.until)
        deed = Deed(peer.user, "addtoken", "token", one.id, reason=f"{one.name} may {one.may} until {until}")
        shown: dict[str, object] = {"token": fresh.secret, "id": one.id, "until": until}
        return self._dispatcher.audit.audited(deed, lambda change: as_reply(request, shown, as_lines(shown)))

    def _lssessions(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        everybody = permitted(RULES, "endsession", self._dispatcher.rights_of(peer.user), own=False)
        found = self._desk.sessions.open(None if everybody else peer.user, self._dispatcher.now)
        shown = [show_session(one) for one in found]
        return as_reply(request, shown, [_line(one) for one in found], "none")

    def _endsession(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        one = self._desk.sessions.get(arguments[0])
        rights = self._dispatcher.rights_of(peer.user)
        own = one is not None and one.user == peer.user
        if one is None or not permitted(RULES, "endsession", rights, own=own):
            raise RefusedError(
                "session.unknown", f"there is no session '{arguments[0]:.40}' of yours; 'tm web sessions' lists them"
            )
        if isinstance(peer, WebPeer) and peer.session.id != one.id:
            demand_more(peer, "act", "endsession of another session than this one")
        self._dispatcher.check_store()
        self._desk.sessions.end(one.id)
        self._desk.note()
        reply = Reply(f"{one.kind} {one.id} is ended")
        if own and one.kind != TOKEN:
            return self._dispatcher.turns.durable(reply)
        deed = Deed(peer.user, "endsession", one.kind, one.id, reason=f"{one.name} of {one.user}".strip())
        return self._dispatcher.audit.audited(deed, lambda change: reply)

    # -- the web server -------------------------------------------------------------------------------------------

    def _webjoin(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(Joining, arguments[0])
        if not _URL.match(given.url):
            raise RefusedError(
                "proto.arguments", "url: expected the address people reach, e.g. http://127.0.0.1:34104/"
            )
        self._desk.join(peer, given.url.rstrip("/") + "/")
        shown: dict[str, object] = {"cluster": self._dispatcher.around.cluster}
        return as_reply(request, shown, as_lines(shown))

    def _webredeem(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        self._desk.check_joined(peer)
        given = decoded(Redeeming, arguments[0])
        self._dispatcher.check_store()
        fresh = self._desk.fresh(SESSION)
        browser = Browser(given.agent, given.address)
        return self._opened(request, self._desk.sessions.redeem(given.token, browser, fresh), fresh.secret)

    def _webcertificate(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        self._desk.check_joined(peer)
        given = decoded(Presented, arguments[0])
        fingerprint = given.fingerprint.replace(":", "").lower()
        users = self._dispatcher.tables.users
        user = users.user_of(fingerprint)
        if user is None:
            raise RefusedError(
                "auth.unknown", "your browser's certificate is not registered here; 'hRunJob --web' prints a link"
            )
        known = [one for one in users.by_name[user].certificates if one.fingerprint == fingerprint]
        if any(self._dispatcher.now > one.not_after for one in known):
            raise RefusedError("auth.expired", "your browser's certificate has expired; 'hRunJob --web' prints a link")
        self._dispatcher.check_store()
        fresh = self._desk.fresh(SESSION)
        wish = Wish(user, "act", fingerprint)
        return self._opened(
            request, self._desk.sessions.session(wish, Browser(given.agent, given.address), fresh), fresh.secret
        )

    def _opened(self, request: Request, one: Session, secret: str) -> Answer:
        _log.info("{user} opens session {id} from {address}", event="web", user=one.user, id=one.id,
                  address=one.address)  # fmt: skip
        shown = self._desk.shown(one, secret)
        return self._desk.durable(as_reply(request, shown, as_lines(shown)))

    def _checksessions(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        self._desk.check_joined(peer)
        asked = decoded(Checked, arguments[0]).secrets
        if len(asked) > MOST_SECRETS:
            raise RefusedError("proto.arguments", f"{len(asked)} secrets; expected {MOST_SECRETS} at most")
        good = [(one, secret) for secret in asked if (one := self._desk.good(secret)) is not None]
        shown = [self._desk.shown(one, secret) for one, secret in good]
        return as_reply(request, shown, [f"{one.id}  {one.user}" for one, _ in good], "none")

    def _as(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        self._desk.check_joined(peer)
        given = decoded(Said, arguments[0])
        session = self._desk.session(given.secret)
        demand_through_web(given.verb, session.may)
        line = f"{given.verb}.json" if given.rest is None else f"{given.verb}.json:{given.rest}"
        answer = self._answer(WebPeer(session), parse_request(line.encode(errors="replace")))
        if given.number is None:
            return answer
        background.start(self._told_later(peer, given.number, answer), "answering the web server")
        return Reply()

    async def _told_later(self, peer: Peer, number: int, answer: Answer) -> None:
        try:
            reply = await answer if isinstance(answer, Deferred) else answer
        except TaskManagerError as error:
            reply = Reply(error.text, word=error.word)
        self._desk.tell(peer, number, reply)


def demand_more(peer: WebPeer, needed: str, what: str) -> None:
    """Raise `RefusedError` ``perm.denied`` unless the session of *peer* may what is *needed* of `MAY`."""
    if not enough(peer.session.may, needed):
        raise RefusedError(
            "perm.denied", f"{what} needs a session that may {needed}: log in anew with 'hRunJob --web {needed}'"
        )


def _wish(peer: Peer, given: Login) -> Wish:
    """Return what the user asks for; raise `RefusedError` ``proto.arguments``."""
    if given.may not in MAY:
        raise RefusedError("proto.arguments", f"may: expected {', '.join(MAY)}, not '{given.may:.40}'")
    if len(given.grant) + len(given.sig) > MOST_GRANT:
        raise RefusedError("proto.arguments", f"grant and sig have more than {MOST_GRANT} characters")
    return Wish(peer.user, given.may, peer.fingerprint, given.grant, given.sig)


def _line(one: Session) -> str:
    """Return a session as people read it."""
    used = f"used {shown_time(one.used_at)}" if one.used_at is not None else "not used yet"
    parts = (one.id, one.kind, one.user, one.may, one.name, f"until {shown_time(one.until)}", used, one.address,
             one.agent)  # fmt: skip
    return "  ".join(part for part in parts if part)
