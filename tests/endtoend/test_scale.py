"""The simulation of many hosts, small: real servers, simulated hosts, nothing lost over a restart under load."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import scale_links
from benchmarks.record import Recorder
from benchmarks.scale_stage import stage
from tests.support.cluster import Cluster


class ScaleTests(SynchronousTestCase):
    def test_twenty_simulated_hosts_run_what_is_submitted_and_come_back_to_a_new_dispatcher(self) -> None:
        with stage(20, 2) as made:
            made.tally(mean=0)
            made.submit(200)
            made.until(lambda: len(made.starts) >= 200 and not made.held, "the end of all jobs")
            self.assertEqual(len({job for job, _ in made.starts}), 200)
            made.forget()
            made.tally(mean=0.5)
            made.submit(200)
            made.until(lambda: len(made.starts) >= 60, "some starts")
            made.cluster.end_dispatcher()
            made.cluster.start_dispatcher()
            made.until(lambda: len(made.joins) >= made.count, "all hosts to be back")
            made.tally(mean=0)
            made.until(lambda: len({job for job, _ in made.starts}) >= 200 and not made.held, "the end of all jobs")
            self.assertEqual(len(made.starts), 200)
            counts = [made.cluster.ask(user, "countjobs", "", as_json=True)[0] for user in made.users]
            self.assertEqual([count.count('"completed":200') for count in counts], [1, 1])

    def test_a_dispatcher_with_few_descriptors_serves_whom_it_has_and_says_what_is_short(self) -> None:
        said: list[str] = []
        recorder = Recorder(None, said.append, 0.0)
        with Cluster(users=("alice",)) as cluster:
            scale_links.exhaust(recorder, cluster)
            self.assertIn("of 300 that its descriptors allow; raise the limit", cluster.logs())
        self.assertTrue(any("links" in line and " 299 " in line for line in said), said)
