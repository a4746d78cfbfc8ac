"""The thread that commits: in order, one at a time, outcomes in the reactor, failures as failures."""

from __future__ import annotations

import threading

from twisted.internet import reactor  # noqa: TID251  a real thread needs a real reactor to come back to
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from tm.edge.committer import PROBATION, QUICK_SECONDS, Committer
from tm.errors import StoreError


class CommitterTests(TestCase):
    def setUp(self) -> None:
        self.committer = Committer(reactor, "test")
        self.addCleanup(self.committer.stop)

    async def test_work_is_done_in_order_in_one_other_thread_and_its_outcome_comes_back_in_this_one(
        self,
    ) -> None:
        done: list[int] = []
        where: set[int] = set()

        def work(number: int) -> int:
            done.append(number)
            where.add(threading.get_ident())
            return number * number

        seen: list[int] = []
        runs = [self.committer.run(lambda number=number: work(number)) for number in range(50)]
        for run in runs:
            run.addCallback(lambda value: (seen.append(threading.get_ident()), value)[1])
        self.assertEqual(await gatherResults(runs), [number * number for number in range(50)])
        self.assertEqual((done, len(where), set(seen)), (list(range(50)), 1, {threading.get_ident()}))
        self.assertNotIn(threading.get_ident(), where)

    async def test_a_failure_is_the_askers_and_the_thread_goes_on(self) -> None:
        def fails() -> None:
            raise StoreError("store.full", "no space")

        with self.assertRaises(StoreError):
            await self.committer.run(fails)
        self.assertEqual(await self.committer.run(lambda: 1), 1)

    async def test_stopping_finishes_what_was_asked(self) -> None:
        gate = threading.Event()
        done: list[int] = []
        other = Committer(reactor, "other")
        runs = [
            other.run(gate.wait),
            *(other.run(lambda number=number: done.append(number)) for number in range(5)),
        ]
        gate.set()
        other.stop()
        self.assertEqual(done, [0, 1, 2, 3, 4])
        await gatherResults(runs)


class BriefWorkTests(TestCase):
    """What is brief is done at once where the disk is quick, and only there."""

    def setUp(self) -> None:
        self.now = 0.0
        self.committer = Committer(reactor, "test", lambda: self.now)
        self.addCleanup(self.committer.stop)
        self.here = threading.get_ident()

    def work(self, seconds: float = 0.0) -> int:
        """Take *seconds*; return in which thread."""
        self.now += seconds
        return threading.get_ident()

    async def prove(self) -> None:
        """Let the disk be quick until that is believed."""
        for _ in range(PROBATION):
            self.assertNotEqual(await self.committer.run(self.work, brief=True), self.here)

    async def test_it_goes_to_the_thread_until_the_disk_has_proved_quick_and_is_then_done_at_once(self) -> None:
        await self.prove()

        done = self.committer.run(self.work, brief=True)
        self.assertEqual(self.successResultOf(done), self.here)

    async def test_after_one_that_took_long_the_disk_must_prove_itself_anew(self) -> None:
        await self.prove()

        slow = self.committer.run(lambda: self.work(2 * QUICK_SECONDS), brief=True)
        self.assertEqual(self.successResultOf(slow), self.here)
        await self.prove()
        self.assertEqual(self.successResultOf(self.committer.run(self.work, brief=True)), self.here)

    async def test_a_disk_that_stays_slow_never_holds_up_the_reactor(self) -> None:
        for _ in range(3 * PROBATION):
            where = await self.committer.run(lambda: self.work(2 * QUICK_SECONDS), brief=True)
            self.assertNotEqual(where, self.here)

    async def test_what_is_not_brief_goes_to_the_thread_and_does_not_count(self) -> None:
        await self.prove()

        self.assertNotEqual(await self.committer.run(lambda: self.work(60.0)), self.here)
        self.assertEqual(self.successResultOf(self.committer.run(self.work, brief=True)), self.here)

    async def test_it_never_overtakes_what_was_asked_before(self) -> None:
        await self.prove()

        gate = threading.Event()
        done: list[str] = []
        first = self.committer.run(lambda: (gate.wait(), done.append("long")))
        second = self.committer.run(lambda: done.append("brief"), brief=True)
        self.assertEqual((self.assertNoResult(second), done), (None, []))
        gate.set()
        await gatherResults([first, second])
        self.assertEqual(done, ["long", "brief"])

    async def test_a_failure_is_the_askers(self) -> None:
        await self.prove()

        def fails() -> None:
            raise StoreError("store.full", "no space")

        self.failureResultOf(self.committer.run(fails, brief=True), StoreError)
