"""Programs at a real web interface: tokens, jobs from submission to output, the document, the examples in the docs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.browser import WebCluster
from tests.support.documents import REFUSAL, faults
from tests.support.processes import wait_for
from tm.places import find_root
from tm.web.api.document import answer_schema, document_text
from tm.web.api.table import TABLE

DOCUMENT = Path(find_root(), "docs", "api.md")
PATIENCE = 20.0


class ApiCase(SynchronousTestCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 2, "policy": "ignore", "infoserver": True}
    }

    def setUp(self) -> None:
        self.cluster = WebCluster(hosts=self.hosts)
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.cluster.start_web()
        self.tokens: dict[tuple[str, str], str] = {}

    def token(self, user: str = "alice", may: str = "submit") -> str:
        if (user, may) not in self.tokens:
            made = self.program(user, "tm", "token", "create", f"{may}-1", "--may", may, "--json")
            self.tokens[user, may] = json.loads(made)["token"]
        return self.tokens[user, may]

    def program(self, user: str, name: str, *words: str) -> str:
        """Return what a program of *user* says on stdout."""
        ended = subprocess.run(
            [sys.executable, os.path.join(find_root(), "bin", name), *words], env=self.cluster.environment(user),
            cwd=self.cluster.work, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended.stdout

    def open(self, method: str, path: str, body: object = None, user: str = "alice", may: str = "submit") -> Any:
        """Return the answer, open, to what a program says."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cluster.url.rstrip("/") + path, data, method=method)
        request.add_header("Authorization", f"Bearer {self.token(user, may)}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            return urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as refused:
            return refused

    def call(self, method: str, path: str, body: object = None, status: int = 0, **who: str) -> Any:
        """Return the value that is answered; it is as the document says."""
        with self.open(method, "/api/v1" + path, body, **who) as answer:
            value = json.load(answer)
        plain = path.partition("?")[0]
        endpoint = next(one for one in TABLE if one.method == method and _matches(one.path, plain))
        self.assertEqual(answer.status, status or endpoint.status, (path, value))
        self.assertEqual(faults(answer_schema(endpoint) if answer.status < 400 else REFUSAL, value), [], path)
        return value

    def until(self, path: str, good: Any, what: str, **who: str) -> Any:
        """Return what is answered once it is *good*."""
        found: list[Any] = []

        def there() -> bool:
            with self.open("GET", "/api/v1" + path, **who) as answer:
                found[:] = [json.load(answer)]
                return answer.status == 200 and bool(good(found[0]))

        wait_for(there, f"{what}; {self.cluster.logs()}", PATIENCE, 0.05)
        return self.call("GET", path, **who)


def _matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"<\w+>", "[^/]+", pattern), path) is not None and not (
        "<job>" in pattern and path in ("/jobs/count", "/jobs/actions")
    )


