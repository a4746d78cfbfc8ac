"""A host crashes and boots again: what ran there is lost, and said so; the host comes back by itself."""

from __future__ import annotations

from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB

BACK_SECONDS = 150.0


class RebootTests(SiteCase):
    def test_a_rebooted_host_comes_back_by_itself_and_its_jobs_are_said_to_be_lost(self) -> None:
        site = self.site
        on = {host: site.submit_ledger(ANN, 1, 600, host) for host in ("n1", "n2")}
        site.wait([*on["n1"], *on["n2"]], states=["running"])
        waiting = {host: site.submit_ledger(ANN, 3, 0, host) for host in ("n1", "n2")}
        elsewhere = site.submit_ledger(BOB, 1, 4, "n3")
        self.machine("n1").reboot()
        self.machine("n2").reboot(new_disk=True)
        lost = site.wait([*on["n1"], *on["n2"]], BACK_SECONDS)
        self.assertEqual([job["state"] for job in lost], ["lost", "lost"])
        for job in lost:
            self.assertTrue(job["reason"])
        site.wait([*waiting["n1"], *waiting["n2"], *elsewhere], BACK_SECONDS)
        site.check([*waiting["n1"], *waiting["n2"], *elsewhere])
