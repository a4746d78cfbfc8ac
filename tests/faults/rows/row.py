"""One row: a fault, how it is injected, what must hold, and which tests and drills show it."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A fault.

    *quick* has dotted names of tests for trial, *long* names of drills; *cannot* is the reason when there is no way
    to try it, or a part of it, on a usual machine.
    """

    number: int
    group: str
    fault: str
    injected: str
    must_hold: str
    peers: str = ""
    quick: tuple[str, ...] = ()
    long: tuple[str, ...] = ()
    cannot: str = ""
