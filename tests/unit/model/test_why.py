"""Why a job waits: a verdict for every host, never without a reason, and a change that really starts it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import World, host_state
from tests.support.properties import examples
from tm.model.brain import Brain
from tm.model.cluster import Hello
from tm.model.why import explain


class WhyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(["alice", "bob"], {"n1": 4, "n2": 2})
        for user in ("alice", "bob"):
            self.world.brain.user_server_attached(user)
            for host in ("n1", "n2"):
                self.world.connect(user, host)

    def why(self, number: int = 1) -> dict[str, Any]:
        self.world.brain.place(self.world.at)
        brain = self.world.brain
        return dict(explain(brain, brain.jobs[number], self.world.at))

    def verdicts(self, number: int) -> dict[str, str]:
        return {one["host"]: one["verdict"] for one in self.why(number)["hosts"]}

    def test_full_hosts_are_told_and_fewer_cores_would_start_it(self) -> None:
        self.world.submit("alice", cores=3)
        self.world.submit("alice", cores=1)
        self.world.submit("alice", cores=3)
        why = self.why(3)
        self.assertEqual(self.verdicts(3), {"n1": "cores", "n2": "cores"})
        self.assertEqual(why["counts"], {"cores": 2})
        self.assertIn("instead of 3", why["change"])

    def test_a_host_that_can_never_run_it_says_so(self) -> None:
        self.world.submit("alice", cores=4)
        self.world.submit("alice", cores=4)
        self.assertEqual(self.verdicts(2), {"n1": "cores", "n2": "cores"})
        self.assertIn("2 cores", {one["host"]: one["reason"] for one in self.why(2)["hosts"]}["n2"])

    def test_hosts_that_are_off_away_or_others_are_told_apart(self) -> None:
        self.world.brain.host_activated("n1", False, "a new fan", self.world.at)
        self.world.brain.host_left("alice", "n2", self.world.at, "gone")
        self.world.brain.launch_reported("alice", "n2", "failed", "ssh.auth: denied", self.world.at)
        self.world.submit("alice")
        why = self.why()
        self.assertEqual(self.verdicts(1), {"n1": "inactive", "n2": "away"})
        self.assertIn("a new fan", str(why["hosts"]))
        self.assertIn("denied", str(why["hosts"]))

    def test_what_is_kept_for_a_wide_job_is_reserved_for_others(self) -> None:
        self.world.submit("bob", cores=3, hosts=["n1"])
        for _ in range(3):
            self.world.turn()
            self.world.report("bob", "n1")
        self.world.at += 60
        self.world.submit("bob", cores=4)
        self.why(2)
        self.world.at += 60
        self.world.submit("bob", cores=1, hosts=["n1"])
        why = self.why(3)
        self.assertEqual(self.verdicts(3)["n1"], "reserved")
        self.assertIn("job 2 of bob", str(why["hosts"]))

    def test_a_held_job_is_to_be_released(self) -> None:
        self.world.submit("alice", hold=True)
        why = self.why()
        self.assertIn("--release 1", why["change"])
        self.assertTrue(why["sentence"])

    def test_without_a_server_the_owner_is_told_how_to_start_it(self) -> None:
        self.world.detach("alice")
        self.world.submit("alice")
        self.assertEqual(set(self.verdicts(1).values()), {"away"})
        self.assertIn("start the server of alice", self.why()["change"])

    def test_a_constraint_is_named_as_what_is_in_the_way(self) -> None:
        brain = Brain(epoch=1, hosts=[host_state("n1", 1, features=("fast",)), host_state("n2", 1)])
        brain.user_server_attached("alice")
        for host in ("n1", "n2"):
            brain.host_joined("alice", Hello(host, f"s{host}", "b", 1, "r", 0, 0, [], cores=1), 1.0)
        spec = '{"user":"alice","command":"true","cwd":"/","environment":"e","constraint":"fast"}'
        brain.submitted("alice", "t", [(spec, "s")] * 2, {"e": "{}"}, 1.0)
        brain.place(1.0)
        why: dict[str, Any] = dict(explain(brain, brain.jobs[2], 1.0))
        self.assertEqual({one["host"]: one["verdict"] for one in why["hosts"]}, {"n1": "cores", "n2": "constraint"})
        self.assertIn("without 'fast' it would start on n2", why["change"])

    @examples(60)
    @given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["alice", "bob"])), min_size=1, max_size=12))
    def test_every_waiting_job_has_a_sentence_and_every_host_a_verdict(self, asked: list[tuple[int, str]]) -> None:
        self.setUp()
        for cores, user in asked:
            self.world.submit(user, cores=cores)
        self.world.brain.place(self.world.at)
        waiting = [job for job in self.world.brain.jobs.values() if job.id in self.world.brain.queue]
        for job in waiting:
            why = explain(self.world.brain, job, self.world.at)
            hosts: Any = why["hosts"]
            self.assertTrue(why["sentence"])
            self.assertEqual([one["host"] for one in hosts], ["n1", "n2"])
            self.assertTrue(all(one["verdict"] and one["reason"] for one in hosts))
            self.assertNotIn("free", {one["verdict"] for one in hosts})
