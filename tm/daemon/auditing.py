"""Every change of the configuration is recorded before it is answered, in the order in which it was made.

Who changes something does it (file and brain), then says `Auditing.audited`, which answers when the record is durable.
Should it never be, the change is taken back: what is not recorded has not happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tm.errors import ConfigError, RefusedError, StoreError
from tm.model.audit import Change, Deed, RawTables, Table, deeds_between, difference, own_keys
from tm.model.effects import Notice
from tm.wire.message import Reply

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

TakeBack = Callable[[], None]
NOBODY = "(while away)"
BY_HAND = "(by hand)"
"""Who changed what is found changed at a start, or before a change by somebody else: nobody can say."""
LATER = ("dispatcher",)
"""Kinds that older stores have not remembered: what these say when one is first opened is nobody's change."""

_log = Logger()


class Undoer(Protocol):
    """How things of one kind are put back as they were."""

    @property
    def verb(self) -> str:
        """The verb whose right a person must have."""

    def present(self, name: str) -> Table | None:
        """Return the table of *name* as its file has it now, None when it is not there."""

    def restore(self, name: str, table: Table | None, deed: Deed) -> TakeBack:
        """Give *name* that *table* (None: take it out), in its file and live; return what takes this back again."""


class Auditing:
    """The audit log of one dispatcher. A room registers in `undoers` how things of its kind are put back.

    *known* are the tables of the configuration as the dispatcher has read them.
    """

    def __init__(self, dispatcher: Dispatcher, known: RawTables) -> None:
        self._dispatcher = dispatcher
        self._next = 1
        self._known = {kind: dict(things) for kind, things in known.items()}
        self._unsettled: list[tuple[Deed, TakeBack]] = []
        self.undoers: dict[str, Undoer] = {}

    def goes_on(self, next_change: int) -> None:
        """The store was opened (again): number the next record *next_change*."""
        self._next = next_change

    def audited(
        self,
        deed: Deed,
        reply: Callable[[Change], Reply],
        take_back: TakeBack = lambda: None,
        notices: Iterable[Notice] = (),
    ) -> Deferred[Reply]:
        """Record *deed*, which has just been done; return its *reply* when the record is durable, then tell *notices*.

        When it cannot be made durable, the answer is that `StoreError` and *take_back* is called, after those of all
        later changes.
        """
        answer: Deferred[Any] = self._recorded(deed, take_back, notices)
        self._remember()
        return answer.addCallback(reply)

    def reloaded(self, user: str, tables: RawTables) -> None:
        """The files were read again: record what is other than was known, a record for each thing."""
        deeds = deeds_between(user, "reload", self._known, tables)
        for deed in deeds:
            self._alone(deed)
        if deeds:
            self._remember()

    def begins(self, known: str | None) -> None:
        """The dispatcher has started: record what is other than was *known* when it was last heard of, if ever."""
        tables = {kind: dict(things) for kind, things in self._known.items()}
        if known is not None:
            self._known = {**{kind: tables[kind] for kind in LATER if kind in tables}, **msgspec.json.decode(known)}
            self.reloaded(NOBODY, tables)
        elif tables:
            self._remember()

    def follow(self, kind: str, name: str, table: Table | None) -> None:
        """Something has become *table* with a deed that is about another, e.g. a group with a user who is in it."""
        self._knows(kind, name, self._known.get(kind, {}).get(name), table)
        self._remember()

    def found(self, kind: str, name: str, table: Table | None) -> None:
        """Somebody changes what has this *table*: where it is other than known, it was edited by hand and counts."""
        known = self._known.get(kind, {}).get(name)
        if known != table:
            self._alone(Deed(BY_HAND, "reload", kind, name, known, table))

    def _alone(self, deed: Deed) -> None:
        """Record what nobody waits for."""
        self._recorded(deed, lambda: None, ()).addErrback(lambda failure: failure.trap(StoreError) and None)

    def _remember(self) -> None:
        self._dispatcher.turns.remember(msgspec.json.encode(self._known).decode())

    def _recorded(self, deed: Deed, take_back: TakeBack, notices: Iterable[Notice]) -> Deferred[Any]:
        change = Change.of(deed, self._next, self._dispatcher.now)
        self._next += 1
        self._knows(deed.kind, deed.name, deed.before, deed.after)
        entry = (deed, take_back)
        self._unsettled.append(entry)
        self._dispatcher.turns.record(change, notices)
        _log.info(
            "{user}: {verb} {kind} {name}: {what}", event="audit", id=change.id, user=deed.user, verb=deed.verb,
            kind=deed.kind, name=deed.name, what="; ".join(difference(deed.before, deed.after)) or deed.reason,
        )  # fmt: skip
        done: Deferred[Any] = self._dispatcher.turns.durable(change)
        return done.addCallbacks(lambda settled: self._settled(entry, settled), self._failed)

    def _knows(self, kind: str, name: str, before: Table | None, after: Table | None) -> None:
        if before != after:
            things = self._known.setdefault(kind, {})
            if after is None:
                things.pop(name, None)
            else:
                things[name] = own_keys(kind, after)

    def _settled(self, entry: tuple[Deed, TakeBack], change: Change) -> Change:
        if entry in self._unsettled:
            self._unsettled.remove(entry)
        return change

    def _failed(self, failure: Failure) -> Failure:
        failure.trap(StoreError)
        backwards, self._unsettled = self._unsettled[::-1], []
        for deed, take_back in backwards:
            self._knows(deed.kind, deed.name, deed.after, deed.before)
            try:
                take_back()
            except ConfigError as error:
                _log.error("a change that could not be recorded was not taken back: {text}", event="audit",
                           text=error.text)  # fmt: skip
        return failure

    def undo(self, change: Change, user: str) -> Deferred[Reply]:
        """Put back what *change* changed. Raises `RefusedError` (``undo.stale``, ``undo.impossible``)."""
        undoer = self.undoers.get(change.kind)
        if undoer is None and change.can_be_undone:
            raise RefusedError(
                "undo.impossible",
                f"record {change.id} is about [{change.kind}]: change that back in its file by hand, then 'reload'",
            )
        if undoer is None or not change.can_be_undone:
            raise RefusedError(
                "undo.impossible",
                f"record {change.id} ({change.verb} {change.name}) changed nothing that could be put back",
            )
        present = undoer.present(change.name)
        if present is not None and change.after is not None:
            present = {
                key: value
                for key, value in present.items()
                if key in change.after or key in own_keys(change.kind, present)
            }
        if present != change.after:
            told = "; ".join(difference(change.after, present))
            raise RefusedError(
                "undo.stale",
                f"{change.kind} {change.name} has changed since record {change.id} ({told});"
                " 'audit' shows by whom, change it anew instead",
            )
        deed = Deed(user, change.verb, change.kind, change.name, change.after, change.before, undoes=change.id)
        take_back = undoer.restore(change.name, change.before, deed)
        told = "; ".join(difference(change.after, change.before))
        return self.audited(
            deed, lambda made: Reply(f"{change.kind} {change.name}: {told}; recorded as {made.id}"), take_back
        )
