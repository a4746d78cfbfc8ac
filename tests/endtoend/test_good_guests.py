"""Jobs on hosts that others need, that are drained, that break or do not come back: the whole chain, real processes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.support import processes
from tests.support.chain import ChainCase
from tests.support.ledger import code_of
from tests.support.processes import is_alive, wait_for

TICKING = "while :; do echo x >> ticks-$TM_JOB_ID; sleep 0.02; done"


class GuestCase(ChainCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 2},
        "n2": {"launcher": "local", "cores": 1},
    }

    def order(self, verb: str, rest: str) -> str:
        """Say something about hosts as alice, who may; return the answer."""
        with self.cluster.dispatcher("alice") as alice:
            return alice.ask(verb, rest).text

    def start(self, command: str = TICKING, **more: Any) -> int:
        """Return the id of a job of alice that runs."""
        (number,) = self.cluster.submit("alice", command, **more)
        self.reaches(number, "running")
        return number

    def reaches(self, number: int, state: str) -> dict[str, Any]:
        return self.cluster.wait([number], states=(state,))[0]

    def ticks(self, number: int) -> int:
        path = Path(self.cluster.work, f"ticks-{number}")
        return path.stat().st_size if path.exists() else 0

    def goes_on(self, number: int) -> None:
        """See that a job does something."""
        before = self.ticks(number)
        wait_for(lambda: self.ticks(number) > before, f"job {number} goes on")

    def stands(self, number: int, moments: float = 0.3) -> None:
        """See that a job does nothing for a while."""
        before = self.ticks(number)
        time.sleep(moments)  # whether nothing happens is seen in no other way
        self.assertEqual(self.ticks(number), before)


class LeaveTests(GuestCase):
    """Somebody wants their machine to themselves."""

    def test_who_may_be_repeated_begins_anew_elsewhere_and_the_rest_is_suspended_until_they_return(self) -> None:
        staying = self.start(hosts=["n1"])
        leaving = self.start(requeue=True)
        self.assertEqual(self.cluster.job("alice", leaving)["host"], "n1")
        self.order("leavehost", "n1:1h")
        view = self.reaches(staying, "suspended")
        self.assertTrue(view["reason"].startswith("suspended: alice wants the machine to themselves until "))
        self.stands(staying)
        again = wait_for(lambda: self.elsewhere(leaving), "another attempt elsewhere")
        self.assertEqual((again["host"], again["attempt"]), ("n2", 2))
        (waiting,) = self.cluster.submit("alice", "true", hosts=["n1"])
        self.assertIn("n1: alice wants the machine", self.cluster.job("alice", waiting)["reason"])
        self.order("returnhost", "n1")
        self.assertEqual(self.reaches(staying, "running")["reason"], "")
        self.goes_on(staying)
        self.reaches(waiting, "completed")

    def elsewhere(self, number: int) -> dict[str, Any] | None:
        view = self.cluster.job("alice", number)
        return view if view["state"] == "running" and view["attempt"] > 1 else None

    def test_the_events_say_what_becomes_of_a_job_that_gives_way(self) -> None:
        number = self.start(hosts=["n1"], requeue=True)
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("subscribe", "jobs:hosts")
            alice.ask("leavehost", "n1:1h")
            told = alice.event(topic="hosts", host="n1", action="give-way")
            self.assertEqual(told["offered_cores"], 0)
            self.assertIn("giving way to others: alice wants", alice.event(topic="jobs", state="running")["reason"])
            event = alice.event(topic="jobs", state="pending")
            self.assertEqual((event["id"], event["host"]), (number, None))
            self.assertIn("attempt 1 on n1 gave way to others: alice wants the machine", event["reason"])
            self.assertIn("gave way", self.cluster.job("alice", number)["reason"])

    def test_one_that_is_suspended_stays_so_through_the_deaths_of_all_and_goes_on_when_it_may(self) -> None:
        cluster = self.cluster
        number = self.start(hosts=["n1"])
        self.order("leavehost", "n1:1h")
        self.reaches(number, "suspended")
        for name in ("tmms:alice:n1", "tms:alice", "dispatcher", "tmms:alice:n1"):
            cluster.kill(name)
            cluster.tend()
            wait_for(lambda: cluster.job("alice", number)["state"] == "suspended", f"suspended after {name} died")
            self.stands(number, 0.1)
        self.order("returnhost", "n1")
        self.reaches(number, "running")
        self.goes_on(number)
        cluster.ask("alice", "canceljob", str(number))
        self.assertEqual(self.reaches(number, "cancelled")["signal"], signal.SIGTERM)

    def test_one_whose_keeper_dies_stays_suspended_and_goes_on_too(self) -> None:
        number = self.start(hosts=["n1"])
        self.order("leavehost", "n1:1h")
        self.reaches(number, "suspended")
        self.cluster.kill("keeper:alice:n1")
        self.stands(number)
        self.order("returnhost", "n1")
        self.reaches(number, "running")
        self.goes_on(number)
        self.order("leavehost", "n1:1h")
        self.reaches(number, "suspended")
        self.stands(number)
        self.cluster.ask("alice", "canceljob", str(number))
        self.assertEqual(self.reaches(number, "cancelled")["signal"], signal.SIGTERM)

    def test_one_that_is_suspended_is_cancelled_like_any_other(self) -> None:
        number = self.start(hosts=["n1"])
        self.order("leavehost", "n1:1h")
        self.reaches(number, "suspended")
        self.cluster.ask("alice", "canceljob", str(number))
        self.assertEqual(self.reaches(number, "cancelled")["signal"], signal.SIGTERM)

    def test_a_dispatcher_that_dies_before_the_attempt_has_ended_still_lets_it_wait_again(self) -> None:
        cluster = self.cluster
        number = self.start("trap '' TERM; echo > trapped; while :; do sleep 0.05; done", hosts=["n1"], requeue=True)
        wait_for(lambda: Path(cluster.work, "trapped").exists(), "a job that is hard to end")
        self.order("leavehost", "n1:1h")
        wait_for(lambda: "giving way" in cluster.job("alice", number)["reason"], "the job is to give way")
        cluster.kill("dispatcher")
        cluster.tend()
        view = wait_for(lambda: self.waits_again(number), "the job waits again", 30)
        self.assertEqual(view["attempt"], 1)
        self.assertIn("attempt 1 on n1 gave way to others", view["reason"])

    def waits_again(self, number: int) -> dict[str, Any] | None:
        view = self.cluster.job("alice", number)
        return view if view["state"] == "pending" else None


class StormTests(GuestCase):
    """People come and go at their machines, and daemons die meanwhile."""

    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 3}, "n2": {"launcher": "local", "cores": 2}}
    rounds = int(os.environ.get("TM_KILL_ROUNDS", "6"))

    def test_no_two_attempts_are_alive_at_once_and_who_may_not_be_repeated_is_not(self) -> None:
        cluster = self.cluster
        seed = int(os.environ.get("TM_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"TM_KILL_SEED={seed} TM_KILL_ROUNDS={self.rounds}")
        chance = random.Random(seed)
        once = cluster.submit_ledger("alice", 4, seconds=2)
        again = cluster.submit_ledger("alice", 8, seconds=2, requeue=True)
        cluster.wait(once[:1], states=("running",))
        for _ in range(self.rounds):
            host = chance.choice(["n1", "n2"])
            self.order(chance.choice(["leavehost", "leavehost", "returnhost"]), host)
            self.see_one_of_each(again)
            cluster.kill(chance.choice([f"tmms:alice:{host}", "tms:alice", "dispatcher"]))
            time.sleep(chance.random())
            cluster.tend()
            self.see_one_of_each(again)
            cluster.jobs("alice")
        for host in ("n1", "n2"):
            self.order("returnhost", host)
        jobs = cluster.wait(once + again, seconds=60)
        starts = [line.job for line in cluster.ledger() if line.what == "start"]
        self.assertEqual([starts.count(number) for number in once], [1] * len(once))
        self.assertEqual([job["exit_code"] for job in jobs], [code_of(job["id"]) for job in jobs], cluster.logs())
        for job in jobs:
            self.assertLessEqual(starts.count(job["id"]), job["attempt"])

    def see_one_of_each(self, numbers: list[int]) -> None:
        """See that of none of these jobs two processes live."""
        lines = self.cluster.ledger()
        for number in numbers:
            alive = [line for line in lines if line.job == number and line.what == "start" and is_alive(line.pid)]
            self.assertLessEqual(len(alive), 1, f"{alive}; {self.cluster.logs()}")


class DrainTests(GuestCase):
    def test_at_the_deadline_what_may_be_repeated_leaves_and_the_rest_is_named(self) -> None:
        staying = self.start(hosts=["n1"])
        leaving = self.start(requeue=True)
        self.order("drainhost", "n1:1s:a new fan")
        self.goes_on(leaving)
        view = wait_for(lambda: self.on(leaving, "n2"), "the job elsewhere", 20)
        self.assertEqual((view["state"], view["attempt"]), ("running", 2))
        self.goes_on(staying)
        with self.cluster.dispatcher("alice") as alice:
            (host,) = [host for host in alice.values("lshosts") if host["name"] == "n1"]
        self.assertEqual(host["state"], "draining")
        self.assertIn(f"a new fan; may not be repeated and runs on: job {staying}", host["reason"])

    def on(self, number: int, host: str) -> dict[str, Any] | None:
        view = self.cluster.job("alice", number)
        return view if (view["state"], view["host"]) == ("running", host) else None


class LostTests(GuestCase):
    def test_what_runs_on_a_host_that_is_declared_lost_is_lost_and_its_late_ending_changes_nothing(self) -> None:
        cluster = self.cluster
        number = self.start("sleep 0.2; exit 0", hosts=["n1"])
        pid = cluster.kill("tmms:alice:n1", signal.SIGSTOP)
        self.addCleanup(processes.kill, pid, signal.SIGCONT)
        self.assertIn("1 job", self.order("declarelost", "n1").replace("1 jobs", "1 job"))
        view = self.reaches(number, "lost")
        self.assertIn("declared lost by alice", view["reason"])
        (waiting,) = cluster.submit("alice", "true", hosts=["n1"])
        os.kill(pid, signal.SIGCONT)
        self.assertIn("declared lost by alice", cluster.job("alice", waiting)["reason"])
        self.order("activatehost", "n1")
        self.reaches(waiting, "completed")
        self.assertEqual(cluster.job("alice", number)["state"], "lost")

    def test_a_process_that_is_found_again_is_ended(self) -> None:
        cluster = self.cluster
        number = self.start(hosts=["n1"])
        pid = cluster.kill("tmms:alice:n1")
        self.assertTrue(pid)
        self.order("declarelost", "n1")
        self.goes_on(number)
        self.order("activatehost", "n1")
        (after,) = cluster.submit("alice", "true", hosts=["n1"])
        self.reaches(after, "completed")
        wait_for(lambda: self.is_still(number), "the end of what was found", 30)
        self.assertEqual(cluster.job("alice", number)["state"], "lost")

    def test_a_job_that_was_on_its_way_to_a_host_that_is_declared_lost_never_runs_and_holds_up_nobody(self) -> None:
        cluster = self.cluster
        self.reaches(cluster.submit("alice", "true", hosts=["n1"])[0], "completed")
        cluster.kill("tmms:alice:n1", signal.SIGSTOP)
        (lost,) = cluster.submit("alice", TICKING, hosts=["n1"])
        self.reaches(lost, "starting")
        self.order("declarelost", "n1")
        self.reaches(lost, "lost")
        cluster.kill("tmms:alice:n1")
        self.order("activatehost", "n1")
        (after,) = cluster.submit("alice", "true", hosts=["n1"])
        self.reaches(after, "completed")
        self.assertEqual(self.ticks(lost), 0)

    def is_still(self, number: int) -> bool:
        before = self.ticks(number)
        time.sleep(0.2)
        return self.ticks(number) == before


class BrokenHostTests(GuestCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 1}}

    def test_a_host_where_nothing_starts_is_taken_out_and_somebody_brings_it_back(self) -> None:
        cluster = self.cluster
        gone = os.path.join(cluster.folder, "unmounted")
        ids = cluster.submit("alice", *["true"] * 9, cwd=gone)
        with cluster.dispatcher("alice") as alice:
            reasons = wait_for(lambda: self.waiting(ids), "jobs that the host does not eat")
            self.assertIn("n1: taken out until ", reasons[0])
            self.assertIn(f"cannot enter {gone}", reasons[0])
            self.assertTrue([line for line in alice.ask("log", "200").body if '"trouble"' in line])
            os.mkdir(gone)
            alice.ask("activatehost", "n1")
        cluster.wait(ids)
        states = [cluster.job("alice", number)["state"] for number in ids]
        self.assertEqual(sorted(set(states)), ["completed", "failed"])
        self.assertLess(states.count("failed"), 9)

    def waiting(self, ids: list[int]) -> list[str]:
        views = [self.cluster.job("alice", number) for number in ids]
        return [view["reason"] for view in views if view["state"] == "pending" and "taken out" in view["reason"]]
