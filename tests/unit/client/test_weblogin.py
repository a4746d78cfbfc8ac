"""``hRunJob --web``: the link, and what is said with it."""

from __future__ import annotations

import json
import socket

from tests.unit.client.house import House
from tm.client import hrunjob
from tm.client.weblogin import hints
from tm.wire.message import Reply

URL = "http://127.0.0.1:34104/login/secret"


class WebLoginTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve_tms()
        shown = {"url": URL, "until": "2026-01-01T00:00:00.000Z"}
        self.server.answers["weblogin"] = lambda talker, request: Reply(body=[json.dumps(shown)])

    def run_it(self, *argv: str) -> tuple[int, str, str]:
        return self.run_client(hrunjob.main, *argv)

    def wished(self) -> object:
        (request,) = [request for request in self.server.heard if request.verb == "weblogin"]
        self.server.heard.clear()
        return json.loads(request.rest or "")

    def test_the_link_stands_alone_and_what_it_is_beside_it(self) -> None:
        status, out, err = self.run_it("--web")
        self.assertEqual((status, out), (0, URL + "\n"))
        for part in ("once", "10 minutes", "act on your jobs", "hRunJob --web submit"):
            self.assertIn(part, err)
        self.assertEqual(self.wished(), {"may": "act"})

    def test_what_the_session_may_is_asked_for(self) -> None:
        for may in ("look", "act", "submit"):
            self.assertEqual(self.run_it("--web", may)[:2], (0, URL + "\n"))
            self.assertEqual(self.wished(), {"may": may})

    def test_json_and_quiet_say_no_more(self) -> None:
        status, out, err = self.run_it("--web=look", "--json")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(json.loads(out), {"url": URL, "until": "2026-01-01T00:00:00.000Z", "may": "look"})
        self.assertEqual(self.run_it("--web", "-q"), (0, URL + "\n", ""))

    def test_what_cannot_be_meant_is_wrong_usage(self) -> None:
        for argv, part in (
            (["--web", "all"], "expected look, act or submit"),
            (["--web", "act", "sleep 1"], "submitted by itself"),
            (["--web", "-l"], "exclude each other"),
        ):
            status, out, err = self.run_it(*argv)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(part, err)
        self.assertEqual(self.server.heard, [])

    def test_a_refusal_is_one_sentence(self) -> None:
        self.server.answers["weblogin"] = lambda talker, request: Reply(
            "start it with 'twistd taskweb'", word="web.away"
        )
        self.assertEqual(self.run_it("--web"), (1, "", "hRunJob: start it with 'twistd taskweb'\n"))

    def test_a_link_cannot_move_the_cursor(self) -> None:
        self.server.answers["weblogin"] = lambda talker, request: Reply(body=[json.dumps({"url": "http://x/\x1b[2J"})])
        self.assertEqual(self.run_it("--web", "-q")[1], "http://x/?[2J\n")


class HintTests(House):
    def ssh(self, url: str, host: str, **environ: str) -> str:
        """Return the line that names ssh, or nothing."""
        return next((line for line in hints(url, "act", host, environ) if "ssh" in line), "")

    def test_from_another_machine_the_loopback_address_is_reached_by_ssh(self) -> None:
        self.assertIn("ssh -L 34104:127.0.0.1:34104 server1", self.ssh(URL, "server1"))
        here = self.ssh(URL, "localhost", SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22")
        self.assertIn(f"ssh -L 34104:127.0.0.1:34104 {socket.gethostname()}", here)

    def test_where_the_browser_is_here_or_the_address_is_for_all_nothing_is_said_of_ssh(self) -> None:
        for host in ("localhost", "127.0.0.1", socket.gethostname()):
            self.assertEqual(self.ssh(URL, host), "")
        for url in ("https://tm.example.org/login/x", "http://[::1/", "no address"):
            self.assertEqual(self.ssh(url, "server1"), "")
