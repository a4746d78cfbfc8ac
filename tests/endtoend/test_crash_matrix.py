"""Every named failpoint, a small workload each: who comes there dies as by ``kill -9`` and is brought back as by users.

The ledger outside the product says whether anything was lost or done twice. One fault alone never makes a job ``lost``.
``TM_KILL_SEED`` and ``TM_KILL_ROUNDS`` repeat, and prolong, the random part.
"""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cluster import ROOT, Cluster
from tests.support.processes import is_alive, marked

TURNS = {
    "dispatcher.commit": (2, 4), "dispatcher.committed": (2, 4), "dispatcher.answered": (2, 4),
    "dispatcher.told": (2, 4),
    "tms.submit": (1,), "tms.submitted": (1,), "tms.order": (1, 2), "tms.ordered": (1, 2), "tms.relay": (1, 3),
    "tms.relayed": (1, 3),
    "tmms.join": (1,), "tmms.order": (1, 2), "tmms.claimed": (1, 2), "tmms.give": (1, 2), "tmms.given": (1, 2),
    "tmms.report": (1, 2), "tmms.reported": (1, 2), "tmms.acknowledged": (1, 2),
    "keeper.intent": (1, 3), "keeper.started": (1, 3), "keeper.ended": (1, 2), "keeper.recorded": (1, 2),
    "keeper.told": (1, 2),
}  # fmt: skip
"""Which visit of each point is to be the last; a dispatcher that starts commits what it finds changed in its files."""

DAEMONS = ("keeper:alice:n1", "tmms:alice:n1", "tms:alice", "dispatcher")


class CrashMatrixTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(users=("alice",))
        self.addCleanup(self.cluster.stop)

    def try_point(self, name: str) -> None:
        """Let *name* kill once for each of its turns while jobs are submitted, run, end and are cancelled."""
        cluster = self.cluster
        accepted: list[int] = []
        for turn in TURNS[name]:
            for daemon in DAEMONS:
                cluster.kill(daemon)
            mark = cluster.arm(name, turn)
            cluster.start_dispatcher()
            cluster.start_tms("alice")
            accepted += self.work(mark)
            self.assertTrue(os.path.exists(mark), f"nobody came to {name} for the {turn}. time")
            cluster.check(accepted)

    def work(self, mark: str) -> list[int]:
        """Submit, cancel, and wait for the end of everything; return the ids of the jobs in the ledger."""
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 3)
        ids += cluster.submit_ledger("alice", 2, seconds=0.3)
        doomed = cluster.submit_ledger("alice", 1, seconds=1000)
        cluster.wait(doomed, states=("running",))
        ids += cluster.submit_ledger("alice", 1)
        cluster.ask("alice", "canceljob", str(doomed[0]))
        cluster.wait(ids)
        ended = cluster.wait(doomed)[0]
        self.assertEqual(ended["state"], "cancelled", ended)
        alive = [line for line in cluster.ledger() if line.job == doomed[0] and is_alive(line.pid)]
        self.assertEqual(alive, [], f"job {doomed[0]} is said to be cancelled; {cluster.logs()}")
        return ids

    def test_every_failpoint_of_the_servers_is_tried(self) -> None:
        found: set[str] = set()
        for path in Path(ROOT, "tm").rglob("*.py"):
            found.update(re.findall(r"\breach\(\"([a-z.]+)\"\)", path.read_text()))
        self.assertEqual(found, set(TURNS))


def _add(name: str) -> None:
    def test(self: CrashMatrixTests) -> None:
        self.try_point(name)

    setattr(CrashMatrixTests, f"test_whoever_dies_at_{name.replace('.', '_')}_loses_and_doubles_nothing", test)


for _name in TURNS:
    _add(_name)


