"""The dispatcher's books as the scheduler sees them (`tm.model.around.Around`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tm.model.job import Job
from tm.model.room import Room

if TYPE_CHECKING:
    from tm.model.placing import Placing


class Grounds:
    """What the scheduler asks of *books*, and has done by them, *at* a time (seconds since the epoch)."""

    def __init__(self, books: Placing) -> None:
        self._books = books
        self.at = 0.0

    def room(self, host: str) -> Room | None:
        """Return what is free there; None where nothing may start now."""
        state = self._books.hosts.get(host)
        if state is None or not state.active or state.offer.closed or not state.trouble.room(self.at):
            return None
        return Room(state, self._books.licenses)

    def here(self, user: str) -> bool:
        """Return whether the user's server is attached."""
        return user in self._books.attached

    def reach(self, user: str, host: str) -> int:
        """Return whether jobs of *user* can be sent there: 0 not, 1 once a server has been started, 2 now."""
        return self._books.reach_at(user, host, self.at)

    def running(self, host: str) -> Iterable[Job]:
        """Return the jobs that occupy some of *host*."""
        state = self._books.hosts.get(host)
        sessions = state.sessions.values() if state is not None else ()
        return [job for session in sessions for job in session.occupying.values()]

    def start(self, number: int, host: str) -> bool:
        """Start a job there at once; False where its user's server is to be started first."""
        return self._books.start(number, host, self.at)

    def give_way(self, number: int, to: int) -> None:
        """Ask a scavenger to make room."""
        self._books.make_room_for(number, to, self.at)
