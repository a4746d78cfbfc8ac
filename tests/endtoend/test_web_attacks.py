"""A real web server against people who mean harm: what one of them does, the others do not notice."""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.support.browser import WebCluster
from tests.support.talk import Talk
from tm.wire.message import Event

LARGE = b"\\u0001" * 170_000


class AttackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = WebCluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.cluster.start_web()

    def request(self, method: str, path: str, cookie: str = "") -> tuple[int, str]:
        """Return the status that *path* answers, and the cookie it sets."""
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.web_port, timeout=30)
        self.addCleanup(connection.close)
        connection.request(method, path, b"", {"Origin": self.cluster.url.rstrip("/"), "Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]

    def log_in(self, user: str) -> str:
        """Return the cookie of a new session."""
        status, cookie = self.request("POST", urlsplit(self.cluster.link(user)).path)
        self.assertEqual(status, 303)
        return cookie

    def ask_for_output(self, cookie: str) -> socket.socket:
        """Return a connection on which a page waits for its user's own server."""
        asking = socket.create_connection(("127.0.0.1", self.cluster.web_port), timeout=30)
        self.addCleanup(asking.close)
        head = f"GET /jobs/9/output.json?look=12345678 HTTP/1.1\r\nHost: 127.0.0.1:{self.cluster.web_port}\r\n"
        asking.sendall(f"{head}Cookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
        return asking

    def test_a_false_server_of_one_user_disturbs_nobody_else(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        with self.cluster.dispatcher("bob") as false:
            false.ask("attach", '{"version":"1.0.0","host":"n1"}')
            asking = [self.ask_for_output(bob) for _ in range(4)]
            for _ in asking:
                number = self.asked(false)
                for more in (b"true",) * 6 + (b"false",):
                    false.send(b'answered:{"number":%d,"body":["%b"],"more":%b}\n' % (number, LARGE, more))
            for one in asking:
                self.assertEqual(self.request("GET", "/jobs", alice)[0], 200)
                self.assertIn(one.recv(12).split()[1], (b"429", b"502"))
        with open(os.path.join(self.cluster.state, "TaskDispatcher.log"), encoding="utf-8") as file:
            self.assertEqual([line for line in file if json.loads(line).get("event") == "cut"], [])

    def asked(self, server: Talk) -> int:
        """Return the number of the next question to *server*."""
        while True:
            heard = server.next()
            if isinstance(heard, Event) and json.loads(heard.json).get("topic") == "asked":
                return int(json.loads(heard.json)["number"])

    def test_who_only_holds_connections_locks_nobody_out(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        alice = self.log_in("alice")
        for _ in range(1100):
            self.addCleanup(socket.create_connection(("127.0.0.1", self.cluster.web_port), timeout=30).close)
        self.assertEqual(self.request("GET", "/jobs", alice)[0], 200)
