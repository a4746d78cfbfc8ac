"""By which rules a scheduler decides: the values that make one and the same `tm.model.scheduler.Scheduler` another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """*reservations* is how many classes that find no room have some of a host kept for them, None as the settings say;
    with *strict* nothing passes the first that finds none. *shared* orders by fair share, age and boost, without it
    whoever came first is first. *short_first* lets short jobs of like standing before long ones;
    with *learned* how long jobs last is guessed from what alike ones did, without it from what was asked.
    """

    name: str
    reservations: int | None = None
    strict: bool = False
    shared: bool = True
    short_first: bool = True
    learned: bool = True


FCFS: Final = Rules(name="fcfs", reservations=1, strict=True, shared=False, short_first=False, learned=False)
EASY: Final = Rules(name="easy", reservations=1, shared=False, short_first=False, learned=False)
OURS: Final = Rules(name="ours")
RULES: Final[Mapping[str, Rules]] = {rules.name: rules for rules in (FCFS, EASY, OURS)}
