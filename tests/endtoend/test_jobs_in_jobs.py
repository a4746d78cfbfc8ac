"""Jobs that submit jobs: the servers their clients start are no part of them, and outlive them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.cluster import LEDGER_JOB, ROOT, Cluster
from tests.support.processes import is_alive, wait_for

WAIT = "while [ ! -e end ]; do sleep 0.05; done"
HOSTS = {"n1": {"launcher": "local", "cores": 1}, "n2": {"launcher": "local", "cores": 1}}


class JobsInJobsTests(SynchronousTestCase):
    """A job on n1 whose hRunJob finds no TMS and submits one for n2, where no server of the user is either."""

    @override
    def setUp(self) -> None:
        self.cluster = Cluster(users=("alice",), hosts=HOSTS)
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()

    def submit_outer(self, afterwards: str) -> tuple[int, int]:
        """Let a job submit another one that runs for three seconds; return its id and the pid of its TMS."""
        cluster = self.cluster
        inner = shlex.join([*LEDGER_JOB, cluster.ledger_path, "3"])
        submit = f"{shlex.quote(os.path.join(ROOT, 'bin', 'hRunJob'))} -w n2 -- {inner}"
        script = f"while [ ! -e go ]; do sleep 0.05; done; {submit} && touch done && {WAIT} && {afterwards}"
        environment = {**cluster.environment("alice"), "TM_TEST": cluster.folder}
        (outer,) = cluster.submit("alice", script, hosts=["n1"], environment=environment, stdout="out")
        cluster.wait([outer], states=("running",))
        cluster.forget_talk("alice")
        cluster.kill("tms:alice")
        Path(cluster.work, "go").touch()
        wait_for(lambda: Path(cluster.work, "done").exists(), "the job in the job; " + cluster.logs())
        tms = cluster.pid("tms:alice")
        self.assertEqual(cluster.pid("keeper:alice:n1"), parent(tms))
        cluster.wait([outer], states=("running",))  # else the server on n1 might start a TMS of its own to tell the end
        Path(cluster.work, "end").touch()
        return outer, tms

    def check_inner(self, inner: int, tms: int) -> None:
        """The inner job runs to its true end under the TMS that the outer one has started."""
        self.cluster.wait([inner])
        lines = [(line.what, line.job) for line in self.cluster.ledger()]
        self.assertEqual([("start", inner), ("end", inner)], lines)
        self.assertTrue(is_alive(tms), self.cluster.logs())
        self.cluster.check([inner])

    def test_a_tms_outlives_the_job_whose_client_started_it(self) -> None:
        outer, tms = self.submit_outer("exit 0")
        (job,) = self.cluster.wait([outer])
        self.assertEqual("completed", job["state"])
        self.check_inner(outer + 1, tms)

    def test_a_tms_outlives_the_cancelling_of_the_job_whose_client_started_it(self) -> None:
        outer, tms = self.submit_outer("exec sleep 1000")
        self.cluster.ask("alice", "canceljob", str(outer))
        (job,) = self.cluster.wait([outer])
        self.assertEqual(("cancelled", 15), (job["state"], job["signal"]))
        self.check_inner(outer + 1, tms)

    def test_a_keeper_that_such_a_tms_had_started_outlives_the_job_too(self) -> None:
        outer, tms = self.submit_outer("exit 0")
        self.cluster.wait([outer + 1], states=("running",))
        keeper = self.cluster.pid("keeper:alice:n2")
        self.cluster.kill("tmms:alice:n2")
        wait_for(lambda: self.cluster.pid("keeper:alice:n1") == parent(keeper), "the keeper to be another's child")
        self.cluster.wait([outer])
        self.check_inner(outer + 1, tms)


def parent(pid: int) -> int:
    """Return the parent of *pid*."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
