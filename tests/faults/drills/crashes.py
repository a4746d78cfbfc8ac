"""Daemons that are killed: at random, one after the other without pause, several at once, and at failpoints.

Jobs are submitted all the while, some of which last. One fault at a time loses nothing; where a server on a host and
its keeper may both have died within the life of a job, that may be ``lost``, but is never run again and has no ending
that somebody invented.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from pathlib import Path

from tests.faults.drills import Bench, Outcome, drill
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import is_alive
from tests.support.talk import Refused

HERE = ("dispatcher", "tms:alice")
THERE = ("tmms:alice:n1", "keeper:alice:n1")
ROW_OF = {"dispatcher": 2, "tms": 3, "tmms": 4, "keeper": 5}
CANCEL = 40
TURNS = 4
POINTS_OF = {**ROW_OF, "dispatcher": 1}
HOSTS = {"n1": {"launcher": "local", "cores": 4}}


class Load:
    """Jobs that are submitted while things die."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.accepted: list[int] = []
        self.kills = 0
        self.by_row: Counter[int] = Counter()
        self._cluster = cluster
        self._chance = chance

    def submit(self, most: int = 8) -> None:
        """Submit some jobs."""
        lasting = self._chance.choice((None, None, 0.05, 0.4, 1.0))
        self.accepted += self._cluster.submit_ledger("alice", self._chance.randint(1, most), seconds=lasting)

    def kill(self, daemons: tuple[str, ...]) -> None:
        """Kill one of *daemons* at a random moment."""
        time.sleep(self._chance.choice((0.0, 0.01, 0.1, 0.6)) * self._chance.random())
        daemon = self._chance.choice(daemons)
        if self._cluster.kill(daemon):
            self.kills += 1
            self.by_row[ROW_OF[daemon.partition(":")[0]]] += 1

    def finish(self, bench: Bench, may_be_lost: bool = False, by_row: bool = False) -> Outcome:
        """Wait until all has ended; let the ledger judge. The kills are trials, *by_row* of whom they met."""
        self._cluster.wait(self.accepted, 120)
        wrong = bench.judge(self._cluster, self.accepted, may_be_lost)
        lost = sum(job["state"] == "lost" for job in self._cluster.jobs("alice").values())
        more: dict[str, object] = {"jobs": len(self.accepted), "lost by two faults": lost}
        if by_row:
            more["by_row"] = dict(self.by_row)
        return Outcome(self.kills, wrong, more)


@drill("dispatcher", rows=(2,))
def kill_dispatcher(bench: Bench, chance: random.Random) -> Outcome:
    """Kill the dispatcher again and again while jobs come as fast as they are accepted."""
    with bench.cluster(hosts=HOSTS) as cluster:
        cluster.start_dispatcher()
        load = Load(cluster, chance)
        while bench.left() > 0:
            for _ in range(chance.randint(1, 6)):
                load.submit(4)
            load.kill(("dispatcher",))
        return load.finish(bench)


@drill("one-at-a-time", rows=(2, 3, 4, 5))
def kill_one(bench: Bench, chance: random.Random) -> Outcome:
    """Kill any one daemon at any moment; the next once all jobs have ended."""
    with bench.cluster(hosts=HOSTS) as cluster:
        cluster.start_dispatcher()
        load = Load(cluster, chance)
        while bench.left() > 0:
            load.submit()
            load.kill(HERE + THERE)
            load.submit()
            cluster.wait(load.accepted, 60)
        return load.finish(bench, by_row=True)


@drill("servers", rows=(2, 3))
def kill_servers(bench: Bench, chance: random.Random) -> Outcome:
    """Kill dispatcher and users' servers without pause; nothing is lost by that, however many there are."""
    with bench.cluster(hosts=HOSTS) as cluster:
        cluster.start_dispatcher()
        load = Load(cluster, chance)
        while bench.left() > 0:
            load.submit()
            load.kill(HERE)
        return load.finish(bench, by_row=True)


