"""Connections that are cut at a byte, on each link of a job's way: everything goes on, and nothing happens twice."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.links import LINKS, CutLinks, positions
from tests.faults.record import count
from tests.support.cluster import Cluster

CUTS = 7
LOST = 3


class CutTests(SynchronousTestCase):
    def setUp(self) -> None:
        cluster = Cluster(users=("alice",))
        self.addCleanup(cluster.stop)
        self.links = CutLinks(cluster)
        self.links.__enter__()
        self.addCleanup(self.links.__exit__)

    def test_each_link_may_be_cut_within_any_message_of_a_jobs_life(self) -> None:
        trials = 0
        for link in LINKS:
            for afresh in (False, True):
                length = self.links.length(link, afresh)
                trials += sum(self.links.cut(link, after, afresh) for after in positions(length, CUTS))
        self.links.check()
        self.assertGreater(trials, 2 * len(LINKS) * (CUTS - 2))
        count(13, trials)

    def test_a_submission_whose_answer_is_lost_after_its_commit_gives_one_job_when_it_is_repeated(self) -> None:
        for link in ("client", "dispatcher"):
            for _ in range(LOST):
                self.links.lose_answer(link)
        self.links.check()
        count(7, 2 * LOST)
