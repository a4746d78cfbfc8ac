"""Disks without power, full, failing, hanging or gone: the plays of the stage, again and again with other moments."""

from __future__ import annotations

import random

from tests.faults import stage
from tests.faults.drills import Bench, Outcome, drill

PLAYS = "tests.faults.disk_plays"
SECONDS = 300.0
FULL = {"dispatcher_full": 22, "spool_full": 23, "no_inodes": 26}
FAILING = {"dispatcher_disk_fails": 26, "read_only": 26, "home_hangs": 28, "home_goes_away": 29}


def _play(bench: Bench, chance: random.Random, plays: dict[str, int]) -> Outcome:
    """Play *plays*, with the row that each one tries, in random order until the time is over."""
    trials = 0
    by_row: dict[int, int] = {}
    while bench.left() > 0:
        name = chance.choice(sorted(plays))
        said = stage.played(PLAYS, name, chance.randrange(1 << 32), SECONDS)
        made = sum(line["trials"] for line in said)
        trials += made
        by_row[plays[name]] = by_row.get(plays[name], 0) + made
    return Outcome(trials, (), {"by_row": by_row})


@drill("power-of-stores", rows=(21,), root=True, lacking=stage.loop_obstacle)
def store_power(bench: Bench, chance: random.Random) -> Outcome:
    """Let the power of a store's disk fail between and amid commits."""
    return _play(bench, chance, {"store_power": 21})


@drill("power", rows=(21,), root=True, lacking=stage.loop_obstacle)
def power(bench: Bench, chance: random.Random) -> Outcome:
    """Let the power of the dispatcher's machine, or of a host's, fail while jobs are submitted and run."""
    return _play(bench, chance, {"dispatcher_power": 21, "host_power": 21})


@drill("full-disks", rows=(22, 23, 26), root=True, lacking=stage.obstacle)
def full(bench: Bench, chance: random.Random) -> Outcome:
    """Fill the disks of dispatcher and hosts."""
    return _play(bench, chance, FULL)


@drill("failing-disks", rows=(26, 28, 29), root=True, lacking=stage.loop_obstacle)
def failing(bench: Bench, chance: random.Random) -> Outcome:
    """Let disks fail, hang, be read-only, or go away."""
    return _play(bench, chance, FAILING)
