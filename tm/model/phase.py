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
