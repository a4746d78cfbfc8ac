"""What people say to the TaskDispatcher about changes: which there were, and that one is to be taken back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tm.daemon.answers import Answer, Spoken, json_lines
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import whole_number
from tm.errors import RefusedError
from tm.model.audit import Change, difference, show_change
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import demand
from tm.model.views import shown_time
from tm.ports import Peer
from tm.wire.message import Reply, Request

MOST_CHANGES = 10_000


class AuditVerbs:
    """The verbs of the audit log."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"audit": self._audit, "undo": self._undo}

    def _audit(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        lines = arguments[0] if arguments else "50"
        count = min(whole_number(lines, f"'{lines:.40}': expected a number of records"), MOST_CHANGES)
        around = self._dispatcher.around

        def written() -> list[str]:
            changes = around.store.changes(count)
            return json_lines(list(map(show_change, changes))) if request.json else list(map(change_line, changes))

        found: Deferred[list[str]] = around.reader.run(written)
        return found.addCallback(lambda lines: Reply(body=lines))

    def _undo(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        text = arguments[0]
        number = whole_number(text, f"'{text:.40}' is no number of a record; 'audit' lists them")
        around = self._dispatcher.around
        self._dispatcher.check_store()

        def undone(change: Change | None) -> Any:
            if change is None:
                raise RefusedError("undo.unknown", f"there is no record {number} in the audit log; 'audit' lists them")
            rights = self._dispatcher.rights_of(peer.user)
            demand(RULES, change.verb, rights)
            undoer = self._dispatcher.audit.undoers.get(change.kind)
            if undoer is not None:
                demand(RULES, _inverse(change, undoer.verb), rights)
            return self._dispatcher.audit.undo(change, peer.user)

        found: Deferred[Change | None] = around.reader.run(lambda: around.store.change(number))
        answer: Deferred[Reply] = found.addCallback(undone)
        return answer


def _inverse(change: Change, verb: str) -> str:
    """Return the verb that does what undoing *change* does; *verb* is that for what goes on being there."""
    if change.kind not in ("host", "user", "group"):
        return verb
    return f"remove{change.kind}" if change.before is None else f"add{change.kind}" if change.after is None else verb


def change_line(change: Change) -> str:
    """Return a record as people read it."""
    verb = f"{change.verb} (undo of {change.undoes})" if change.undoes else change.verb
    told = "; ".join(difference(change.before, change.after))
    reason = f"({change.reason})" if change.reason and told else change.reason
    parts = (f"{change.id:>5}", shown_time(change.at) or "", change.user, verb, change.kind, change.name, told, reason)
    return "  ".join(part for part in parts if part)
