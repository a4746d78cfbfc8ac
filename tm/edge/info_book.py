"""What is known of InfoServers, in a file of the dispatcher's folder: public certificates' fingerprints and ports.

A file that cannot be read is no misfortune: InfoServers are started again, and say who they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec
from twisted.logger import Logger

from tm.model.infoserver import Started

_log = Logger()


def load(path: str) -> list[Started]:
    """Return what *path* holds; nothing where it is not there or damaged."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=list[Started])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        _log.warn("{path} cannot be read, InfoServers are asked anew: {text}", event="infoserver", path=path,
                  text=str(error))  # fmt: skip
        return []


def save(path: str, known: Iterable[Started]) -> None:
    """Write *known* to *path*, mode 0600, wholly or not at all. Raises `OSError`."""
    new = path + ".new"
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(msgspec.json.encode(list(known)))
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)
