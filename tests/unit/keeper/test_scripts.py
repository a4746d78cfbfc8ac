"""Scripts of jobs: told with the order, or shared by many in the environment that they name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tm.keeper import scripts, spawn
from tm.keeper.order import Order
from tm.model.spec import SHARED


class ScriptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.spool = os.path.realpath(self.mktemp())
        os.makedirs(self.spool)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.spool)
        self.starter = spawn.Starter()

    def ran(self, environment: dict[bytes, bytes], **entry: Any) -> str:
        """Return what the script writes."""
        out = os.path.join(self.spool, "out")
        order = Order({"job": 3, "attempt": 1, "cwd": tempfile.gettempdir(), "stdout": out, **entry})
        pid = self.starter.start(order, environment)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        self.assertEqual(["3-1"], os.listdir(os.path.join(self.spool, scripts.FOLDER)))
        self.starter.over(order.key)
        self.assertEqual([], os.listdir(os.path.join(self.spool, scripts.FOLDER)))
        return Path(out).read_text()

    def test_a_script_runs_by_its_first_line_with_its_arguments(self) -> None:
        text = '#!/bin/sh -e\necho "$1 $A"; false; echo no\n'
        self.assertEqual(
            "a b 1\n", self.ran({b"A": b"1"}, command=["x", "a b"], script=text.replace("false", "exit"))
        )

    def test_a_shared_script_stands_in_the_environment_and_is_no_variable(self) -> None:
        self.assertEqual(SHARED.encode(), scripts.SHARED)
        text = b"#!/bin/sh\n# " + b"x" * 300_000 + b'\necho "$1 $(wc -c < "$0") $(env | grep -c x{9})"\n'
        environment = {b"PATH": b"/usr/bin:/bin", scripts.SHARED: text}

        self.assertEqual(f"a {len(text)} 0\n", self.ran(environment, command=["x", "a"], script=SHARED))
        self.assertIn(scripts.SHARED, environment)
