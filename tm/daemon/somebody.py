"""Who asks over somebody else's connection: a `Peer` that has a name, and nothing that could be told or cut."""

from __future__ import annotations

from collections.abc import Callable


class Somebody:
    """Who *user* is for the time of one request."""

    fingerprint = ""

    def __init__(self, user: str) -> None:
        self.user = user

    def send_event(self, json: bytes) -> None:
        """Nobody hears it."""

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Nobody hears it."""

    def on_close(self, callback: Callable[[], object]) -> None:
        """There is nothing to be closed."""

    def abort(self) -> None:
        """There is nothing to be cut."""

    def keep(self) -> None:
        """There is no silence."""

    def wait_for_ever(self) -> None:
        """There is no silence."""

    def hold(self, held: bool) -> None:
        """Nothing more will be read."""

    def on_congestion(self, callback: Callable[[bool], None]) -> None:
        """It keeps up."""
        callback(False)
