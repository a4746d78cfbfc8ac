"""Jobs that wait for others, for a time, or for their owner: on real daemons, which die and come back meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from tests.support.chain import ChainCase
from tests.support.processes import wait_for


class DependenciesTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 4}}

    def states(self, *ids: int) -> list[str]:
        jobs = self.cluster.jobs("alice")
        return [jobs[number]["state"] for number in ids]

    def test_a_chain_runs_one_after_the_other_though_the_dispatcher_dies(self) -> None:
        cluster = self.cluster
        go = Path(cluster.work, "go")
        (first,) = cluster.submit("alice", f"until [ -e {go} ]; do sleep 0.02; done; echo 1 >> chain")
        (second,) = cluster.submit("alice", "echo 2 >> chain", dependency=f"afterok:{first}")
        (third,) = cluster.submit(
            "alice", "echo 3 >> chain; exit 3", dependency=f"afterany:{second},after:{first}"
        )
        (other,) = cluster.submit(
            "alice", "echo never >> chain", dependency=f"afternotok:{first}?afterok:{third}"
        )
        cluster.wait([first], states=("running",))
        self.assertEqual(cluster.job("alice", second)["reason"], f"waits for job {first} to succeed")
        self.assertIn(f"job {second} to end", cluster.job("alice", third)["reason"])
        cluster.kill("dispatcher")
        cluster.start_dispatcher()
        self.assertEqual(self.states(second, third, other), ["pending"] * 3)
        go.touch()
        jobs = cluster.wait([first, second, third, other])
        self.assertEqual([job["state"] for job in jobs], ["completed", "completed", "failed", "cancelled"])
        self.assertEqual(self.content("chain"), b"1\n2\n3\n")
        self.assertEqual(jobs[3]["cause"], "dependency")
        self.assertIn(f"needs {third} to succeed, but it failed with exit code 3", jobs[3]["reason"])
        (late,) = cluster.submit(
            "alice", "echo 4 >> chain", dependency=f"afternotok:{third},afterok:{second}"
        )
        (never,) = cluster.submit(
            "alice", "echo never >> chain", dependency=f"afterok:{late},afterok:{third}"
        )
        jobs = cluster.wait([late, never])
        self.assertEqual([job["state"] for job in jobs], ["completed", "cancelled"])
        self.assertEqual(self.content("chain"), b"1\n2\n3\n4\n")

    def test_tasks_follow_the_tasks_of_another_array_one_by_one(self) -> None:
        cluster = self.cluster
        command = 'until [ -e go$TM_ARRAY_TASK_ID ]; do sleep 0.02; done; [ "$TM_ARRAY_TASK_ID" != 2 ]'
        (first,) = cluster.submit("alice", command, array="1-3")
        (second,) = cluster.submit(
            "alice", "touch did$TM_ARRAY_TASK_ID", array="1-3", dependency=f"aftercorr:{first}"
        )
        Path(cluster.work, "go3").touch()
        wait_for(Path(cluster.work, "did3").exists, "the task of the same index; " + cluster.logs())
        self.assertFalse(Path(cluster.work, "did1").exists())
        cluster.kill("dispatcher")
        cluster.start_dispatcher()
        for index in (1, 2):
            Path(cluster.work, f"go{index}").touch()
        jobs = cluster.wait([first, second])
        self.assertEqual([job["state"] for job in jobs], ["failed", "cancelled"])
        self.assertEqual(jobs[1]["tasks"]["completed"], 2)
        self.assertTrue(Path(cluster.work, "did1").exists())
        self.assertFalse(Path(cluster.work, "did2").exists())

    def test_what_cannot_be_waited_for_is_refused_at_once(self) -> None:
        cluster = self.cluster
        (bobs,) = cluster.submit("bob", "true")
        for dependency, word, text in (
            (f"afterok:{bobs}", "job.dependency", "bob's"), ("afterok:999", "job.dependency", "no job 999"),
            ("afterwards:1", "job.invalid", "aftercorr, singleton"),
            ("afterok:1?afterok:2,after:3", "job.invalid", "not by both"),
        ):  # fmt: skip
            refused = cluster.tms_refusal("alice", dependency=dependency)
            self.assertEqual(refused.word, word)
            self.assertIn(text, refused.text)
        self.assertEqual(cluster.jobs("alice"), {})

    def test_of_one_name_one_runs_at_a_time(self) -> None:
        cluster = self.cluster
        command = "mkdir alone && sleep 0.2 && rmdir alone"
        ids = [cluster.submit("alice", command, name="sim", dependency="singleton")[0] for _ in range(3)]
        cluster.wait([ids[0]], states=("running", "completed"))
        self.assertIn("earlier jobs of the same name", cluster.job("alice", ids[2])["reason"])
        self.assertEqual([job["state"] for job in cluster.wait(ids)], ["completed"] * 3)

    def test_a_job_begins_at_its_time_and_one_that_cannot_be_done_in_time_is_ended(self) -> None:
        cluster = self.cluster
        now = time.time()
        (later,) = cluster.submit("alice", "date +%s.%N > began", begin=now + 3)
        (block,) = cluster.submit("alice", "sleep 60", cores=4)
        (late,) = cluster.submit("alice", "true", cores=4, deadline=now + 4)
        self.assertIn("may begin at", cluster.job("alice", later)["reason"])
        (job,) = cluster.wait([late])
        self.assertEqual((job["state"], job["cause"]), ("cancelled", "deadline"))
        self.assertIn("deadline", job["reason"])
        cluster.ask("alice", "canceljob", str(block))
        cluster.wait([later])
        self.assertGreaterEqual(float(self.content("began")), now + 3)

    def test_a_job_that_was_submitted_held_says_so_and_waits_until_it_is_released(self) -> None:
        cluster = self.cluster
        (held,) = cluster.submit("alice", "true", hold=True)
        (after,) = cluster.submit("alice", "true", dependency=f"afterok:{held}")
        self.assertEqual(self.states(held, after), ["held", "pending"])
        self.assertEqual(cluster.job("alice", held)["reason"], "held by alice")
        cluster.kill("dispatcher")
        cluster.start_dispatcher()
        self.assertEqual(self.states(held, after), ["held", "pending"])
        cluster.ask("alice", "releasejob", str(held))
        self.assertEqual([job["state"] for job in cluster.wait([held, after])], ["completed"] * 2)
