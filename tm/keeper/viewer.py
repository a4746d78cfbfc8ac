"""One connection to a holder: lines and raw bytes in, output and events out, with a bound to what waits for it."""

from __future__ import annotations

import os
import socket
import struct
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = 64 * 1024
RECEIVE = 64 * 1024
LINE_LIMIT = 4096
CROWDED = 256 * 1024
MOST_UNSENT = 1024 * 1024


class Kept:
    """The last output of a command, `KEPT` bytes of it and a little more."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._size = 0

    def add(self, channel: int, data: bytes) -> None:
        """Keep *data*, and no longer what came long before it."""
        last = data[-KEPT:]
        self._pieces.append((channel, last))
        self._size += len(last)
        while self._size - len(self._pieces[0][1]) >= KEPT:
            self._size -= len(self._pieces.popleft()[1])

    def frames(self) -> bytes:
        """Return it as it is sent."""
        return b"".join(b"= %d %d\n%b" % (channel, len(data), data) for channel, data in self._pieces)


class Viewer:
    """Who is connected by *sock*.

    It *types* when its input counts, and *wants* to when another one's does; *moved_at* is when it last took something.
    """

    def __init__(self, sock: socket.socket, now: float) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.fd = sock.fileno()
        self.attached = False
        self.types = self.wants = False
        self.rows = self.columns = 0
        self.moved_at = now
        self.gone = False
        self._unsent: list[bytes] = []
        self._size = 0
        self._partial = bytearray()
        self._missing = -1

    @property
    def unsent(self) -> int:
        """Bytes that wait for it."""
        return self._size

    @property
    def crowded(self) -> bool:
        """Whether so much waits for it that its command had better wait, too."""
        return self._size > CROWDED

    def send(self, data: bytes) -> None:
        """Send *data*, now or when there is room."""
        if data and not self.gone:
            self._unsent.append(data)
            self._size += len(data)

    def flush(self, now: float) -> None:
        """Send what waits as far as it is taken."""
        while self._unsent and not self.gone:
            try:
                sent = self.socket.sendmsg(self._unsent[:64])
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self.moved_at = now
            self._size -= sent
            while sent:
                first = self._unsent[0]
                if sent < len(first):
                    self._unsent[0] = first[sent:]
                    return
                sent -= len(first)
                del self._unsent[0]

    def receive(self) -> Iterator[list[str] | bytes]:
        """Yield what it says: the words of a line, or raw bytes, empty for the end of input."""
        try:
            data = self.socket.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._partial += data
        while self._partial or self._missing == 0:
            if self._missing >= 0:
                piece = bytes(self._partial[: self._missing])
                del self._partial[: len(piece)]
                self._missing -= len(piece)
                if self._missing == 0:
                    self._missing = -1
                yield piece
                continue
            end = self._partial.find(b"\n")
            if end < 0:
                if len(self._partial) > LINE_LIMIT:
                    self.close()
                return
            words = self._partial[:end].decode("ascii", "replace").split()
            del self._partial[: end + 1]
            if len(words) == 3 and words[0] == "=" and words[2].isdigit():
                self._missing = int(words[2])
            elif words:
                yield words

    def close(self) -> None:
        """Part from it."""
        if not self.gone:
            self.gone = True
            self.socket.close()
            self._unsent.clear()
            self._size = 0


def listen(folder: str, name: str) -> socket.socket:
    """Return a socket that listens as *name* in *folder*, however long that one's path is. Raises `OSError`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.umask(before)
        os.close(directory)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def accept(listener: socket.socket, now: float) -> Viewer | None:
    """Return who has connected, None where it is nobody, or somebody else than our own user."""
    try:
        peer, _ = listener.accept()
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    if struct.unpack("3i", credentials)[1] != os.getuid():
        peer.close()
        return None
    return Viewer(peer, now)
