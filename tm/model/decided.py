"""What was decided about a host, or about a job that runs there, and is no configuration."""

from __future__ import annotations

import msgspec


class HostMemo(msgspec.Struct, omit_defaults=True):
    """What was decided about a host and is no configuration: whose it is alone until when, that it is declared lost,
    that it is drained, by when, and why; the *reason* why it is not active else. Times are seconds since the epoch."""

    name: str
    left_until: float = 0.0
    left_by: str = ""
    declared: str = ""
    drain_deadline: float | None = None
    drain_reason: str = ""
    reason: str = ""


class Pause(msgspec.Struct):
    """That a job is to be suspended (or, not *wanted* any more, to go on), *why*, and when its host was told so."""

    wanted: bool
    why: str
    asked_at: float
