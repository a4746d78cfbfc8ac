"""Clocks that are set while daemons run: nothing stands still, no limit fires, and certificates are what they are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.clocks import FakedClocks, lacking
from tests.faults.record import count
from tests.support.cluster import Cluster
from tests.support.processes import wait_for
from tests.support.talk import Refused


class ClockTests(SynchronousTestCase):
    skip = lacking() or None

    def setUp(self) -> None:
        self.cluster = Cluster(users=("alice",))
        self.addCleanup(self.cluster.stop)
        self.clock = FakedClocks(self.cluster)
        self.cluster.start_dispatcher()

    def set_while_jobs_run(self, offset: str, *killed: str) -> list[int]:
        """Set the clock while jobs run and daemons have just been *killed*; return the jobs, which end as they should.

        Whoever was connected stays so, or is again within seconds.
        """
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 2, seconds=1.2)  # a clock that was set is seen within a second
        cluster.wait(ids, states=("running",))
        for name in killed:
            cluster.kill(name)
        self.clock.set(offset)
        ids += cluster.submit_ledger("alice", 2)
        cluster.wait(ids, 30)
        cluster.check(ids)
        return ids

    def test_no_limit_fires_and_nothing_stands_still_when_the_clock_is_set(self) -> None:
        ids = self.set_while_jobs_run("-1h", "tmms:alice:n1")
        ids += self.set_while_jobs_run("+20d", "dispatcher")
        self.set_while_jobs_run("+0", "tms:alice")
        self.assertEqual([self.cluster.job("alice", number)["state"] for number in ids], ["failed"] * len(ids))
        count(27, 3)

    def test_a_clock_beyond_the_validity_of_certificates_is_named_and_all_is_well_when_it_is_right(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 2)
        cluster.wait(ids)
        self.clock.set("+10y")
        cluster.forget_talk("alice")
        cluster.kill("tms:alice")
        cluster.start_tms("alice")
        self.assertIn("or a clock is wrong", cluster.tms_refusal("alice").text)
        self.clock.set("+0")
        ids += wait_for(self.accepted, "the dispatcher to be reached again", 30)
        cluster.wait(ids)
        cluster.check(ids)
        count(27, 1)

    def accepted(self) -> list[int]:
        """Return the ids of two more jobs, none while they are not accepted."""
        try:
            return self.cluster.submit_ledger("alice", 2)
        except Refused:
            return []
