"""The outputs of arrays in one indexed file: whole tasks, several hosts, servers that are killed meanwhile."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import ClassVar

from tests.support.chain import ChainCase
from tests.support.processes import wait_for
from tm.bundle import content, folder_of, records_of


class BundleTests(ChainCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 2},
        "n2": {"launcher": "local", "cores": 2},
    }

    def outputs(self, path: str) -> dict[int, bytes]:
        return {record.task: b"".join(content(record)) for record in records_of(path)}

    def merged(self, number: int) -> str:
        """Return the bundle of array *number* once it has been put together."""
        path = str(self.cluster.job("alice", number)["bundle"])
        wait_for(lambda: os.path.exists(path) and not os.path.exists(folder_of(path)), "the bundle is whole", 30)
        return path

    def test_all_tasks_of_all_hosts_are_in_one_file_and_nowhere_else(self) -> None:
        command = "echo out $TM_ARRAY_TASK_ID; echo err >&2; exit $((TM_ARRAY_TASK_ID % 3))"
        (number,) = self.cluster.submit("alice", command, array="0-19:2", bundle=True)
        self.cluster.wait([number])
        path = self.merged(number)
        self.assertEqual(path, os.path.join(self.cluster.work, f"tm-{number}.bundle"))
        self.assertEqual(self.outputs(path), {task: b"out %d\nerr\n" % task for task in range(0, 20, 2)})
        self.assertEqual(os.listdir(self.cluster.work), [f"tm-{number}.bundle"])
        for host in self.hosts:
            self.assertEqual(os.listdir(os.path.join(self.cluster.spool("alice", host), "outputs")), [])

    def test_servers_that_are_killed_lose_and_double_no_output(self) -> None:
        (number,) = self.cluster.submit(
            "alice", "sleep 0.05; echo $TM_ARRAY_TASK_ID", array="0-59", bundle=True, stdout="all-%j.bundle"
        )
        chance = random.Random(4)
        for _ in range(6):
            before = self.cluster.job("alice", number)["tasks"].get("completed", 0)
            if before >= 50:
                break
            wait_for(
                lambda: self.cluster.job("alice", number)["tasks"].get("completed", 0) > before,  # noqa: B023
                "tasks end", 30,
            )  # fmt: skip
            self.cluster.kill(chance.choice(["tmms:alice:n1", "tmms:alice:n2"]))
            self.cluster.tend()
        self.cluster.wait([number])
        self.assertEqual(self.outputs(self.merged(number)), {task: b"%d\n" % task for task in range(60)})
