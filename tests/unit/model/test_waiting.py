"""Why a job waits: a sentence for every cause."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import about, host_state, order, report
from tm.model.brain import Brain
from tm.model.cluster import HostState, Link, Session
from tm.model.job import new_job
from tm.model.phase import Phase
from tm.model.report import Gpu
from tm.model.rights import Group, Groups, Limits
from tm.model.waiting import why_waiting


class WaitingTests(SynchronousTestCase):
    def why(self, *hosts: HostState, attached: bool = True, **more: object) -> str:
        """Return why alice's job waits where there are these *hosts*."""
        self.brain = Brain(epoch=1, hosts=[host_state("wide", 64), *hosts])
        if attached:
            self.brain.user_server_attached("alice")
        (number,) = self.brain.submitted("alice", "t", [order("alice", **more)], {}, 1.0)
        del self.brain.hosts["wide"]
        return self.why_now(number)

    def why_now(self, number: int = 1) -> str:
        return why_waiting(self.brain, self.brain.jobs[number], 5.0)

    def test_there_is_a_sentence_for_every_cause(self) -> None:
        idle, off, full = host_state("n1", 2), host_state("n2", active=False), host_state("n3", 1)
        full.used_cores = 1
        self.assertIn("not connected", self.why(idle, attached=False))
        self.assertIn("no host it may use", self.why())
        self.assertIn("n2: not active", self.why(off))
        self.assertIn("no active host has 3 cores", self.why(idle, cores=3))
        self.assertEqual(self.why(full), "waits for 1 free core; at most 0 free on one host now")
        self.assertIn("waits for 2 free cores", self.why(idle, cores=2))
        self.why(idle)
        session = self.brain.sessions["alice", "n1"] = Session("alice", idle)
        session.failed("ssh.auth: no", 5.0)
        self.assertEqual(self.why_now(), "n1: ssh.auth: no")
        session.link = Link.STARTING
        self.assertIn("starting alice's server on n1", self.why_now())

    def test_what_beside_cores_is_not_free_is_named(self) -> None:
        matlab = host_state("n1", 4, gpus=2, consumables={"matlab": 1}, features=("old",))
        matlab.report = report(gpus=[Gpu(1, "A100", 1 << 30, 0, 0.0, ["carol"])], load=(3.0, 1.0, 1.0))
        Session("bob", matlab).occupy(new_job(9, *order(consumables={"matlab": 1}, gpus=1), 1.0)[0])
        for more, expected in (
            ({"gpus": 1}, "n1: 1 of its 2 GPUs busy with strangers (carol)"),
            ({"gpus": 2}, "n1: 0 of 2 GPUs free now"),
            ({"consumables": {"matlab": 1}}, "n1: 0 matlab free now"),
            ({"exclusive": True}, "n1: 1 job runs there"),
            ({"constraint": "load<2"}, "n1: 'load<2' does not hold for it now (load 3.00)"),
            ({"constraint": "not old"}, "no active host can run it (n1: 'not old' does not hold for it)"),
        ):
            self.assertEqual(self.why(matlab, **more), expected)

    def test_who_may_not_use_a_host_reads_who_may(self) -> None:
        closed = host_state("n1", 2, users=("bob", "@physics"))
        self.assertEqual(self.why(closed), "no host it may use is open to alice (n1: only bob, @physics)")
        self.brain.people_configured(Groups((Group("physics", frozenset({"alice"})),)), 5.0)
        self.assertIn("waits for 1 free core", self.why_now())

    def test_what_others_take_is_named_with_the_host(self) -> None:
        self.why(host_state("n1", 4), cores=2)
        for at in (2.0, 3.0):
            self.brain.host_reported("n1", about(), report(others=3.2, cpu_by_user={"bob": 3.0}), at)
        self.assertEqual(self.why_now(), "n1: others (bob) use 3 of 4 cores")
        self.brain.host_reported("n1", about(), report(console_idle=2.0, logged_in=["carol"]), 4.0)
        self.assertEqual(self.why_now(), "n1: carol is at the console")

    def test_a_host_that_is_out_says_until_when_and_why(self) -> None:
        self.why(host_state("n1", 2))
        for user in ("bob", "carol"):
            self.brain.hosts["n1"].trouble.failed(user, 7, "job 7: cannot enter /home/bob", 1.0, False)
        self.assertEqual(
            self.why_now(),
            "n1: taken out until 1970-01-01T00:01:01.000Z:"
            " starts failed for bob, carol, the last one: job 7: cannot enter /home/bob",
        )

    def test_a_limit_is_named(self) -> None:
        self.why(host_state("n1", 2))
        limited = Group("all", frozenset({"*"}), user_limits=Limits(running=0))
        self.brain.people_configured(Groups((limited,)), 5.0)
        self.assertIn("each member of group all may have 0 jobs running at once", self.why_now())

    def test_what_gave_way_says_so_before_what_it_waits_for(self) -> None:
        self.why(host_state("n1", 2))
        job = self.brain.jobs[1]
        job.attempt, job.reason = 1, "attempt 1 on n1 gave way to others: bob is at the console"
        self.assertEqual(self.why_now(), f"{job.reason}; waits for 1 free core; at most 2 free on one host now")

    def test_what_does_not_wait_says_what_it_says(self) -> None:
        self.why(host_state("n1", 2))
        job = self.brain.jobs[1]
        job.phase, job.reason = Phase.FAILED, "exit 3"
        self.assertEqual(self.why_now(), "exit 3")
