"""How many mutual TLS 1.3 handshakes a second this machine can do, one after the other, both ends on it."""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import time

from tests.support.identities import Identity

LINE = b"x" * 119 + b"\n"


def handshakes_per_second(folder: str, count: int = 100) -> float:
    """Return the rate of connections to a server of its own, each with a line there and back; keys lie in *folder*."""
    server, client = (Identity(folder, f"handshake-{name}", name) for name in ("server", "client"))
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(listening, _context(server, client, True), count), daemon=True)
    process.start()
    try:
        return _connect(listening.getsockname(), _context(client, server, False), count)
    finally:
        listening.close()
        process.kill()
        process.join()


def _context(mine: Identity, other: Identity, serves: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serves else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(mine.certificate, mine.key)
    made.load_verify_locations(other.certificate)
    return made


def _serve(listening: socket.socket, context: ssl.SSLContext, count: int) -> None:
    for _ in range(count):
        with context.wrap_socket(listening.accept()[0], server_side=True) as accepted:
            accepted.sendall(accepted.recv(len(LINE)))


def _connect(address: tuple[str, int], context: ssl.SSLContext, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        with context.wrap_socket(socket.create_connection(address)) as connected:
            connected.sendall(LINE)
            if connected.recv(len(LINE)) != LINE:
                raise SystemExit("a line did not come back over TLS")
    return count / (time.perf_counter() - begin)
