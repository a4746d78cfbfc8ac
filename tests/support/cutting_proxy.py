"""A network between two parties that is cut after exactly so many bytes, or swallows what one of them says."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable

from tests.support.flaky_proxy import RESET


class CuttingProxy:
    """Passes what connects to *listener* on to what *dial* returns; all its bytes, in both directions, are counted.

    `passed` counts since `arm`; after as many as were asked for, all connections are cut, once: `has_cut`.
    """

    def __init__(self, listener: socket.socket, dial: Callable[[], socket.socket]) -> None:
        self.passed = 0
        self.has_cut = False
        self._listener = listener
        self._dial = dial
        self._left: int | None = None
        self._swallowing = False
        self._peer: dict[socket.socket, socket.socket] = {}
        self._answering: set[socket.socket] = set()
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> CuttingProxy:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()
        self.cut()
        self._listener.close()

    def arm(self, after: int | None = None, afresh: bool = False) -> None:
        """Cut after so many bytes, if any; *afresh* the connections that there are at once, and then the next one."""
        with self._lock:
            if afresh:
                self.cut()
            self.passed, self.has_cut, self._left = 0, False, after

    def swallow(self, on: bool) -> None:
        """From now on drop what is answered to those who dialled, or let it pass again."""
        with self._lock:
            self._swallowing = on

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            for sock in self._peer:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.close()
            self._peer.clear()
            self._answering.clear()

    def _serve(self) -> None:
        while not self._over.is_set():
            with self._lock:
                watched = [self._listener, *self._peer]
            try:
                ready = select.select(watched, [], [], 0.01)[0]
            except (OSError, ValueError):  # one was cut meanwhile
                continue
            with self._lock:
                for sock in ready:
                    if sock is self._listener:
                        self._accept()
                    elif sock in self._peer:
                        self._pass_on(sock)

    def _accept(self) -> None:
        near = self._listener.accept()[0]
        try:
            far = self._dial()
        except OSError:
            near.close()
            return
        self._peer |= {near: far, far: near}
        self._answering.add(far)

    def _pass_on(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536 if self._left is None else max(1, min(65536, self._left)))
            if data and not (self._swallowing and sock in self._answering):
                self._peer[sock].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(sock)
            return
        self.passed += len(data)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._left, self.has_cut = None, True
                self.cut()

    def _end(self, sock: socket.socket) -> None:
        for one in (sock, self._peer.pop(sock)):
            self._peer.pop(one, None)
            self._answering.discard(one)
            one.close()
