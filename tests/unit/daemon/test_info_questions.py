"""What an InfoServer answers through the dispatcher: what it shows to that user, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.unit.daemon.test_info_server import ReporterCase
from tm.daemon.info_questions import MOST_AT_ONCE
from tm.daemon.info_verbs import InfoVerbs
from tm.wire.message import Reply


def process(pid: int, command: str) -> dict[str, object]:
    return {"pid": pid, "user": "eve", "cpu": 0.5, "memory": 1, "job": None, "ours": False, "depth": 0,
            "command": command}  # fmt: skip


class QuestionTests(ReporterCase):
    def setUp(self) -> None:
        super().setUp()
        self.verbs = InfoVerbs(self.server, lambda transport: "alice")
        self.settle()

    def ask(self, question: str, rest: str | None = None, **more: object) -> None:
        asked = {"topic": "asked", "number": 7, "question": question, "user": "bob", "rest": rest, "json": True, **more}
        self.reporter.event(self.link, json.dumps(asked).encode())

    def answers(self) -> list[Any]:
        """Return what was answered since."""
        self.house.worker.work()
        while any(verb == "infoanswer" for verb, _ in self.link.said[-1:]) and self.link.waiting:
            self.link.answer(Reply())
        said, self.link.said = self.link.said, []
        return [argument for verb, argument in said if verb == "infoanswer"]

    def test_it_answers_as_it_answers_that_user_itself(self) -> None:
        self.house.probe.shown = [process(1, "ls"), process(2, "ps")]
        self.ask("processes", "user=eve:job=17:limit=1")
        self.assertEqual(self.answers(), [{"number": 7, "body": [msgspec.json.encode(process(1, "ls")).decode()]}])
        self.assertEqual(self.house.probe.asked, [("eve", 17, "bob")])
        self.ask("gpus", json=False)
        (answer,) = self.answers()
        self.assertIn("Fast 3000", answer["body"][0])
        self.ask("history", "load:1h")
        (answer,) = self.answers()
        self.assertEqual(json.loads(answer["body"][0])["value"], 1.5)

    def test_a_thousand_processes_with_long_commands_fit(self) -> None:
        self.house.probe.shown = [process(number, '\x1b"' * 2000) for number in range(1000)]
        self.ask("processes")
        parts = self.answers()
        self.assertGreater(len(parts), 1)
        lines = [json.loads(line) for part in parts for line in part["body"]]
        self.assertEqual(lines, self.house.probe.shown)

    def test_what_is_refused_or_cannot_be_asked_so_is_an_error(self) -> None:
        for question, rest, word in (
            ("subscribe", None, "proto.verb"), ("whoami", None, "proto.verb"), ("processes", "x=y", "proto.arguments"),
            ("history", "load", "proto.arguments"),
        ):  # fmt: skip
            self.ask(question, rest)
            (answer,) = self.answers()
            self.assertEqual(answer["word"], word)

    def test_it_does_only_so_much_at_once(self) -> None:
        for _ in range(MOST_AT_ONCE + 1):
            self.ask("processes")
        words = [answer.get("word") for answer in self.answers()]
        self.assertEqual(sorted(map(str, words)), ["None"] * MOST_AT_ONCE + ["limit.questions"])
        self.ask("processes")
        self.assertEqual([answer.get("word") for answer in self.answers()], [None])

    def test_a_question_at_which_it_fails_is_answered_with_that(self) -> None:
        self.house.worker.broken = OSError("no such device")
        self.ask("processes")
        (answer,) = self.answers()
        self.assertEqual(answer["word"], "internal.error")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_what_cannot_be_read_is_passed_over(self) -> None:
        self.ask("load", number="x")
        self.assertEqual(self.answers(), [])
