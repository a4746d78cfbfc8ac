"""``hRunJob`` as it gives orders for jobs: what it says to a server, and how it ends."""

from __future__ import annotations

import json

from tests.unit.client.house import House
from tm.client import hrunjob
from tm.wire.message import Reply, Request, unquote

VERBS = "canceljob holdjob releasejob suspendjob resumejob signaljob requeuejob changejob tryjobs rerun".split()


class ControlTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve_tms()
        self.reply = Reply("held 2")
        self.server.answers.update(dict.fromkeys(VERBS, lambda talker, request: self.reply))

    def run_it(self, *argv: str) -> tuple[int, str, str]:
        return self.run_client(hrunjob.main, *argv)

    def said(self, *argv: str) -> Request:
        """Return what is said to the server for *argv*."""
        status, _, err = self.run_it(*argv)
        self.assertEqual((0, ""), (status, err))
        return self.server.heard[-1]

    def parts(self, *argv: str) -> list[str]:
        """Return the verb and its plain arguments."""
        request = self.said(*argv)
        return [request.verb, *map(unquote, (request.rest or "").split(":"))]

    def test_each_order_is_a_verb_with_what_was_named(self) -> None:
        for option, verb in (
            ("-k", "canceljob"), ("--hold-job", "holdjob"), ("--release", "releasejob"), ("--suspend", "suspendjob"),
            ("--resume", "resumejob"), ("--requeue-job", "requeuejob"),
        ):  # fmt: skip
            self.assertEqual([verb, "3 5-7"], self.parts(option, "3", "5-7"))
        self.assertEqual(
            ["holdjob", "17_[0-9,20] state=pending"], self.parts("--hold-job", "17_[0-9,20]", "state=pending")
        )
        self.assertEqual(["canceljob", "name=a%b:c*"], self.parts("--kill", "name=a%b:c*"))

    def test_a_reason_is_said_with_it_where_there_is_one(self) -> None:
        self.assertEqual(["canceljob", "3", "wrong: input"], self.parts("-k", "3", "--reason", "wrong: input"))
        status, _, err = self.run_it("--resume", "3", "--reason", "x")
        self.assertEqual((2, True), (status, "takes no --reason" in err))

    def test_a_signal_stands_before_the_jobs(self) -> None:
        self.assertEqual(["signaljob", "3", "USR1"], self.parts("--send-signal", "sigusr1", "3"))
        for argv in (("USR1",), ("NOPE", "3"), ("3", "USR1")):
            self.assertEqual(2, self.run_it("--send-signal", *argv)[0], argv)

    def test_a_dry_run_asks_what_would_be_touched(self) -> None:
        self.reply = Reply("2 would be held", ["3-4: would be held", "9: has started already"])
        self.assertEqual(
            (0, "3-4: would be held\n2 would be held\n", "hRunJob: 9: has started already\n"),
            self.run_it("--hold-job", "3,4,9", "--dry-run"),
        )
        self.assertEqual("tryjobs", self.server.heard[-1].verb)
        self.assertEqual("holdjob:3,4,9", self.server.heard[-1].rest)

    def test_changes_are_read_as_at_submission(self) -> None:
        request = self.said("--change", "17", "time=1h30m", "mem=2G", "cap=none", "hosts=n[1-2]", "dependency=none")
        self.assertEqual("changejob", request.verb)
        self.assertEqual(
            {"ids": "17", "reason": "", "set": {
                "time": 5400.0, "memory": 2 << 30, "cap": 0, "hosts": ["n1", "n2"], "dependency": "",
            }},
            json.loads(request.rest or ""),
        )  # fmt: skip

    def test_changes_that_are_none_are_refused_with_a_sentence(self) -> None:
        for words in (["17"], ["time=1h"], ["17", "colour=red"], ["17", "time=soon"], ["17", "exclusive=perhaps"]):
            status, out, err = self.run_it("--change", *words)
            self.assertEqual((2, "", 1), (status, out, err.count("\n")), words)

    def test_what_was_left_is_told_and_fails_where_it_was_named(self) -> None:
        self.reply = Reply("held 2", ["9: is held already"])
        self.assertEqual((1, "held 2\n", "hRunJob: 9: is held already\n"), self.run_it("--hold-job", "3,4,9"))
        self.assertEqual((0, "held 2\n", "hRunJob: 9: is held already\n"), self.run_it("--hold-job", "name=*"))
        self.assertEqual((1, "", "hRunJob: 9: is held already\n"), self.run_it("-q", "--hold-job", "3,4,9"))

    def test_as_json_it_is_what_the_server_said(self) -> None:
        row = '{"ids":"9","jobs":1,"done":false,"why":"is held already"}'
        self.reply = Reply("held 2", [row])
        self.assertEqual((1, row + "\n", ""), self.run_it("--json", "--hold-job", "3,4,9"))

    def test_a_rerun_is_said_to_ones_own_server_with_a_token(self) -> None:
        self.reply = Reply("accepted 2", ["18", "19"])
        self.assertEqual((0, "accepted 2 jobs 18-19\n", ""), self.run_it("--rerun", "3", "17", "--failed"))
        wish = json.loads(self.server.heard[-1].rest or "")
        self.assertEqual(("3 17", True, 24), (wish["ids"], wish["failed"], len(wish["token"])))
        self.assertEqual((0, "18\n19\n", ""), self.run_it("-q", "--rerun", "3"))

    def test_wrong_usage_is_2(self) -> None:
        for argv in (("--failed", "--release", "3"), ("--hold-job",), ("--hold-job", "3-1"), ("--release", "x"),
                     ("--release", "3", "--suspend", "4"), ("--rerun", "3", "--dry-run")):  # fmt: skip
            self.assertEqual(2, self.run_it(*argv)[0], argv)
