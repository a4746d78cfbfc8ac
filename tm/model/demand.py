"""What a job asks of a host: alike jobs share one `Demand`, by which the queue keeps them together."""

from __future__ import annotations

import msgspec

LAYOUTS = ("", "spread", "pack")


class Demand(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one job needs while it runs, and where it may.

    *memory* in bytes (0: not asked), *time* its wall time in seconds (0: no limit), *hosts* those it may use (none:
    any), *exclude* those it may not, *constraint* and *prefer* expressions over what a host is
    (`tm.model.constraint`), *consumables* named things and how many of each, *layout* whether it goes to the emptiest
    host that fits (``spread``) or the fullest (``pack``), *scavenge* that it uses only what is idle.
    """

    cores: int = 1
    memory: int = 0
    gpus: int = 0
    time: float = 0.0
    hosts: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    constraint: str = ""
    prefer: str = ""
    exclusive: bool = False
    layout: str = ""
    consumables: tuple[tuple[str, int], ...] = ()
    scavenge: bool = False


_known: dict[Demand, Demand] = {}
_MOST_KNOWN = 100_000


def one_of(demand: Demand) -> Demand:
    """Return the one object that stands for all that equal *demand*."""
    found = _known.get(demand)
    if found is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        found = _known[demand] = demand
    return found
