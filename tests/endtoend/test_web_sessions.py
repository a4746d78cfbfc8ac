"""Links, sessions and tokens of the web interface: a real dispatcher, users' servers, a web server that only asks."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.chain import ChainCase
from tests.support.processes import wait_for
from tests.support.talk import Refused, Talk
from tm.edge.identity import web_identity
from tm.places import find_root

URL = "http://127.0.0.1:34104/"
REMOVED_WITHIN = 5.0


class WebSessionCase(ChainCase):
    def setUp(self) -> None:
        super().setUp()
        self.web = self.joined()

    def joined(self) -> Talk:
        """Return the connection of a web server that has taken its place."""
        identity = web_identity(self.cluster.etc, datetime.datetime.now(datetime.UTC))
        trusted = os.path.join(self.cluster.etc, "certs", "taskdispatcher.crt")
        web = Talk.tls(self.cluster.port, (identity.certificate, identity.key), trusted=trusted)
        self.addCleanup(web.close)
        web.ask("webjoin", json.dumps({"url": URL, "version": "1"}))
        return web

    def program(self, user: str, name: str, *words: str, status: int = 0) -> str:
        """Return what a program of *user* says on stdout."""
        ended = subprocess.run(
            [sys.executable, os.path.join(find_root(), "bin", name), *words], env=self.cluster.environment(user),
            cwd=self.cluster.work, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        return ended.stdout if status == 0 else ended.stdout + ended.stderr

    def link(self, user: str, *may: str) -> str:
        """Return the token of the link that ``hRunJob --web`` prints."""
        url = self.program(user, "hRunJob", "--web", *may).strip()
        self.assertTrue(url.startswith(URL + "login/"), url)
        return url.removeprefix(URL + "login/")

    def redeem(self, token: str) -> dict[str, Any]:
        given = {"token": token, "agent": "a browser", "address": "127.0.0.1"}
        return self.web.values("webredeem", json.dumps(given))[0]

    def said(self, secret: str, verb: str, rest: str | None = None) -> list[dict[str, Any]]:
        """Return the values with which the user of a session is answered."""
        return self.web.values("as", json.dumps({"secret": secret, "verb": verb, "rest": rest}))

    def refused(self, secret: str, verb: str = "whoami", rest: str | None = None) -> str:
        """Return the class of the refusal; fail when there is none."""
        return self.web.refusal("as.json", json.dumps({"secret": secret, "verb": verb, "rest": rest})).word


class SessionTests(WebSessionCase):
    def test_from_the_command_to_the_end_of_the_session(self) -> None:
        token = self.link("alice")
        session = self.redeem(token)
        self.assertEqual((session["user"], session["may"], session["groups"]), ("alice", "act", ["admins"]))
        with self.assertRaises(Refused) as caught:
            self.redeem(token)
        self.assertEqual(caught.exception.word, "auth.link")
        secret = session["secret"]
        (job,) = self.cluster.submit("alice", "sleep 1000")
        self.assertEqual([view["id"] for view in self.said(secret, "lsjobs")], [job])
        self.said(secret, "canceljob", str(job))
        self.cluster.wait([job], states=("cancelled",))
        (shown,) = (json.loads(self.program("alice", "tm", "web", "sessions", "--json")),)
        self.assertEqual((shown["id"], shown["agent"], shown["kind"]), (session["id"], "a browser", "session"))
        self.assertIn(session["id"], self.program("alice", "tm", "web", "sessions"))
        self.assertIn("ended", self.program("alice", "tm", "web", "end", session["id"]))
        self.assertEqual(self.refused(secret), "auth.session")
        self.assertIn("no sessions", self.program("alice", "tm", "web", "sessions"))

    def test_two_users_have_nothing_of_each_other(self) -> None:
        (hers,) = self.cluster.submit("alice", "sleep 1000")
        bob = self.redeem(self.link("bob"))
        self.assertEqual((bob["user"], bob["rights"], bob["groups"]), ("bob", [], []))
        self.assertEqual(self.said(bob["secret"], "lsjobs"), [])
        for verb, rest, word in (
            ("lsjobs", "user=alice", "perm.denied"), ("canceljob", str(hers), "job.unknown"),
            ("lsusers", None, "perm.denied"), ("submit", "{}", "perm.denied"), ("shutdown", None, "perm.denied"),
        ):  # fmt: skip
            self.assertEqual(self.refused(bob["secret"], verb, rest), word, verb)
        alice = self.redeem(self.link("alice"))
        self.program("bob", "tm", "web", "end", alice["id"], status=1)
        self.said(alice["secret"], "whoami")

    def test_a_session_that_looks_changes_nothing(self) -> None:
        (job,) = self.cluster.submit("alice", "sleep 1000")
        look = self.redeem(self.link("alice", "look"))["secret"]
        self.assertEqual(self.said(look, "jobinfo", str(job))[0]["id"], job)
        for verb, rest in (
            ("canceljob", str(job)),
            ("removeuser", "bob"),
            ("deactivatehost", "n1"),
            ("shutdown", None),
        ):
            self.assertEqual(self.refused(look, verb, rest), "perm.denied")
        self.cluster.wait([job], states=("pending", "starting", "running"))

    def test_without_a_web_server_the_command_says_how_one_is_started(self) -> None:
        self.web.close()
        with self.cluster.dispatcher("alice") as alice:
            wait_for(lambda: alice.values("status")[0]["web"] is None, "the web server to be missed")
        self.assertIn("twistd taskweb", self.program("alice", "hRunJob", "--web", status=1))


class TokenTests(WebSessionCase):
    def test_a_token_from_its_making_to_its_end(self) -> None:
        made = json.loads(self.program("alice", "tm", "token", "create", "nightly", "--days", "3", "--json"))
        self.assertEqual(self.said(made["token"], "whoami")[0]["user"], "alice")
        self.assertEqual(self.refused(made["token"], "reload"), "perm.denied")
        listed = self.program("alice", "tm", "token", "list")
        self.assertIn("nightly", listed)
        self.assertNotIn(made["token"], listed)
        self.assertIn("no tokens", self.program("bob", "tm", "token", "list"))
        self.program("alice", "tm", "token", "revoke", made["id"])
        self.assertEqual(self.refused(made["token"]), "auth.session")
        with self.cluster.dispatcher("alice") as alice:
            verbs = [(one["verb"], one["kind"], one["name"]) for one in alice.values("audit")]
        self.assertEqual(verbs[-2:], [("addtoken", "token", made["id"]), ("endsession", "token", made["id"])])

    def test_the_first_line_is_the_token_alone(self) -> None:
        token, *more = self.program("bob", "tm", "token", "create", "t", "--may", "act").splitlines()
        self.assertEqual(self.said(token, "whoami")[0]["user"], "bob")
        self.assertIn("shown once", " ".join(more))
        self.assertIn("366", self.program("bob", "tm", "token", "create", "t", "--days", "999", status=1))
        self.program("bob", "tm", "token", "create", "a b", status=1)


class EndingTests(WebSessionCase):
    def remaining(self, change: Any) -> float:
        """Return how many seconds after *change* bob's session was still good."""
        session, made = self.redeem(self.link("bob")), self.program("bob", "tm", "token", "create", "t", "--json")
        secrets = [session["secret"], json.loads(made)["token"]]
        self.assertEqual(len(self.web.values("checksessions", json.dumps({"secrets": secrets}))), 2)
        change()
        began = time.monotonic()
        wait_for(lambda: not self.web.values("checksessions", json.dumps({"secrets": secrets})), "bob to be out")
        for secret in secrets:
            self.assertEqual(self.refused(secret), "auth.session")
        return time.monotonic() - began

    def test_a_user_who_is_removed_is_out(self) -> None:
        with self.cluster.dispatcher("alice") as alice:
            self.assertLess(self.remaining(lambda: alice.ask("removeuser", "bob")), REMOVED_WITHIN)

    def test_a_user_who_is_in_the_file_no_longer_is_out_at_the_next_reading(self) -> None:
        users = Path(self.cluster.etc, "users").read_text()

        def taken_out() -> None:
            self.cluster.write_etc("users", users.partition("[users.bob]")[0])
            with self.cluster.dispatcher("alice") as alice:
                alice.ask("reload")

        self.assertLess(self.remaining(taken_out), REMOVED_WITHIN)


