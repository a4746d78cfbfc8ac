"""By which way a server on a host comes back to who started it, where that is not the usual one: a file in its folder.

The start command writes it, also when the server runs already: that one sees it within a second or two, leaves the way
it was on and dials by the new one.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import LoopingCall

from tm.edge.link import Dialler
from tm.errors import TaskManagerError

LOOK_SECONDS = 1.0
_NAME = "tunnel"


def tell_way(folder: str, way: tuple[str, int] | None) -> None:
    """Let who works in *folder* dial *way*, an address and a port, or None: the usual one.

    Raises `TaskManagerError` ``config.directory``.
    """
    path = os.path.join(folder, _NAME)
    try:
        if way is not None:
            _write(path, way)
        elif os.path.lexists(path):
            os.unlink(path)
    except OSError as error:
        raise TaskManagerError("config.directory", f"{path}: cannot be written: {error.strerror}") from None


def _write(path: str, way: tuple[str, int]) -> None:
    new = f"{path}.{os.getpid()}"
    with open(new, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"{way[0]} {way[1]}\n")
    os.rename(new, path)


def read_way(folder: str) -> tuple[str, int] | None:
    """Return the address and port to dial, None for the usual ones."""
    try:
        with open(os.path.join(folder, _NAME), encoding="ascii") as file:
            address, port = file.read(300).split()
        return address, int(port)
    except (OSError, ValueError):
        return None


class WayWatch:
    """Has *dialler* leave its connection when the way in *folder* is another one."""

    def __init__(self, clock: Any, folder: str, dialler: Dialler) -> None:
        self._folder = folder
        self._dialler = dialler
        self._way = read_way(folder)
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        way = read_way(self._folder)
        if way != self._way:
            self._way = way
            self._dialler.anew()
