"""The JSON of every verb about jobs, held against files: which keys there are, and of what kind their values.

A program that reads these answers breaks when a key goes or a value becomes of another kind. Where that is meant, run
this with TM_WRITE_GOLDEN=1 in the environment, and look at what changes in ``tests/data/golden``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tests.support.daemons import NotedPeer, refusal
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.model.ids import task_id
from tm.model.rights import DISPATCHER, OWNER
from tm.places import find_root
from tm.wire.message import Reply

GOLDEN = Path(find_root(), "tests", "data", "golden")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
_TASK = re.compile(r"\d+_\d+\Z")
FREE = ("asked", "changed", "indices", "counts", "by_state")
"""Objects whose keys say something of one job and are not the same for all."""

DEMAND = {"cores": 1, "time": 60.0, "memory": 1 << 30}

SAYINGS: dict[str, list[str]] = {
    "lsjobs": ["lsjobs.json", "lsjobs.json:array=4", "lsjobs.json:state=ended"],
    "countjobs": ["countjobs.json", "countjobs.json:state=ended"],
    "jobinfo": [f"jobinfo.json:{number}" for number in ("1", "2", "3", "4", "4_0", "4_1", "4_3", "5", "6")],
    "holdjob": ["holdjob.json:1,3:a talk"],
    "releasejob": ["releasejob.json:1,3"],
    "suspendjob": ["suspendjob.json:4_0,3"],
    "resumejob": ["resumejob.json:4_0,3"],
    "signaljob": ["signaljob.json:3,4_0:USR1"],
    "changejob": ['changejob.json:{"ids":"2-3","set":{"priority":2}}'],
    "tryjobs": ["tryjobs.json:canceljob:2,4_[2-3],99"],
    "requeuejob": ["requeuejob.json:3,4_0"],
    "jobtexts": ["jobtexts:1", "jobtexts:4_[0-1]"],
    "whyjob": ["whyjob.json:3", "whyjob.json:4", "whyjob.json:2"],
    "fits": ["fits.json:" + json.dumps(DEMAND)],
    "lsshares": ["lsshares.json"],
    "usage": ["usage.json:by=user,group,month"],
    "joblog": ["joblog.json:4"],
    "canceljob": ["canceljob.json:3,99"],
}
"""What is said, verb by verb, in this order."""


class Kind:
    """Of what kinds values were: *words* for plain ones, the kinds of an object's *fields* and in how many objects each
    was, the kind of all *items* of lists."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.fields: dict[str, Kind] = {}
        self.counts: dict[str, int] = {}
        self.objects = 0
        self.items: Kind | None = None

    def see(self, value: object) -> None:
        """Take in one more value."""
        if isinstance(value, dict):
            self.objects += 1
            for name, item in value.items():
                self.counts[name] = self.counts.get(name, 0) + 1
                if name in FREE and isinstance(item, dict):
                    self.fields.setdefault(name, Kind()).words.add("object")
                else:
                    self.fields.setdefault(name, Kind()).see(item)
        elif isinstance(value, list):
            self.items = self.items or Kind()
            for item in value:
                self.items.see(item)
        else:
            self.words.add(_word(value))

    def shown(self) -> object:
        """Return it as a value: a key that was not in all objects has a ``?``."""
        whole: object = None
        if self.objects:
            names = {name: name + "?" * (count < self.objects) for name, count in self.counts.items()}
            whole = {shown: self.fields[name].shown() for name, shown in names.items()}
        elif self.items is not None:
            whole = [self.items.shown()]
        words = "|".join(sorted(self.words))
        if whole is None:
            return words
        return {f"{words}, or": whole} if words else whole


def _word(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "boolean"
    if isinstance(value, str):
        return "time" if _TIME.match(value) else "task" if _TASK.match(value) else "text"
    return "number"


class GoldenTests(DispatcherCase):
    """Of alice: 1 has failed, 2 waits again since it was put back, 3 waits for a time and was changed, 4 is an array of
    which a task runs and one was killed, 5 waits for 3 and is held, 6 was cancelled."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.attached()
        self.watcher = NotedPeer("alice")
        self.said(self.watcher, "subscribe:jobs")
        self.reports = 0
        self.said(self.server, self.hello())
        for token, more in (
            ("a", {"name": "one", "requeue": True}), ("b", {"time": 600.0, "stdout": "%j.out"}),
            ("c", {"begin": 90000.0}), ("d", {"array": "0-5", "array_cap": 2, "name": "grid"}),
            ("e", {"dependency": "afterok:3", "hold": True}), ("f", {}),
        ):  # fmt: skip
            self.said(self.server, self.submission(token, **more))
        self.told(1, "started", pid=41)
        self.told(2, "started", pid=42, rung="sampled")
        self.order("requeuejob:2:a bad disk")
        self.told(2, "ended", signal=15, cpu_seconds=0.5, max_rss=1 << 20)
        self.order("canceljob:6:no more")
        self.told(1, "ended", exit_code=3, cpu_seconds=1.5, max_rss=1 << 20, io_read=1, io_written=2)
        self.order('changejob:{"ids":"3","set":{"boost":500}}', "root")
        brain = self.dispatcher.brain
        for number in (2, task_id(4, 0), task_id(4, 1)):
            job = brain.jobs.get(number)
            if job is not None and job.host is not None:
                self.told(number, "started", attempt=job.attempt, pid=50)
        self.order("canceljob:4_5")
        self.told(task_id(4, 1), "ended", signal=9, cpu_seconds=0.1)

    def told(self, job: int, what: str, attempt: int = 1, **more: object) -> None:
        self.reports += 1
        fact = {"job": job, "attempt": attempt, "what": what, "at": self.clock.seconds(), **more}
        self.said(self.server, self.report(self.reports, fact))

    def order(self, line: str, user: str = "alice") -> Reply:
        answer = self.say(NotedPeer(user), line).addErrback(refusal)
        self.settle()
        return self.successResultOf(answer)

    def test_the_answers_have_the_keys_and_kinds_that_programs_know(self) -> None:
        complaints = []
        for verb, lines in SAYINGS.items():
            found = Kind()
            for line in lines:
                answer = self.order(line)
                self.assertTrue(answer.ok, f"{line}: {answer}")
                for text in answer.body:
                    found.see(json.loads(text))
            complaints += self.compare(verb, found.shown())
        self.assertEqual(complaints, [])

    def test_events_have_the_keys_and_kinds_that_programs_know(self) -> None:
        self.order("holdjob:3")
        self.order("canceljob:1-6,4")
        found = Kind()
        for event in self.watcher.heard("jobs"):
            found.see(event)
        self.assertEqual(self.compare("event", found.shown()), [])

    def compare(self, name: str, found: object) -> list[str]:
        """Return how *found* differs from the file of this *name*; write the file where that is asked for."""
        path = GOLDEN / f"{name}.json"
        text = json.dumps(found, indent=1, sort_keys=True) + "\n"
        if os.environ.get("TM_WRITE_GOLDEN"):
            path.write_text(text, encoding="utf-8")
        if not path.exists():
            return [f"there is no {path}"]
        known = path.read_text(encoding="utf-8")
        return [] if text == known else [f"{name}: the file says\n{known}\nthe answer is\n{text}"]

    def test_every_verb_about_jobs_is_here(self) -> None:
        about_jobs = {verb for verb, rule in DISPATCHER.items() if rule is OWNER}
        self.assertEqual(about_jobs - SAYINGS.keys(), set())
