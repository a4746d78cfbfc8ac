"""Disks that take nothing more: nothing false is said, what runs goes on, and with space again everything continues.

A limit on the size of files stands in for the full disk: it can be set on a running process and taken back.
"""

from __future__ import annotations

import json
import resource
import uuid

from tests.support.chain import ChainCase
from tests.support.processes import wait_for
from tests.support.talk import Refused

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class FullDiskTests(ChainCase):
    def fill(self, daemon: str) -> int:
        """Let *daemon* write no more to any file; return its pid."""
        pid = self.cluster.pid(daemon)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        return pid

    def free(self, pid: int) -> None:
        """Let the process write again."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, UNLIMITED)

    def test_a_dispatcher_that_cannot_write_accepts_nothing_and_goes_on_when_it_can(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=1.5)
        cluster.wait(ids, states=("running",))
        pid = self.fill("dispatcher")
        token = uuid.uuid4().hex
        wish = json.dumps({"token": token, "common": {"cwd": "/"}, "jobs": [{"command": "true"}]})
        with cluster.dispatcher("alice") as alice:
            word = self.refused(wish)
            self.assertTrue(word.startswith(("store.", "net.")), word)
            self.assertEqual(len(alice.values("lsjobs")), 1)
        wait_for(lambda: [line for line in cluster.ledger() if line.what == "end"], "the end of the running job")
        self.free(pid)
        (number,) = map(int, cluster.ask("alice", "submit", wish))
        cluster.wait([*ids, number])
        self.assertEqual(sorted(cluster.jobs("alice")), [*ids, number])
        self.assertEqual(cluster.pid("dispatcher"), pid)
        cluster.check(ids)

    def refused(self, wish: str) -> str:
        """Return the class with which the submission is refused, an empty text when it is not."""
        try:
            self.cluster.tms("alice").ask("submit", wish)
        except Refused as refused:
            return refused.word
        return ""

    def test_a_host_that_cannot_claim_an_order_runs_it_once_it_can(self) -> None:
        cluster = self.cluster
        first = cluster.submit_ledger("alice", 1)
        cluster.wait(first)
        pid = self.fill("tmms:alice:n1")
        ids = cluster.submit_ledger("alice", 2)
        cluster.wait(ids, states=("starting",))
        self.assertEqual({line.job for line in cluster.ledger()}, set(first))
        self.free(pid)
        cluster.wait(first + ids)
        cluster.check(first + ids)

    def test_an_ending_that_cannot_be_written_down_is_not_lost(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 2, seconds=1)
        cluster.wait(ids, states=("running",))
        keeper, server = self.fill("keeper:alice:n1"), self.fill("tmms:alice:n1")
        cluster.wait(ids)
        cluster.check(ids)
        self.free(keeper)
        self.free(server)
        more = cluster.submit_ledger("alice", 2)
        cluster.wait(ids + more)
        cluster.check(ids + more)
