"""A blocking conversation with a server, over a Unix socket or TLS; every failure is one sentence.

Where a connection breaks after a request was sent, nobody knows whether it was done: that is a `LostError`,
and only who knows that the request may be repeated repeats it.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections import deque

import tm
from tm.errors import RefusedError, TaskManagerError, WireError
from tm.wire.dialogue import ClientDialogue
from tm.wire.frames import BULK_LIMIT, Bulk, encode_bulk
from tm.wire.message import Event, Reply, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from tm.places import Places

CHUNK = 256 * 1024
GREETING_SECONDS = 10.0
ANSWER_SECONDS = 60.0
HEARTBEAT_SECONDS = 60.0
WINDOW = 32
SILENCE = socket.timeout  # a TimeoutError only since Python 3.10


class LostError(TaskManagerError):
    """The connection is gone or silent; what was asked last may or may not have been done."""


def would_block(error: OSError) -> bool:
    """Whether *error* only says that a socket would have to wait; ``ssl`` is not loaded to ask."""
    return isinstance(error, BlockingIOError) or type(error).__name__ in (
        "SSLWantReadError",
        "SSLWantWriteError",
    )


def plain_failure(error: OSError, peer: str) -> TaskManagerError:
    """Return the failure that *error* on the connection to *peer* means."""
    return LostError("net.lost", f"the connection to {peer} broke: {error.strerror or error}")


class Connection:
    """One open, greeted connection; *peer* names the other side, e.g. ``TaskDispatcher at n1:10101``."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        failure: Callable[[OSError, str], TaskManagerError] = plain_failure,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.socket = sock
        self.peer = peer
        self.answer_seconds = answer_seconds
        self.server = ""
        self.version = ""
        self.said: dict[str, str] = {}
        self._failure = failure
        self._dialogue = ClientDialogue()
        self._inbox: deque[Reply | Event | Bulk] = deque()
        self._events: deque[Event] = deque()
        self._bulks: deque[Bulk] = deque()
        try:
            self._greet()
        except TaskManagerError:
            self.close()
            raise

    @classmethod
    def open_tms(cls, places: Places, start: bool = True) -> Connection:
        """Return a connection to the user's own server, started if need be; raise `TaskManagerError`."""
        from tm.client import tms

        return tms.open_tms(places, start)

    @classmethod
    def open_dispatcher(cls, places: Places, host: str | None = None, port: int | None = None) -> Connection:
        """Return a connection to the TaskDispatcher; raise `TaskManagerError`."""
        from tm.client import tls

        return tls.open_dispatcher(places, host, port)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; it is no error if it is closed already."""
        self.socket.close()

    # -- asking ---------------------------------------------------------------------------------------------

    def ask(self, verb: str, rest: str | None = None, json: bool = False, check: bool = True) -> Reply:
        """Return the reply to one request; with *check* an ``ERR`` is raised as `RefusedError`."""
        self.request(verb, rest, json)
        return self.reply(check)

    def request(self, verb: str, rest: str | None = None, json: bool = False) -> None:
        """Send a request without waiting for its reply."""
        self.send(Request(verb, rest, json).encode())

    def ask_all(
        self, requests: Iterable[tuple[str, str | None]], json: bool = False, window: int = WINDOW
    ) -> Iterator[Reply]:
        """Yield the reply to each of *requests*, ``ERR`` too, with up to *window* of them on the way."""
        waiting = 0
        for verb, rest in requests:
            self.request(verb, rest, json)
            waiting += 1
            if waiting == window:
                yield self.reply(check=False)
                waiting -= 1
        for _ in range(waiting):
            yield self.reply(check=False)

    def reply(self, check: bool = True, seconds: float | None = None) -> Reply:
        """Return the next reply; events and bulk frames before it are kept for who asks for them."""
        patience = self.answer_seconds if seconds is None else seconds
        end = time.monotonic() + patience
        while True:
            message = self._receive(end - time.monotonic())
            if message is None:
                raise LostError(
                    "net.timeout", f"{self.peer} has not answered within {patience:.0f} s; try again"
                )
            if isinstance(message, Reply):
                if check and not message.ok:
                    raise refusal(message)
                return message
            self._keep(message)

    # -- events and bulk ------------------------------------------------------------------------------------

    def event(self, seconds: float) -> dict[str, Any] | None:
        """Return the next event, or None when none has come within *seconds*."""
        end = time.monotonic() + seconds
        while not self._events:
            message = self._receive(end - time.monotonic())
            if message is None:
                return None
            self._keep(message)
        return decode_event(self._events.popleft(), self.peer)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events for ever, making sure in long silences that the server is still there."""
        while True:
            event = self.event(HEARTBEAT_SECONDS)
            if event is None:
                self.ask("version", check=False)
            else:
                yield event

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Send *data* as bulk frames of *channel*; no data means its end."""
        for start in range(0, len(data) or 1, BULK_LIMIT):
            self.send(encode_bulk(channel, data[start : start + BULK_LIMIT]))

    def bulk(self, seconds: float) -> Bulk | None:
        """Return the next bulk frame, or None when none has come within *seconds*."""
        end = time.monotonic() + seconds
        while not self._bulks:
            message = self._receive(end - time.monotonic())
            if message is None:
                return None
            self._keep(message)
        return self._bulks.popleft()

    # -- bytes ----------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send protocol bytes, and read meanwhile: a server takes nothing from who does not read."""
        view = memoryview(data)
        poll = None
        self.socket.setblocking(False)
        while view:
            try:
                view = view[self.socket.send(view) :]
                continue
            except OSError as error:
                if not would_block(error):
                    raise self._failure(error, self.peer) from None
            if poll is None:
                poll = select.poll()
                poll.register(self.socket, select.POLLIN | select.POLLOUT)
            if not poll.poll(self.answer_seconds * 1000):
                raise LostError("net.timeout", f"{self.peer} takes nothing any more; try again")
            self._read()

    def _receive(self, seconds: float) -> Reply | Event | Bulk | None:
        end = time.monotonic() + seconds
        while not self._inbox:
            self.socket.settimeout(max(seconds, 0.001))
            if not self._read():
                return None
            seconds = end - time.monotonic()
        return self._inbox.popleft()

    def _read(self) -> bool:
        """Take in what has come within the socket's timeout; return whether there was anything."""
        try:
            data = self.socket.recv(CHUNK)
        except OSError as error:
            if isinstance(error, SILENCE) or would_block(error):
                return False
            raise self._failure(error, self.peer) from None
        if not data:
            raise LostError("net.lost", f"{self.peer} has closed the connection")
        self._inbox.extend(self._dialogue.receive(data))
        return True

    def _keep(self, message: Reply | Event | Bulk) -> None:
        if isinstance(message, Event):
            self._events.append(message)
        elif isinstance(message, Bulk):
            self._bulks.append(message)
        else:
            raise WireError(
                "proto.malformed", f"{self.peer} answered what was not asked: '{message.text[:60]}'"
            )

    def _greet(self) -> None:
        try:
            greeting = self.reply(seconds=GREETING_SECONDS)
        except LostError as error:
            if error.word != "net.timeout":
                raise
            raise LostError(
                "net.timeout", f"{self.peer} does not greet: it hangs, or something else listens there"
            ) from None
        words = greeting.text.split(" ")
        self.server = words[0]
        self.version = words[1] if len(words) > 1 else ""
        self.said = {key: value for key, equals, value in (word.partition("=") for word in words) if equals}
        if self.said.get("protocol") != str(tm.PROTOCOL):
            raise TaskManagerError(
                "proto.version",
                f"{self.peer} speaks protocol {self.said.get('protocol', '?')}, this program {tm.PROTOCOL}: "
                "use the programs of the same installation",
            )


def refusal(reply: Reply) -> RefusedError:
    """Return the error that an ``ERR`` reply states."""
    return RefusedError(reply.word or "", "\n".join([reply.text, *reply.body]))


def decode_event(event: Event, peer: str) -> dict[str, Any]:
    """Return the object of an event line; raise `WireError` when it holds none."""
    return read_object(event.json.decode(errors="replace"), f"{peer} sent an event")


def read_object(line: str, told: str) -> dict[str, Any]:
    """Return the JSON object that is *line*; raise `WireError`, beginning with what was *told*, when it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WireError("proto.malformed", f"{told} that is no JSON object")
    return value
