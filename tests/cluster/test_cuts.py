"""Hosts that are cut off, in every phase of a job, for a minute: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB, CID
from tests.support.processes import wait_for

CUT_SECONDS = 60.0
TOLD_SECONDS = 60.0  # after contact returns every ending is to be seen within this


class CutTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"cores": 2},
        "n2": {"cores": 2},
        "n3": {"cores": 2, "launcher": "conch"},
        "n4": {"cores": 2},
        "n5": {"cores": 2, "launcher": "conch"},
    }

    def test_a_minute_without_network_in_every_phase_of_a_job(self) -> None:
        """n1: its server is yet to be started; n2: that is just going on; n3: an order is on its way; n4: the job
        ends meanwhile; n5: it runs on."""
        site = self.site
        there = [site.submit_ledger(ANN, 1, 0, host)[0] for host in ("n3", "n4", "n5")]
        site.wait(there)
        self.machine("n1").cut()
        waiting = site.submit_ledger(ANN, 1, 0, "n1") + site.submit_ledger(BOB, 1, 0, "n1")
        starting = site.submit_ledger(CID, 1, 0, "n2")
        wait_for(lambda: f"Accepted publickey for {CID}" in self.machine("n2").sshd_log(), "a login", pause=0.005)
        self.machine("n2").cut()
        ending = site.submit_ledger(ANN, 2, 5, "n4")
        running = site.submit_ledger(ANN, 2, CUT_SECONDS + 10, "n5")
        site.wait([*ending, *running], states=["running"])
        for host in ("n3", "n4", "n5"):
            self.machine(host).cut()
        begun = time.monotonic()
        on_its_way = site.submit_ledger(ANN, 4, 0, "n3")
        wait_for(lambda: self.view(on_its_way[0])["state"] == "starting", "an order on its way", pause=0.05)
        wait_for(lambda: "ssh.unreachable" in self.view(waiting[0])["reason"], "the reason why it waits", 40, 0.2)
        elsewhere = site.submit_ledger(BOB, 2)
        everything = [*there, *waiting, *starting, *ending, *running, *on_its_way]
        time.sleep(max(0.0, begun + CUT_SECONDS - time.monotonic()))
        ended = {line.job for line in site.ledger() if line.what == "end"}
        self.assertEqual([number for number in ending if number not in ended], [], "jobs end without a network")
        self.assertNotIn("completed", {self.view(number)["state"] for number in ending})
        for host in site.hosts:
            self.machine(host).heal()
        site.wait(everything, TOLD_SECONDS)
        site.wait(elsewhere)
        site.check([*everything, *elsewhere])