class AdoptionTests(SynchronousTestCase):
    def test_the_endings_of_jobs_whose_keeper_is_killed_are_the_true_ones(self) -> None:
        cluster = Cluster(users=("alice",), hosts={"n1": {"launcher": "local", "cores": 5}})
        self.addCleanup(cluster.stop)
        cluster.start_dispatcher()
        ids = cluster.submit("alice", *[f"sleep 1; {end}" for end in ("exit 0", "exit 9", "kill -9 $$", "kill -15 $$")])
        ids += cluster.submit("alice", "setsid sleep 1000 & exec sleep 1000")
        cluster.wait(ids, states=("running",))
        cluster.kill("keeper:alice:n1")
        cluster.ask("alice", "canceljob", str(ids[-1]))
        jobs = cluster.wait(ids)
        self.assertEqual(
            [(job["state"], job["exit_code"], job["signal"]) for job in jobs],
            [
                ("completed", 0, None), ("failed", 9, None), ("failed", None, 9), ("failed", None, 15),
                ("cancelled", None, 15),
            ],
        )  # fmt: skip
        for job in jobs:
            self.assertIsNotNone(job["cpu_seconds"])
        sleeping = [line for line in marked(cluster.folder).values() if line.startswith("sleep")]
        self.assertEqual(sleeping, [])


class DoubleFaultTests(SynchronousTestCase):
    def test_who_could_have_read_an_ending_is_dead_so_the_job_is_lost_and_not_run_again(self) -> None:
        cluster = Cluster(users=("alice",))
        self.addCleanup(cluster.stop)
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", 2, seconds=2)
        cluster.wait(ids, states=("running",))
        cluster.kill("tmms:alice:n1")
        cluster.kill("keeper:alice:n1")
        more = cluster.submit_ledger("alice", 2)
        jobs = cluster.wait(ids)
        self.assertEqual([(job["state"], job["exit_code"]) for job in jobs], [("lost", None)] * 2)
        for job in jobs:
            self.assertIn("killed", job["reason"])
        cluster.wait(more)
        cluster.check(more)
        ends = [line.job for line in cluster.ledger() if line.what == "end"]
        self.assertEqual(sorted(ends), sorted(ids + more))


class RandomKillTests(SynchronousTestCase):
    rounds = int(os.environ.get("TM_KILL_ROUNDS", "6"))

    def setUp(self) -> None:
        seed = int(os.environ.get("TM_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"TM_KILL_SEED={seed} TM_KILL_ROUNDS={self.rounds}")
        self.chance = random.Random(seed)
        self.cluster = Cluster(users=("alice",))
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.accepted: list[int] = []

    def submit_some(self) -> None:
        """Submit a few jobs, some of which last."""
        count = self.chance.randrange(1, 8)
        self.accepted += self.cluster.submit_ledger("alice", count, seconds=self.chance.choice((None, 0.05, 0.4)))

    def kill_after_a_while(self, daemons: tuple[str, ...]) -> None:
        """Kill one of *daemons* at a random moment of the work."""
        time.sleep(self.chance.uniform(0, 0.6))
        self.cluster.kill(self.chance.choice(daemons))

    def test_one_kill_at_a_time_loses_and_doubles_nothing(self) -> None:
        for _ in range(self.rounds):
            self.submit_some()
            self.kill_after_a_while(DAEMONS)
            self.submit_some()
            self.cluster.wait(self.accepted, 60)
        self.cluster.check(self.accepted)

    def test_kills_without_pause_of_all_but_the_hosts_lose_and_double_nothing(self) -> None:
        for _ in range(self.rounds):
            self.submit_some()
            self.kill_after_a_while(("dispatcher", "tms:alice"))
        self.cluster.wait(self.accepted, 60)
        self.cluster.check(self.accepted)

    def test_kills_without_pause_of_everything_double_nothing_and_invent_no_ending(self) -> None:
        for _ in range(self.rounds):
            self.submit_some()
            self.kill_after_a_while(DAEMONS)
        self.cluster.wait(self.accepted, 60)
        self.cluster.check(self.accepted, may_be_lost=True)
