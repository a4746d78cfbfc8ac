"""The output of a job as the server on its host reads it, where it is written; over the user's server.

`places` says how far each file has been shown, so that whoever goes on in another way goes on there.
"""

from __future__ import annotations

import select

from tm.client.connection import decode_event, refusal, would_block
from tm.client.stream import Piece, Splitter
from tm.client.submit import encode_json
from tm.errors import RefusedError, TaskManagerError
from tm.wire.message import Event, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tm.client.connection import Connection

RECEIVE_BYTES = 256 * 1024


class Live:
    """Follows *job* over *connection*, which it takes over, from its last *lines* (None: all), or after the *places*.

    *write* takes the output, piece by piece, with its channel. `over` once the attempt has ended and all is written.
    """

    def __init__(
        self,
        connection: Connection,
        job: int | str,
        lines: int | None,
        places: Mapping[int, int],
        write: Callable[[int, memoryview], None],
    ) -> None:
        self.places = dict(places)
        self.over = False
        self._connection = connection
        self._write = write
        self._splitter = Splitter()
        self._buffer = bytearray(RECEIVE_BYTES)
        wish = {"job": job, "lines": lines, "at": {str(channel): at for channel, at in places.items()}}
        connection.socket.setblocking(True)
        connection.socket.sendall(Request("follow", encode_json(wish).decode()).encode())
        connection.socket.setblocking(False)

    def look(self, seconds: float) -> bool:
        """Write what comes within *seconds*, at least what is there; return whether anything came.

        Raises `TaskManagerError` when nothing more will come: refused, or the connection is gone.
        """
        if self.over:
            return False
        poll = select.poll()
        poll.register(self._connection.socket, select.POLLIN)
        if not self._pending() and not poll.poll(max(0, int(seconds * 1000))):
            return False
        try:
            size = self._connection.socket.recv_into(self._buffer)
        except OSError as error:
            if would_block(error):
                return False
            raise self._lost(error.strerror or str(error)) from None
        if not size:
            raise self._lost("the other side closed it")
        for message in self._splitter.receive(self._buffer, size):
            if isinstance(message, Piece):
                self._output(message)
            elif isinstance(message, Event):
                self._event(decode_event(message, self._connection.peer))
            elif not message.ok:
                raise refusal(message)
        return True

    def _pending(self) -> bool:
        """Whether bytes have been decrypted that poll cannot see."""
        pending = getattr(self._connection.socket, "pending", None)
        return pending is not None and pending() > 0

    def _output(self, piece: Piece) -> None:
        if piece.data:
            self._write(piece.channel, piece.data)
            self.places[piece.channel] = self.places.get(piece.channel, 0) + len(piece.data)

    def _event(self, event: dict[str, Any]) -> None:
        state = event.get("state")
        if state == "reading":
            self.places = {int(channel): int(at) for channel, at in event["places"]}
        elif state == "read":
            self.over = True
        elif state == "refused":
            raise RefusedError(str(event.get("word")), str(event.get("reason")))
        elif state is not None and "run" in event:
            raise TaskManagerError("net.host", str(event.get("reason") or f"its server says {state}"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _lost(self, why: str) -> TaskManagerError:
        return TaskManagerError("net.lost", f"the connection to {self._connection.peer} broke ({why})")
