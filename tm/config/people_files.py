"""``users`` and ``groups`` as files that a program changes: read, change in memory, write when all is right.

The law: what would not be read again without a complaint is never written, and comments stay.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tm.config import certificate
from tm.config.document import Document
from tm.config.editing import replace_file
from tm.config.people import GROUPS, USERS, read_groups, read_users
from tm.config.table_editing import table_of, with_table
from tm.errors import ConfigError
from tm.model.rights import Certificate

CERTS = "certs"
_PLACE = {"user": (USERS, "users"), "group": (GROUPS, "groups")}


class PeopleFiles:
    """The files ``users`` and ``groups`` and the folder ``certs`` in *etc*; they belong to *uid* or to root."""

    def __init__(self, etc: str, uid: int | None = None) -> None:
        self._etc = etc
        self._owners = (os.getuid() if uid is None else uid, 0)

    def read(self) -> Edition:
        """Return what the files say now; raise `ConfigError` with every complaint."""
        users, groups = (Document(os.path.join(self._etc, name), self._owners) for name in (USERS, GROUPS))
        return Edition(self._owners, users, groups)

    def check_certificate(self, text: str, now: float) -> tuple[Certificate, str]:
        """Return what a certificate is that is handed over, and its PEM; raise `RefusedError` ``user.certificate``."""
        return certificate.checked(text, now)

    def keep_certificate(self, user: str, one: Certificate, text: str) -> tuple[str, Callable[[], None]]:
        """Have *text* as a file in ``certs``; return its name relative to ``etc``, and what takes it back.

        Raises `ConfigError` when it cannot be written.
        """
        folder = os.path.join(self._etc, CERTS)
        try:
            os.makedirs(folder, exist_ok=True)
            for name in (f"{user}.crt", f"{user}-{one.fingerprint[:16]}.crt"):
                path = os.path.join(folder, name)
                if _made(path, text):
                    return f"{CERTS}/{name}", partial(os.unlink, path)
                if _holds(path, one.fingerprint):
                    return f"{CERTS}/{name}", lambda: None
        except OSError as error:
            raise ConfigError([f"{folder}: cannot be written: {error.strerror}"], "config.write") from None
        raise ConfigError([f"{path}: holds another certificate than its name says; move it away"], "config.exists")


class Edition:
    """Users and groups as files say, or would after a change."""

    def __init__(
        self, owners: tuple[int, ...], users: Document, groups: Document, before: Edition | None = None
    ) -> None:
        self._owners = owners
        self._documents = {USERS: users, GROUPS: groups}
        self._before = before
        self.users = read_users(users)
        if users.complaints:
            raise ConfigError(users.complaints + groups.complaints)
        self.groups = read_groups(groups, self.users)
        if groups.complaints:
            raise ConfigError(groups.complaints)

    def table(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return what stands about the ``user`` or ``group`` *name* in its file, None when there is nothing."""
        file, top = _PLACE[kind]
        return table_of(self._documents[file].data, (top, name))

    def changed(self, changes: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> Edition:
        """Return the edition after *changes* (kind, name, table or None to take it out); nothing is written.

        Raises `ConfigError` with what would be wrong with the files then.
        """
        texts = {file: document.text for file, document in self._documents.items()}
        for kind, name, table in changes:
            file, top = _PLACE[kind]
            try:
                texts[file] = with_table(texts[file], (top, name), table)
            except ValueError as error:
                path = self._documents[file].path
                raise ConfigError([f"{path}: {error}; change it by hand, then 'reload'"]) from None
        users, groups = (Document(self._documents[file].path, self._owners, texts[file]) for file in (USERS, GROUPS))
        return Edition(self._owners, users, groups, self)

    def write(self) -> Callable[[], None]:
        """Write the files that this edition changes; return what puts the earlier ones back.

        At no moment do the files disagree: users come before the groups they are in, and go after they left them.
        Raises `ConfigError` when something cannot be written; nothing has changed then.
        """
        before = self._before
        if before is None:
            return lambda: None
        added = set(self.users.by_name) - set(before.users.by_name)
        order = (USERS, GROUPS) if added else (GROUPS, USERS)
        written: list[tuple[Document, Document]] = []
        try:
            for file in order:
                old, new = before._documents[file], self._documents[file]
                if old.text != new.text:
                    replace_file(new.path, new.text)
                    written.append((old, new))
        except ConfigError:
            _put_back(written)
            raise
        return lambda: _put_back(written)


def _put_back(written: list[tuple[Document, Document]]) -> None:
    for old, new in reversed(written):
        try:
            with open(new.path, encoding="utf-8", newline="") as file:
                untouched = file.read() == new.text
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"{new.path}: {error}"], "config.read") from None
        if not untouched:
            raise ConfigError([f"{new.path}: was edited meanwhile, so a change that failed stays in it"])
        replace_file(new.path, old.text)


def _made(path: str, text: str) -> bool:
    """Write the file *path* in one step unless there is one; return whether it was written."""
    if os.path.lexists(path):
        return False
    descriptor, fresh = tempfile.mkstemp(prefix=".new.", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(fresh)
    return True


def _holds(path: str, fingerprint: str) -> bool:
    try:
        return certificate.read_certificate(path, path).fingerprint == fingerprint
    except ValueError:
        return False
