"""Who visits jobs on a host: what is refused, and what holders and readers are told."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.host_book import Book, Claim, Snapshot
from tm.daemon.orders import Order
from tm.daemon.visitors import Holding, Visitors
from tm.model.lifecycle import Fact

PLAIN = {"user": "alice", "command": "true", "cwd": "/", "environment": "0" * 64}


class Streams:
    """Notes visits."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def look(self, *asked: Any) -> None:
        self.asked.append(("look", *asked))

    def follow(self, *asked: Any) -> None:
        self.asked.append(("follow", *asked))

    def refuse(self, *asked: Any) -> None:
        self.asked.append(("refuse", *asked))

    def over(self, fact: Fact) -> None:
        self.asked.append(("over", fact.job))


class Keeping:
    """Has a keeper, or not."""

    def __init__(self) -> None:
        self.there = True
        self.entry: dict[str, Any] = {}

    def beside(self, claim: Claim, make: Any) -> bool:
        self.entry = make({"job": claim.key[0], "attempt": 1, "command": "true", "vars": {"A": "b"}, "stdout": "out"})
        return self.there


class VisitorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.book = Book(Snapshot("spool", "boot"))
        self.streams, self.keeping = Streams(), Keeping()
        self.spool = self.mktemp()
        os.mkdir(self.spool)
        self.visitors = Visitors(
            self.book, self.keeping, Holding(["holder"], self.spool), self.streams, "n1", "/outputs"
        )  # fmt: skip

    def claim(self, job: int, *, runs: bool = True, **more: object) -> Claim:
        (claim,) = self.book.claim([Order(job, job, 1, 1, json.dumps({**PLAIN, **more}), "")])
        if runs:
            self.book.learn(Fact(job, 1, "started", 1.0, pid=5))
        return claim

    def ask(self, topic: str, job: int, **more: object) -> Any:
        self.visitors.event(json.dumps({"topic": topic, "job": job, "number": 3, **more}).encode())
        return self.streams.asked.pop()

    def test_a_command_begins_with_who_waits_for_it_or_is_only_watched(self) -> None:
        path = os.path.join(self.spool, "run-{}-1-0.sock")
        self.visitors.start(self.claim(7, interactive=True, terminal=[30, 90]))
        self.visitors.start(self.claim(8, interactive=True, detach=True))
        self.assertEqual(
            [("look", (7, 1), 0, path.format(7), "attach types 30 90"),
             ("look", (8, 1), 0, path.format(8), "attach watches 0 0")],
            self.streams.asked,
        )  # fmt: skip

    def test_who_attaches_types_or_watches(self) -> None:
        self.claim(7, interactive=True)
        path = os.path.join(self.spool, "run-7-1-0.sock")
        self.assertEqual(("look", (7, 1), 3, path, "attach types 24 80"), self.ask("attach", 7, rows=24, columns=80))
        self.assertEqual(("look", (7, 1), 3, path, "attach watches 0 0"), self.ask("attach", 7, watch=True))

    def test_what_cannot_be_visited_is_refused_in_a_sentence(self) -> None:
        self.claim(7)
        self.claim(8, runs=False, interactive=True)
        ended = self.claim(9, interactive=True)
        ended.fact = Fact(9, 1, "ended", 2.0, exit_code=0)
        suspended = self.claim(10)
        suspended.pause = Fact(10, 1, "suspended", 2.0, turn=1)
        for job, topic, said in (
            (7, "attach", "has no terminal"), (8, "attach", "does not run on n1"), (9, "attach", "does not run"),
            (4711, "beside", "does not run"), (10, "beside", "is suspended"),
        ):  # fmt: skip
            word, key, number, kind, reason = self.ask(topic, job)
            self.assertEqual(("refuse", (job, 0), 3, "job.move"), (word, key, number, kind))
            self.assertIn(said, reason)

    def test_a_shell_beside_a_job_is_held_in_its_name(self) -> None:
        self.claim(7)
        path = os.path.join(self.spool, "run-7-1-3.sock")
        asked = self.ask("beside", 7, rows=24, columns=80, term="vt100")

        self.assertEqual(("look", (7, 1), 3, path, "attach types 24 80"), asked)
        self.assertEqual(
            ["holder", self.spool, "run-7-1-3.sock", "beside", "terminal"], self.keeping.entry["command"][:5]
        )
        self.assertEqual(
            ({"A": "b", "TERM": "vt100"}, None), (self.keeping.entry["vars"], self.keeping.entry["stdout"])
        )

        self.keeping.there = False
        self.assertIn("its keeper is gone", self.ask("beside", 7)[-1])

    def test_output_is_read_where_it_is_and_once_when_the_job_is_over(self) -> None:
        files = [[1, "/a", -1]]
        claim = self.claim(7)
        self.claim(8, bundle=True, array="0-3", stdout="all")
        self.assertEqual(
            ("follow", (7, 1), 3, [(1, "/a", -1)], 10, False), self.ask("follow", 7, files=files, lines=10)
        )
        self.assertEqual(
            ("follow", (8, 1), 3, [(1, "/outputs/8.1", 0)], None, False), self.ask("follow", 8, files=files)
        )
        claim.fact = Fact(7, 1, "ended", 2.0, exit_code=0)
        self.assertEqual(("follow", (7, 1), 3, [(1, "/a", -1)], None, True), self.ask("follow", 7, files=files))
        self.assertEqual(("follow", (4711, 0), 3, [(1, "/a", -1)], None, True), self.ask("follow", 4711, files=files))

    def test_endings_are_told_and_starts_are_not(self) -> None:
        self.visitors.facts([Fact(7, 1, "started", 1.0), Fact(7, 1, "ended", 2.0, exit_code=0)])
        self.assertEqual([("over", 7)], self.streams.asked)

    def test_what_runs_is_looked_after_again_and_sockets_of_the_dead_go(self) -> None:
        self.claim(7, interactive=True)
        self.claim(8)
        for name in ("run-7-1-0.sock", "run-6-1-0.sock", "run-6-2-4.sock", "keeper-1.sock"):
            open(os.path.join(self.spool, name), "w").close()
        self.visitors.find()

        self.assertEqual([(7, 1)], [asked[1] for asked in self.streams.asked])
        self.assertEqual(["keeper-1.sock", "run-7-1-0.sock"], sorted(os.listdir(self.spool)))
