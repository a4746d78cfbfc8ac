"""What people submit, from the command line to the files that come of it: scripts, arrays, many values."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.processes import wait_for

TUTORIAL = """\
#!/bin/bash
#SBATCH --job-name=array_job_test   # Job name
#SBATCH --mail-type=NONE            # Mail events (NONE, BEGIN, END, FAIL, ALL)
#SBATCH --ntasks=1                  # Run a single task
#SBATCH --mem=64mb                  # Job memory
#SBATCH --time=00:05:00             # Time limit hrs:min:sec
#SBATCH --output=array_%A-%a.log    # Standard output and error log
#SBATCH --array=1-5                 # Array range
#SBATCH --partition=compute
pwd; hostname; date

# Calculate the starting and ending values for this task based on the task and the number of runs per task.
PER_TASK=1000
START_NUM=$(( ($SLURM_ARRAY_TASK_ID - 1) * $PER_TASK + 1 ))
END_NUM=$(( $SLURM_ARRAY_TASK_ID * $PER_TASK ))

echo This is task $SLURM_ARRAY_TASK_ID, which will do runs $START_NUM to $END_NUM
sum=0
for (( run=$START_NUM; run<=END_NUM; run++ )); do
  sum=$((sum + run))
done
echo This is SLURM task $SLURM_ARRAY_TASK_ID of job $SLURM_ARRAY_JOB_ID, sum $sum, cores $SLURM_CPUS_PER_TASK
date
"""


class SubmissionCase(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 4}}

    def client(self, *argv: str, stdin: str = "", user: str = "alice") -> subprocess.CompletedProcess[str]:
        """Run hRunJob as a person would, in the jobs' folder."""
        return subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRunJob"), *argv], input=stdin, text=True,
            cwd=self.cluster.work, env=self.cluster.environment(user), capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def write(self, name: str, text: str) -> str:
        Path(self.cluster.work, name).write_text(text)
        return name

    def text(self, name: str) -> str:
        return self.content(name).decode()

    def told(self, *argv: str) -> list[dict[str, Any]]:
        """Return what the client prints with ``--json``."""
        return [json.loads(line) for line in self.client("--json", *argv).stdout.splitlines()]


class ScriptTests(SubmissionCase):
    def test_an_array_script_of_a_tutorial_runs_unchanged(self) -> None:
        script = self.write("tutorial.sh", TUTORIAL)

        done = self.client("--wait", script)

        self.assertEqual((0, "accepted array 1 of 5 tasks\n"), (done.returncode, done.stdout), done.stderr)
        self.assertIn("tutorial.sh: ignored of its #SBATCH lines: --partition=compute", done.stderr)
        for task in range(1, 6):
            lines = self.text(f"array_1-{task}.log").splitlines()
            first, last = (task - 1) * 1000 + 1, task * 1000
            self.assertEqual(self.cluster.work, lines[0])
            self.assertEqual(f"This is task {task}, which will do runs {first} to {last}", lines[3])
            total = sum(range(first, last + 1))
            self.assertEqual(f"This is SLURM task {task} of job 1, sum {total}, cores 1", lines[4])

    def test_a_script_is_copied_and_gets_its_arguments(self) -> None:
        script = self.write(
            "copy.sh", '#!/bin/sh\n#TM --name kept -o out.%j\nread line\necho "$TM_JOB_NAME $# $2 $line"\n'
        )
        self.write("input", "from stdin\n")

        self.assertEqual(
            "1\n",
            self.client("--parsable", "--begin", "now+1s", "--input", "input", script, "a", "b c").stdout,
        )
        self.write("copy.sh", "#!/bin/sh\necho changed\n")
        (job,) = self.cluster.wait([1])

        self.assertEqual(("completed", "kept"), (job["state"], job["name"]))
        self.assertEqual("kept 2 b c from stdin\n", self.text("out.1"))

    def test_a_script_may_come_from_stdin_and_wrapped_text_is_a_command(self) -> None:
        done = self.client(
            "--wait", "-o", "out", "-", stdin="#!/bin/sh\n#TM -c 2\necho $TM_CORES $0 | cut -c1\n"
        )
        self.assertEqual((0, "2\n"), (done.returncode, self.text("out")), done.stderr)
        self.assertEqual(3, self.client("--wait", "--wrap", "exit 3").returncode)


