"""How peers say that a job has ended, and with which exit code."""

from __future__ import annotations

import re
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.peers import grid_engine, slurm, task_spooler
from benchmarks.peers.endings import Endings

SLURM = (
    "JobId={id} UserId=root(0) GroupId=root(0) Name={name} JobState={state} Partition=main TimeLimit=UNLIMITED "
    "StartTime=2026-11-23T14:52:49 EndTime=2026-11-23T14:52:49 NodeList=n1 NodeCnt=1 ProcCnt=1 WorkDir=/home/a "
    "ReservationName= Tres=cpu=1,mem=1M,node=1,billing=1 Account= QOS= WcKey= Cluster=unknown "
    "SubmitTime=2026-11-23T14:52:48 EligibleTime=2026-11-23T14:52:49 ArrayJobId=2 ArrayTaskId=1 DerivedExitCode=0:0 "
    "ExitCode={code} \n"
)
GRID_ENGINE = (
    "main.q:localhost:root:root:{name}:{id}:sge:0:1795445561:1795445561:1795445561:{failed}:{code}:0:0.003554:0.003554:"
    "4612.000000:0:0:0:0:230:0:0:0.000000:8:0:0:0:1:3:NONE:defaultdepartment:NONE:1:0:0.007108:0.000000:0.000000\n"
)
TASK_SPOOLER = """\
ID   State      Output               E-Level  Times(r/u/s)   Command [run=1/1]
2    running    stdout                                       false 3 4
3    queued     stdout                                       sleep 2
0    finished   stdout               0        0.00/0.00/0.00 true
1    finished   stdout               3        0.02/0.00/0.00 sh -c exit 3
4    finished   stdout               -1       0.01/0.00/0.00 nothing
"""


class EndingsTests(SynchronousTestCase):
    def endings(self, content: str, pattern: re.Pattern[str]) -> Endings:
        self.path = self.mktemp()
        self.append(content)
        return Endings(self.path, pattern)

    def append(self, content: str) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(content)

    def test_a_file_that_is_not_there_yet_holds_no_endings(self) -> None:
        self.assertEqual(Endings(self.mktemp(), slurm.ENDING).of("round1"), Counter())

    def test_slurms_jobs_are_told_apart_by_name_state_and_exit_code(self) -> None:
        lines = [
            SLURM.format(id=1, name="round1", state="COMPLETED", code="0:0"),
            SLURM.format(id=2, name="round1", state="FAILED", code="1:0"),
            SLURM.format(id=3, name="round2", state="COMPLETED", code="0:0"),
        ]
        endings = self.endings("".join(lines), slurm.ENDING)
        self.assertEqual(endings.of("round1"), Counter({"COMPLETED 0:0": 1, "FAILED 1:0": 1}))
        self.assertEqual(endings.of("round2"), Counter({slurm.GOOD: 1}))

    def test_grid_engines_jobs_are_told_apart_by_name_failure_and_exit_code(self) -> None:
        lines = [
            "# Version: 8.1.9\n# \n",
            GRID_ENGINE.format(id=1, name="round1", failed=0, code=0),
            GRID_ENGINE.format(id=2, name="round1", failed=0, code=1),
            GRID_ENGINE.format(id=3, name="round1", failed=21, code=0),
        ]
        endings = self.endings("".join(lines), grid_engine.ENDING)
        self.assertEqual(endings.of("round1"), Counter({grid_engine.GOOD: 1, "0 1": 1, "21 0": 1}))

    def test_a_line_counts_once_and_only_when_it_is_whole(self) -> None:
        line = SLURM.format(id=1, name="round1", state="COMPLETED", code="0:0")
        endings = self.endings(line + line[:40], slurm.ENDING)
        self.assertEqual(endings.of("round1").total(), 1)
        self.append(line[40:])
        self.assertEqual(endings.of("round1").total(), 2)
        self.assertEqual(endings.of("round1").total(), 2)

    def test_one_bad_ending_among_good_ones_is_told(self) -> None:
        good = SLURM.format(id=1, name="round1", state="COMPLETED", code="0:0")
        endings = self.endings(good * 2, slurm.ENDING)
        endings.check("round1", 2, slurm.GOOD)
        self.append(SLURM.format(id=3, name="round1", state="FAILED", code="1:0"))
        told = self.assertRaises(SystemExit, endings.check, "round1", 3, slurm.GOOD)
        self.assertIn("'FAILED 1:0': 1", str(told))

    def test_an_ending_too_many_is_told(self) -> None:
        good = GRID_ENGINE.format(id=1, name="round1", failed=0, code=0)
        endings = self.endings(good * 3, grid_engine.ENDING)
        self.assertRaises(SystemExit, endings.check, "round1", 2, grid_engine.GOOD)

    def test_task_spoolers_list_gives_state_and_exit_code(self) -> None:
        listed = [("2", "running", ""), ("3", "queued", ""), ("0", "finished", "0"), ("1", "finished", "3")]
        self.assertEqual(task_spooler.parse(TASK_SPOOLER), [*listed, ("4", "finished", "-1")])

    def test_grid_engines_settings_are_changed_where_they_must_be(self) -> None:
        before = "min_uid                1000\nexecd_spool_dir        /var/spool/x\nmax_aj_tasks  75000\nmax_jobs 0\n"
        after = "min_uid 0\nexecd_spool_dir /new\nmax_aj_tasks 250000\nmax_jobs 0\n"
        self.assertEqual(grid_engine.configuration(before, "/new"), after)
