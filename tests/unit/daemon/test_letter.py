"""What letters about jobs say, and that nothing in a job's own words can break out of its line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.letter import letter

JOB = {
    "event": "fail", "id": 17, "name": "sim", "state": "failed", "cause": "exit", "exit_code": 3, "host": "n2",
    "command": "./sim 1", "cpu_seconds": 3661.0, "max_rss": 3 << 30, "cwd": "/home/alice", "signal": None,
}  # fmt: skip


class LetterTests(SynchronousTestCase):
    def test_one_job_is_told_with_all_that_is_known(self) -> None:
        subject, text = letter("physics", [JOB])
        self.assertEqual(subject, "[physics] job 17 (sim) failed")
        for line in ("exit code       3", "processor time  1h1m1s", "most memory     3G", "command         ./sim 1"):
            self.assertIn(line, text.splitlines())
        self.assertNotIn("signal", text)

    def test_a_limit_is_named_in_the_subject(self) -> None:
        self.assertIn("out of memory", letter("c", [{**JOB, "state": "out_of_memory", "cause": "memory"}])[0])

    def test_an_array_is_told_by_its_tasks(self) -> None:
        tasks = {"indices": "0-9", "total": 10, "cap": 2, "completed": 8, "failed": 2}
        self.assertIn("10 (8 completed, 2 failed)", letter("c", [{**JOB, "tasks": tasks}])[1])

    def test_a_name_breaks_no_line_and_moves_no_cursor(self) -> None:
        evil = {**JOB, "name": "a\nBcc: all@example.org", "command": "x\r\n.\r\n\x1b[2J", "reason": "l\x1b]0;x\x07"}
        subject, text = letter("c", [evil, JOB])
        self.assertEqual(len(subject.splitlines()), 1)
        self.assertNotIn("\x1b", subject + text)
        self.assertNotIn("\n.\n", text)
        self.assertEqual(len(letter("c", [evil])[0].splitlines()), 1)
