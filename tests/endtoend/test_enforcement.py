"""Limits of running jobs on real daemons: kept, named, and not lost with any daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.endtoend.keeper.test_limits import bomb, hog
from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.processes import is_alive, wait_for

MEBIBYTE = 1 << 20
ACTIVE = ("running",)


class LimitCase(ChainCase):
    """A cluster of one host whose processors are this machine's."""

    hosts: ClassVar = {"n1": {"launcher": "local", "cores": len(os.sched_getaffinity(0)), "memory": "64G"}}

    def begin(self, command: str | list[str], **asked: Any) -> int:
        """Return the number of a job that runs."""
        (number,) = self.cluster.submit("alice", command, **asked)
        self.cluster.wait([number], states=ACTIVE)
        return number

    def info(self, number: int) -> dict[str, Any]:
        """Return all that is told of a job."""
        shown: dict[str, Any] = json.loads(self.cluster.ask("alice", "jobinfo", str(number), True)[0])
        return shown


class CauseTests(LimitCase):
    def test_a_job_over_its_wall_time_is_warned_first_and_then_ended(self) -> None:
        loop = "while :; do sleep 0.05; done"
        command = f"""trap 'echo first' USR1; sh -c "trap 'echo child' USR1; {loop}" & {loop}"""
        for name, told in (("USR1", b"child\n"), ("B:USR1", b"first\n")):
            (job,) = self.run_jobs(command, time=3.0, warn_signal=name, warn_seconds=2.0, stdout="out", stderr="err")
            self.assertEqual((job["state"], job["cause"], job["signal"]), ("timeout", "time", 15))
            self.assertIn("its wall time of 3s was over", job["reason"])
            self.assertEqual(self.content("out"), told)

    def test_a_memory_hog_is_ended_and_named(self) -> None:
        (job,) = self.run_jobs(hog(40), memory=128 * MEBIBYTE)
        self.assertEqual((job["state"], job["cause"]), ("out_of_memory", "memory"))
        self.assertRegex(job["reason"], "most of it python.*, more than the 128M it may|the kernel ended it")
        self.assertGreater(job["max_rss"], 100 * MEBIBYTE)

    def test_a_fork_bomb_is_ended_and_named(self) -> None:
        (job,) = self.run_jobs(bomb(own_sessions=True), processes=60)
        self.assertEqual((job["state"], job["cause"]), ("failed", "processes"))
        self.assertRegex(job["reason"], r"it had \d+ processes, mostly python.*, more than the 60 it may")

    def test_too_much_output_is_a_cause_of_its_own(self) -> None:
        (job,) = self.run_jobs(
            "while :; do head -c 1000000 /dev/zero; sleep 0.01; done", output_limit=3_000_000, stdout="out"
        )
        self.assertEqual((job["state"], job["cause"]), ("output_limit", "output"))
        self.assertIn("out grew to", job["reason"])

    def test_a_daemon_that_a_job_leaves_is_ended_with_it_and_named(self) -> None:
        left = "(setsid sh -c 'echo $$ > pid; exec sleep 1000' &); while [ ! -s pid ]; do sleep 0.01; done"
        (job,) = self.run_jobs(left + "; sleep 0.1")
        self.assertEqual(job["state"], "completed")
        self.assertRegex(job["reason"], r"it left sleep \(pid \d+\) running, ended with it")
        pid = int(self.content("pid"))
        wait_for(lambda: not is_alive(pid), "the end of what it left")


