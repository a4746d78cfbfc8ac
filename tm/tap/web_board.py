"""The board of the web interface, kept in a file over restarts of the web server."""

from __future__ import annotations

import os
from typing import Any

from twisted.logger import Logger

from tm.edge.committer import Committer
from tm.tap.common import Late
from tm.web.board_keeper import BoardKeeper
from tm.web.desk import Desk
from tm.web.service import WebServer

MOST_BYTES = 64 * 1024 * 1024
_log = Logger()


def keep_board(late: Late, desk: Desk, web: WebServer, clock: Any, path: str) -> None:
    """Keep *desk*'s board current from what *web* hears, and in the file *path*."""
    worker = Committer(clock, "board")
    late.at_end(worker.stop)
    content = _read(path)
    if content and not desk.board.restore(content):
        _log.warn("{path} cannot be read; the plots begin anew", event="history", path=path)
    keeper = BoardKeeper(desk, clock, lambda saved: worker.run(lambda: _write(path, saved)))
    if desk.events is not None:
        hub = desk.events
        keeper.taken.append(lambda: hub.heard({"topic": "loads"}))
    web.up.append(keeper.ask)
    web.heard.append(keeper.heard)
    late.add(keeper)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return b""


def _write(path: str, content: bytes) -> None:
    try:
        with open(path + ".new", "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
        os.rename(path + ".new", path)
    except OSError as error:
        _log.warn("{path} cannot be written: {text}", event="history", path=path, text=error.strerror)
