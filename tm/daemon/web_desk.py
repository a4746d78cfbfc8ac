"""Who comes through the web interface: which web server has joined, and whose sessions are good.

The law: the web server has no right of its own. What a person does there is done by a `WebPeer`, who is that person
for one request, as far as the session goes that the dispatcher gave them; and a session is over the moment its user is.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tm.daemon.somebody import Somebody
from tm.daemon.web_outbox import Outbox
from tm.errors import RefusedError
from tm.model.effects import Records
from tm.model.rights import rights_through_web
from tm.model.sessions import Fresh, Session, Sessions
from tm.model.views import shown_time
from tm.ports import Peer
from tm.wire.message import Reply

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

PREFIX = "web@"
SECRET_BYTES = 32
ID_BYTES = 4
TICK_SECONDS = 60.0
_log = Logger()


def is_web(user: str) -> bool:
    """Whether the peer called *user* is the web server; no user's name has an ``@``."""
    return user.startswith(PREFIX)


class WebPeer(Somebody):
    """A person for the time of one request, through the web interface.

    *session* says what it may and holds what the user's own server gave along (``grant``, ``sig``).
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session.user)
        self.session = session


class WebDesk:
    """The web server and the sessions of one dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._peer: Peer | None = None
        self._outbox: Outbox | None = None
        self._ticked = 0.0
        self.url = ""
        self.sessions = Sessions()

    def begins(self, kept: Iterable[Session]) -> None:
        """The store was opened (again) and has *kept* these."""
        self.sessions = Sessions(kept)
        self.people_changed()

    # -- the web server -------------------------------------------------------------------------------------------

    def join(self, peer: Peer, url: str) -> None:
        """Make *peer* the web server, which people reach at *url*; an older one is told that it is replaced."""
        older, self._peer, self.url = self._peer, peer, url
        if older is not None and older is not peer:
            older.send_event(b'{"topic":"replaced"}')
        if older is not peer:
            self._outbox = Outbox(peer)
        peer.keep()
        peer.on_close(lambda: self._left(peer))
        _log.info("the web interface is at {url}", event="web", url=url)

    def check_joined(self, peer: Peer) -> None:
        """Raise `RefusedError` ``perm.denied`` unless *peer* is the web server that has joined."""
        if self._peer is not peer:
            raise RefusedError("perm.denied", "only the web server that has joined says this; say webjoin first")

    def tell(self, peer: Peer, number: int, reply: Reply) -> None:
        """Give the web server *peer* the *reply* to its question *number*; nobody hears it where that has left."""
        if self._peer is peer and self._outbox is not None:
            self._outbox.send(number, reply)

    def _left(self, peer: Peer) -> None:
        if self._peer is peer:
            self._peer, self._outbox, self.url = None, None, ""
            _log.info("the web interface is gone", event="web")

    # -- sessions -------------------------------------------------------------------------------------------------

    def fresh(self, kind: str, front: str = "") -> Fresh:
        """Return a new secret, beginning with *front*, and a new id for something of that *kind*."""
        id = kind[0] + secrets.token_hex(ID_BYTES)
        while id in self.sessions:
            id = kind[0] + secrets.token_hex(ID_BYTES)
        return Fresh(front + secrets.token_urlsafe(SECRET_BYTES), id, self._dispatcher.now)

    def good(self, secret: str) -> Session | None:
        """Return the session or token with this *secret*, None unless it is good now."""
        one = self.sessions.found(secret, self._dispatcher.now)
        self.note()
        return one if one is not None and one.user in self._dispatcher.tables.users else None

    def session(self, secret: str) -> Session:
        """Return the session or token with this *secret*; raise `RefusedError` ``auth.session``."""
        one = self.good(secret)
        if one is None:
            raise RefusedError("auth.session", "your session is over; 'hRunJob --web' prints a link that opens another")
        return one

    def people_changed(self) -> None:
        """The table of users is another one: end what is nobody's any more."""
        for one in self.sessions.people_changed(self._dispatcher.tables.users):
            _log.info("{kind} {id} of {user} ended with its user or certificate", event="web", kind=one.kind, id=one.id,
                      user=one.user)  # fmt: skip
        self.note()

    def tick(self) -> None:
        """Called about once a second."""
        if self._dispatcher.now - self._ticked >= TICK_SECONDS:
            self._ticked = self._dispatcher.now
            self.sessions.tick(self._ticked)
            self.note()

    def note(self) -> None:
        """Have what has changed written down."""
        changed, ended = self.sessions.take()
        if changed or ended:
            self._dispatcher.turns.note(Records(sessions=changed, ended=ended))

    def durable(self, value: object) -> Deferred[Any]:
        """Return *value* once all that has changed is written down."""
        self.note()
        return self._dispatcher.turns.durable(value)

    def shown(self, one: Session, secret: str) -> dict[str, object]:
        """Return what the web server is told of a session or token, and of whose it is."""
        rights = rights_through_web(self._dispatcher.rights_of(one.user), one.may)
        return {
            "secret": secret, "id": one.id, "user": one.user, "may": one.may, "until": shown_time(one.until),
            "rights": sorted(rights), "groups": list(self._dispatcher.tables.groups.groups_of(one.user)),
        }  # fmt: skip
