"""Watching jobs until they have ended, without losing a wake-up and across any restart of the servers.

First subscribe, then ask for the state: what happens in between is heard, what happened before is seen.
After a broken connection the same again over a new one. Long silences are ended by asking too, so that a
lost event costs time and never an ending.
"""

from __future__ import annotations

import json
import time

from tm.client.connection import Connection, LostError, refusal
from tm.client.ending import has_ended
from tm.errors import TaskManagerError, WireError
from tm.model.ids import shown_id, task_id
from tm.wire.message import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    View = dict[str, Any]

PAGE = 1000
ROWS = 5000
FEW = 50
FIRST_DOUBT = 5.0
LAST_DOUBT = 60.0
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Watch:
    """Watches the jobs *ids*. *left* are those that have not ended, *views* what is known of each."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        ids: Iterable[int],
        say: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.left = set(ids)
        self.views: dict[int, View] = {}
        self._connect = connect
        self._connection: Connection | None = None
        self._say = say
        self._clock = clock
        self._pause = pause
        self._troubles = 0
        self._doubt = FIRST_DOUBT
        self._asked = clock()

    def adopt(self, connection: Connection) -> None:
        """Use *connection*, subscribed since before the jobs existed: nothing needs to be asked first."""
        self._connection = connection
        self._asked = self._clock()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def look(self, seconds: float) -> list[View]:
        """Wait at most *seconds* for news, the views that changed; raise `TaskManagerError` when hopeless."""
        try:
            connection = self._connection or self._begin()
            if self._clock() - self._asked >= self._doubt:
                self._doubt = min(max(2 * self._doubt, FIRST_DOUBT), LAST_DOUBT)
                return self._ask(connection)
            return self._listen(connection, min(seconds, self._doubt))
        except TaskManagerError as error:
            self._interrupted(error, seconds)
        return []

    def describe(self, number: int) -> View:
        """Return the whole public view of a job, over whatever connection there will be."""
        while True:
            try:
                return next(views_of(self._connection or self._begin(), [number]))
            except TaskManagerError as error:
                self._interrupted(error, _PAUSES[-1])

    # -- inside ---------------------------------------------------------------------------------------------

    def _begin(self) -> Connection:
        """Connect; the state of all jobs is in doubt, so the next look asks."""
        self._connection = self._connect()
        self._doubt = 0.0
        return self._connection

    def _interrupted(self, error: TaskManagerError, seconds: float) -> None:
        if not (isinstance(error, (LostError, WireError)) or error.word.startswith("net.")):
            raise error
        if not self._troubles:
            self._say(f"{error.text}; the jobs go on, trying to connect again")
        self.close()
        self._pause(min(seconds, _PAUSES[min(self._troubles, len(_PAUSES) - 1)]))
        self._troubles += 1

    def _listen(self, connection: Connection, seconds: float) -> list[View]:
        news: list[View] = []
        event = connection.event(seconds)
        while event is not None:
            if event.get("topic") == "jobs":
                news += self._learn(event)
            event = connection.event(0.0)
        return news

    def _ask(self, connection: Connection) -> list[View]:
        connection.ask("subscribe", "jobs")
        news: list[View] = []
        for view in views_of(connection, sorted(self.left)):
            news += self._learn(view)
        self._asked = self._clock()
        if self._troubles:
            self._say("connected again")
            self._troubles = 0
        return news

    def _learn(self, news: View) -> list[View]:
        number = key_of(news)
        if number not in self.left:
            return []
        old = self.views.get(number, {})
        view = {**old, **news}
        self.views[number] = view
        if has_ended(view):
            self.left.discard(number)
        return [view] if view != old else []


def views_of(connection: Connection, ids: list[int], what: str = "") -> Iterator[View]:
    """Yield the views of the user's jobs *ids*, ascending; raise `RefusedError` for one that is unknown.

    *what* is asked for beside the view of each, where they are few (``:environment``).
    """
    if len(ids) <= FEW:
        replies = list(connection.ask_all((("jobinfo", f"{shown_id(number)}{what}") for number in ids), json=True))
        for reply in replies:
            yield from _read(reply, connection.peer)
        return
    wanted = set(ids)
    for view in list_jobs(connection, after=ids[0] - 1):
        number = key_of(view)
        if number > ids[-1]:
            return
        if number in wanted:
            yield view


def key_of(view: View) -> int:
    """Return the number of the job that *view* is of, -1 where it is of several tasks at once."""
    shown = view.get("id")
    if isinstance(shown, int):
        return shown
    array, _, index = str(shown).partition("_")
    return task_id(int(array), int(index)) if array.isdigit() and index.isdigit() else -1


def list_jobs(connection: Connection, after: int | str = 0, **filters: str) -> Iterator[View]:
    """Yield the public views of the jobs with an id above *after* that fit *filters*, page by page."""
    chosen = "".join(f"{key}={value}:" for key, value in filters.items())
    while True:
        reply = connection.ask("lsjobs", f"{chosen}limit={PAGE}:after={after}", json=True)
        page = _read(reply, connection.peer)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]["id"]


def list_rows(connection: Connection, columns: tuple[str, ...], **filters: str) -> Iterator[View]:
    """Yield *columns*, the first of which is ``id``, of the jobs that fit *filters*.

    While a page is read the next one is on its way.
    """
    chosen = "".join(f"{key}={value}:" for key, value in filters.items())
    most = ROWS if filters == {"state": "active"} else PAGE
    wish = f"{chosen}columns={','.join(columns)}:limit={most}:after="
    connection.request("lsjobs", wish + "0", json=True)
    more = True
    while more:
        reply = connection.reply()
        more = len(reply.body) == most
        try:
            if more:
                connection.request("lsjobs", f"{wish}{json.loads(reply.body[-1])[0]}", json=True)
            rows = json.loads(f"[{','.join(reply.body)}]")
        except (ValueError, TypeError, LookupError):
            rows = [None]
        if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
            raise WireError("proto.malformed", f"{connection.peer} listed a job by what is no row")
        for row in rows:
            yield dict(zip(columns, row))  # noqa: B905  strict came with Python 3.10


def _read(reply: Reply, peer: str) -> list[View]:
    if not reply.ok:
        raise refusal(reply)
    try:
        views = [json.loads(line) for line in reply.body]
    except ValueError:
        views = [None]
    if not all(isinstance(view, dict) and isinstance(view.get("id"), (int, str)) for view in views):
        raise WireError("proto.malformed", f"{peer} described a job by what is no JSON object")
    return views