class GivenTests(LimitCase):
    def test_jobs_keep_to_their_cores_and_know_what_they_were_given(self) -> None:
        variables = "$SLURM_CPUS_PER_TASK $OMP_NUM_THREADS $SLURM_MEM_PER_NODE"
        show = f"grep Cpus_allowed_list /proc/self/status; echo {variables}"
        number = self.begin(show + "; exec sleep 1000", cores=1, memory=256 * MEBIBYTE, stdout="out")
        info = self.info(number)
        self.assertIn("processes: ", info["rung"])
        self.assertIn("memory: ", info["rung"])
        wait_for(lambda: self.content("out").count(b"\n") == 2, "what it says")
        allowed, known = self.content("out").decode().splitlines()
        self.assertEqual(known, "1 1 256")
        if not info["cpus"]:
            self.skipTest("the dispatcher gave no processors: it does not know the real number of cores")
        self.assertIn("cores: affinity", info["rung"])
        self.assertEqual(allowed.split(":\t")[1], ",".join(map(str, info["cpus"])))

    def test_the_graphics_processors_it_was_given_are_named_to_it(self) -> None:
        self.cluster.configure({"n1": {"launcher": "local", "cores": 4, "gpus": 3}})
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("reload")
        show = "echo $CUDA_VISIBLE_DEVICES $SLURM_GPUS_ON_NODE; exec sleep 1000"
        first = self.begin(show, gpus=2, stdout="first")
        second = self.begin(show, gpus=1, stdout="second")
        wait_for(lambda: self.content("first") and self.content("second"), "what they say")
        given = [self.info(number)["gpu_ids"] for number in (first, second)]
        self.assertEqual(sorted([*given[0], *given[1]]), [0, 1, 2])
        said = [",".join(map(str, ids)) + f" {len(ids)}\n" for ids in given]
        self.assertEqual([self.content("first").decode(), self.content("second").decode()], said)

    def test_a_command_that_runs_now_keeps_to_the_same_limits(self) -> None:
        ended = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRun"), "--time", "2s", "sleep 1000"],
            env=self.cluster.environment("alice"), cwd=self.cluster.work, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        (job,) = self.cluster.wait(self.cluster.jobs("alice"))
        self.assertEqual((job["state"], job["cause"]), ("timeout", "time"), ended.stderr)

    def test_a_script_runs_from_the_text_that_was_given(self) -> None:
        text = f"#!{sys.executable} -S\nimport sys\nprint(sys.argv[1:])\n"
        (job,) = self.run_jobs(["sim.py", "a b"], script=text, stdout="out")
        self.assertEqual((job["exit_code"], self.content("out")), (0, b"['a b']\n"))


class LastingTests(LimitCase):
    """Whoever is killed, the limits of what runs are kept."""

    def killed(self, names: tuple[str, ...], number: int) -> None:
        for name in names:
            self.assertTrue(self.cluster.kill(name), name)

    def test_wall_time_holds_whoever_is_killed(self) -> None:
        for names in (("keeper:alice:n1",), ("tmms:alice:n1",), ("keeper:alice:n1", "tmms:alice:n1")):
            number = self.begin("exec sleep 1000", time=6.0)
            begun = time.monotonic()
            self.killed(names, number)
            (job,) = self.cluster.wait([number])
            self.assertIn(job["state"], ("timeout", "lost") if len(names) == 2 else ("timeout",), names)
            self.assertIn("its wall time of 6s was over", job["reason"])
            self.assertLess(time.monotonic() - begun, 12, names)

    def test_memory_and_processes_hold_after_the_keeper_was_killed(self) -> None:
        late = "while [ ! -e go ]; do sleep 0.05; done; exec "
        for asked, command, cause in (
            ({"memory": 128 * MEBIBYTE}, hog(40), "memory"), ({"processes": 60}, bomb(False), "processes"),
        ):  # fmt: skip
            program = Path(self.cluster.work, f"{cause}.py")
            program.write_text(command[-1])
            number = self.begin(f"{late} {sys.executable} -I -S {program}", **asked)
            self.killed(("keeper:alice:n1",), number)
            Path(self.cluster.work, "go").touch()
            (job,) = self.cluster.wait([number])
            Path(self.cluster.work, "go").unlink()
            self.assertEqual(job["cause"], cause, job)

    def test_a_changed_limit_holds_also_after_the_servers_on_the_host_were_killed(self) -> None:
        number = self.begin("exec sleep 1000", time=1000.0)
        self.cluster.ask("alice", "changejob", json.dumps({"ids": str(number), "set": {"time": 8}}))
        self.killed(("keeper:alice:n1",), number)
        (job,) = self.cluster.wait([number])
        self.assertEqual((job["state"], job["cause"]), ("timeout", "time"))
