"""The thread that commits: in order, one at a time, outcomes in the reactor, failures as failures."""

from __future__ import annotations

import threading

from twisted.internet import reactor  # noqa: TID251  a real thread needs a real reactor to come back to
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from tm.edge.committer import Committer
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
