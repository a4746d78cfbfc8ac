"""The case of tests that need several machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.bench import obstacle
from tests.cluster.machine import Machine
from tests.cluster.site import HOSTS, Site

WHY_NOT = obstacle()


class SiteCase(SynchronousTestCase):
    """Gives each test a `site` of its own with *hosts*; whatever a test does, nothing of ours may be root."""

    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = HOSTS
    skip = WHY_NOT or None

    def setUp(self) -> None:
        self.site = Site(self.hosts)
        self.addCleanup(self.site.close)
        self.addCleanup(self.assert_nobody_is_root)

    def machine(self, name: str) -> Machine:
        """Return a machine of the bench."""
        return self.site.bench[name]

    def assert_nobody_is_root(self) -> None:
        """Fail if any process but sshd runs, or could run, as root."""
        for machine in self.site.bench.machines.values():
            if machine.is_on:
                found = [one for one in machine.processes() if 0 in one.uids and one.name != "sshd"]
                self.assertEqual(found, [], f"on {machine.name}")

    def view(self, number: int) -> dict[str, Any]:
        """Return the public view of a job."""
        return self.site.job(number)