class RestartTests(WebSessionCase):
    def test_sessions_outlive_a_dispatcher_that_is_killed_and_no_secret_is_in_any_file(self) -> None:
        session, unused = self.redeem(self.link("alice")), self.link("alice")
        used = self.link("alice")
        self.redeem(used)
        token = json.loads(self.program("alice", "tm", "token", "create", "t", "--json"))["token"]
        self.assertEqual(self.refused("wrong" * 8), "auth.session")
        self.cluster.end_dispatcher()
        self.cluster.start_dispatcher()
        self.web = self.joined()
        for secret in (session["secret"], token):
            self.assertEqual(self.said(secret, "whoami")[0]["user"], "alice")
        with self.assertRaises(Refused):
            self.redeem(used)
        self.redeem(unused)
        secrets = [session["secret"], token, unused, used]
        for path in Path(self.cluster.folder).rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                self.assertEqual([one for one in secrets if one.encode() in content], [], path)

    def test_a_newer_web_server_takes_over_and_may_have_a_new_certificate(self) -> None:
        session = self.redeem(self.link("alice"))
        older = self.web
        for name in ("taskweb.key", "taskweb.crt"):
            os.unlink(os.path.join(self.cluster.etc, "certs", name))
        self.web = self.joined()
        older.event(topic="replaced")
        self.said(session["secret"], "whoami")
        given = json.dumps({"secret": session["secret"], "verb": "whoami", "rest": None})
        self.assertEqual(older.refusal("as", given).word, "perm.denied")
        self.assertEqual(self.web.refusal("lsjobs").word, "perm.denied")
