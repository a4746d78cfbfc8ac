"""Who is the only one of a name: as if all jobs were counted anew each time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.properties import examples
from tm.model.job import Job, new_job
from tm.model.names import Names


class NamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.waiting: set[int] = set()

    def earlier(self, job: Job) -> list[int]:
        return [number for number, other in self.jobs.items() if number < job.id and other.name == job.name]

    @examples(100)
    @given(st.integers(0, 1 << 32))
    def test_the_first_of_a_name_is_the_one_that_is_let_go(self, seed: int) -> None:
        dice = random.Random(seed)
        self.setUp()
        names = Names(lambda job: len(self.earlier(job)))
        for number in range(1, 60):
            what = dice.choice(
                ("new", "new", "new single", "new single", "end", "end", "begin to wait", "wait no more")
            )
            job = self.jobs[dice.choice(list(self.jobs))] if self.jobs else None
            if what.startswith("new"):
                job, _ = new_job(number, *order(name=dice.choice("ab")), 0.0)
                self.jobs[number] = job
                names.came(job)
                if "single" in what:
                    self.waiting.add(number)
                    names.wait(job)
            elif job is not None and what == "end":
                self.end(names, job)
            elif job is not None and what == "begin to wait" and job.id not in self.waiting:
                self.waiting.add(job.id)
                names.wait(job)
            elif job is not None and what == "wait no more" and job.id in self.waiting:
                self.waiting.discard(job.id)
                names.wait_no_more(job)
            for waiting in self.waiting:
                self.assertEqual(names.is_first(self.jobs[waiting]), not self.earlier(self.jobs[waiting]))
        for job in list(self.jobs.values()):
            self.end(names, job)
        self.assertEqual((names._counts, names._lines), ({}, {}))

    def end(self, names: Names, job: Job) -> None:
        if job.id in self.waiting:
            self.waiting.discard(job.id)
            names.wait_no_more(job)
        del self.jobs[job.id]
        free = [number for number in self.waiting if self.jobs[number].name == job.name]
        self.assertEqual(
            names.went(job), sorted(number for number in free if not self.earlier(self.jobs[number]))
        )
