"""Owners hear of their jobs: a real mail server, a real web address, real daemons, over a restart of the dispatcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from tests.support.chain import ChainCase
from tests.support.mailbox import letters
from tests.support.processes import wait_for
from tm.daemon.post_office import GATHER_SECONDS
from tm.places import find_root

PATIENCE = GATHER_SECONDS + 25


class _Hook(BaseHTTPRequestHandler):
    heard: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append({"path": self.path, **json.loads(body)})
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Be silent."""


class NoticeTests(ChainCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        Path(self.folder).mkdir(parents=True)
        self.port = self.start_mailbox()
        self.addCleanup(lambda: self.end_mailbox())
        super().setUp()
        path = Path(self.cluster.etc, "ComputerCluster.config")
        mail = f'[mail]\nhost = "127.0.0.1"\nport = {self.port}\nsender = "cluster@example.org"\n'
        path.write_text(mail + path.read_text())
        with self.cluster.dispatcher("alice") as alice:
            self.assertTrue(alice.ask("reload").ok)

    def start_mailbox(self) -> int:
        """Start the mail server; return its port."""
        command = [sys.executable, "-m", "tests.support.mailbox", os.path.abspath(self.folder)]
        self.mailbox = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=find_root())
        assert self.mailbox.stdout is not None
        return int(self.mailbox.stdout.readline())

    def end_mailbox(self) -> None:
        self.mailbox.kill()
        self.mailbox.communicate()

    def mail(self, count: int) -> list[Message]:
        """Return all letters once there are *count* of them."""
        wait_for(lambda: len(letters(self.folder)) >= count, f"{count} letters come", PATIENCE)
        found = letters(self.folder)
        self.assertEqual(len(found), count)
        return found

    def test_jobs_that_end_together_are_one_letter_and_an_array_is_one(self) -> None:
        self.run_jobs("true", "exit 3", "true", notify=["alice@example.org"])
        (letter,) = self.mail(1)
        self.assertEqual((letter["To"], letter["From"]), ("alice@example.org", "cluster@example.org"))
        self.assertIn("2 ended, 1 failed", str(letter["Subject"]))
        self.assertIn("exit code       3", letter.get_payload())
        self.run_jobs("exit $((TM_ARRAY_TASK_ID % 2))", array="0-5", notify=["alice@example.org"])
        text = self.mail(2)[1].get_payload()
        self.assertIn("6 (3 completed, 3 failed)", text)

    def test_a_letter_that_could_not_be_sent_goes_after_a_restart_and_a_refused_one_is_said(self) -> None:
        self.end_mailbox()
        ids = self.cluster.submit("alice", "true", notify=["alice@example.org"])
        self.cluster.wait(ids)
        self.cluster.kill("dispatcher")
        path = Path(self.cluster.etc, "ComputerCluster.config")
        path.write_text(path.read_text().replace(str(self.port), str(self.start_mailbox())))
        self.cluster.start_dispatcher()
        self.mail(1)
        (number,) = self.cluster.submit("alice", "true", notify=["nobody@example.org"])

        def said() -> bool:
            return any("nobody@example.org" in str(event) for event in self.cluster.job("alice", number)["events"])

        wait_for(said, "the job's story says that its owner cannot be told", PATIENCE)

    def test_a_web_address_hears_what_its_owner_asked_for(self) -> None:
        heard: list[dict[str, Any]] = []
        server = HTTPServer(("127.0.0.1", 0), type("Hook", (_Hook,), {"heard": heard}))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        address = f"http://127.0.0.1:{server.server_port}"
        (number,) = self.cluster.submit("alice", "sleep 0.5", notify=[f"{address}/x"], notify_on=["all"])
        wait_for(lambda: len(heard) == 2, "begin and end are told", PATIENCE)
        self.assertEqual([(one["path"], one["event"], one["id"]) for one in heard],
                         [("/x", "begin", number), ("/x", "end", number)])  # fmt: skip
