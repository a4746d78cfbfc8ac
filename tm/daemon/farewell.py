"""What becomes of users who are removed: of their connections, and of their jobs.

The law: from the moment the table changes nothing more is done for them. What does not run yet is cancelled; what runs
finishes or is cancelled, as ``[removed]`` in ``etc/users`` says. Their connections are cut. The one of their own server
stays as long as it has endings to tell (where they are cancelled, for a few seconds), and may say nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tm.daemon.info_names import is_infoserver
from tm.daemon.web_desk import is_web
from tm.errors import RefusedError
from tm.model.phase import ON_HOST, Phase
from tm.model.rights import Users
from tm.ports import Peer

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

ACKNOWLEDGE_SECONDS = 4.0
LAST_WORDS_SECONDS = 0.05
_RUNS = ON_HOST - {Phase.STARTING}
_OF_THE_LEAVING = frozenset({"report", "hello", "hostnews", "version"})

_log = Logger()


class Farewell:
    """Sees those off who are no longer in the table of users of one dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._leaving: dict[str, float] = {}

    def check(self, peer: Peer, verb: str) -> None:
        """Raise `RefusedError` ``auth.unknown`` when who was let in is a user no longer."""
        dispatcher = self._dispatcher
        if peer.user in dispatcher.tables.users or _is_ours(peer.user):
            return
        if not (verb in _OF_THE_LEAVING and dispatcher.is_server(peer.user, peer)):
            raise RefusedError(
                "auth.unknown", f"{peer.user} is no longer registered here; have the administrator do it anew"
            )

    def changed(self, before: Users, by: str) -> None:
        """The table of users was *before* another one; *by* changed it (nobody: the files were read)."""
        dispatcher = self._dispatcher
        users = dispatcher.tables.users
        for user in sorted(set(before.by_name) - set(users.by_name)):
            self._removed(user, users.removed_jobs == "cancel", by)
        for user in [user for user in self._leaving if user in users]:
            del self._leaving[user]
            dispatcher.brain.attached.add(user)
        if set(before.by_fingerprint.items()) - set(users.by_fingerprint.items()):
            done: Deferred[None] = dispatcher.turns.durable(None)
            done.addBoth(lambda _: self._cut_soon())

    def tick(self) -> None:
        """Called about once a second."""
        dispatcher = self._dispatcher
        users = dispatcher.tables.users
        for user in [user for user in dispatcher.brain.queue.waiting_users() if user not in users]:
            self._cancel(user, f"{user} is not a user of this cluster", False)
        over = [
            user for user, until in self._leaving.items()
            if dispatcher.now >= until or not self._has_jobs(user) or user not in dispatcher.server_users()
        ]  # fmt: skip
        for user in over:
            del self._leaving[user]
        if over:
            self._cut()

    def _removed(self, user: str, cancel: bool, by: str) -> None:
        dispatcher = self._dispatcher
        reason = f"{user} is no longer a user{f' (removed by {by})' if by else ''}"
        cancelled = self._cancel(user, reason, cancel)
        if self._has_jobs(user) and user in dispatcher.server_users():
            self._leaving[user] = dispatcher.now + ACKNOWLEDGE_SECONDS if cancel else float("inf")
        dispatcher.brain.attached.discard(user)
        _log.warn("{reason}: {count} jobs cancelled", event="removed", reason=reason, user=user, count=cancelled)

    def _cancel(self, user: str, reason: str, running: bool) -> int:
        dispatcher = self._dispatcher
        brain = dispatcher.brain
        numbers = [
            number for number, job in brain.jobs.items() if job.user == user and (running or job.phase not in _RUNS)
        ]
        for number in numbers:
            brain.cancel_asked(number, "the dispatcher", reason, dispatcher.now)
        dispatcher.turns.happened()
        return len(numbers)

    def _has_jobs(self, user: str) -> bool:
        return any(session.jobs for session in self._dispatcher.brain.sessions.values() if session.user == user)

    def _cut_soon(self) -> None:
        """Cut when an answer to the one who made the change has left: it may be themselves whom they removed."""
        self._dispatcher.clock.callLater(LAST_WORDS_SECONDS, self._cut)

    def _cut(self) -> None:
        """Cut the connections of certificates that are their user's no longer, but for servers with endings to tell."""
        dispatcher = self._dispatcher
        users = dispatcher.tables.users

        def picked(peer: Peer) -> bool:
            if _is_ours(peer.user) or users.user_of(peer.fingerprint) == peer.user:
                return False
            return not (peer.user in self._leaving and dispatcher.is_server(peer.user, peer))

        dispatcher.cut(picked)


def _is_ours(user: str) -> bool:
    """Whether the peer called *user* is no person but a server of the cluster."""
    return is_infoserver(user) or is_web(user)
