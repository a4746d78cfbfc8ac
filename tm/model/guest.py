"""How much of a host TaskManager may use, as a good guest: what the people outside it leave of it.

Pure: what is said of a host goes in, an `Offer` comes out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Action(StrEnum):
    """What happens to jobs that run beyond the offer."""

    NONE = "none"
    NICE = "nice"
    SUSPEND = "suspend"
    GIVE_WAY = "give-way"


class Offer(NamedTuple):
    """What a host offers now: cores and bytes, None for all that is configured; *reason* who or what has the rest.

    *action* is what happens to jobs that run beyond it.
    """

    cores: int | None = None
    memory: int | None = None
    reason: str = ""
    action: Action = Action.NONE
