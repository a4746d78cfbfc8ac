"""Every named failpoint, in each part of a job's life: who comes there dies as by ``kill -9`` and is brought back as by
users.

The ledger outside the product says whether anything was lost or done twice. One fault alone never makes a job ``lost``.
``TM_KILL_SEED`` and ``TM_KILL_ROUNDS`` repeat, and prolong, the random part.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.record import count
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import is_alive, marked, wait_for
from tests.support.talk import Refused

SUBMIT, START, FINISH, CANCEL = "submit", "start", "finish", "cancel"
ALL = (SUBMIT, START, FINISH, CANCEL)
LATER = (START, FINISH, CANCEL)
POINTS = {
    "dispatcher.commit": ALL, "dispatcher.committed": ALL, "dispatcher.answered": ALL, "dispatcher.told": ALL,
    "tms.submit": (SUBMIT,), "tms.submitted": (SUBMIT,), "tms.order": (START, CANCEL), "tms.ordered": (START, CANCEL),
    "tms.relay": LATER, "tms.relayed": LATER,
    "tmms.join": (SUBMIT, FINISH), "tmms.order": (START,), "tmms.claimed": (START,), "tmms.give": (START,),
    "tmms.given": (START,), "tmms.report": LATER, "tmms.reported": LATER, "tmms.acknowledged": LATER,
    "keeper.intent": (START,), "keeper.started": (START,), "keeper.ended": (FINISH, CANCEL),
    "keeper.recorded": (FINISH, CANCEL), "keeper.told": LATER,
}  # fmt: skip
"""In which parts of the lives of jobs somebody must come to each point, and dies there."""

DAEMONS = ("keeper:alice:n1", "tmms:alice:n1", "tms:alice", "dispatcher")
ROW_OF = {"dispatcher": 1, "tms": 3, "tmms": 4, "keeper": 5}
CANCELLED_ROW = 40


class CrashMatrixTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(users=("alice",))
        self.addCleanup(self.cluster.stop)

    def try_point(self, name: str) -> None:
        """Let *name* kill who comes there while a job is submitted, and while it starts, ends and is cancelled."""
        mark = Path(self.cluster.arm(name))
        mark.touch()
        self.cluster.start_dispatcher()
        accepted: list[int] = []
        for part in ALL:
            accepted += getattr(self, part)(mark)
            if part in POINTS[name]:
                wait_for(mark.exists, f"somebody at {name} during {part}; {self.cluster.logs()}", 10)
            mark.touch()
            self.cluster.check(accepted)
        trials = len([part for part in POINTS[name] if part != CANCEL])
        count(ROW_OF[name.partition(".")[0]], max(1, trials))
        if CANCEL in POINTS[name]:
            count(CANCELLED_ROW, 1)

    def submit(self, mark: Path) -> list[int]:
        mark.unlink()
        return self.finished(self.cluster.submit_ledger("alice"))

    def finished(self, ids: list[int]) -> list[int]:
        self.cluster.wait(ids)
        return ids

    def order(self, verb: str, number: int) -> None:
        """Have something done; whoever was to say that it is may have died, and said again it comes too late."""
        with contextlib.suppress(Refused):
            self.cluster.ask("alice", verb, str(number))

    def start(self, mark: Path) -> list[int]:
        ids = self.cluster.submit_ledger("alice", hold=True)
        mark.unlink()
        self.order("releasejob", ids[0])
        return self.finished(ids)

    def finish(self, mark: Path) -> list[int]:
        """Let a job end that runs until it is told to; where servers on hosts die as they join, one joins meanwhile."""
        joins = self.cluster.failpoint.startswith("tmms.join")
        end = Path(self.cluster.work, "end")
        ids = self.cluster.submit_ledger("alice", 1, seconds=str(end))
        self.cluster.wait(ids, states=("running",))
        mark.unlink()
        if joins:
            self.cluster.kill("tmms:alice:n1")
        end.touch()
        return self.finished(ids)

    def cancel(self, mark: Path) -> list[int]:
        """Cancel a job that runs; return none, since it has no ending of its own."""
        ids = self.cluster.submit_ledger("alice", 1, seconds=1000)
        self.cluster.wait(ids, states=("running",))
        mark.unlink()
        self.order("canceljob", ids[0])
        ended = self.cluster.wait(ids)[0]
        self.assertEqual(ended["state"], "cancelled", ended)
        alive = [line for line in self.cluster.ledger() if line.job == ids[0] and is_alive(line.pid)]
        self.assertEqual(alive, [], f"job {ids[0]} is said to be cancelled; {self.cluster.logs()}")
        return []

    def test_every_failpoint_of_the_servers_is_tried(self) -> None:
        found: set[str] = set()
        for path in Path(ROOT, "tm").rglob("*.py"):
            found.update(re.findall(r"\breach\(\"([a-z.]+)\"\)", path.read_text()))
        self.assertEqual(found, set(POINTS))


def _add(name: str) -> None:
    def test(self: CrashMatrixTests) -> None:
        self.try_point(name)

    setattr(CrashMatrixTests, f"test_whoever_dies_at_{name.replace('.', '_')}_loses_and_doubles_nothing", test)


for _name in POINTS:
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
        count(5, len(jobs))
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
        count(6, 1)


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
        count(2, self.rounds)

    def test_kills_without_pause_of_all_but_the_hosts_lose_and_double_nothing(self) -> None:
        for _ in range(self.rounds):
            self.submit_some()
            self.kill_after_a_while(("dispatcher", "tms:alice"))
        self.cluster.wait(self.accepted, 60)
        self.cluster.check(self.accepted)
        count(2, self.rounds)

    def test_kills_without_pause_of_everything_double_nothing_and_invent_no_ending(self) -> None:
        for _ in range(self.rounds):
            self.submit_some()
            self.kill_after_a_while(DAEMONS)
        self.cluster.wait(self.accepted, 60)
        self.cluster.check(self.accepted, may_be_lost=True)
        count(8, self.rounds)
