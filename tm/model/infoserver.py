"""What the command that starts an InfoServer says of it, and what the dispatcher keeps: nothing secret."""

from __future__ import annotations

import msgspec


class Started(msgspec.Struct, frozen=True):
    """The InfoServer of the host *infoserver*: its certificate's *fingerprint*, the *port* it listens on."""

    infoserver: str
    fingerprint: str
    port: int = 0
    pid: int = 0
    boot: str = ""
    version: str = ""


def started(output: str) -> Started | None:
    """Return what the last line with JSON in *output* says; None when there is none. A login may have said more."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                return msgspec.json.decode(line, type=Started)
            except msgspec.MsgspecError:
                return None
    return None
