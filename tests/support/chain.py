"""The case of tests that need a cluster: its dispatcher runs, the servers of users start when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cluster import Cluster
from tests.support.installation import HOSTS


class ChainCase(SynchronousTestCase):
    """Gives each test a `cluster` of its own with *hosts* and sees that nothing of it is left."""

    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = HOSTS

    def setUp(self) -> None:
        self.cluster = Cluster(hosts=self.hosts)
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()

    def run_jobs(self, *commands: str | list[str], **common: Any) -> list[dict[str, Any]]:
        """Return the views of alice's *commands* once they have ended."""
        return self.cluster.wait(self.cluster.submit("alice", *commands, **common))

    def content(self, name: str) -> bytes:
        """Return the content of a file in the jobs' working directory."""
        return Path(self.cluster.work, name).read_bytes()
