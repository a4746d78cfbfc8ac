"""Daemons that are killed while much runs or waits: how soon all is well again, and that nothing was lost by it."""

from __future__ import annotations

import random
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.record import count
from tests.support.cluster import Cluster
from tests.support.processes import wait_for

WIDE = {"n1": {"launcher": "local", "cores": 20}}
RUNNING = 20
WAITING = 10_000
READY_SECONDS = 5.0
ROUNDS = 2
DAEMONS = ("keeper:alice:n1", "tmms:alice:n1", "tms:alice", "dispatcher")


class HostServerTests(SynchronousTestCase):
    def test_twenty_jobs_run_on_while_their_server_on_the_host_is_killed_and_all_their_endings_are_right(self) -> None:
        cluster = Cluster(users=("alice",), hosts=WIDE)
        self.addCleanup(cluster.stop)
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", RUNNING, seconds=str(Path(cluster.work, "end")))
        cluster.wait(ids, states=("running",))
        wait_for(lambda: len(cluster.ledger()) == RUNNING, "what the jobs write as they begin")
        pids = {line.pid for line in cluster.ledger()}
        self.assertTrue(cluster.kill("tmms:alice:n1"))
        Path(cluster.work, "end").touch()
        cluster.wait(ids)
        cluster.check(ids)
        self.assertEqual({line.pid for line in cluster.ledger() if line.what == "end"}, pids)
        count(4, RUNNING)


class BigRestartTests(SynchronousTestCase):
    def test_a_dispatcher_with_ten_thousand_jobs_is_ready_again_within_seconds_and_has_them_all(self) -> None:
        cluster = Cluster(users=("alice",), hosts={"n1": {"launcher": "local", "cores": 1, "active": False}})
        self.addCleanup(cluster.stop)
        cluster.start_dispatcher()
        ids: list[int] = []
        for _ in range(WAITING // 1000):
            ids += cluster.submit("alice", *["true"] * 1000)
        cluster.end_dispatcher()
        began = time.monotonic()
        cluster.start_dispatcher()
        seconds = time.monotonic() - began
        with cluster.dispatcher("alice") as alice:
            (counted,) = alice.values("countjobs", "user=alice")
        self.assertEqual(counted["by_state"], {"pending": len(ids)})
        self.assertLess(seconds, READY_SECONDS)
        count(1, 1, ready=round(seconds, 2))


class AllDownTests(SynchronousTestCase):
    def test_every_daemon_is_killed_and_jobs_that_were_accepted_end_once_or_are_said_to_be_lost(self) -> None:
        cluster = Cluster(users=("alice",))
        self.addCleanup(cluster.stop)
        cluster.start_dispatcher()
        chance = random.Random(6)
        accepted: list[int] = []
        for _ in range(ROUNDS):
            accepted += cluster.submit_ledger("alice", 2, seconds=0.3)
            wait_for(lambda: cluster.pid("keeper:alice:n1"), "a keeper")
            for daemon in chance.sample(DAEMONS, len(DAEMONS)):
                cluster.kill(daemon)
            accepted += cluster.submit_ledger("alice", 2)
            cluster.wait(accepted, 60)
        cluster.check(accepted, may_be_lost=True)
        self.assertEqual({number for number in cluster.jobs("alice")}, set(accepted))
        count(8, ROUNDS)