class ArrayTests(SubmissionCase):
    def test_an_array_ends_with_the_worst_of_its_tasks(self) -> None:
        done = self.client("--wait", "--array", "0-8:2%2", "-o", "/dev/null", "exit $TM_ARRAY_TASK_ID")

        self.assertEqual(8, done.returncode, done.stderr)
        self.assertIn("array 1: 1 completed, 4 failed of 5; job 1_8 failed", done.stderr)

    def test_lists_show_one_line_for_it_and_its_tasks_on_wish(self) -> None:
        self.client("--array", "1-100%2", "-n", "many", "-o", "/dev/null", "exec sleep 1000")
        self.cluster.wait([1], states=("running",))

        lines = self.client("-l").stdout.splitlines()
        self.assertEqual(2, len(lines), lines)
        self.assertRegex(lines[1], r"^ *1  many .* \[>+\.+\] .*98 waiting of 100, at most 2 at once")
        shown = [job["id"] for job in self.told("-l", "--expand")]
        self.assertEqual([1, "1_1", "1_2", "1_[3-100]"], shown)
        story = self.client("-i", "1", "1_2").stdout
        self.assertIn('array 1 "many" running', story)
        self.assertIn('job 1_2 "many" running (on n1', story)

    def test_who_waits_only_stops_looking(self) -> None:
        self.cluster.start_tms("alice")
        command = [
            sys.executable,
            os.path.join(ROOT, "bin", "hRunJob"),
            "--wait",
            "--array",
            "0-3",
            "exec sleep 1000",
        ]
        environment, work = self.cluster.environment("alice"), self.cluster.work
        looking = subprocess.Popen(
            command, env=environment, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: 1 in self.cluster.jobs("alice"), "the array was not submitted")
        self.cluster.wait([1], states=("running",))
        looking.send_signal(signal.SIGINT)
        _, said = looking.communicate(timeout=30)
        self.assertEqual(130, looking.returncode, said)
        self.assertIn("job 1 goes on. follow: hRunJob -f 1", said)
        self.assertEqual("running", self.cluster.job("alice", 1)["state"])

    def test_why_a_job_waits_is_told_for_every_host(self) -> None:
        self.client("-c", "4", "exec sleep 1000")
        self.cluster.wait([1], states=("running",))
        self.client("-c", "2", "-H", "x")
        self.client("-c", "2", "x")
        held, waits = self.client("--why", "2").stdout, self.client("--why", "3").stdout
        self.assertRegex(held, "job 2: .*held")
        self.assertRegex(waits, r"(?s)job 3: .*HOST +VERDICT +WHY\nn1 +cores")

    def test_the_command_is_run_for_each_value_as_it_is(self) -> None:
        values = ["plain", "two words", "it's", "$HOME;`id`", 'a"b', "*.x/y.tar.gz"]

        done = self.client("--wait", "--map", "printf '%s|' {} {#} {/.} > out.{#}", ":::", *values)

        self.assertEqual(0, done.returncode, done.stderr)
        for number, value in enumerate(values, 1):
            last = value.rpartition("/")[2]
            self.assertEqual(
                f"{value}|{number}|{last.rpartition('.')[0] or last}|", self.text(f"out.{number}")
            )

    def test_values_come_from_files_and_are_combined(self) -> None:
        done = self.client(
            "--wait",
            "-o",
            "out.%a",
            "--map-file",
            "-",
            "echo {2}-{1}",
            "::::",
            self.write("f", "1\n2\n"),
            stdin="a\nb\n",
        )

        self.assertEqual((0, "accepted array 1 of 4 tasks\n"), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(
            ["1-a\n", "2-a\n", "1-b\n", "2-b\n"], [self.text(f"out.{task}") for task in range(1, 5)]
        )


class RefusalTests(SubmissionCase):
    def test_what_can_never_be_is_refused_and_nothing_is_queued(self) -> None:
        for argv, sign in (
            (["-c", "64", "x"], "cores"),
            (["--array", "5-1", "x"], "the last task comes before the first"),
            (["--array", "0-2000000", "x"], "at most"),
            (["-t", "soon", "x"], "-t: 'soon' is no time"),
            (["--dependency", "before:1", "x"], "is no dependency"),
            (["--begin", "2026-02-30", "x"], "--begin: '2026-02-30' is no time"),
            (["--deadline", "2020-01-01", "x"], "--deadline"),
            (["--mail-user", "me@@x", "x"], "no address"),
            (["-C", "no_such_feature", "x"], "no_such_feature"),
        ):
            done = self.client(*argv)
            self.assertNotEqual(0, done.returncode, argv)
            self.assertIn(sign, done.stderr, argv)
            self.assertEqual(1, done.stderr.count("\n"), done.stderr)
        self.assertEqual("no jobs\n", self.client("-l", "--all").stdout)

    def test_a_dry_run_names_the_hosts_that_would_fit(self) -> None:
        fits = self.client("--dry-run", "-c", "2", "--array", "0-9", "x")
        self.assertEqual(0, fits.returncode, fits.stderr)
        self.assertIn("would submit 10 tasks in an array; nothing was submitted\n  x\n", fits.stdout)
        self.assertRegex(fits.stdout, r"fits 1 host now, 0 later, of 1\nHOST +FITS +WHY\nn1 +now")
        never = self.client("--test-only", "-c", "64", "x")
        self.assertEqual((1, 1), (never.returncode, never.stdout.count("never")), never.stdout)
        self.assertEqual("no jobs\n", self.client("-l", "--all").stdout)

    def test_a_job_that_fails_tells_its_story(self) -> None:
        self.client(
            "--wait",
            "-n",
            "sad",
            "-t",
            "10m",
            "-m",
            "100M",
            "-e",
            "err",
            "--env",
            "MOOD=low",
            "echo no such luck >&2; exit 4",
        )

        story = self.client("-i", "1").stdout

        for sign in (
            'job 1 "sad" failed (on n1, exit code 4',
            "100M",
            "10:00",
            "no such luck",
            "submitted",
            "--mem=100M",
            "the environment here and now\n  gone       MOOD\n",
        ):
            self.assertIn(sign, story)
        (told,) = self.told("-i", "1")
        self.assertEqual(("low", False), (told["environment"]["MOOD"], told["script"]))
        self.assertNotIn("environment", self.cluster.job("alice", 1))
