"""Submissions that wait for jobs which the brain has forgotten: in order, once, and never for what is not there."""

from __future__ import annotations

import json
from dataclasses import replace

from twisted.internet.defer import Deferred

from tests.support.daemons import HandWorker
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.daemon.surroundings import Surroundings
from tm.model.phase import Phase
from tm.wire.message import Reply


class DependenciesTests(DispatcherCase):
    def setUp(self) -> None:
        self.reader = HandWorker()
        super().setUp()
        self.alice = self.attached()

    def surroundings(self) -> Surroundings:
        return replace(super().surroundings(), reader=self.reader)

    def submit(self, token: str, **more: object) -> Deferred[Reply]:
        return self.say(self.alice, self.submission(token, **more))

    def ids(self, answer: Deferred[Reply]) -> list[str]:
        """Return the ids of a reply once all that it needs is done."""
        for _ in range(10):
            self.settle()
            self.reader.work()
        reply = self.successResultOf(answer)
        self.assertTrue(reply.ok, reply.text)
        return reply.body

    def ended(self, exit_code: int = 0, **more: object) -> int:
        """Return the id of a job that ran and is over."""
        number = int(self.ids(self.submit(f"first {exit_code}", **more))[0])
        self.said(self.alice, self.hello())
        fact = {"job": number, "attempt": 1, "at": 1.0, "what": "ended", "exit_code": exit_code}
        report = {"host": "n1", "spool": "sp", "k": 1, "facts": [fact]}
        self.assertTrue(self.said(self.alice, "report:" + json.dumps(report)).ok)
        self.assertNotIn(number, self.dispatcher.brain.jobs)
        return number

    def test_what_is_over_is_looked_up_and_counts(self) -> None:
        number = self.ended()
        (second,) = self.ids(self.submit("second", dependency=f"afterok:{number}", hold=True))
        self.assertEqual(self.dispatcher.brain.jobs[int(second)].dependency, "")

    def test_what_can_never_be_met_ends_at_once_and_says_why(self) -> None:
        number = self.ended(exit_code=3)
        (second,) = self.ids(self.submit("second", dependency=f"afterok:{number}"))
        job = self.store.job(int(second))
        assert job is not None
        self.assertEqual((job.phase, job.cause), (Phase.CANCELLED, "dependency"))
        self.assertEqual(job.reason, f"needs {number} to succeed, but it failed with exit code 3")

    def test_a_chain_sent_at_once_is_accepted_in_its_order(self) -> None:
        number = self.ended()
        answers = [
            self.submit("b", dependency=f"afterok:{number}"),
            self.submit("c", dependency=f"afterok:{number + 1}"),
            self.submit("d"),
        ]
        self.settle()
        self.assertNoResult(answers[2])
        self.assertEqual([self.ids(answer) for answer in answers], [[str(number + n)] for n in (1, 2, 3)])
        self.assertEqual(self.dispatcher.brain.jobs[number + 2].dependency, f"afterok:{number + 1}")

    def test_the_same_token_in_the_line_is_one_job(self) -> None:
        number = self.ended()
        first, again = (self.submit("b", dependency=f"afterok:{number}") for _ in range(2))
        self.assertEqual(self.ids(first), self.ids(again))

    def test_what_is_not_there_is_refused_and_the_line_goes_on(self) -> None:
        refused, next_one = self.submit("b", dependency="afterok:99"), self.submit("c")
        self.assertEqual(self.ids(next_one), ["1"])
        failure = self.failureResultOf(refused)
        self.assertEqual(failure.value.word, "job.dependency")
        self.assertIn("99", failure.value.text)

    def test_an_end_that_is_on_its_way_into_the_store_is_waited_for(self) -> None:
        number = int(self.ids(self.submit("first", hold=True))[0])
        self.dispatcher.brain.cancel_asked(number, "alice", "", 1000.0)
        self.dispatcher.turns.happened()
        self.clock.advance(0)  # the commit waits in the writer's hands
        answer = self.submit("second", dependency=f"afterany:{number}")
        self.reader.work()
        self.assertNoResult(answer)
        (second,) = self.ids(answer)
        self.assertEqual(self.dispatcher.brain.jobs[int(second)].dependency, "")

    def test_tasks_of_an_array_that_is_over_are_known_one_by_one(self) -> None:
        number = int(self.ids(self.submit("first", array="0-3", hold=True))[0])
        self.dispatcher.brain.cancel_asked(number, "alice", "", 1000.0)
        answers = [
            self.submit("b", array="0-3", dependency=f"aftercorr:{number}"),
            self.submit("c", dependency=f"afterany:{number}_2"),
            self.submit("d", dependency=f"afterany:{number}_4"),
        ]
        (second,) = self.ids(answers[0])
        job = self.store.job(int(second))
        assert job is not None
        self.assertEqual((job.phase, job.cause), (Phase.CANCELLED, "dependency"))
        self.assertEqual(self.dispatcher.brain.jobs[int(self.ids(answers[1])[0])].dependency, "")
        self.assertIn("has no task 4", self.failureResultOf(answers[2]).value.text)
