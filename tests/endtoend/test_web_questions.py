"""What people ask through the web interface of their own servers and of hosts: output, jobs, processes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.endtoend.test_web_sessions import WebSessionCase
from tests.support.cluster import Cluster
from tests.support.false_dispatcher import FalseDispatcher
from tests.support.processes import wait_for
from tests.support.talk import Refused
from tm.edge.signing import GRANT, OrderSigner
from tm.wire.message import Reply

STEPS = "echo begun; while ! [ -e go ]; do sleep 0.02; done; echo wörks; echo oh >&2; exit 6"
PATIENCE = 20.0


class QuestionCase(WebSessionCase):
    def opened(self, *may: str, user: str = "alice") -> str:
        """Return the secret of a new session."""
        return str(self.redeem(self.link(user, *may))["secret"])

    def own(self, secret: str, verb: str, argument: object) -> dict[str, Any]:
        """Return what the own server of a session's user answers."""
        return self.said(secret, "own", json.dumps({"verb": verb, "argument": argument}))[0]

    def own_refused(self, secret: str, verb: str, argument: object) -> str:
        return self.refused(secret, "own", json.dumps({"verb": verb, "argument": argument}))


class Reader:
    """A page that shows the output of a job."""

    def __init__(self, case: QuestionCase, secret: str, job: int | str) -> None:
        self._case = case
        self._secret = secret
        self._wish: dict[str, Any] = {"job": job, "look": secrets.token_hex(8), "at": None, "lines": 100}
        self.shown = {"stdout": "", "stderr": ""}
        self.last: dict[str, Any] = {}

    def poll(self) -> None:
        """Ask once, and show what is new."""
        self.last = self._case.own(self._secret, "output", self._wish)
        self._wish["at"] = {"1": self.last["stdout"]["at"], "2": self.last["stderr"]["at"]}
        for name in self.shown:
            self.shown[name] += self.last[name]["text"]

    def see(self, text: str) -> None:
        """Poll until *text* is shown on stdout."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown["stdout"]:
            assert time.monotonic() < deadline, (text, self.shown, self.last)
            self.poll()

    def end(self) -> None:
        """Poll until all is shown and the job has ended."""
        deadline = time.monotonic() + PATIENCE
        while not self.last.get("over"):
            assert time.monotonic() < deadline, (self.shown, self.last)
            self.poll()


class OutputTests(QuestionCase):
    def test_the_output_of_a_running_job_is_followed_to_its_end_in_several_browsers(self) -> None:
        secret = self.opened("look")
        (job,) = self.cluster.submit("alice", STEPS, stdout="out-%j", stderr="err")
        readers = [Reader(self, secret, job) for _ in range(3)]
        for reader in readers:
            reader.see("begun\n")
        Path(self.cluster.work, "go").touch()
        for reader in readers:
            reader.end()
            self.assertEqual(reader.shown, {"stdout": "begun\nwörks\n", "stderr": "oh\n"})
            self.assertEqual((reader.last["state"], reader.last["host"]), ("failed", "n1"))
        self.assertEqual(readers[0].last["stdout"]["path"], os.path.join(self.cluster.work, f"out-{job}"))

    def test_a_new_server_of_its_user_goes_on_where_the_old_one_was(self) -> None:
        secret = self.opened("look")
        (job,) = self.cluster.submit("alice", STEPS, stdout="out")
        reader = Reader(self, secret, job)
        reader.see("begun\n")
        self.cluster.kill("tms:alice")
        wait_for(lambda: self.own_refused(secret, "output", {"job": job, "look": "a random word"}) == "web.server",
                 "the end of the server")  # fmt: skip
        self.cluster.forget_talk("alice")
        self.cluster.start_tms("alice")
        wait_for(lambda: self.tried(reader), "the host, which comes back to the new server")
        Path(self.cluster.work, "go").touch()
        reader.end()
        self.assertEqual(reader.shown["stdout"], "begun\nwörks\noh\n")

    def tried(self, reader: Reader) -> bool:
        """Poll; return whether that was answered."""
        try:
            reader.poll()
        except Refused:
            return False
        return True

    def test_what_has_ended_is_read_without_its_host_and_a_task_out_of_its_bundle(self) -> None:
        secret = self.opened("look")
        (job,) = self.cluster.submit("alice", "echo wörks", stdout="out")
        (array,) = self.cluster.submit("alice", "echo task $TM_TASK_ID", array="0-2", bundle=True, stdout="all")
        self.cluster.wait([job, array])
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("deactivatehost", "n1")
        self.cluster.kill("tmms:alice:n1")
        reader = Reader(self, secret, job)
        reader.end()
        self.assertEqual(reader.shown["stdout"], "wörks\n")
        reader = Reader(self, secret, f"{array}_1")
        reader.end()
        self.assertIn("task", reader.shown["stdout"])
        self.assertEqual(self.own_refused(secret, "output", {"job": array, "look": "a random word"}), "job.state")

    def test_nobody_reads_the_output_of_others(self) -> None:
        (job,) = self.cluster.submit("alice", "echo secret", stdout="out")
        self.cluster.wait([job])
        self.cluster.start_tms("bob")
        bob = self.opened("submit", user="bob")
        self.assertEqual(self.own_refused(bob, "output", {"job": job, "look": "a random word"}), "job.unknown")

    def test_a_session_that_may_submit_submits_and_runs_again_and_others_do_not(self) -> None:
        wish = {"token": "web.1", "job": {"command": "echo $TM_JOB_ID > ran", "cwd": self.cluster.work}}
        self.assertEqual(self.own_refused(self.opened("act"), "submit", wish), "perm.grant")
        secret = self.opened("submit")
        given = self.own(secret, "submit", wish)
        self.assertEqual(self.own(secret, "submit", wish)["ids"], given["ids"])
        (first,) = self.cluster.wait(given["ids"])
        self.assertEqual((first["state"], first["cwd"]), ("completed", self.cluster.work))
        (again,) = self.own(secret, "rerun", {"token": "web.2", "ids": str(first["id"])})["ids"]
        self.cluster.wait([again])
        self.assertEqual(Path(self.cluster.work, "ran").read_text(), f"{again}\n")


class CheckTests(QuestionCase):
    def check(self, secret: str, name: str, **more: object) -> dict[str, Any]:
        """Poll until the check is over; return what it found."""
        wish = {"check": secrets.token_hex(8), "name": name, **more}
        last: dict[str, Any] = {}

        def over() -> bool:
            last.update(self.own(secret, "checkhost", wish))
            return bool(last["over"])

        wait_for(over, "the end of the check", 60)
        return last

    def test_hosts_are_checked_as_they_are_as_they_would_be_and_before_they_are_there(self) -> None:
        self.assertEqual(
            self.own_refused(self.opened("act"), "checkhost", {"check": "a random word", "name": "n1"}), "perm.grant"
        )
        secret = self.opened("submit")
        found = self.check(secret, "n1")
        topics = {one["topic"]: one for one in found["findings"]}
        self.assertEqual((topics["program"]["level"], found["error"]), ("good", None), found)
        found = self.check(secret, "n1", table={"python": "/no/such/python", "cores": 100_000})
        topics = {one["topic"]: one for one in found["findings"]}
        self.assertEqual((found["good"], topics["program"]["level"]), (False, "bad"), found)
        new = self.check(secret, "n7", table={"launcher": "local"}, new=True)
        self.assertEqual((new["host"], new["error"]), ("n7", None))
        self.assertIn("no host", self.check(secret, "n9")["error"])


class HostTests(QuestionCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 2, "policy": "ignore", "infoserver": True}
    }

    def test_processes_of_a_host_are_shown_as_its_infoserver_shows_them(self) -> None:
        secret = self.opened("look")
        said: list[dict[str, Any]] = []

        def there() -> bool:
            try:
                said[:] = self.said(secret, "hostask", "n1:processes:limit=1000")
            except Refused:
                return False
            return bool(said)

        wait_for(there, "the InfoServer; " + self.cluster.logs(), 30, 0.1)
        self.assertIn(os.getpid(), [one["pid"] for one in said])
        self.assertIn("cores", self.said(secret, "hostask", "n1:info")[0])
        self.assertEqual(self.refused(secret, "hostask", "n2:load"), "host.unknown")
        with self.cluster.dispatcher("bob") as bob:
            self.assertTrue(any("cpu:" in line for line in bob.ask("hostask", "n1:load").body))

    def test_a_host_that_hangs_holds_up_nobody_else(self) -> None:
        secret = self.opened("look")
        wait_for(lambda: self.refused_or_none(secret) is None, "the InfoServer; " + self.cluster.logs(), 30, 0.1)
        self.cluster.kill("infoserver:n1", signal.SIGSTOP)
        self.addCleanup(self.cluster.kill, "infoserver:n1", signal.SIGCONT)
        asked = {"secret": secret, "verb": "hostask", "rest": "n1:load", "number": 7}
        began = time.monotonic()
        self.assertEqual(self.web.ask("as.json", json.dumps(asked)), Reply())
        self.assertTrue(self.said(secret, "lshosts"))
        self.assertLess(time.monotonic() - began, 5.0)
        answer = self.web.event(topic="answer", number=7)
        self.assertEqual(answer["word"], "net.timeout")

    def refused_or_none(self, secret: str) -> str | None:
        try:
            self.said(secret, "hostask", "n1:load")
        except Refused as refused:
            return refused.word
        return None


class BrokenDispatcherTests(SynchronousTestCase):
    """A dispatcher in wrong hands asks a user's server what its user has not asked."""

    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.key = self.cluster.pair("alice")[1]
        self.number = 0

    def ask(self, false: FalseDispatcher, verb: str, argument: object, grant: str, sig: str) -> Any:
        """Return the class with which the server refuses, or its answer."""
        self.number += 1
        asked = {"topic": "asked", "number": self.number, "verb": verb, "argument": argument}
        false.event({**asked, "grant": grant, "sig": sig})

        def answers() -> list[dict[str, Any]]:
            said = [json.loads(request.rest or "{}") for request in list(false.said) if request.verb == "answered"]
            return [one for one in said if one["number"] == self.number]

        (answer,) = wait_for(answers, "an answer")
        return answer.get("word") or json.loads(answer["body"][0])

    def test_it_gets_nothing_without_a_live_grant_and_no_more_than_one_says(self) -> None:
        wish = {"token": "t", "job": {"command": "touch ran", "cwd": self.cluster.work}}
        with FalseDispatcher(self.cluster.port, os.path.join(self.cluster.etc, "certs")) as false:
            self.cluster.tms("alice").ask("weblogin", '{"may":"look"}')
            (login,) = [json.loads(one.rest or "") for one in false.said if one.verb == "weblogin"]
            look, sig = login["grant"], login["sig"]
            more = json.dumps({**json.loads(look), "may": "submit"})
            over = json.dumps({**json.loads(look), "may": "submit", "until": time.time() - 1})
            grants, orders = OrderSigner.from_key(self.key, GRANT), OrderSigner.from_key(self.key)
            good = grants.sign(over.replace(str(json.loads(over)["until"]), str(time.time() + 60)))
            for text, signature in (
                ("", ""), (look, sig), (more, sig), (more, "0" * 64), (more, orders.sign(more)),
                (over, grants.sign(over)), (more, good),
            ):  # fmt: skip
                self.assertEqual(self.ask(false, "submit", wish, text, signature), "perm.grant", text)
            self.assertNotIn("submit", [one.verb for one in false.said])
            view = {"id": 1, "user": "alice", "state": "completed", "host": "n1", "stdout": self.key}
            spec = {"user": "alice", "command": "true", "cwd": "/", "environment": "", "stdout": self.key}
            text = {"id": "1", "text": json.dumps(spec), "sig": grants.sign(json.dumps(spec))}
            false.answers["jobinfo"] = Reply("", [json.dumps(view)])
            false.answers["jobtexts"] = Reply("1", [json.dumps(text)])
            asked = {"job": 1, "look": "a random word"}
            self.assertEqual(self.ask(false, "output", asked, look, sig), "auth.signature")
            self.assertEqual(self.ask(false, "output", asked, "", ""), "perm.grant")