@drill("two-faults", rows=(6,))
def kill_pairs(bench: Bench, chance: random.Random) -> Outcome:
    """Kill server and keeper of a host, often together: jobs may be lost, but are never run again."""
    with bench.cluster(hosts=HOSTS) as cluster:
        cluster.start_dispatcher()
        load = Load(cluster, chance)
        while bench.left() > 0:
            load.submit()
            load.kill(THERE)
            if chance.random() < 0.7:
                for daemon in chance.sample(THERE, 2):
                    load.kills += bool(cluster.kill(daemon))
            load.submit()
            cluster.wait(load.accepted, 60)
        return load.finish(bench, may_be_lost=True)


@drill("all-down", rows=(8,))
def kill_all(bench: Bench, chance: random.Random) -> Outcome:
    """Kill every daemon, in any order, and let them come back in any order, while jobs run."""
    with bench.cluster(hosts=HOSTS) as cluster:
        cluster.start_dispatcher()
        load = Load(cluster, chance)
        rounds = 0
        while bench.left() > 0:
            load.submit()
            time.sleep(chance.uniform(0, 0.3))
            for daemon in chance.sample(HERE + THERE, 4):
                load.kills += bool(cluster.kill(daemon))
            if chance.random() < 0.5:
                cluster.start_dispatcher()
            cluster.start_tms("alice")
            load.submit()
            cluster.wait(load.accepted, 90)
            rounds += 1
        outcome = load.finish(bench, may_be_lost=True)
        return Outcome(rounds, outcome.violations, {**outcome.more, "kills": load.kills})


@drill("failpoints", rows=(1, 3, 4, 5, 40))
def die_at_failpoints(bench: Bench, chance: random.Random) -> Outcome:
    """Whoever comes to some failpoint next dies there, again and again, while jobs are submitted, cancelled and run."""
    with bench.cluster(hosts=HOSTS) as cluster:
        by_row: Counter[int] = Counter()
        met: set[str] = set()
        load = Load(cluster, chance)
        wrong: list[str] = []
        while bench.left() > 0:
            for daemon in (*THERE, *HERE):
                cluster.kill(daemon)
            point = chance.choice(failpoints())
            mark = Path(cluster.arm(point))
            mark.touch()
            cluster.start_dispatcher()
            for _ in range(TURNS):
                load.submit(4)
                time.sleep(chance.uniform(0, 0.1))
                mark.unlink(missing_ok=True)
                load.submit(4)
                wrong += cancel_one(cluster)
                cluster.wait(load.accepted, 90)
                if mark.exists():
                    met.add(point)
                    by_row[POINTS_OF[point.partition(".")[0]]] += 1
        outcome = load.finish(bench)
        trials = by_row.total()
        by_row[CANCEL] = trials
        more = {**outcome.more, "points": len(met), "by_row": dict(by_row)}
        return Outcome(trials, (*wrong, *outcome.violations), more)


def cancel_one(cluster: Cluster) -> list[str]:
    """Cancel a job that runs or not; return what is wrong if it is not seen dead, or never begun, by then."""
    (doomed,) = cluster.submit_ledger("alice", 1, seconds=1000)
    try:
        cluster.ask("alice", "canceljob", str(doomed))
    except Refused as refused:
        if refused.word not in ("job.unknown", "job.state"):
            raise
    state = cluster.wait([doomed], 60)[0]["state"]
    alive = [line for line in cluster.ledger() if line.job == doomed and is_alive(line.pid)]
    return [f"job {doomed} is {state}; of it lives {alive}"] if alive or state != "cancelled" else []


def failpoints() -> list[str]:
    """Return the names of all failpoints."""
    found: set[str] = set()
    for path in Path(ROOT, "tm").rglob("*.py"):
        found.update(re.findall(r"\breach\(\"([a-z.]+)\"\)", path.read_text()))
    return sorted(found)
