"""A host crashes and boots again: what ran there is lost, and said so; the host comes back by itself."""

from __future__ import annotations

import os

from tests.cluster import accounts
from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB
from tests.support.processes import wait_for

BACK_SECONDS = 150.0


class RebootTests(SiteCase):
    def test_a_rebooted_host_comes_back_by_itself_and_its_jobs_are_said_to_be_lost(self) -> None:
        site = self.site
        on = {host: site.submit_ledger(ANN, 1, 600, host) for host in ("n1", "n2")}
        site.wait([*on["n1"], *on["n2"]], states=["running"])
        waiting = {host: site.submit_ledger(ANN, 3, 0, host) for host in ("n1", "n2")}
        elsewhere = site.submit_ledger(BOB, 1, 4, "n3")
        again = [self.repeatable(host) for host in ("n1", "n2")]
        self.machine("n1").reboot()
        self.machine("n2").reboot(new_disk=True)
        lost = site.wait([*on["n1"], *on["n2"]], BACK_SECONDS)
        self.assertEqual([job["state"] for job in lost], ["lost", "lost"])
        for job in lost:
            self.assertIn(f"{job['host']} was restarted", job["reason"])
        done = site.wait(again, BACK_SECONDS)
        self.assertEqual([(job["state"], job["attempt"]) for job in done], [("completed", 2)] * 2)
        site.wait([*waiting["n1"], *waiting["n2"], *elsewhere], BACK_SECONDS)
        site.check([*waiting["n1"], *waiting["n2"], *elsewhere])

    def repeatable(self, host: str) -> int:
        """Return a running job of Bob's on *host* that may be begun anew, and ends when it is."""
        mark = f"been-on-{host}"
        command = f"[ -e {mark} ] || {{ touch {mark}; sleep 600; }}"
        number = self.site.submit(BOB, "--requeue", "--host", host, command)[0]
        self.site.wait([number], states=["running"])
        wait_for(lambda: os.path.exists(self.site.bench.path(f"{accounts.home(BOB)}/{mark}")), f"{mark} to be there")
        return number
