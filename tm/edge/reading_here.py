"""Outputs of jobs that have ended, read on this machine: files that are seen here, too, though the host is not reached,
and what is in the bundle of an array.

What is read goes to a `Peer` as from a host: where it begins, the bytes, and its end; no more than the peer takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from tm import bundle
from tm.edge.reading import BLOCK, Files, Lookout, Reader
from tm.errors import RefusedError
from tm.ports import Peer

STDOUT = 1


class HereFiles:
    """Reads off the reactor's thread, by *in_thread*; files by *lookout*."""

    def __init__(self, lookout: Lookout, in_thread: Callable[[Callable[[], Any]], Deferred[Any]]) -> None:
        self._lookout = lookout
        self._in_thread = in_thread

    async def read(self, peer: Peer, files: Files, lines: int | None) -> bool:
        """Read *files* (channel, path, place) for *peer*, whole or the last *lines*; return whether any is here."""
        there: list[bool] = await self._in_thread(lambda: [os.path.isfile(path) for _, path, _ in files])
        if not any(there):
            return False
        reader = Reader(
            files, lines, lambda places: _say(peer, "reading", places), peer.send_bulk,
            lambda places: _say(peer, "read", places),
        )  # fmt: skip
        reader.over = True
        peer.on_close(lambda: self._lookout.remove(reader))
        peer.on_congestion(lambda choked: reader.pauseProducing() if choked else reader.resumeProducing())
        self._lookout.add(reader)
        return True

    async def read_task(self, peer: Peer, path: str, task: int, at: int, lines: int | None) -> bool:
        """Read what *task* has written, from the place *at* (below 0: the last *lines*), out of the bundle at *path*.

        Return whether it is here. Raises `RefusedError` ``bundle.damaged``.
        """
        try:
            found: list[bundle.Record] = await self._in_thread(lambda: bundle.records_of(path, [task]))
        except bundle.BundleError as error:
            raise RefusedError("bundle.damaged", str(error)) from None
        except OSError:
            return False
        if found:
            sent = Deferred.fromCoroutine(self._send(peer, found[0], at, lines))
            sent.addErrback(lambda failure: _lost(peer, failure))
        return bool(found)

    async def _send(self, peer: Peer, record: bundle.Record, at: int, lines: int | None) -> None:
        flow = _Flow(peer)
        if at < 0:
            at = await self._in_thread(lambda: _start_of_last_lines(record, lines))
        at = min(at, record.size)
        _say(peer, "reading", {STDOUT: at})
        while at < record.size and not flow.closed:
            await flow.free()
            data: bytes = await self._in_thread(partial(_piece, record, at))
            if not data:
                break
            at += len(data)
            if not flow.closed:
                peer.send_bulk(STDOUT, data)
        if not flow.closed:
            _say(peer, "read", {STDOUT: at})


class _Flow:
    """Whether *peer* takes more, and whether it is there at all."""

    def __init__(self, peer: Peer) -> None:
        self.closed = False
        self._choked = False
        self._waiting: Deferred[None] | None = None
        peer.on_close(self._close)
        peer.on_congestion(self._congested)

    async def free(self) -> None:
        """Return when more is taken."""
        if self._choked and not self.closed:
            self._waiting = Deferred()
            await self._waiting

    def _congested(self, choked: bool) -> None:
        self._choked = choked
        if not choked:
            self._go_on()

    def _close(self) -> None:
        self.closed = True
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


def _say(peer: Peer, state: str, places: dict[int, int]) -> None:
    peer.send_event(msgspec.json.encode({"state": state, "places": list(places.items())}))


def _lost(peer: Peer, failure: Any) -> None:
    failure.trap(OSError)
    peer.send_event(msgspec.json.encode({"state": "lost", "reason": failure.getErrorMessage()}))


def _piece(record: bundle.Record, at: int) -> bytes:
    with open(record.path, "rb") as file:
        return os.pread(file.fileno(), min(BLOCK, record.size - at), record.offset + at)


def _start_of_last_lines(record: bundle.Record, lines: int | None) -> int:
    """Return where the last *lines* lines of *record* begin, at most a block from its end."""
    if lines is None:
        return 0
    start = max(0, record.size - BLOCK)
    block = _piece(record, start)
    at = len(block) - 1 if block.endswith(b"\n") else len(block)
    for _ in range(lines):
        at = block.rfind(b"\n", 0, at)
        if at < 0:
            return start
    return start + at + 1
