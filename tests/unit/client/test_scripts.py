"""Scripts with lines for us, and with lines that were written for sbatch."""

from __future__ import annotations

import os
from typing import Any

from tests.unit.client.house import House
from tm.client.hrunjob import read_options
from tm.client.program import UsageError
from tm.client.request import Request, make_request
from tm.client.script import script_of
from tm.errors import TaskManagerError

TUTORIAL = """\
#!/bin/bash
#SBATCH --job-name=array_job_test   # Job name
#SBATCH --mail-type=FAIL            # Mail events (NONE, BEGIN, END, FAIL, ALL)
#SBATCH --mail-user=email@example.org
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=1gb
#SBATCH --time=00:05:00
#SBATCH --output=array_%A-%a.log
#SBATCH --array=1-5
#SBATCH --partition=debug --qos normal
pwd; hostname; date
#SBATCH --mem=99gb
"""


class ScriptTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.said: list[str] = []

    def write(self, text: str, name: str = "job.sh") -> str:
        path = self.path(name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def request(self, *argv: str) -> Request:
        with self.surroundings():
            return make_request(*read_options(list(argv)), self.said.append)

    def asked(self, text: str, *argv: str) -> dict[str, Any]:
        """Return what the lines of a script ask for, beside *argv*."""
        return self.request(*argv, self.write("#!/bin/sh\n" + text)).common

    def test_a_tutorials_script_asks_for_what_it_says(self) -> None:
        request = self.request(self.write(TUTORIAL), "a", "-b")

        expected = {
            "name": "array_job_test", "cores": 2, "memory": 1 << 30, "time": 300.0, "stdout": "array_%A-%a.log",
            "array": "1-5", "notify": ["email@example.org"], "notify_on": ["fail"], "script": TUTORIAL,
        }  # fmt: skip
        self.assertEqual(expected, {key: request.common[key] for key in expected})
        self.assertEqual(([["job.sh", "a", "-b"]], 5), (request.commands, request.tasks))

    def test_what_means_nothing_here_is_named_once(self) -> None:
        self.request(self.write(TUTORIAL))

        (said,) = self.said
        self.assertIn("ignored of its #SBATCH lines: --partition=debug, --qos=normal", said)

    def test_options_that_nobody_knows_are_named_too(self) -> None:
        self.asked("#SBATCH --frobnicate 3 -c 2 -Z --fork=x\n")

        self.assertIn("--frobnicate, -Z, --fork=x", self.said[0])

    def test_letters_are_those_of_sbatch(self) -> None:
        asked = self.asked(
            "#SBATCH -J j -a 0-3%2 -t 10 -c 3 -o o -e e -D /d -d singleton -C big -x n1 -A g -H -G 1\n"
        )

        expected = {
            "name": "j", "array": "0-3", "array_cap": 2, "time": 600.0, "cores": 3, "stdout": "o", "stderr": "e",
            "cwd": "/d", "dependency": "singleton", "constraint": "big", "exclude": ["n1"], "account": "g",
            "hold": True, "gpus": 1,
        }  # fmt: skip
        self.assertEqual(expected, {key: asked[key] for key in expected})
        self.assertEqual([], self.said)

    def test_tasks_with_cores_each_are_cores_of_one_host(self) -> None:
        self.assertEqual(12, self.asked("#SBATCH -N 1 -n 4\n#SBATCH --cpus-per-task=3\n")["cores"])
        self.assertEqual(4, self.asked("#SBATCH --ntasks-per-node=4\n")["cores"])
        self.assertEqual(6, self.asked("#SBATCH -n 3 --gpus-per-task=2\n")["gpus"])
        self.assertEqual([], self.said)
        self.asked("#SBATCH -N 2 -n 4\n")
        self.assertIn("-N=2 (a job runs on one host)", self.said[0])

    def test_kinds_of_gpus_are_said_by_constraints_here(self) -> None:
        self.assertEqual(2, self.asked("#SBATCH --gres=gpu:a100:2\n")["gpus"])
        self.assertEqual(3, self.asked("#SBATCH -G v100:3\n")["gpus"])
        self.assertEqual(4, self.asked("#SBATCH --gres gpu:4\n")["gpus"])
        self.assertIn("the kind 'a100'", self.said[0])
        self.assertIn("the kind 'v100'", self.said[1])

    def test_our_lines_count_more_than_others_and_the_command_line_most(self) -> None:
        text = "#SBATCH --mem=1G -c 2 -t 5\n#TM --mem 2G -c 3 --env A=1\n"

        asked = self.asked(text, "-c", "4", "--env", "B=2")

        self.assertEqual((4, 2 << 30, 300.0), (asked["cores"], asked["memory"], asked["time"]))
        self.assertEqual(("1", "2"), (asked["environment"]["A"], asked["environment"]["B"]))

    def test_a_user_who_is_no_address_is_named_as_ignored(self) -> None:
        asked = self.asked("#SBATCH --mail-user=alice --mail-type=END\n")
        self.assertNotIn("notify", asked)
        self.assertIn("--mail-user=alice (no address)", self.said[0])
        self.assertIn("nobody will be told", self.said[1])
        error = self.assertRaises(UsageError, self.asked, "#SBATCH --mail-user=a@@b\n")
        self.assertIn("job.sh: --mail-user: 'a@@b' is no address", error.text)

    def test_what_is_wrong_is_named_with_file_and_line(self) -> None:
        for text, sign in (
            ("#TM --mem lots\n", "job.sh:2: --mem: 'lots' is no size"),
            ("#SBATCH -c 1\n#SBATCH -t never\n", "job.sh:3: -t: 'never' is no time"),
            ("#TM --tme 3\n", "did you mean --time?"),
            ("#TM 3\n", "has only options"),
            ("#TM --comment 'a\n", "job.sh:2: no closing quotation"),
            ("#SBATCH --array=5-1\n", "the last task comes before the first"),
            ("#SBATCH --gpus-per-task=x\n", "gpus"),
        ):
            error = self.assertRaises(UsageError, self.asked, text)
            self.assertIn(sign, error.text)

    def test_programs_in_other_languages_stay_where_their_neighbours_are(self) -> None:
        path = self.write("#!/usr/bin/env python3\nimport neighbour\n", "x.py")
        self.assertEqual(
            ([path], False), (self.request(path).commands, "script" in self.request(path).common)
        )
        path = self.write("#!/usr/bin/env python3\n#TM -c 2\nprint(1)\n", "x.py")
        self.assertEqual(
            ([["x.py", "7"]], 2), (self.request(path, "7").commands, self.request(path).common["cores"])
        )

    def test_behind_the_dashes_even_a_script_is_a_program_with_arguments(self) -> None:
        path = self.write("#!/bin/sh\n#TM -c 2\n")

        request = self.request("--", path)

        self.assertEqual(([[path]], set()), (request.commands, {"script", "cores"} & request.common.keys()))

    def test_what_is_no_script_is_left_alone(self) -> None:
        os.mkdir(self.path("folder"))
        with open(self.path("archive"), "wb") as file:
            file.write(b"#!/bin/sh\n" + b"\xff\0" * 400_000)
        for name in ("folder", "archive", "gone"):
            self.assertIs(None, script_of([self.path(name)]), name)
        self.assertIs(None, script_of(["echo a\0b"]))
        self.assertEqual(["echo '#!'"], self.request("echo '#!'").commands)

    def test_what_is_too_long_or_no_text_says_how_to_run_it(self) -> None:
        with open(self.path("odd"), "wb") as file:
            file.write(b"#!/bin/sh\necho \xff\n")
        for path in (self.write("#!/bin/sh\n" + "#" * 600_000), self.path("odd")):
            self.assertIn(f"-- {path}", self.assertRaises(TaskManagerError, script_of, [path]).text)

    def test_ways_to_name_a_command_exclude_each_other(self) -> None:
        for argv in (
            ["--wrap", "a", "b"], ["--wrap", "a", "--from", "f"], ["--from", "f", "a"], [], ["--map", "a", "b"],
            ["--map", "a"], ["--map-file", "f"], ["--map", "a", "--array", "1-2", ":::", "x"],
        ):  # fmt: skip
            self.assertRaises(UsageError, self.request, *argv)
        self.assertEqual(["a b"], self.request("--wrap", "a b").commands)
