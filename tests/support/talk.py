"""A small blocking conversation with a server, made of `tm.wire` alone: the tests' own client and oracle."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections import deque
from typing import Any

from tm.wire.dialogue import ClientDialogue
from tm.wire.frames import Bulk
from tm.wire.message import Event, Reply, Request

PATIENCE = 20.0


class HungUpError(Exception):
    """The server closed the connection, or cut it."""


class Refused(Exception):  # noqa: N818  it is an answer
    """The server answered ``ERR``: *word* is the class, *text* the sentence."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.word} {reply.text}")
        self.word = reply.word or ""
        self.text = reply.text


class Talk:
    """One connection; `greeting` is what the server said first, `events` the event lines that came by the way."""

    def __init__(self, sock: socket.socket, greet: bool = True) -> None:
        self.socket = sock
        self.events: list[dict[str, Any]] = []
        self._dialogue = ClientDialogue()
        self._inbox: deque[Reply | Event | Bulk] = deque()
        sock.settimeout(PATIENCE)
        self.greeting = self.answered(self.reply()).text if greet else ""

    @classmethod
    def unix(cls, path: str) -> Talk:
        """Connect to a Unix socket; raise `OSError` when nobody listens there."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return cls(sock)
        except BaseException:
            sock.close()
            raise

    @classmethod
    def tls(cls, port: int, pair: tuple[str, str] | None, greet: bool = True, trusted: str = "") -> Talk:
        """Connect to *port* of loopback with *pair* (certificate, key); *trusted* is the server's, if it matters."""
        sock = tls_socket(port, pair, trusted)
        try:
            return cls(sock, greet)
        except BaseException:
            sock.close()
            raise

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send *data* as it is."""
        self.socket.sendall(data)

    def say(self, verb: str, rest: str | None = None, as_json: bool = False) -> None:
        """Send a request."""
        self.send(Request(verb, rest, as_json).encode())

    def next(self) -> Reply | Event | Bulk:
        """Return the next message of the server; raise `HungUpError` at its end, `TimeoutError` after a while."""
        while not self._inbox:
            try:
                data = self.socket.recv(256 * 1024)
            except (ConnectionError, ssl.SSLError) as error:
                raise HungUpError(str(error)) from None
            if not data:
                raise HungUpError("the server closed the connection")
            self._inbox.extend(self._dialogue.receive(data))
        return self._inbox.popleft()

    def reply(self) -> Reply:
        """Return the next reply, keeping the events before it."""
        while True:
            message = self.next()
            if isinstance(message, Reply):
                return message
            if isinstance(message, Event):
                self.events.append(json.loads(message.json))

    def event(self, **wanted: object) -> dict[str, Any]:
        """Return the next event with these values, dropping others."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            while self.events:
                event = self.events.pop(0)
                if wanted.items() <= event.items():
                    return event
            message = self.next()
            if isinstance(message, Event):
                self.events.append(json.loads(message.json))
        raise AssertionError(f"no event with {wanted}")

    def ask(self, verb: str, rest: str | None = None, as_json: bool = False) -> Reply:
        """Return the reply to a request; raise `Refused` when it is ``ERR``."""
        self.say(verb, rest, as_json)
        return self.answered(self.reply())

    def values(self, verb: str, rest: str | None = None) -> list[dict[str, Any]]:
        """Return the values that ``verb.json`` answers with."""
        return [json.loads(line) for line in self.ask(verb, rest, True).body]

    def refusal(self, verb: str, rest: str | None = None) -> Refused:
        """Return how a request is refused; fail when it is not."""
        try:
            reply = self.ask(verb, rest)
        except Refused as refused:
            return refused
        raise AssertionError(f"{verb} was not refused: {reply}")

    @staticmethod
    def answered(reply: Reply) -> Reply:
        """Return *reply*; raise `Refused` when it is ``ERR``."""
        if not reply.ok:
            raise Refused(reply)
        return reply


def tls_socket(port: int, pair: tuple[str, str] | None, trusted: str = "") -> ssl.SSLSocket:
    """Return a TLS connection to *port* of loopback after its handshake, made by the standard library."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    if trusted:
        context.load_verify_locations(trusted)
    if pair is not None:
        context.load_cert_chain(*pair)
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    try:
        return context.wrap_socket(sock)
    except BaseException:
        sock.close()
        raise
