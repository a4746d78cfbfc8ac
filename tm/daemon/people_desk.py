"""How users and groups are changed: planned, checked, written, made to count, recorded.

The law: every change, also one that takes an earlier one back, goes this one way, so that nobody gives what they lack
and somebody remains who may change people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tm.daemon.answers import Answer
from tm.errors import ConfigError, RefusedError
from tm.model.audit import Change, Deed
from tm.model.granting import People, check_granted, check_remains
from tm.ports import Edition, PeopleFiles
from tm.wire.message import Reply

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

Table = Mapping[str, Any]
Changes = Sequence[tuple[str, str, Table | None]]


class PeopleDesk:
    """The one way in which the users and groups of one dispatcher change."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        dispatcher.audit.undoers["user"] = _Undoer(self, "user", "changeuser")
        dispatcher.audit.undoers["group"] = _Undoer(self, "group", "changegroup")

    @property
    def files(self) -> PeopleFiles:
        """The files; raise `RefusedError` ``config.missing`` where there are none."""
        files = self._dispatcher.around.people
        if files is None:
            raise RefusedError("config.missing", "this dispatcher changes neither users nor groups")
        return files

    def edition(self) -> Edition:
        """Return what the files say now; raise `ConfigError` when they are faulty, `StoreError` when the store is."""
        self._dispatcher.check_store()
        return self.files.read()

    def change(self, deed: Deed, before: Edition, changes: Changes, said: Callable[[Change], str]) -> Answer:
        """Do what *deed* says (its tables are filled in), reply what is *said* of its record. Raises `RefusedError`."""
        after, take_back = self._do(deed.user, before, changes, (deed.kind, deed.name))
        done = replace(deed, before=present(before, deed.kind, deed.name), after=present(after, deed.kind, deed.name))
        return self._dispatcher.audit.audited(done, lambda change: Reply(said(change)), take_back)

    def restore(self, by: str, kind: str, name: str, table: Table | None) -> Callable[[], None]:
        """Give the user or group *name* that *table* again; return what takes this back."""
        before = self.edition()
        changes = user_changes(before, name, table) if kind == "user" else [(kind, name, table)]
        return self._do(by, before, changes, (kind, name))[1]

    def _do(
        self, by: str, before: Edition, changes: Changes, about: tuple[str, str]
    ) -> tuple[Edition, Callable[[], None]]:
        """Make *changes*, which are *about* the kind and name of one thing; return what is then, and what undoes it."""
        dispatcher = self._dispatcher
        try:
            after = before.changed(changes)
        except ConfigError as error:
            raise RefusedError("config.refused", _without_place(error)) from None
        old, new = People(before.users, before.groups), People(after.users, after.groups)
        check_granted(by, dispatcher.rights_of(by), old, new)
        check_remains(old, new, dispatcher.now)
        put_back = after.write()
        for kind, name, _ in changes:
            dispatcher.audit.found(kind, name, before.table(kind, name))
        groups = [name for kind, name, _ in changes if kind == "group" and about != ("group", name)]
        self._count(after, by, groups)

        def take_back() -> None:
            put_back()
            self._count(before, by, groups)

        return after, take_back

    def _count(self, edition: Edition, by: str, groups: Iterable[str]) -> None:
        """Let what *edition* says be so from now on; *groups* change with somebody who is in them."""
        tables = self._dispatcher.tables
        self._dispatcher.tables = replace(tables, users=edition.users, groups=edition.groups)
        self._dispatcher.people_changed(tables.users, by)
        for name in groups:
            self._dispatcher.audit.follow("group", name, edition.table("group", name))


@dataclass
class _Undoer:
    """Puts users or groups back as they were."""

    desk: PeopleDesk
    kind: str
    verb: str

    def present(self, name: str) -> Table | None:
        return present(self.desk.edition(), self.kind, name)

    def restore(self, name: str, table: Table | None, deed: Deed) -> Callable[[], None]:
        return self.desk.restore(deed.user, self.kind, name, table)


def present(edition: Edition, kind: str, name: str) -> dict[str, Any] | None:
    """Return the table of a user or group, a user's with the ``groups`` that name them."""
    table = edition.table(kind, name)
    if table is None or kind != "user":
        return table
    return {**table, "groups": [group.name for group in edition.groups.groups if name in group.members]}


def user_changes(edition: Edition, name: str, table: Table | None) -> list[tuple[str, str, Table | None]]:
    """Return the changes after which the user *name* has that *table* and is in the ``groups`` it names, in no others.

    A table that says nothing of groups leaves them as they are. Raises `RefusedError` ``group.unknown``.
    """
    has = {group.name for group in edition.groups.groups if name in group.members}
    wanted = set() if table is None else set(table.get("groups", has))
    unknown = wanted - {group.name for group in edition.groups.groups}
    if unknown:
        raise no_group(sorted(unknown)[0])
    changes: list[tuple[str, str, Table | None]] = []
    for group in edition.groups.groups:
        if (group.name in wanted) != (name in group.members):
            of_group = edition.table("group", group.name) or {}
            members = [member for member in of_group.get("members", []) if member != name]
            members += [name] if group.name in wanted else []
            changes.append(("group", group.name, {**of_group, "members": members}))
    own = None if table is None else {key: value for key, value in table.items() if key != "groups"}
    return [*changes, ("user", name, own)]


def no_group(name: str) -> RefusedError:
    """Return the refusal for a group that is not there."""
    return RefusedError("group.unknown", f"there is no group '{name:.64}'; 'tm groups list' lists them")


def no_user(name: str) -> RefusedError:
    """Return the refusal for a user who is not there."""
    return RefusedError("user.unknown", f"there is no user '{name:.64}'; 'tm users list' lists them")


def _without_place(error: ConfigError) -> str:
    """Return the complaints about a file that will not be written, without its lines."""
    return "nothing is changed: " + "; ".join(dict.fromkeys(one.partition(": ")[2] for one in error.complaints))
