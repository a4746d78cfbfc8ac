"""Networks that break: connections cut anywhere, servers that are frozen. Nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import random
import signal

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cluster import Cluster
from tests.support.flaky_proxy import FlakyProxy
from tests.support.installation import free_port
from tests.support.processes import wait_for


class CutTests(SynchronousTestCase):
    def test_connections_cut_at_any_byte_lose_and_double_nothing(self) -> None:
        seed = int(os.environ.get("TM_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"TM_KILL_SEED={seed}")
        cluster = Cluster(users=("alice",))
        self.addCleanup(cluster.stop)
        port = free_port()
        with FlakyProxy(cluster.port, port, random.Random(seed), 3000, 20000) as proxy:
            cluster.start_dispatcher("-p", str(port), "--init")
            ids: list[int] = []
            for _ in range(15):
                ids += cluster.submit_ledger("alice", 4)
            wait_for(lambda: cluster.jobs("alice", "limit=5") and proxy.cuts >= 15, "fifteen cuts", 60)
            proxy.flaky = False
            cluster.wait(ids, 60)
            cluster.check(ids)
            self.assertEqual(len(cluster.jobs("alice")), 60)


class FrozenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()

    def test_a_frozen_server_on_a_host_keeps_nobody_else_from_working(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=0.3)
        cluster.wait(ids, states=("running",))
        cluster.kill("tmms:alice:n1", signal.SIGSTOP)
        cluster.wait(cluster.submit("bob", "true"), user="bob")
        wait_for(lambda: [line for line in cluster.ledger() if line.what == "end"], "the end of alice's job")
        self.assertEqual(cluster.job("alice", ids[0])["state"], "running")
        cluster.kill("tmms:alice:n1", signal.SIGCONT)
        cluster.wait(ids)
        cluster.check(ids)

    def test_a_frozen_dispatcher_goes_on_where_it_was(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 2, seconds=0.5)
        cluster.wait(ids, states=("running",))
        cluster.kill("dispatcher", signal.SIGSTOP)
        wait_for(lambda: len([line for line in cluster.ledger() if line.what == "end"]) == 2, "the end of the jobs")
        cluster.kill("dispatcher", signal.SIGCONT)
        cluster.wait(ids)
        cluster.check(ids)
