"""Many who want nothing good of a server, and one who wants to be served meanwhile."""

from __future__ import annotations

import random
import resource
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from tests.support.talk import HungUpError, Talk

MOST_FROM_LOOPBACK = 1000
"""So many connections of one address, which are fewer than a server lets in."""


@contextmanager
def descriptors(wanted: int) -> Iterator[int]:
    """Let this process have *wanted* descriptors if it may; give how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Open sockets, from as many addresses of loopback as it takes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for sock in self._sockets:
            sock.close()

    def __len__(self) -> int:
        return len(self._sockets)

    def connect(self) -> socket.socket:
        """Return one more connection."""
        source = f"127.0.1.{1 + len(self._sockets) // MOST_FROM_LOOPBACK}"
        sock = socket.create_connection(("127.0.0.1", self._port), 20, (source, 0))
        self._sockets.append(sock)
        return sock

    def tell(self, data: bytes) -> None:
        """Send *data* on all that are still open."""
        for sock in self._sockets:
            try:
                sock.send(data)
            except OSError:
                continue

    def let_in(self, pair: tuple[str, str]) -> ssl.SSLSocket:
        """Return one more connection after its handshake as the owner of *pair* (certificate, key), and greeted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*pair)
        sock = self.connect()
        secured = context.wrap_socket(sock)
        self._sockets[-1] = secured
        if not secured.recv(4096).startswith(b"OK "):
            raise AssertionError("not let in")
        return secured

    def hung_up(self) -> int:
        """Return on how many of them the server has hung up; what it has said before does not matter."""
        poll = select.poll()
        by_number = {sock.fileno(): sock for sock in self._sockets}
        for number in by_number:
            poll.register(number, select.POLLIN)
        return sum(_is_over(by_number[number]) for number, _ in poll.poll(0))


def _is_over(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            continue
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class Bystander:
    """Somebody who asks again and again in another thread: *ask* is done and counted until the ``with`` is left."""

    def __init__(self, ask: Callable[[], object], pause: float = 0.05) -> None:
        self._ask = ask
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go)
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._over.is_set() or not self.seconds:
            begun = time.monotonic()
            try:
                self._ask()
            except (OSError, HungUpError, AssertionError) as error:
                self.failures.append(repr(error))
            self.seconds.append(time.monotonic() - begun)
            self._over.wait(self._pause)

    def most(self) -> float:
        """Return how long the longest took, in seconds."""
        return max(self.seconds)


def greeted(port: int, pair: tuple[str, str]) -> Callable[[], object]:
    """Return what connects as the owner of *pair*, is greeted, asks one thing and goes."""

    def ask() -> object:
        with Talk.tls(port, pair) as talk:
            return talk.ask("version")

    return ask


def pour(send: Callable[[bytes], object], chunk: bytes, most: int, seconds: float) -> int:
    """Send *chunk* again and again until *most* bytes are gone, the other side has had enough, or *seconds* are over.

    Returns how many were taken.
    """
    until = time.monotonic() + seconds
    sent = 0
    try:
        while sent < most and time.monotonic() < until:
            send(chunk)
            sent += len(chunk)
    except OSError:
        pass
    return sent


def client_hello() -> bytes:
    """Return the first bytes of a client that speaks TLS 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(received, sent).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()


def no_handshake(chance: random.Random, hello: bytes) -> bytes:
    """Return what somebody may say first that is no handshake: noise, other protocols, a spoilt or cut *hello*."""
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 2000))
    if kind == 1:
        return chance.choice(
            [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"help\n", b"\0" * 100, b"\x80\x2e\x01\x00\x02"]
        )
    if kind == 2:  # a record of any type, version and length
        return (
            chance.randbytes(3) + chance.randrange(65536).to_bytes(2, "big") + chance.randbytes(chance.randrange(500))
        )
    if kind == 3:
        return hello[: chance.randrange(len(hello))]
    spoilt = bytearray(hello)
    for _ in range(chance.randrange(1, 8)):
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
    return bytes(spoilt) + chance.randbytes(chance.choice((0, 0, 300)))


HARD = "\n\r\t\0\x1b\x7f\x85\u2028\ufeff\ufffe%:.=*'\"\\$`{}ä\U0001f600"
"""Letters that mean something to somebody between a client and a job."""

PIECES = (
    b"\n", b"\r\n", b"\0", b"\xff\xfe", b":", b".json", b"version", b"help", b"jobinfo:1", b"lsjobs.json", b"submit:{",
    b"submit:[]", b"= 1 5\nhello", b"= 1 262145\n", b"= -1 x\n", b"= 0 0\n", b"* {}", b"OK", b"ERR a.b c", b".", b"..",
    b"%", b"%3A", b"%zz", b'"', b"{}", b"subscribe:jobs", b"canceljob:1-", b"lsjobs:limit=1:after=x", b"hello:{}",
    b"attach:{}", b"report:[1]", b"as:bob:version", b"x" * 5000, "\u2028\U0001f600".encode(),
)  # fmt: skip


def no_request(chance: random.Random) -> bytes:
    """Return what somebody who was let in may say that is hardly ever a request."""
    said = [
        chance.choice(PIECES) if chance.random() < 0.8 else chance.randbytes(9) for _ in range(chance.randrange(40))
    ]
    return b"".join(said) + b"\n"
