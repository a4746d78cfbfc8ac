"""Clocks that are set to and fro while daemons run and die."""

from __future__ import annotations

import random
import time

from tests.faults.clocks import FakedClocks, lacking
from tests.faults.drills import Bench, Outcome, drill

STEPS = ("-1h", "+1h", "-20d", "+20d", "-1", "+30", "-90", "+0")
DAEMONS = ("dispatcher", "tms:alice", "tmms:alice:n1", "keeper:alice:n1", "")


@drill("clocks", rows=(27,), lacking=lacking)
def set_clocks(bench: Bench, chance: random.Random) -> Outcome:
    """Set the clock of all daemons at random moments; kill one of them now and then."""
    with bench.cluster(hosts={"n1": {"launcher": "local", "cores": 4}}) as cluster:
        clock = FakedClocks(cluster)
        cluster.start_dispatcher()
        accepted: list[int] = []
        trials = 0
        while bench.left() > 0:
            new = cluster.submit_ledger("alice", chance.randint(1, 4), chance.choice((None, 0.3, 1.0)))
            time.sleep(chance.random() * 0.5)
            victim = chance.choice(DAEMONS)
            if victim:
                cluster.kill(victim)
            clock.set(chance.choice(STEPS))
            new += cluster.submit_ledger("alice", 1)
            cluster.wait(new, 60)
            accepted += new
            trials += 1
        clock.set("+0")
        return Outcome(trials, bench.judge(cluster, accepted))
