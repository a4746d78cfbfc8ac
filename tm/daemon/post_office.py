"""What owners are told of their jobs, on its way: mail by the dispatcher, everything else by the owner's own server.

A message is in the store until it is sent or given up. Mail to one address that is due within a few seconds goes as
one: a hundred jobs that end together are one letter. Web addresses and desktops are left to the owner's server, so that
a job reaches nothing that its owner does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tm.daemon.letter import letter
from tm.errors import MailError
from tm.model.effects import Message
from tm.model.notify_targets import is_mail
from tm.model.settings import Mail

_log = Logger()
_encode = msgspec.json.Encoder().encode

GATHER_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
RETRY_AFTER = (60.0, 300.0, 1800.0, 7200.0)
GIVE_UP_AFTER = 3 * 86400.0
MOST_IN_ONE = 200
MOST_BAD = 10_000
MOST_HELD = 32 * 1024 * 1024
"""So many bytes of messages of one user wait; whoever cannot be reached for long misses what comes then."""

Key = tuple[str, str]


class Mailer(Protocol):
    """Hands letters to whoever delivers them."""

    def send(self, to: str, subject: str, text: str) -> Deferred[Any]:
        """Send a letter; fails with `MailError`, which says whether another try may help."""


def no_mailer(mail: Mail) -> Mailer:
    """Return what sends no letter."""
    return _NoMailer()


class _NoMailer:
    def send(self, to: str, subject: str, text: str) -> Deferred[Any]:
        return fail(MailError("this dispatcher sends no mail", False))


class _Route:
    """What is on its way to one target of one user."""

    def __init__(self) -> None:
        self.waiting: dict[int, Message] = {}
        self.under_way: dict[int, Message] = {}
        self.call: IDelayedCall | None = None
        self.tries = 0


class PostOffice:
    """Takes messages that are durable and has them delivered.

    *tell_server* passes an event line to a user's server and says whether there is one; *sent* is told the numbers of
    messages that are done with, and of those given up why.
    """

    def __init__(
        self, clock: IReactorTime, cluster: str, mailer: Callable[[], Mailer],
        tell_server: Callable[[str, bytes], bool],
        sent: Callable[[list[Message], str], None],
    ) -> None:  # fmt: skip
        self._clock = clock
        self._cluster = cluster
        self._mailer = mailer
        self._tell_server = tell_server
        self._sent = sent
        self._routes: dict[Key, _Route] = {}
        self._bad: dict[str, str] = {}
        self._held: Counter[str] = Counter()

    def post(self, messages: Iterable[Message]) -> None:
        """Take *messages*, which are durable; one that was taken already is left alone, what is too much given up."""
        for message in messages:
            key, size = (message.user, message.target), len(message.body)
            route = self._routes.get(key) or _Route()
            if message.id in route.under_way or message.id in route.waiting:
                continue
            if self._held[message.user] + size > MOST_HELD:
                self._sent([message], "more waits to be told than may")
                continue
            self._routes[key] = route
            self._held[message.user] += size
            route.waiting[message.id] = message
            self._call(key, route, GATHER_SECONDS if is_mail(message.target) else 0.0)

    def end(self) -> None:
        """Deliver nothing more; what is not sent is still in the store."""
        for route in self._routes.values():
            if route.call is not None and route.call.active():
                route.call.cancel()
        self._routes.clear()
        self._held.clear()

    def server_came(self, user: str) -> None:
        """The server of *user* is there: it can be asked at once."""
        for key, route in list(self._routes.items()):
            if key[0] == user and not is_mail(key[1]) and not route.under_way:
                if route.call is not None and route.call.active():
                    route.call.cancel()
                self._call(key, route, 0.0)

    def complaint(self, target: str) -> str:
        """Return why nothing reached *target* when it was last tried, or an empty text."""
        return self._bad.get(target, "")

    def told(self, user: str, number: int, failed: str) -> None:
        """The server of *user* has delivered message *number*, or says why it could not."""
        for key, route in list(self._routes.items()):
            if key[0] == user and number in route.under_way:
                self._over(key, route, failed, final=False)
                return

    # -- inside -------------------------------------------------------------------------------------------------------

    def _call(self, key: Key, route: _Route, seconds: float) -> None:
        if route.call is None or not route.call.active():
            route.call = self._clock.callLater(seconds, self._deliver, key, route)

    def _deliver(self, key: Key, route: _Route) -> None:
        user, target = key
        if route.under_way:
            self._over(key, route, f"no answer in {PATIENCE_SECONDS:.0f} s", final=False)
            return
        if not route.waiting:
            del self._routes[key]
            return
        most = MOST_IN_ONE if is_mail(target) else 1
        route.under_way = {number: route.waiting.pop(number) for number in sorted(route.waiting)[:most]}
        messages = list(route.under_way.values())
        if is_mail(target):
            subject, text = letter(self._cluster, [msgspec.json.decode(one.body) for one in messages])
            done = self._mailer().send(target, subject, text)
            done.addCallbacks(
                lambda _: self._over(key, route, "", final=True), lambda failure: self._bounced(key, route, failure)
            )
            return
        body = msgspec.json.decode(messages[0].body)
        title, text = letter(self._cluster, [body["told"]])
        line = {"topic": "tell", "id": messages[0].id, "target": target, "title": title, "text": text, **body}
        if self._tell_server(user, _encode(line)):
            self._call(key, route, PATIENCE_SECONDS)
        else:
            self._later(key, route)

    def _bounced(self, key: Key, route: _Route, failure: Failure) -> None:
        failure.trap(MailError)
        error = failure.value
        assert isinstance(error, MailError)
        self._over(key, route, error.text, final=not error.passing)

    def _over(self, key: Key, route: _Route, failed: str, final: bool) -> None:
        """A delivery has come to an end: well, or not, and then finally or to be tried again."""
        if self._routes.get(key) is not route:
            return
        if route.call is not None and route.call.active():
            route.call.cancel()
        messages = list(route.under_way.values())
        old = bool(messages) and self._clock.seconds() - messages[0].at > GIVE_UP_AFTER
        if failed:
            self._remember(key[1], failed)
        if failed and not final and not old:
            self._later(key, route)
            return
        if failed:
            _log.warn("{target} is not told of {count} events: {reason}", event="mail", target=key[1], user=key[0],
                      count=len(messages), reason=failed)  # fmt: skip
        else:
            self._bad.pop(key[1], None)
        route.under_way, route.tries = {}, 0
        if messages:
            self._held[key[0]] -= sum(len(one.body) for one in messages)
            self._sent(messages, failed)
        self._call(key, route, 0.0)

    def _later(self, key: Key, route: _Route) -> None:
        route.waiting = {**route.under_way, **route.waiting}
        route.under_way = {}
        seconds = RETRY_AFTER[min(route.tries, len(RETRY_AFTER) - 1)]
        route.tries += 1
        self._call(key, route, seconds)

    def _remember(self, target: str, reason: str) -> None:
        if len(self._bad) >= MOST_BAD:
            self._bad.clear()
        self._bad[target] = reason
