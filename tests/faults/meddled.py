"""A cluster between whose dispatcher and user's server somebody meddles with the messages."""

from __future__ import annotations

import os
import random
from collections import Counter

from tests.support.cluster import Cluster
from tests.support.installation import free_port
from tests.support.meddler import Meddler

BACKLOG = 20


class Meddled:
    """*cluster*, which this starts, jobs in it, and the meddler, who takes its choices from *chance*."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.cluster = cluster
        self.accepted: list[int] = []
        self.cancelled: list[int] = []
        self._chance = chance
        self._direct = free_port()
        certs = os.path.join(cluster.etc, "certs")
        self._meddler = Meddler(cluster.port, self._direct, certs, cluster.pair("alice"), chance)

    def __enter__(self) -> Meddled:
        self._meddler.__enter__()
        try:
            self.cluster.start_dispatcher("-p", str(self._direct), "--init")
        except BaseException:
            self._meddler.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self._meddler.__exit__(*failure)

    @property
    def done(self) -> Counter[str]:
        """What was done to messages."""
        return self._meddler.done

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
        self._meddler.rest()
        cluster = self.cluster
        cluster.wait(self.accepted, 60)
        ended = cluster.wait(self.cancelled, 60)
        cluster.check(self.accepted)
        wrong = [job["state"] for job in ended if job["state"] != "cancelled"]
        more = set(cluster.jobs("alice")) - set(self.accepted) - set(self.cancelled)
        if wrong or more:
            raise AssertionError(f"cancelled jobs are {wrong}, nobody submitted {sorted(more)}; {cluster.logs()}")
