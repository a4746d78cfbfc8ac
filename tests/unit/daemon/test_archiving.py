"""When jobs go to the archive: old ones, a few at a time, again after a failure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.archiving import EVERY, FIRST_AFTER, NEXT_AFTER, Archiving, begin_of
from tm.errors import StoreError

NOW = datetime(2026, 2, 17, 12, tzinfo=UTC).timestamp()


class Around:
    """A store that has so much to give."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store: Any = self
        self.writer: Any = self
        self.left: list[int | StoreError] = []
        self.asked: list[float] = []

    def run(self, work: Any, brief: bool = False) -> Deferred[Any]:
        return maybeDeferred(work)

    def archive(self, before: float) -> int:
        self.asked.append(before)
        found = self.left.pop(0) if self.left else 0
        if isinstance(found, StoreError):
            raise found
        return found


class ArchivingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.around = Around()
        self.archiving = Archiving(self.around)

    def after(self, seconds: float) -> int:
        before = len(self.around.asked)
        self.around.clock.advance(seconds)
        return len(self.around.asked) - before

    def test_the_present_month_and_so_many_before_it_stay(self) -> None:
        cases = {0: (2026, 2), 1: (2026, 1), 2: (2025, 12), 14: (2024, 12)}
        for months, (year, month) in cases.items():
            self.assertEqual(begin_of(months, NOW), datetime(year, month, 1, tzinfo=UTC).timestamp())

    def test_it_takes_a_few_at_a_time_until_nothing_is_left_and_looks_again_later(self) -> None:
        self.around.left = [2000, 7]
        self.archiving.begin(3)
        self.assertEqual([self.after(FIRST_AFTER - 1), self.after(1)], [0, 1])
        self.assertEqual([self.after(NEXT_AFTER), self.after(NEXT_AFTER), self.after(NEXT_AFTER)], [1, 1, 0])
        self.assertEqual(self.after(EVERY), 1)
        self.assertEqual(self.around.asked[0], datetime(2025, 11, 1, tzinfo=UTC).timestamp())

    def test_after_a_failure_it_tries_again_later(self) -> None:
        self.around.left = [StoreError("store.full", "no space")]
        self.archiving.begin(1)
        self.after(FIRST_AFTER)
        self.assertEqual([self.after(NEXT_AFTER), self.after(EVERY)], [0, 1])
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_nothing_is_taken_where_all_is_to_stay_or_after_the_end(self) -> None:
        self.archiving.begin(0)
        self.assertEqual(self.after(EVERY), 0)
        self.archiving.begin(1)
        self.archiving.end()
        self.assertEqual(self.after(EVERY), 0)
