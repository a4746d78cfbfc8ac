"""What people ask the TaskDispatcher of how turns are made: whose share is what, and what they have used of it."""

from __future__ import annotations

from tm.daemon.answers import Answer, Spoken, as_reply
from tm.daemon.dispatcher import Dispatcher
from tm.ports import Peer
from tm.wire.message import Request

_COLUMNS = ("user", "factor", "share", "part", "used", "cores", "groups")


class ShareVerbs:
    """The verbs about shares."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"lsshares": self._lsshares}

    def _lsshares(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        brain = self._dispatcher.brain
        brain.fairshare.refresh(brain.queue.waiting_users(), self._dispatcher.now)
        rows = brain.fairshare.shown(self._dispatcher.now)
        return as_reply(request, rows, share_lines(rows), none="nobody has jobs, or has used anything lately")


def share_lines(rows: list[dict[str, object]]) -> list[str]:
    """Return *rows* of `FairShare.shown` as a table, the core-seconds as core-hours."""
    table = [_COLUMNS, *(tuple(_cell(name, row[name]) for name in _COLUMNS) for row in rows)]
    if not rows:
        return []
    widths = [max(len(line[at]) for line in table) for at in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]


def _cell(name: str, value: object) -> str:
    if name == "groups":
        return " ".join(map(str, value)) if isinstance(value, list) else ""
    if not isinstance(value, float):
        return str(value)
    if name == "used":
        return f"{value / 3600:.1f}h"
    return f"{100 * value:.0f}%" if name in ("share", "part") else f"{value:.2f}"
