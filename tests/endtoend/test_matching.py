"""Where jobs run on real daemons: constraints, GPUs, consumables, licenses, hosts for one job alone; what never can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for

HERE = ("running",)
STAYS = "exec sleep 1000"
PYNVML = '''\
"""A made-up library of graphics processors: two of them, with the processes that stand in a file."""
import json, os
from types import SimpleNamespace


class NVMLError(Exception):
    pass


def nvmlInit():
    pass


def nvmlDeviceGetCount():
    return 2


def nvmlDeviceGetHandleByIndex(index):
    return index


def nvmlDeviceGetName(device):
    return "NVIDIA A100"


def nvmlDeviceGetMemoryInfo(device):
    return SimpleNamespace(total=40 << 30, used=500 << 20)


def nvmlDeviceGetUtilizationRates(device):
    return SimpleNamespace(gpu=0)


def nvmlDeviceGetComputeRunningProcesses(device):
    with open(os.environ["TM_TEST_GPUS"]) as file:
        return [SimpleNamespace(pid=pid) for pid in json.load(file)[device]]


def nvmlDeviceGetGraphicsRunningProcesses(device):
    return []
'''


class MatchingCase(ChainCase):
    """A cluster with two licenses."""

    def setUp(self) -> None:
        self.cluster = Cluster(hosts=self.hosts)
        self.addCleanup(self.cluster.stop)
        file = Path(self.cluster.etc, "ComputerCluster.config")
        file.write_text(file.read_text() + '\n[licenses]\nansys = 2\n\n[scheduling]\nhalf_life = "1d"\n')
        self.surroundings()
        self.cluster.start_dispatcher()

    def surroundings(self) -> None:
        """Prepare what daemons find when they start."""

    def begin(self, command: str = STAYS, **asked: Any) -> dict[str, Any]:
        """Return the view of a job that runs."""
        (job,) = self.cluster.wait(self.cluster.submit("alice", command, **asked), states=HERE)
        return job

    def waits(self, **asked: Any) -> tuple[int, str]:
        """Return a job that waits, and why."""
        (number,) = self.cluster.submit("alice", STAYS, **asked)
        view = self.cluster.job("alice", number)
        self.assertEqual(view["state"], "pending")
        return number, view["reason"]

    def cancel(self, number: int) -> None:
        self.cluster.ask("alice", "canceljob", str(number))
        self.cluster.wait([number])

    def refused(self, **asked: Any) -> tuple[str, str]:
        refusal = self.cluster.tms_refusal("alice", **asked)
        return refusal.word, refusal.text


class MatchingTests(MatchingCase):
    hosts: ClassVar = {
        "n1": {"launcher": "local", "cores": 4, "gpus": 2, "features": ["ssd"]},
        "n2": {"launcher": "local", "cores": 4, "features": ["old"], "consumables": {"matlab": 1}},
    }

    def test_jobs_run_where_their_constraint_holds_and_rather_where_they_prefer(self) -> None:
        for asked, host in (
            ({"constraint": "ssd and not old"}, "n1"),
            ({"constraint": "!ssd & cores>=4"}, "n2"),
            ({"constraint": "name=n* and matlab or old"}, ""),
            ({"prefer": "old"}, "n2"),
            ({"prefer": "gpu, old"}, "n1"),
            ({"exclude": ["n1"]}, "n2"),
        ):
            if host:
                (job,) = self.run_jobs("true", **asked)
                self.assertEqual((job["state"], job["host"]), ("completed", host), asked)
            else:
                self.assertEqual(self.refused(**asked)[0], "feature.unknown")

    def test_what_can_never_run_is_refused_with_what_could(self) -> None:
        word, text = self.refused(cores=5)
        self.assertEqual((word, "possible would be at most 4 cores" in text), ("job.impossible", True), text)
        word, text = self.refused(gpus=3)
        self.assertEqual((word, "at most 2 GPUs (n1)" in text), ("job.impossible", True), text)
        word, text = self.refused(constraint="fast")
        self.assertEqual((word, text.endswith("there are gpu, old, ssd")), ("feature.unknown", True), text)
        self.assertEqual(self.refused(consumables={"ansys": 3})[0], "job.impossible")
        self.assertEqual(self.refused(consumables={"abaqus": 1})[0], "consumable.unknown")
        self.assertEqual(self.refused(account="physics")[0], "account.unknown")
        self.assertEqual(self.cluster.jobs("alice"), {})

    def test_every_gpu_belongs_to_one_job_which_sees_no_other(self) -> None:
        tells = "echo $CUDA_VISIBLE_DEVICES >$TM_JOB_ID; exec sleep 1000"
        first, second = self.begin(tells, gpus=1), self.begin(tells, gpus=1)
        number, why = self.waits(gpus=1)
        self.assertIn("0 of 2 GPUs free now", why)
        seen = [wait_for(partial(self.told, job["id"]), "the job tells its GPUs") for job in (first, second)]
        self.assertEqual(sorted(seen), [b"0", b"1"])
        self.cancel(second["id"])
        self.cluster.wait([number], states=HERE)
        self.assertEqual(self.info(number)["gpu_ids"], [int(seen[1])])

    def told(self, number: int) -> bytes:
        """Return what a job has written, if anything."""
        file = Path(self.cluster.work, str(number))
        return file.read_bytes().strip() if file.exists() else b""

    def info(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cluster.ask("alice", "jobinfo", str(number), True)[0])
        return found

    def test_licenses_are_counted_over_all_hosts_and_consumables_on_each(self) -> None:
        first = self.begin(consumables={"ansys": 1}, hosts=["n1"])
        self.begin(consumables={"ansys": 1, "matlab": 1}, hosts=["n2"])
        number, why = self.waits(consumables={"ansys": 1})
        self.assertEqual(why, "n1: 0 ansys free now; n2: 0 ansys free now")
        self.assertIn("n2: 0 matlab free now", self.waits(consumables={"matlab": 1})[1])
        self.cluster.kill("dispatcher")
        self.cluster.start_dispatcher()
        self.assertEqual(self.cluster.job("alice", number)["state"], "pending")
        self.cancel(first["id"])
        self.cluster.wait([number], states=HERE)

    def test_who_wants_a_host_alone_waits_for_it_and_shares_it_with_nobody(self) -> None:
        first = self.begin(hosts=["n1"])
        number, why = self.waits(exclusive=True, hosts=["n1"])
        self.assertIn("n1: 1 job runs there", why)
        self.cancel(first["id"])
        self.cluster.wait([number], states=HERE)
        other, why = self.waits(hosts=["n1"])
        self.assertIn("a job has it for itself", why)
        self.cancel(number)
        self.cluster.wait([other], states=HERE)

    def test_a_submission_can_be_tried_first(self) -> None:
        ran = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRunJob"), "--dry-run", "--json", "-G", "1", "true"], text=True,
            cwd=self.cluster.work, env=self.cluster.environment("alice"), capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        self.assertEqual(ran.returncode, 0, ran.stderr)
        told = [json.loads(line) for line in ran.stdout.splitlines()]
        self.assertEqual([(one["host"], one["fits"]) for one in told], [("n1", "now"), ("n2", "never")])
        self.assertEqual(told[1]["reason"], "it has 0 GPUs")
        self.assertEqual(self.cluster.jobs("alice"), {})


class StrangersTests(MatchingCase):
    """The InfoServer says which GPUs there are, and that somebody outside the cluster is on one of them."""

    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 4, "infoserver": True, "policy": "ignore"}}

    def surroundings(self) -> None:
        self.gpus = Path(self.cluster.folder, "gpus")
        self.gpus.write_text(json.dumps([[os.getpid()], []]))
        Path(self.cluster.folder, "pynvml.py").write_text(PYNVML)
        self.cluster.more = {"PYTHONPATH": self.cluster.folder, "TM_TEST_GPUS": str(self.gpus)}

    def test_a_gpu_that_a_stranger_uses_is_given_to_nobody_until_they_have_gone(self) -> None:
        wait_for(lambda: self.fits(gpus=2)["why"] == "strangers", "the InfoServer has told of its GPUs", 30.0)
        self.assertRegex(self.fits(gpus=2)["reason"], r"^1 of its 2 GPUs busy with strangers \(\w+\)$")
        self.assertEqual(self.fits(constraint="gpu=*a100* and gpu_memory>=40G")["fits"], "now")
        (job,) = self.run_jobs("echo $CUDA_VISIBLE_DEVICES >seen", gpus=1)
        self.assertEqual((job["state"], self.content("seen")), ("completed", b"1\n"))
        number, why = self.waits(gpus=2)
        self.assertIn("busy with strangers", why)
        self.gpus.write_text("[[], []]")
        self.cluster.wait([number], 60.0, states=HERE)

    def fits(self, **asked: Any) -> dict[str, Any]:
        """Return whether n1 fits a job that asks for this."""
        found: dict[str, Any] = json.loads(self.cluster.ask("alice", "fits", json.dumps(asked), True)[0])
        return found
