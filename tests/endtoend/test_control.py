"""When and where jobs run: priority and age, cores and memory, hosts that are active or not."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.support import ledger
from tests.support.chain import ChainCase
from tests.support.processes import wait_for


class OrderTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 1}}

    def test_priority_comes_before_age_and_age_before_the_rest(self) -> None:
        cluster = self.cluster
        first = cluster.submit("alice", "exec sleep 1000")
        cluster.wait(first, states=("running",))
        ids = [cluster.submit_ledger("alice", 1, priority=priority)[0] for priority in (0, 10, -5, 10, 3, 0)]
        cluster.ask("alice", "canceljob", str(first[0]))
        cluster.wait(ids)
        order = [line.job for line in cluster.ledger() if line.what == "start"]
        self.assertEqual(order, [ids[place] for place in (1, 3, 4, 0, 5, 2)])

    def test_a_job_of_a_higher_priority_overtakes_a_family_of_short_ones(self) -> None:
        cluster = self.cluster
        family = cluster.submit_ledger("alice", 150)
        cluster.wait(family[:5])
        urgent = cluster.submit_ledger("alice", 1, priority=5)
        cluster.wait(family + urgent)
        cluster.check(family + urgent)
        order = [line.job for line in cluster.ledger() if line.what == "start"]
        self.assertLess(order.index(urgent[0]), 100)


class RoomTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 3, "memory": "1G"}}

    def test_the_jobs_of_all_users_never_use_more_cores_than_there_are(self) -> None:
        cluster = self.cluster
        cores = {}
        for user in ("alice", "bob"):
            for wide in (1, 2, 3, 1):
                for number in cluster.submit_ledger(user, 4, seconds=0.1, cores=wide):
                    cores[number] = wide
            cluster.submit_ledger(user, 20)
        for user in ("alice", "bob"):
            cluster.wait(cluster.jobs(user), user=user)
            cluster.check(cluster.jobs(user))
        used = ledger.most_at_once(cluster.ledger(), cores)
        self.assertLessEqual(used, 3)
        self.assertGreaterEqual(used, 2)

    def test_memory_that_was_asked_for_is_shared_out_like_cores(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 4, seconds=0.1, memory=400 << 20)
        cluster.wait(ids)
        cluster.check(ids)
        self.assertEqual(ledger.most_at_once(cluster.ledger(), {}), 2)

    def test_what_no_host_has_is_refused_at_once(self) -> None:
        refused = self.cluster.tms_refusal("alice", cores=4)
        self.assertEqual(refused.word, "job.impossible")
        self.assertIn("3 cores", refused.text)
        self.assertEqual(self.cluster.tms_refusal("alice", memory=2 << 30).word, "job.impossible")
        self.assertEqual(self.cluster.tms_refusal("alice", hosts=["n9"]).word, "host.unknown")
        self.assertEqual(self.cluster.jobs("alice"), {})


class HostTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 1}, "n2": {"launcher": "local", "cores": 1}}

    def test_jobs_run_where_they_may(self) -> None:
        cluster = self.cluster
        jobs = cluster.wait(cluster.submit("alice", *["true"] * 4, hosts=["n2"]))
        self.assertEqual({job["host"] for job in jobs}, {"n2"})
        jobs = cluster.wait(cluster.submit("alice", *["exec sleep 1000"] * 2), states=("running",))
        self.assertEqual({job["host"] for job in jobs}, {"n1", "n2"})

    def test_a_deactivated_host_starts_nothing_more_and_finishes_what_runs(self) -> None:
        cluster = self.cluster
        running = cluster.submit_ledger("alice", 1, seconds=1, hosts=["n1"])
        cluster.wait(running, states=("running",))
        with cluster.dispatcher("alice") as alice:
            alice.ask("deactivatehost", "n1:the fan is broken")
            waiting = cluster.submit_ledger("alice", 1, hosts=["n1"])
            cluster.wait(running)
            reason = cluster.job("alice", waiting[0])["reason"]
            self.assertIn("n1", reason)
            self.assertIn("the fan is broken", reason)
            (host,) = [host for host in alice.values("lshosts") if host["name"] == "n1"]
            self.assertEqual((host["state"], host["reason"]), ("drained", "the fan is broken"))
            cluster.kill("dispatcher")
            cluster.start_dispatcher()
        self.assertEqual(cluster.job("alice", waiting[0])["state"], "pending")
        with cluster.dispatcher("alice") as alice:
            alice.ask("activatehost", "n1")
        cluster.wait(waiting)
        cluster.check(running + waiting)

    def test_who_lacks_the_right_can_neither_deactivate_nor_activate(self) -> None:
        with self.cluster.dispatcher("bob") as bob:
            for verb in ("deactivatehost", "activatehost"):
                refused = bob.refusal(verb, "n1")
                self.assertEqual(refused.word, "perm.denied")
                self.assertIn("'hosts'", refused.text)
            self.assertEqual({host["vacant"] for host in bob.values("lshosts")}, {True})

    def test_events_tell_what_becomes_of_a_host_and_of_a_job(self) -> None:
        cluster = self.cluster
        with cluster.dispatcher("alice") as alice:
            alice.ask("subscribe", "jobs:hosts")
            seen = Path(cluster.work, "seen")
            (number,) = cluster.submit("alice", f"until [ -e {seen} ]; do sleep 0.02; done; exit 3")
            states = [alice.event(topic="jobs", id=number)["state"] for _ in range(3)]
            self.assertEqual(states, ["pending", "starting", "running"])
            seen.touch()
            self.assertEqual(alice.event(topic="jobs", id=number)["state"], "failed")
            alice.ask("deactivatehost", "n2")
            self.assertEqual(alice.event(topic="hosts", host="n2")["active"], False)
            self.assertTrue(wait_for(lambda: cluster.job("alice", number)["exit_code"] == 3, "the exit code"))
