"""Somebody between two daemons who has the keys of both: messages come twice, late, and in another order than said.

What is asked again (a submission, a report) gets an answer that nobody waits for and that is thrown away. Answers are
given in the order of the questions, as the protocol has it; only questions and events change places.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import threading
from collections import Counter, deque

from tm.wire.dialogue import ClientDialogue, ServerDialogue
from tm.wire.message import Event, Reply, Request

TWICE = frozenset({"submit", "report"})
"""What may be said once more by a network at any time; each has a number or a token by which it is known again."""


class Meddler:
    """Listens on *port* with the certificate and key *near*, and dials the port *target* with *far*.

    `done` counts what it did, by ``twice``, ``late``, ``swapped``, while `meddling`; `connections` were made so far.
    """

    def __init__(
        self, port: int, target: int, near: tuple[str, str], far: tuple[str, str], chance: random.Random
    ) -> None:
        self.meddling = True
        self.done: Counter[str] = Counter()
        self.connections = 0
        self._port, self._target, self.chance = port, target, chance
        self._near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._near.load_cert_chain(*near)
        self._far = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._far.check_hostname, self._far.verify_mode = False, ssl.CERT_NONE
        self._far.load_cert_chain(*far)
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._pairs: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Meddler:
        self._thread.start()
        self._open.wait(10)
        return self

    def __exit__(self, *failure: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    def rest(self) -> None:
        """Meddle no more, and let everybody begin anew."""
        self.meddling = False
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for task in self._pairs:
            task.cancel()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=self._near)
        self._open.set()
        await self._over.wait()
        server.close()
        self._cut()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                far = await asyncio.open_connection("127.0.0.1", self._target, ssl=self._far)
                await _Pair(self, (reader, writer), far).relay()
        finally:
            self._pairs.discard(task)

    def happens(self, what: str, likely: float) -> bool:
        """Whether *what* happens now."""
        happens = self.meddling and self.chance.random() < likely
        self.done[what] += happens
        return happens

    async def hesitate(self) -> None:
        """Wait, now and then."""
        if self.happens("late", 0.3):
            await asyncio.sleep(self.chance.choice((0.002, 0.02, 0.1)) * self.chance.random())


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pair:
    """One connection of a server, and ours to the dispatcher for it."""

    def __init__(self, meddler: Meddler, near: Ends, far: Ends) -> None:
        self._meddler = meddler
        self._near, self._far = near, far
        self._asked: deque[bool] = deque()
        """Of each answer that is to come, whether somebody waits for it; the first is the greeting."""
        self._asked.append(True)
        self._said: list[bytes] = []

    async def relay(self) -> None:
        """Pass messages on until either side is gone."""
        ways = {asyncio.ensure_future(self._forth()), asyncio.ensure_future(self._back())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for _, writer in (self._near, self._far):
                writer.transport.abort()

    async def _forth(self) -> None:
        dialogue = ServerDialogue()
        while data := await self._near[0].read(1 << 16):
            for request in dialogue.receive(data):
                assert isinstance(request, Request), request
                await self._meddler.hesitate()
                self._ask(request.encode(), True)
                if request.verb in TWICE:
                    self._said.append(request.encode())
                    if self._meddler.happens("twice", 0.3):
                        self._ask(self._meddler.chance.choice(self._said[-6:]), False)
            await self._far[1].drain()

    def _ask(self, line: bytes, awaited: bool) -> None:
        self._asked.append(awaited)
        self._far[1].write(line)

    async def _back(self) -> None:
        dialogue = ClientDialogue()
        held: bytes = b""
        while True:
            try:
                data = await asyncio.wait_for(self._far[0].read(1 << 16), 0.05 if held else None)
            except TimeoutError:
                self._near[1].write(held)
                held = b""
                continue
            if not data:
                return
            for message in dialogue.receive(data):
                if isinstance(message, Event):
                    held = await self._event(b"* " + message.json + b"\n", held)
                else:
                    assert isinstance(message, Reply), message
                    if self._asked.popleft():
                        self._near[1].write(message.encode())
            await self._near[1].drain()

    async def _event(self, line: bytes, held: bytes) -> bytes:
        """Pass on an event, twice, or after the next one; return what is held back until then."""
        if not held and self._meddler.happens("swapped", 0.15):
            return line
        await self._meddler.hesitate()
        self._near[1].write(line * (1 + self._meddler.happens("twice", 0.3)) + held)
        return b""
