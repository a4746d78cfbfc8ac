"""Attempts that follow others: only as their user asked, after a while, with more memory, and of tasks of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.support.chain import ChainCase
from tests.support.processes import wait_for

COUNTED = "echo x >> tries; [ $(wc -l < tries) -ge 3 ] || exit 75"


class RetriesTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 4}}

    def tries(self, name: str = "tries") -> int:
        return Path(self.cluster.work, name).read_text().count("x")

    def test_a_program_is_tried_again_for_what_its_user_named(self) -> None:
        (job,) = self.run_jobs(COUNTED, retries=3, retry_on=["exit:75"])
        self.assertEqual((job["state"], job["attempt"], self.tries()), ("completed", 3, 3))

    def test_it_is_not_for_anything_else(self) -> None:
        jobs = self.run_jobs("echo x >> tries; exit 74", retries=3, retry_on=["exit:75", "oom", "host"])
        jobs += self.run_jobs("echo x >> tries; exit 75", retries=3)
        jobs += self.run_jobs("echo x >> tries; exit 75", requeue=True)
        self.assertEqual([(job["state"], job["attempt"]) for job in jobs], [("failed", 1)] * 3)
        self.assertEqual(self.tries(), 3)

    def test_it_ends_as_it_did_when_nothing_is_left_to_try(self) -> None:
        (job,) = self.run_jobs("echo x >> tries; exit 75", retries=2, retry_on=["fail"])
        self.assertEqual((job["state"], job["exit_code"], job["cause"]), ("failed", 75, "exit"))
        self.assertEqual((job["attempt"], self.tries()), (3, 3))

    def test_between_two_attempts_it_waits_and_says_so_though_the_dispatcher_dies(self) -> None:
        cluster = self.cluster
        (number,) = cluster.submit("alice", COUNTED, retries=3, retry_on=["exit:64-78"], retry_delay=3)
        cluster.wait([number], states=("pending",))
        wait_for(lambda: cluster.job("alice", number)["attempt"] > 0, "the first attempt has begun", 20)
        cluster.wait([number], states=("pending",))
        reason = cluster.job("alice", number)["reason"]
        self.assertRegex(reason, r"attempt 1 on n1 failed with exit code 75; waits \d s before attempt 2")
        cluster.kill("dispatcher")
        cluster.start_dispatcher()
        (job,) = cluster.wait([number])
        self.assertEqual((job["state"], job["attempt"]), ("completed", 3))

    def test_tasks_of_an_array_are_tried_again_each_for_itself(self) -> None:
        command = 'echo x >> "tries$TM_ARRAY_TASK_ID"; [ $(wc -l < "tries$TM_ARRAY_TASK_ID") -ge "$TM_ARRAY_TASK_ID" ]'
        (job,) = self.run_jobs(command, array="1-4", retries=2, retry_on=["any"])
        self.assertEqual((job["state"], job["tasks"]["completed"], job["tasks"]["failed"]), ("failed", 3, 1))
        self.assertEqual([self.tries(f"tries{index}") for index in range(1, 5)], [1, 2, 3, 3])

    def test_a_host_that_cannot_start_a_job_is_tried_again_where_that_was_permitted(self) -> None:
        cluster = self.cluster
        folder = Path(cluster.work, "away")
        (job,) = self.run_jobs("true", cwd=str(folder))
        self.assertEqual((job["state"], job["cause"], job["attempt"]), ("failed", "start", 1))
        (number,) = cluster.submit("alice", "pwd", cwd=str(folder), retries=3)
        wait_for(lambda: "before attempt 2" in cluster.job("alice", number)["reason"], "it is to be tried again", 20)
        folder.mkdir()
        (job,) = cluster.wait([number])
        self.assertEqual((job["state"], job["attempt"]), ("completed", 2))