class ProgramTests(ApiCase):
    def test_a_job_is_submitted_followed_changed_and_run_again(self) -> None:
        work = self.cluster.work
        steps = "echo begun; while ! [ -e go ]; do sleep 0.02; done; echo oh >&2; exit 6"
        job = {"command": steps, "cwd": work, "stdout": "out", "stderr": "err", "name": "watched"}
        given = self.call("POST", "/jobs", {"job": job, "token": "one"})
        self.assertEqual(self.call("POST", "/jobs", {"job": job, "token": "one"})["ids"], given["ids"])
        (number,) = given["ids"]
        self.until(f"/jobs/{number}", lambda one: one["state"] == "running", "the start of the job")
        seen = self.call("GET", f"/jobs/{number}/output?lines=10")
        text = {"stdout": seen["stdout"]["text"], "stderr": seen["stderr"]["text"]}
        end = time.monotonic() + PATIENCE
        while seen["next"] is not None:
            self.assertLess(time.monotonic(), end, seen)
            if text["stdout"]:
                Path(work, "go").touch()
            seen = self.call("GET", seen["next"].removeprefix("/api/v1"))
            for name in text:
                text[name] += seen[name]["text"]
        self.assertEqual(text, {"stdout": "begun\n", "stderr": "oh\n"})
        ended = self.call("GET", f"/jobs/{number}")
        self.assertEqual((ended["state"], ended["exit_code"], ended["name"]), ("failed", 6, "watched"))
        events = [one["what"] for one in self.call("GET", f"/jobs/{number}/events")["items"]]
        self.assertEqual((events[0], events[-1]), ("submitted", "failed"))
        order = {"verb": "rerun", "ids": str(number), "failed": True}
        again = self.call("POST", "/jobs/actions", order)
        (done,) = again["items"]
        self.until(f"/jobs/{done['ids']}", lambda one: one["state"] == "failed", "the end of the second one")

    def test_arrays_are_paged_cancelled_and_listed_task_by_task(self) -> None:
        (array,) = self.call("POST", "/jobs", {"job": {"command": "sleep 60", "array": "0-9"}})["ids"]
        self.until(f"/jobs/{array}", lambda one: one["state"] == "running", "the start of the array")
        plan = self.call("POST", "/jobs/actions", {"verb": "cancel", "ids": f"{array}_[5-9]", "dry_run": True})
        self.assertEqual(plan["items"][0]["jobs"], 5)
        self.call("POST", "/jobs/actions", {"verb": "cancel", "ids": f"{array}_[5-9]", "reason": "enough"})
        self.call("GET", f"/jobs?array={array}")
        listed = self.until(
            f"/jobs?tasks=each&state=running&array={array}&limit=1", lambda one: one["next"], "two tasks"
        )
        other = self.call("GET", listed["next"].removeprefix("/api/v1"))
        self.assertNotEqual(listed["items"][0]["id"], other["items"][0]["id"])
        self.assertEqual(self.call("GET", f"/jobs/{array}/why")["id"], array)
        self.call("POST", "/jobs/actions", {"verb": "cancel", "ids": str(array)})
        over = self.until(f"/jobs/{array}", lambda one: one["ended_at"], "the end of the array")
        self.assertEqual(over["state"], "cancelled")
        logged = self.call("GET", f"/jobs/{array}/tasks")["items"]
        self.assertGreaterEqual(len(logged), 2)

    def test_questions_of_hosts_people_and_the_dispatcher_fit_the_document(self) -> None:
        self.until("/hosts", lambda one: one["items"][0]["info"]["state"] == "up", "the InfoServer")
        self.until("/hosts/n1/load", lambda one: True, "a look at the host")
        for path in (
            "/hosts/n1", "/hosts/n1/processes?limit=5", "/hosts/n1/system", "/hosts/n1/logins",
            "/hosts/n1/history/load/1h", "/status", "/whoami", "/shares",
            "/usage", "/users", "/groups", "/sessions", "/audit?lines=3", "/log?lines=20", "/properties", "/jobs/count",
        ):  # fmt: skip
            self.call("GET", path)
        found = self.call("POST", "/fits", {"cores": 1})
        self.assertEqual([one["fits"] for one in found["items"]], ["now"])
        self.assertEqual(self.call("GET", "/hosts/n9", status=404)["error"]["class"], "host.unknown")
        self.assertEqual(self.call("GET", "/jobs?colour=red", status=400)["error"]["class"], "proto.arguments")
        check = self.call("POST", "/hosts/checks", {"name": "n1"})
        end = time.monotonic() + PATIENCE
        while not check["over"]:
            self.assertLess(time.monotonic(), end)
            check = self.call("POST", "/hosts/checks", {"name": "n1", "check": check["check"]})
        self.assertIsNone(check["error"], check)
        self.assertTrue(check["findings"])
        older = self.call("GET", self.call("GET", "/log?lines=2")["next"].removeprefix("/api/v1"))
        self.assertTrue(older["items"])
        with self.open("GET", "/api/openapi.json") as answer:
            self.assertEqual(answer.read().decode(), document_text())

    def test_a_token_does_what_it_may_for_whose_it_is_until_it_is_revoked(self) -> None:
        (number,) = self.call("POST", "/jobs", {"job": {"command": "sleep 60"}})["ids"]
        order = {"verb": "cancel", "ids": str(number)}
        self.call("POST", "/jobs/actions", order, status=403, may="look")
        self.call("POST", "/jobs", {"job": {"command": "true"}}, status=403, may="act")
        self.call("GET", f"/jobs/{number}/output", may="look")
        self.call("GET", f"/jobs/{number}", status=404, user="bob")
        self.call("POST", "/jobs/actions", order, status=404, user="bob")
        self.call("GET", f"/jobs/{number}/output", status=404, user="bob")
        self.call("POST", "/jobs/actions", order, may="act")
        (used,) = [one for one in self.call("GET", "/sessions")["items"] if one["name"] == "act-1"]
        self.program("alice", "tm", "token", "revoke", used["id"])
        began = time.monotonic()
        wait_for(lambda: self.open("GET", "/api/v1/whoami", may="act").status == 401, "the end of the token", 5)
        self.assertLess(time.monotonic() - began, 5)

    def test_events_tell_what_has_changed(self) -> None:
        with self.open("GET", "/api/v1/events?topics=jobs", may="look") as stream:
            self.assertEqual(stream.headers["Content-Type"].partition(";")[0], "text/event-stream")
            (number,) = self.call("POST", "/jobs", {"job": {"command": "true"}})["ids"]
            lines, named = [], ""
            while f'"ids":[{number}' not in named:
                line = stream.readline().decode()
                self.assertTrue(line, lines)
                lines.append(line)
                named = line if line.startswith("data:") else ""
        self.assertIn("event: jobs\n", lines)

    def test_prometheus_is_told_what_happens(self) -> None:
        (number,) = self.call("POST", "/jobs", {"job": {"command": "true"}})["ids"]
        self.until(f"/jobs/{number}", lambda one: one["state"] == "completed", "the end of the job")
        wait_for(lambda: self.metrics().get(("tm_queue_wait_seconds_count", "")) == 1, "the wait is counted", PATIENCE)
        wait_for(lambda: self.metrics().get(("tm_hosts", "up")) == 1, "the host is known", PATIENCE)
        found = self.metrics()
        self.assertEqual(found["tm_dispatcher_up", ""], 1)
        self.assertEqual(found["tm_jobs_ended_total", "completed"], 1)
        self.assertLess(found["tm_web_memory_bytes", ""], 150 << 20)

    def metrics(self) -> dict[tuple[str, str], float]:
        """Return the samples by name and state."""
        with self.open("GET", "/metrics", may="look") as answer:
            text = answer.read().decode()
        return {
            (sample.name, sample.labels.get("state", "")): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples
        }  # fmt: skip


