"""The keeper's socket: one host server at a time, the next one once the last has been read to its end."""

from __future__ import annotations

import json
import os
import select
import socket
import struct

from tm.errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LINE_LIMIT = 64 * 1024 * 1024
CHUNK = 32 * 1024
TURN_LIMIT = 32 * CHUNK

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Link:
    """A Unix socket listening at *path* (relative, so that its length does not matter) and its one peer."""

    def __init__(self, path: str) -> None:
        self._listener = _listen(path)
        self._peer: socket.socket | None = None
        self._partial = b""
        self._unsent = b""
        self._deaf = False

    @property
    def idle(self) -> bool:
        """Whether there is no peer, so that the next one may come."""
        return self._peer is None

    @property
    def connected(self) -> bool:
        """Whether there is a peer that may be told something."""
        return self._peer is not None and not self._deaf

    @property
    def clear(self) -> bool:
        """Whether all that was told is on its way; while it is not, more had better wait."""
        return not self._unsent

    def watched(self) -> tuple[int, int]:
        """Return the descriptor to poll and the events to wait for."""
        if self._peer is None:
            return self._listener.fileno(), select.POLLIN
        return self._peer.fileno(), select.POLLIN | (select.POLLOUT if self._unsent else 0)

    def accept(self) -> bool:
        """Take the next peer, if there is one and it is the same user; return whether to greet it."""
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return False
        if _user_of(peer) != os.getuid():
            peer.close()
            return False
        peer.setblocking(False)
        self._peer = peer
        return True

    def receive(self) -> Iterator[dict[str, Any]]:
        """Yield what the peer has said; at its end the link is free again. Raises `WireError`."""
        data, ended = self._read()
        lines = (self._partial + data).split(b"\n")
        self._partial = b"" if ended else lines[-1]
        if ended:
            self.drop()
        elif len(self._partial) > LINE_LIMIT:
            raise WireError(
                "limit.line", f"a line to the keeper may have {LINE_LIMIT} bytes; this one has more"
            )
        for line in lines[:-1]:
            try:
                message = json.loads(line)
            except ValueError as error:
                raise WireError("proto.malformed", f"a line to the keeper is no JSON: {error}") from None
            if not isinstance(message, dict):
                raise WireError("proto.malformed", "a line to the keeper is a JSON object")
            yield message

    def _read(self) -> tuple[bytes, bool]:
        """Return all there is to read, a bounded lot at a time, and whether that was the end."""
        assert self._peer is not None
        pieces: list[bytes] = []
        size = 0
        while size < TURN_LIMIT:
            try:
                piece = self._peer.recv(CHUNK)
            except BlockingIOError:
                break
            except OSError:
                return b"".join(pieces), True
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
            size += len(piece)
            if len(piece) < CHUNK:
                break
        return b"".join(pieces), False

    def tell(self, message: dict[str, Any]) -> None:
        """Say *message* to the peer, if any; one that no longer listens is still read to its end."""
        if self.connected:
            self._unsent += _encode(message).encode() + b"\n"
            self.flush()

    def flush(self) -> None:
        """Send what is still to be sent, as far as the peer takes it."""
        if self._peer is None or not self._unsent:
            return
        try:
            sent = self._peer.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._deaf = True
            self._unsent = b""
            return
        self._unsent = self._unsent[sent:]

    def drop(self) -> None:
        """Part from the peer."""
        if self._peer is not None:
            self._peer.close()
        self._peer = None
        self._partial = self._unsent = b""
        self._deaf = False

    def close(self) -> None:
        """Part from the peer and listen no more."""
        self.drop()
        self._listener.close()


def _listen(path: str) -> socket.socket:
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(8)
    listener.setblocking(False)
    return listener


def _user_of(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
