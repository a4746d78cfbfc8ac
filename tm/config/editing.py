"""Changes that a program makes in the files of ``etc``: one place changes, comments and all else stay.

Each is made in the text, read again, and compared with what was meant; what does not agree is not written.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable
from typing import Any

from tm.config.document import find_header, find_key
from tm.errors import ConfigError

_ACTIVE = re.compile(r"(\s*[\"']?active[\"']?\s*=\s*)(?:true|false)(?![A-Za-z0-9_])")
_LIST = re.compile(r"(\s*[\"']?certificates[\"']?\s*=\s*\[)(.*)\Z", re.DOTALL)


def set_active(path: str, host: str, active: bool) -> None:
    """Write into the file *path* (``ComputerCluster.config``) whether *host* is *active*.

    Raises `ConfigError` when the file cannot be read or written, or has no table ``[hosts.HOST]``.
    """

    def in_text(lines: list[str]) -> None:
        header = _header(lines, "hosts", host)
        word = "true" if active else "false"
        key = find_key(lines, header + 1, "active")
        if key is None:
            lines.insert(header + 1, f"active = {word}{_end(lines, header)}")
        else:
            lines[key] = _ACTIVE.sub(lambda found: found.group(1) + word, lines[key], count=1)

    def meant(data: dict[str, Any]) -> None:
        data["hosts"][host]["active"] = active

    _change(
        path,
        in_text,
        meant,
        f"expected a table [hosts.{host}], where 'active = …' has a line of its own if it is there",
    )


def add_certificate(path: str, user: str, certificate: str, email: str = "") -> None:
    """Write into the file *path* (``users``) that *user* has the *certificate*, named relative to its folder.

    The user may be new; *email* is written for a new one only. Raises `ConfigError` as `set_active` does.
    """

    def in_text(lines: list[str]) -> None:
        if find_header(lines, ("users", user)) is None:
            if lines:
                _end(lines, len(lines) - 1)
            lines.append(user_table(user, certificate, email))
            return
        header = _header(lines, "users", user)
        key = find_key(lines, header + 1, "certificates")
        if key is None:
            lines.insert(header + 1, f'certificates = ["{certificate}"]{_end(lines, header)}')
        else:
            lines[key] = _LIST.sub(lambda found: f'{found.group(1)}"{certificate}", {found.group(2)}', lines[key])

    def meant(data: dict[str, Any]) -> None:
        known = data.setdefault("users", {}).setdefault(user, {"email": email} if email else {})
        known["certificates"] = [certificate, *known.get("certificates", [])]

    _change(path, in_text, meant, f'add "{certificate}" to the certificates of [users.{user}] by hand')


def user_table(user: str, certificate: str, email: str = "") -> str:
    """Return the lines of ``etc/users`` that register *user*."""
    header = f"\n[users.{_key(user)}]\n"
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


def _change(
    path: str, in_text: Callable[[list[str]], None], meant: Callable[[dict[str, Any]], None], expected: str
) -> None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        lines = text.splitlines(keepends=True)
        data = tomllib.loads(text)
        in_text(lines)
        meant(data)
        changed = "".join(lines)
        agreed = tomllib.loads(changed) == data
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"], "config.read") from None
    except (LookupError, TypeError, AttributeError, ValueError):
        agreed = False
    if not agreed:
        raise ConfigError([f"{path}: cannot be changed safely: {expected}"])
    if changed != text:
        replace_file(path, changed)


def _header(lines: list[str], *names: str) -> int:
    header = find_header(lines, names)
    if header is None:
        raise LookupError(".".join(names))
    return header


def _end(lines: list[str], index: int) -> str:
    """Return how the line *index* ends, and let it end so if it is the last and does not."""
    if not lines[index].endswith("\n"):
        lines[index] += "\n"
    return "\r\n" if lines[index].endswith("\r\n") else "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
