"""Turns: answers after the commit, one commit at a time, and nothing told of one that failed."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tests.support.daemons import HandWorker
from tm.daemon.turns import BRIEF, Turns
from tm.errors import StoreError
from tm.model.brain import Brain
from tm.model.cluster import Hello
from tm.model.effects import Effects
from tm.ports import JobQuery
from tm.store.memory import MemoryStore


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100.0)
        self.store = MemoryStore()
        self.worker = HandWorker()
        self.brain = Brain(epoch=self.store.load().epoch, hosts=[host_state("n1", 2)])
        self.told: list[Effects] = []
        self.failed: list[StoreError] = []
        self.turns = Turns(
            self.brain, self.store, self.worker, self.clock, self.told.append, self.failed.append
        )
        self.tokens = 0

    def submit(self, count: int = 1) -> Deferred[object]:
        self.tokens += 1
        ids = self.brain.submitted("alice", f"t{self.tokens}", [order()] * count, {}, self.clock.seconds())
        return self.turns.durable(list(ids))

    def stored(self) -> list[int]:
        return [job.id for job in self.store.jobs(JobQuery())]

    def turn(self) -> None:
        self.clock.advance(0)

    def test_an_answer_comes_after_its_commit(self) -> None:
        answer = self.submit()
        self.assertNoResult(answer)
        self.turn()
        self.assertNoResult(answer)
        self.assertEqual((self.stored(), self.told), ([], []))
        self.worker.work()
        self.assertEqual((self.successResultOf(answer), self.stored(), len(self.told)), ([1], [1], 1))

    def test_one_commit_runs_at_a_time_and_what_comes_meanwhile_is_the_next(self) -> None:
        first = self.submit()
        self.turn()
        later = [self.submit(), self.submit(3), self.submit()]
        self.turn()
        self.turn()
        self.assertEqual(len(self.worker.waiting), 1)
        self.worker.work()
        self.successResultOf(first)
        for answer in later:
            self.assertNoResult(answer)
        self.assertEqual((len(self.worker.waiting), self.stored()), (1, [1]))
        self.worker.work()
        self.assertEqual([self.successResultOf(answer) for answer in later], [[2], [3, 4, 5], [6]])
        self.assertEqual((self.stored(), len(self.told)), ([1, 2, 3, 4, 5, 6], 2))

    def test_all_that_happens_in_one_turn_of_the_reactor_is_one_commit(self) -> None:
        answers = [self.submit() for _ in range(50)]
        self.turn()
        self.assertEqual(self.worker.work(), 1)
        self.assertEqual(
            [self.successResultOf(answer) for answer in answers], [[number] for number in range(1, 51)]
        )

    def test_a_commit_of_few_jobs_is_brief_and_one_of_many_is_not(self) -> None:
        for count in (1, BRIEF, BRIEF + 1):
            self.submit(count)
            self.turn()
            self.worker.work()
        self.assertEqual(self.worker.brief, [True, True, False])

    def test_an_answer_waits_also_for_what_happened_before_it_and_is_still_being_written(self) -> None:
        self.submit()
        self.turn()
        question = self.turns.durable("as it is now")
        self.turn()
        self.assertNoResult(question)
        self.worker.work()
        self.assertEqual(self.successResultOf(question), "as it is now")

    def test_with_nothing_to_write_nothing_is_waited_for(self) -> None:
        answer = self.turns.durable(1)
        self.turn()
        self.assertEqual((self.successResultOf(answer), self.worker.waiting), (1, []))

    def test_an_idle_dispatcher_has_no_timer(self) -> None:
        self.submit()
        self.turn()
        self.worker.work()
        self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_an_answer_sets_off_is_told_too(self) -> None:
        answer = self.submit()
        more: list[Deferred[object]] = []
        answer.addCallback(lambda ids: more.append(self.submit()))
        self.turn()
        self.worker.work()
        self.turn()
        self.worker.work()
        self.assertEqual((self.successResultOf(more[0]), len(self.told)), ([2], 2))

    def test_orders_are_told_after_the_commit_that_records_them(self) -> None:
        self.brain.user_server_attached("alice")
        self.brain.host_joined("alice", Hello("n1", "s", "b", 1, "r", 0, 0, []), 1.0)
        self.submit()
        self.turn()
        self.assertEqual(self.told, [])
        self.worker.work()
        (effects,) = self.told
        self.assertEqual([start.job for start in effects.orders["alice", "n1"].start], [1])
        stored = self.store.job(1)
        assert stored is not None
        self.assertEqual((stored.attempt, stored.command_number), (1, 1))

    def test_a_failed_commit_fails_its_answers_and_all_later_ones_and_tells_nothing(self) -> None:
        answers = [self.submit()]
        self.turn()
        answers.append(self.submit())
        self.turn()
        self.worker.broken = StoreError("store.full", "no space")
        self.worker.work()
        self.assertEqual(len([self.failureResultOf(answer, StoreError) for answer in answers]), 2)
        answers = [self.submit(), self.turns.durable("x")]
        self.turn()
        self.turn()
        for answer in answers:
            self.assertEqual(self.failureResultOf(answer, StoreError).value.word, "store.full")
        self.assertEqual(
            (self.told, self.stored(), [error.word for error in self.failed]), ([], [], ["store.full"])
        )
        self.assertEqual(self.worker.waiting, [])

    def test_a_failure_of_another_kind_is_a_failure_of_the_store(self) -> None:
        answer = self.submit()
        self.turn()
        self.worker.broken = MemoryError("no memory")
        self.worker.work()
        self.assertEqual(self.failureResultOf(answer, StoreError).value.word, "store.io")
        self.assertEqual(len(self.failed), 1)
