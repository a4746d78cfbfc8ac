"""Messages that come twice, late and in another order: between real daemons, and in thousands of made-up lives."""

from __future__ import annotations

import random

from tests.faults.drills import Bench, Outcome, drill
from tests.faults.meddled import Meddled


@drill("messages", rows=(14,))
def meddle(bench: Bench, chance: random.Random) -> Outcome:
    """Meddle with the messages between the dispatcher and a user's server."""
    with bench.cluster() as cluster, Meddled(cluster, chance) as meddled:
        while bench.left() > 0:
            meddled.submit()
        meddled.settle()
        return Outcome(meddled.done.total(), (), {**meddled.done, "jobs": len(meddled.accepted)})


@drill("schedules", rows=(14,))
def live(bench: Bench, chance: random.Random) -> Outcome:
    """Live through made-up histories of the dispatcher's brain, its store, its users' servers and hosts."""
    from tests.unit.model.test_brain_laws import LawsTests, history  # hypothesis is not needed by all drills
    from tm.model.host import Courtesy

    case = LawsTests("test_any_history_keeps_the_laws_and_comes_to_its_end")
    policies = list(Courtesy)
    trials = 0
    wrong: list[str] = []
    while bench.left() > 0 and len(wrong) < 10:
        seed = chance.randrange(1 << 40)
        known = chance.random() < 0.5
        pair = (chance.choice(policies), chance.choice(policies))
        try:
            world = case.live(history(seed), known, pair)
            world.settle()
            world.check_ends()
        except AssertionError as error:
            wrong.append(f"history {seed}, cores known {known}, {pair}: {error}")
        trials += 1
    return Outcome(trials, tuple(wrong))
