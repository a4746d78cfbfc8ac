"""The texts of jobs' scripts, each in a file of its attempt in the spool as long as it runs.

A file is read by the program that its first line names, as the kernel would have it, but need not be on a file system
from which programs may be started.
"""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.keeper.order import Key

FOLDER = "scripts"
SHELL = b"/bin/sh"


SHARED = b"#!"
"""Instead of its text: the one that the environment has under this name. The same as `tm.model.spec.SHARED`."""


def interpreter(text: bytes) -> list[bytes]:
    """Return the program that reads *text*, and the one argument before the file's name that its first line gives."""
    first = text.partition(b"\n")[0]
    if not first.startswith(b"#!"):
        return [SHELL]
    program, _, argument = first[2:].strip().partition(b" ")
    if not program:
        return [SHELL]
    return [program, argument.strip()] if argument.strip() else [program]


def keep(spool: str, key: Key, text: bytes) -> bytes:
    """Write *text* as the script of *key* below *spool*; return its path. Raises `OSError`."""
    folder = os.path.join(spool, FOLDER)
    path = os.fsencode(os.path.join(folder, _name(key)))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        file = os.open(path, flags, 0o700)
    except FileNotFoundError:
        os.mkdir(folder, 0o700)
        file = os.open(path, flags, 0o700)
    with open(file, "wb") as opened:
        opened.write(text)
    return path


def drop(spool: str, key: Key) -> None:
    """Remove the script of *key*, if there is one."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(spool, FOLDER, _name(key)))


def _name(key: Key) -> str:
    return f"{key[0]}-{key[1]}"
