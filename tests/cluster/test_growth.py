"""A cluster that grows while it works."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB
from tests.support.processes import wait_for

MANY = 1000


class GrowthTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"cores": 2}}

    def test_a_host_is_added_while_a_thousand_jobs_wait(self) -> None:
        site = self.site
        blocking = site.submit_ledger(ANN, 2, 20, "n1")
        site.wait(blocking, states=["running"])
        ids = site.submit_ledger(ANN, MANY // 2) + site.submit_ledger(BOB, MANY // 2)
        self.assertEqual(len(ids), MANY)
        self.assertEqual({site.job(number)["state"] for number in (ids[0], ids[-1])}, {"pending"})
        site.bench.add("n2")
        site.bench.write_known_hosts()
        begun = time.time()
        site.send('addhost:{"name":"n2","cores":4}')
        first = wait_for(lambda: [line for line in site.ledger() if line.job in ids], "a job on the new host", 15)[0]
        self.assertEqual(site.job(first.job)["host"], "n2")
        print(f"the first job on the new host starts {first.at - begun:.2f} s after 'addhost'")
        site.wait([*blocking, *ids], 150)
        site.check([*blocking, *ids])
