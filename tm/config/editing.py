"""Changes that a program makes in the files of ``etc``: one place changes, comments and all else stay."""

from __future__ import annotations

import os
import stat
import tempfile
import tomllib

from tm.config.table_editing import table_of, with_table
from tm.config.toml_text import key_text
from tm.errors import ConfigError


def add_certificate(path: str, user: str, certificate: str, email: str = "") -> None:
    """Write into the file *path* (``users``) that *user* has the *certificate*, named relative to its folder.

    The user may be new; *email* is written for a new one only. Raises `ConfigError` when the file cannot be read,
    changed or written.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        known = table_of(tomllib.loads(text), ("users", user))
        fresh = {"certificates": []} if known is None else known
        fresh = {**fresh, "certificates": [*fresh.get("certificates", []), certificate]}
        if known is None and email:
            fresh["email"] = email
        changed = with_table(text, ("users", user), fresh)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"], "config.read") from None
    except (ValueError, TypeError) as error:
        remedy = f'add "{certificate}" to the certificates of [users.{user}] by hand'
        raise ConfigError([f"{path}: cannot be changed safely ({error}): {remedy}"]) from None
    replace_file(path, changed)


def user_table(user: str, certificate: str, email: str = "") -> str:
    """Return the lines of ``etc/users`` that register *user*."""
    header = f"\n[users.{key_text(user)}]\n"
    return header + f'certificates = ["{certificate}"]\n' + (f'email = "{email}"\n' if email else "")


def replace_file(path: str, text: str) -> None:
    """Put *text* in the place of the file *path* in one step; its mode and owner stay."""
    path = os.path.realpath(path)
    try:
        status = os.stat(path)
        descriptor, fresh = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be written: {error.strerror}"], "config.write") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.getuid(), os.getgid()):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        os.unlink(fresh)
        raise ConfigError([f"{path}: cannot be written: {error.strerror}"], "config.write") from None
