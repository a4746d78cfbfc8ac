"""Stores that are damaged, old, or held by two dispatchers; daemons that stand still for a while."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter

from tests.faults.damage import Damaged
from tests.faults.drills import Bench, Outcome, drill
from tests.faults.wires import a_while
from tests.support import ledger
from tests.support.cluster import Cluster

HOSTS = {"n1": {"launcher": "local", "cores": 2}, "n2": {"launcher": "local", "cores": 2}}
USERS = ("alice", "bob")
LOOK_SECONDS = 4.0
STOPPED = ("dispatcher", "tms:alice", "tmms:alice:n1", "keeper:alice:n1", "tmms:alice:n2", "keeper:alice:n2")


@drill("damaged-stores", rows=(24,))
def damage(bench: Bench, chance: random.Random) -> Outcome:
    """Damage copies of a store as a crash left it: each is right, an older state, or refused."""
    damaged = Damaged(bench.folder, chance)
    found: Counter[str] = Counter()
    while bench.left() > 0:
        found[damaged.trial(chance.choice(sorted(damaged.kinds)))] += 1
    good = {word: found.pop(word, 0) for word in ("right", "older", "refused")}
    wrong = tuple(f"{text} ({times} times)" for text, times in found.items())
    return Outcome(sum(good.values()) + sum(found.values()), wrong, good)


@drill("backups", rows=(19,))
def put_back(bench: Bench, chance: random.Random) -> Outcome:
    """Put back stores of some moment before; nothing that ran may run again, whatever the old store says."""
    trials, wrong, stale = 0, list[str](), 0
    while bench.left() > 0:
        with bench.cluster(USERS, HOSTS) as cluster:
            cluster.start_dispatcher()
            ids = _submit(cluster, chance, "alice")
            _submit(cluster, chance, "bob")
            time.sleep(chance.random() * 2)
            cluster.end_dispatcher()
            backup = shutil.copytree(cluster.state, cluster.state + ".backup")
            cluster.start_dispatcher()
            ids += _submit(cluster, chance, "alice")
            cluster.wait(chance.sample(ids, chance.randint(0, len(ids))), 60)
            cluster.end_dispatcher()
            shutil.rmtree(cluster.state)
            os.rename(backup, cluster.state)
            before, cluster.ledger_path = cluster.ledger_path, cluster.ledger_path + ".after"  # ids are given anew
            cluster.start_dispatcher()
            _submit(cluster, chance, "bob")
            _submit(cluster, chance, "alice")
            time.sleep(LOOK_SECONDS)
            for path in (before, cluster.ledger_path):
                starts = Counter(line.job for line in ledger.read(path) if line.what == "start")
                wrong += [f"job {job} was started {times} times" for job, times in starts.items() if times > 1]
            with cluster.dispatcher("alice") as alice:
                stale += any("store.stale" in alice.values("hostinfo", host)[0]["reason"] for host in HOSTS)
            trials += 1
    return Outcome(trials, tuple(wrong), {"noticed": stale})


def _submit(cluster: Cluster, chance: random.Random, user: str) -> list[int]:
    """Submit some jobs of *user*."""
    return cluster.submit_ledger(user, chance.randint(1, 5), chance.choice((None, 0.3, 1.5)))


@drill("standstill", rows=(16,))
def stand_still(bench: Bench, chance: random.Random) -> Outcome:
    """Let a daemon stand still for a while, up to as long as this may last, while jobs come and end."""
    with bench.cluster(hosts=HOSTS) as cluster:
        cluster.start_dispatcher()
        accepted: list[int] = []
        longest, trials = 0.0, 0
        while bench.left() > 0:
            new = cluster.submit_ledger("alice", chance.randint(1, 4), chance.choice((None, 0.3, 1.0)))
            time.sleep(chance.random() * 0.5)
            pid = cluster.kill(chance.choice(STOPPED), signal.SIGSTOP)
            lasting = min(a_while(chance, 100.0), bench.left())
            time.sleep(lasting)
            if pid:
                os.kill(pid, signal.SIGCONT)
                trials, longest = trials + 1, max(longest, lasting)
            cluster.wait(new, 60)
            accepted += new
        return Outcome(trials, bench.judge(cluster, accepted), {"longest s": round(longest, 1)})