class ExampleTests(ApiCase):
    """The commands in ``docs/api.md``, one after the other; ``…`` in what they answer stands for anything."""

    def test_the_examples_answer_what_the_page_says(self) -> None:
        for program in ("curl", "jq"):
            if shutil.which(program) is None:
                raise SkipTest(f"{program} is not installed (Debian: apt install {program})")
        programs = os.path.join(self.cluster.folder, "bin")
        os.makedirs(programs)
        Path(programs, "tm").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{find_root()}/bin/tm" "$@"\n')
        os.chmod(os.path.join(programs, "tm"), 0o700)
        environment = self.cluster.environment("alice")
        environment["PATH"] = programs + ":" + environment["PATH"]
        environment["TM"] = self.cluster.url.rstrip("/")
        shell = subprocess.Popen(
            ["bash"], env=environment, cwd=self.cluster.work, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert shell.stdin is not None and shell.stdout is not None
        self.addCleanup(shell.wait, 30)
        self.addCleanup(shell.stdout.close)
        self.addCleanup(shell.stdin.close)
        for command, expected in examples():
            shell.stdin.write(f"{command}\necho; echo =END=\n")
            shell.stdin.flush()
            lines: list[str] = []
            while not lines or lines[-1] != "=END=\n":
                line = shell.stdout.readline()
                self.assertTrue(line, (command, lines))
                lines.append(line)
            said = "".join(lines[:-1]).strip()
            self.assertTrue(answers(expected, said), f"$ {command}\nanswers\n{said}\nand not\n{expected}")


def examples() -> list[tuple[str, str]]:
    """Return the commands in the document, and what each answers."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.split("\n")
            last = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
            found.append(("\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :]).strip()))
    return found


def answers(expected: str, said: str) -> bool:
    """Whether *said* is what was *expected*, where ``…`` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), said, re.DOTALL) is not None
