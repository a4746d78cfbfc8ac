"""A network between two parties that breaks: a proxy that cuts each connection after some bytes, wherever that is."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)


class FlakyProxy:
    """Passes connections to *port* on to *target*; while `flaky`, cuts each one after *least* to *most* bytes."""

    def __init__(self, port: int, target: int, chance: random.Random, least: int, most: int) -> None:
        self.flaky = True
        self.cuts = 0
        self._target = target
        self._chance = chance
        self._bounds = (least, most)
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> FlakyProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                thread = threading.Thread(target=self._pass_on, args=(self._listener.accept()[0],))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, near: socket.socket) -> None:
        left = self._chance.randint(*self._bounds)
        with near:
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                return
            with far:
                try:
                    self._relay({near: far, far: near}, left)
                except OSError:
                    return

    def _relay(self, peers: dict[socket.socket, socket.socket], left: int) -> None:
        while not self._over.is_set():
            for sock in select.select(list(peers), [], [], 0.05)[0]:
                data = sock.recv(min(65536, left) if self.flaky else 65536)
                if not data:
                    return
                peers[sock].sendall(data)
                left -= len(data)
                if left <= 0 and self.flaky:
                    self.cuts += 1
                    for one in peers:
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return
                left = max(left, 1)
