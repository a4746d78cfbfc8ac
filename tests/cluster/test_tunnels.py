"""Hosts from which nobody reaches the machine of the dispatcher and of users: ssh gets in, nothing gets out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tests.cluster import accounts
from tests.cluster.accounts import DISPATCHER
from tests.cluster.case import SiteCase
from tests.cluster.namespace import Process, checked
from tests.cluster.site import ANN, BOB, PORT
from tests.support.processes import wait_for

BACK_SECONDS = 60.0


class TunnelTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"cores": 4, "tunnel": True}, "n2": {"cores": 2}}

    def setUp(self) -> None:
        super().setUp()
        self.lock_in("n1")
        said = self.machine("n1").exec_as(ANN, ["bash", "-c", f"exec 3<>/dev/tcp/td/{PORT}"])
        self.assertIn("unreachable", said.stderr)

    def lock_in(self, host: str) -> None:
        """Let nothing of *host* out to ``td`` but answers of its sshd."""
        there = f"rule add to {self.site.bench.address('td')}/32"
        for rule in (f"{there} ipproto tcp sport 22 lookup main priority 1", f"{there} unreachable priority 2"):
            checked([*self.machine(host).space.enter("net"), "ip", *rule.split()])

    def tunnel(self, user: str) -> Process | None:
        """Return the tunnel of *user*."""
        number = accounts.NUMBER[user]
        running = self.machine("td").processes()
        return next((one for one in running if one.uid == number and "ssh -M -S tunnel-" in one.command), None)

    def info_up(self, host: str) -> None:
        """Wait for reports of an InfoServer."""
        up = lambda: (shown := self.site.host(host))["info"]["state"] == "up" and shown["load"] is not None  # noqa: E731
        wait_for(up, f"reports from {host}; {self.site.logs()}", BACK_SECONDS, 0.2)

    def test_two_users_and_an_infoserver_come_back_through_tunnels_of_their_own(self) -> None:
        site = self.site
        self.info_up("n1")
        ids = site.submit_ledger(ANN, 3, 0, "n1") + site.submit_ledger(BOB, 3, 0, "n1")
        running = site.submit_ledger(ANN, 1, 12, "n1") + site.submit_ledger(BOB, 1, 12, "n1")
        site.wait([*ids])
        site.wait(running, states=["running"])
        tunnels = [self.tunnel(user) for user in (DISPATCHER, ANN, BOB)]
        self.assertNotIn(None, tunnels)
        for tunnel in tunnels:
            assert tunnel is not None
            tunnel.kill()
        more = site.submit_ledger(ANN, 2, 0, "n1")
        site.wait([*running, *more], BACK_SECONDS)
        self.info_up("n1")
        site.check([*ids, *running, *more])

    def test_a_host_that_is_cut_off_and_one_that_boots_come_back_by_themselves(self) -> None:
        site = self.site
        self.info_up("n1")
        ids = site.submit_ledger(ANN, 1, 45, "n1")
        site.wait(ids, states=["running"])
        self.machine("n1").cut()
        wait_for(lambda: site.job(ids[0])["state"] == "unreachable", "the cut to be noticed", 60, 0.2)
        self.machine("n1").heal()
        site.wait(ids, 100)
        site.check(ids)
        doomed = site.submit_ledger(ANN, 1, 600, "n1")
        site.wait(doomed, states=["running"])
        self.machine("n1").reboot()
        self.lock_in("n1")
        lost = site.wait(doomed, 100)
        self.assertEqual(lost[0]["state"], "lost")
        after = site.submit_ledger(ANN, 1, 0, "n1")
        site.wait(after, BACK_SECONDS)
        self.info_up("n1")
