"""A cluster on whose links, from the dispatcher to a user's server and on to a host, somebody meddles with messages."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from contextlib import ExitStack

from tests.support.cluster import Cluster
from tests.support.installation import free_port
from tests.support.meddler import Meddler
from tests.support.processes import wait_for
from tm.edge.way import tell_way

BACKLOG = 20


class Meddled:
    """*cluster*, which this starts, jobs in it, and the meddlers, who take their choices from *chance*."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.cluster = cluster
        self.accepted: list[int] = []
        self.cancelled: list[int] = []
        self._chance = chance
        self._stack = ExitStack()
        self._meddlers: list[Meddler] = []

    def __enter__(self) -> Meddled:
        cluster = self.cluster
        certs = os.path.join(cluster.etc, "certs")
        true = (os.path.join(certs, "taskdispatcher.crt"), os.path.join(certs, "taskdispatcher.key"))
        own = cluster.pair("alice")
        direct = free_port()
        try:
            self._between(cluster.port, direct, true, own)
            cluster.start_dispatcher("-p", str(direct), "--init")
            self.submit()
            cluster.wait(self.accepted)
            with open(os.path.join(cluster.directory("alice"), "TMS.test.address"), encoding="utf-8") as file:
                server = int(json.load(file)["port"])
            way = free_port()
            self._between(way, server, own, own)
            tell_way(cluster.spool("alice"), ("127.0.0.1", way))
            wait_for(lambda: self._meddlers[1].connections, "the host's server behind the meddler")
        except BaseException:
            self._stack.close()
            raise
        return self

    def _between(self, port: int, target: int, near: tuple[str, str], far: tuple[str, str]) -> None:
        meddler = Meddler(port, target, near, far, random.Random(self._chance.random()))
        self._meddlers.append(self._stack.enter_context(meddler))

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    @property
    def done(self) -> Counter[str]:
        """What was done to messages."""
        return sum((meddler.done for meddler in self._meddlers), Counter())

    def submit(self) -> None:
        """Submit some jobs, once most of those before have ended; one is cancelled now and then."""
        self.cluster.wait(self.accepted[:-BACKLOG], 60)
        lasting = self._chance.choice((None, 0.02, 0.1))
        self.accepted += self.cluster.submit_ledger("alice", self._chance.randint(1, 4), seconds=lasting)
        if self._chance.random() < 0.3:
            self.cancelled += self.cluster.submit_ledger("alice", 1, seconds=1000)
            self.cluster.ask("alice", "canceljob", str(self.cancelled[-1]))

    def settle(self) -> None:
        """Meddle no more; fail unless all is as it should be."""
        for meddler in self._meddlers:
            meddler.rest()
        cluster = self.cluster
        cluster.wait(self.accepted, 60)
        ended = cluster.wait(self.cancelled, 60)
        cluster.check(self.accepted)
        wrong = [job["state"] for job in ended if job["state"] != "cancelled"]
        more = set(cluster.jobs("alice")) - set(self.accepted) - set(self.cancelled)
        if wrong or more:
            raise AssertionError(f"cancelled jobs are {wrong}, nobody submitted {sorted(more)}; {cluster.logs()}")
