from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tm.places import find_root

VISITS = "from tm import failpoint\nfor _ in range(3): print('visit', flush=True); failpoint.reach('here')"


class FailpointTests(SynchronousTestCase):
    def visit(self, armed: str) -> tuple[int, int]:
        """Let a process come to the point ``here`` three times; return how it ended and how often it came."""
        environment = {"TM_FAILPOINT": armed, "PYTHONPATH": find_root()}
        ended = subprocess.run(
            [sys.executable, "-c", VISITS], env=environment, capture_output=True, check=False, timeout=60
        )
        return ended.returncode, ended.stdout.count(b"visit")

    def test_a_process_dies_at_the_visit_that_was_named(self) -> None:
        self.assertEqual(self.visit("here"), (-signal.SIGKILL, 1))
        self.assertEqual(self.visit("here:3"), (-signal.SIGKILL, 3))

    def test_other_points_and_visits_that_never_come_kill_nobody(self) -> None:
        self.assertEqual(self.visit("there"), (0, 3))
        self.assertEqual(self.visit("here:4"), (0, 3))
        self.assertEqual(self.visit(""), (0, 3))

    def test_with_a_file_only_the_first_process_dies(self) -> None:
        mark = os.path.abspath(self.mktemp())
        self.assertEqual(self.visit(f"here:2:{mark}"), (-signal.SIGKILL, 2))
        self.assertTrue(os.path.exists(mark))
        self.assertEqual(self.visit(f"here:2:{mark}"), (0, 3))

    def test_a_file_that_is_removed_arms_the_point_once_more_in_processes_that_have_passed_it_too(self) -> None:
        mark = os.path.abspath(self.mktemp())
        text = f"import os\nfrom tm import failpoint\nopen({mark!r}, 'x').close()\n"
        text += f"for _ in range(3): failpoint.reach('here')\nos.remove({mark!r})\n{VISITS}"
        environment = {"TM_FAILPOINT": f"here:2:{mark}", "PYTHONPATH": find_root()}
        ended = subprocess.run(
            [sys.executable, "-c", text], env=environment, capture_output=True, check=False, timeout=60
        )
        self.assertEqual((ended.returncode, ended.stdout.count(b"visit")), (-signal.SIGKILL, 2))
