"""Where a job stands in its life."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a job stands in its life; the words users see, but for `unreachable`, which is a host's affair."""

    HELD = "held"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_LIMIT = "output_limit"
    LOST = "lost"


ACTIVE = frozenset({Phase.HELD, Phase.PENDING, Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED})
ON_HOST = frozenset({Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED})
FINAL = frozenset(Phase) - ACTIVE

_ENDINGS = {
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "was cancelled",
    Phase.TIMEOUT: "ran out of time",
    Phase.OUT_OF_MEMORY: "ran out of memory",
    Phase.OUTPUT_LIMIT: "wrote more than it may",
    Phase.LOST: "was lost",
}


def how_ended(phase: Phase, exit_code: int | None = None, signal: int | None = None) -> str:
    """Return how something ended, as the end of a sentence: ``failed with exit code 3``."""
    words = _ENDINGS[phase]
    if phase is Phase.FAILED and signal is not None:
        return f"{words} with signal {signal}"
    return f"{words} with exit code {exit_code}" if phase is Phase.FAILED and exit_code is not None else words
