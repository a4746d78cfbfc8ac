"""Orders for jobs, from the command line or a conversation to processes on a host, and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.processes import wait_for
from tests.support.talk import Refused

TICK = "i=0; while :; do i=$((i+1)); echo $i > tick; sleep 0.05; done"


class OrderCase(ChainCase):
    """Alice gives orders."""

    def order(self, verb: str, *parts: str) -> list[str]:
        return self.cluster.ask("alice", verb, ":".join(parts))

    def client(self, *argv: str) -> tuple[int, str]:
        """Return status and output of an ``hRunJob`` of alice."""
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRunJob"), *argv],
            env=self.cluster.environment("alice"), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def running(self, *commands: str, **common: Any) -> int:
        """Return the id of a job once it runs."""
        (number,) = self.cluster.submit("alice", *commands, **common)
        self.cluster.wait([number], states=("running",))
        return number

    def exists(self, name: str) -> bool:
        return Path(self.cluster.work, name).exists()

    def ticks(self) -> str:
        return self.content("tick").decode().strip() if self.exists("tick") else ""

    def still(self) -> bool:
        """Whether what counts has stopped counting for half a second."""
        before = self.ticks()
        time.sleep(0.5)
        return self.ticks() == before

    def words(self, number: int | str) -> list[str]:
        (line,) = self.cluster.ask("alice", "jobinfo", str(number), True)
        return [event["what"] for event in json.loads(line)["events"]]


class ControlTests(OrderCase):
    """One host with one core: what is second waits."""

    hosts: ClassVar[dict[str, dict[str, object]]] = {"n1": {"launcher": "local", "cores": 1}}

    def test_what_is_held_waits_until_it_is_released(self) -> None:
        (held,) = self.cluster.submit("alice", "touch ran", hold=True)
        self.assertEqual("held", self.cluster.job("alice", held)["state"])
        (other,) = self.cluster.submit("alice", "true")
        self.cluster.wait([other])
        self.assertFalse(self.exists("ran"))
        self.assertEqual((0, "released 1\n"), self.client("--release", str(held)))
        self.cluster.wait([held], states=("completed",))
        self.assertTrue(self.exists("ran"))

    def test_a_suspended_job_stands_still_also_over_a_restart_and_goes_on_when_it_is_resumed(self) -> None:
        number = self.running(TICK)
        wait_for(self.ticks, "the first tick")
        self.order("suspendjob", str(number), "a demonstration")
        self.cluster.wait([number], states=("suspended",))
        self.assertTrue(self.still())
        self.cluster.kill("dispatcher")
        self.cluster.wait([number], states=("suspended",))
        self.assertTrue(self.still())
        self.assertIn("by alice", self.cluster.job("alice", number)["reason"])
        self.order("resumejob", str(number))
        self.cluster.wait([number], states=("running",))
        before = self.ticks()
        wait_for(lambda: self.ticks() != before, "it to count again")
        self.assertIn("resumed", self.words(number))

    def test_a_signal_reaches_the_program(self) -> None:
        number = self.running("trap 'touch got; exit 0' USR1; touch ready; while :; do sleep 0.05; done")
        wait_for(lambda: self.exists("ready"), "the trap")
        self.assertEqual((0, "signalling 1\n"), self.client("--send-signal", "USR1", str(number)))
        self.cluster.wait([number], states=("completed",))
        self.assertTrue(self.exists("got"))

    def test_a_job_that_is_put_back_runs_once_more_as_another_attempt(self) -> None:
        number = self.running("echo x >> starts; [ $(wc -l < starts) -ge 2 ] || sleep 1000")
        wait_for(lambda: self.exists("starts"), "its start")
        self.assertEqual((0, "putting back 1\n"), self.client("--requeue-job", str(number), "--reason", "a bad disk"))
        (job,) = self.cluster.wait([number])
        self.assertEqual(("completed", b"x\nx\n"), (job["state"], self.content("starts")))
        (line,) = self.cluster.ask("alice", "jobinfo", str(number), True)
        (attempt,) = json.loads(line)["attempts"]
        self.assertEqual((1, "n1", 15), (attempt["attempt"], attempt["host"], attempt["signal"]))

    def test_of_an_array_only_what_failed_is_run_again(self) -> None:
        script = "if [ -e good ]; then echo $TM_ARRAY_TASK_ID >> again; else exit $((TM_ARRAY_TASK_ID % 2)); fi"
        (array,) = self.cluster.submit("alice", script, array="0-5")
        (job,) = self.cluster.wait([array])
        self.assertEqual(3, job["tasks"]["failed"])
        Path(self.cluster.work, "good").touch()
        status, said = self.client("--rerun", str(array), "--failed")
        self.assertEqual((0, f"accepted job {array + 1}\n"), (status, said))
        (job,) = self.cluster.wait([array + 1])
        self.assertEqual(("completed", "1,3,5"), (job["state"], job["tasks"]["indices"]))
        self.assertEqual([b"1", b"3", b"5"], sorted(self.content("again").split()))
        with self.assertRaises(Refused) as refused:
            self.cluster.ask("alice", "rerun", json.dumps({"token": "u", "ids": str(array + 1), "failed": True}))
        self.assertEqual("job.state", refused.exception.word)

    def test_a_job_is_run_again_as_it_was(self) -> None:
        (number,) = self.cluster.submit(
            "alice", "echo $WORD >> said", environment={"PATH": "/usr/bin:/bin", "WORD": "hi"}
        )
        self.cluster.wait([number])
        wish = json.dumps({"token": "t", "ids": str(number)})
        first = self.cluster.ask("alice", "rerun", wish)
        self.assertEqual(first, self.cluster.ask("alice", "rerun", wish))
        self.cluster.wait([int(first[0])], states=("completed",))
        self.assertEqual(b"hi\nhi\n", self.content("said"))

    def test_the_wall_time_of_a_running_job_is_changed(self) -> None:
        number = self.running("sleep 1000", time=900.0)
        self.assertEqual((0, "changed 1\n"), self.client("--change", str(number), "time=2s"))
        (job,) = self.cluster.wait([number])
        self.assertEqual(("timeout", "time"), (job["state"], job["cause"]))

    def test_a_waiting_job_is_changed_and_orders_take_filters_and_dry_runs(self) -> None:
        running = self.running("sleep 1000")
        waiting = self.cluster.submit("alice", "true", "true", name="sim1")
        ids = f"{waiting[0]}-{waiting[1]}"
        self.assertEqual(
            (0, f"{ids}: would be cancelled\n2 would be cancelled\n"), self.client("-k", "name=sim*", "--dry-run")
        )
        self.assertEqual((0, "changed 2\n"), self.client("--change", ids, "time=10m", "priority=5"))
        self.assertEqual(5, self.cluster.job("alice", waiting[0])["priority"])
        status, said = self.client("--change", str(waiting[0]), "cores=64")
        self.assertEqual(1, status)
        self.assertIn("core", said)
        self.assertEqual((0, "cancelling 2\n"), self.client("-k", "state=pending name=sim*", "--reason", "no more"))
        self.assertIn("no more", self.cluster.job("alice", waiting[1])["reason"])
        self.order("canceljob", str(running), "enough")
        (job,) = self.cluster.wait([running])
        self.assertEqual(("cancelled", "cancelled by alice: enough"), (job["state"], job["reason"]))


class ArrayTests(OrderCase):
    """One host with four cores."""

    hosts: ClassVar[dict[str, dict[str, object]]] = {"n1": {"launcher": "local", "cores": 4}}

    def states(self, array: int) -> dict[str, str]:
        """Return the state of each task, those that wait folded."""
        views = map(json.loads, self.cluster.ask("alice", "lsjobs", f"array={array}", True))
        return {view["id"].partition("_")[2]: view["state"] for view in views}

    def test_the_cap_of_an_array_and_single_tasks_are_changed_while_it_runs(self) -> None:
        (array,) = self.cluster.submit("alice", "sleep 1000", array="0-5", array_cap=1)
        wait_for(lambda: self.states(array) == {"0": "running", "[1-5]": "pending"}, "one of its tasks")
        self.assertEqual((0, "changed 1\n"), self.client("--change", str(array), "cap=3"))
        wait_for(lambda: list(self.states(array).values()).count("running") == 3, "three of its tasks")
        self.assertEqual((0, "held 1\n"), self.client("--hold-job", f"{array}_4"))
        self.assertEqual((0, "cancelling 2\n"), self.client("-k", f"{array}_[0,5]"))
        expected = {"0": "cancelled", "1": "running", "2": "running", "3": "running", "4": "held", "5": "cancelled"}
        wait_for(lambda: self.states(array) == expected, "the next task in the place of the first")
        self.order("suspendjob", str(array))
        wait_for(lambda: list(self.states(array).values()).count("suspended") == 3, "all that runs to stand still")
        self.order("canceljob", str(array), "enough")
        (job,) = self.cluster.wait([array])
        self.assertEqual(("cancelled", 6), (job["state"], job["tasks"]["cancelled"]))
        (line,) = self.cluster.ask("alice", "jobinfo", str(array), True)
        self.assertEqual({"cancelled": "0-5"}, json.loads(line)["indices"])
