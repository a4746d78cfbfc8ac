"""The program that looks at a host: what it says of this one, and that any Python can run it."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tm.cli.checks import probe
from tm.cli.checks.asking import probe as text_of_probe


class ProbeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tm probe ")
        self.addCleanup(self.folder.cleanup)

    def path(self, *names: str) -> str:
        """Return a path in the folder of this test."""
        return os.path.join(self.folder.name, *names)

    def test_it_answers_with_one_line(self) -> None:
        asked = {"local": self.path("x-{uid}"), "command": ["echo", "TMMS 1.0.0"], "expected": "TMMS 1.0.0"}
        command = [sys.executable, "-I", "-c", text_of_probe(), json.dumps(asked)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertTrue(done.stdout.startswith(probe.MARK), done.stderr)
        said = json.loads(done.stdout[len(probe.MARK) :])
        self.assertEqual(said["start"], {"status": 0, "said": "TMMS 1.0.0"})
        self.assertEqual((said["pythons"], said["uid"]), ([], os.getuid()))
        self.assertEqual(said["local"]["path"], self.path(f"x-{os.getuid()}"))
        self.assertLess(len(done.stdout), 8192)
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_an_old_python_can_read_it(self) -> None:
        ast.parse(text_of_probe(), feature_version=(3, 6))
        self.assertNotIn("from __future__", text_of_probe())

    def test_where_our_server_does_not_start_other_pythons_are_looked_for(self) -> None:
        said = probe.main({"local": "/x", "command": ["/no/such"], "expected": "y", "pythons": [sys.executable, "/no"]})
        self.assertEqual(said["start"], {"status": 127, "said": "/no/such: No such file or directory"})
        (found,) = said["pythons"]
        self.assertEqual((found["path"], found["missing"]), (sys.executable, []))
        self.assertEqual(probe.pythons([sys.executable], time.time() - 1), [])

    def test_a_folder_that_is_there_and_one_that_is_not(self) -> None:
        os.chmod(self.folder.name, 0o755)
        there, absent = probe.folder(self.folder.name), probe.folder(self.path("a", "b"))
        self.assertEqual((there["exists"], there["private"]), (True, False))
        self.assertEqual((absent["exists"], absent["private"]), (False, True))
        self.assertEqual((there["mount"], there["kind"]), (absent["mount"], absent["kind"]))
        self.assertGreater(there["free"], 0)
        self.assertEqual(probe.mounted("/proc/self")[:2], ("/proc", "proc"))

    def test_a_file_in_the_home_is_seen_or_not(self) -> None:
        Path(self.path("file")).write_text("words")
        self.assertIsNone(probe.is_shared(None))
        for content, path, same in (("words", "file", True), ("others", "file", False), ("words", "none", False)):
            self.assertIs(probe.is_shared({"path": self.path(path), "content": content}), same)

    def test_a_way_that_is_open_and_one_that_is_closed(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertEqual(probe.way("127.0.0.1", port), "")
        self.assertIn("refused", probe.way("127.0.0.1", port))
        self.assertTrue(probe.way("no.such.host.invalid", 1))

    def test_a_program_that_does_not_end_is_ended(self) -> None:
        status, said = probe.said_by(["sleep", "60"], 0.1)
        self.assertEqual((status, said), (124, "it does not end within 0 s"))

    def test_spools_and_who_works_there(self) -> None:
        for name, pid in (("n1", os.getpid()), ("n2", 1 << 30)):
            os.makedirs(self.path("old", "hosts", name))
            Path(self.path("old", "hosts", name, "tmms.pid")).write_text(f"{pid}\n")
        found = probe.spools(self.path("new"))
        shown = {os.path.basename(one["path"]): one["running"] for one in found}
        self.assertEqual(shown, {"n1": True, "n2": False})
        self.assertEqual(probe.spools("/no/such/folder"), [])
