"""Messages between a user's server and the dispatcher that come twice, late, and in another order."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.meddled import Meddled
from tests.faults.record import count
from tests.support.cluster import Cluster


class MessageTests(SynchronousTestCase):
    def test_what_comes_twice_late_or_out_of_order_starts_nothing_twice_and_loses_nothing(self) -> None:
        cluster = Cluster(users=("alice",))
        self.addCleanup(cluster.stop)
        with Meddled(cluster, random.Random(14)) as meddled:
            for _ in range(40):
                meddled.submit()
                if min(meddled.done[what] for what in ("twice", "late", "swapped")) >= 3:
                    break
            meddled.settle()
            done = meddled.done
        self.assertGreaterEqual(min(done["twice"], done["late"], done["swapped"]), 3, done)
        count(14, done.total())
