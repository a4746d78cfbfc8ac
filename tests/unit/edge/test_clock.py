"""Timers that nobody's clock can stop, and dates as the clock on the wall shows them."""

from __future__ import annotations

import time
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from tm.edge.clock import steady


class SteadyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SimpleNamespace(seconds=time.time, callLater=lambda seconds, call: ("later", seconds, call))
        self.clock = steady(self.reactor)

    def test_timers_go_on_while_the_time_of_day_is_set_back_and_forth(self) -> None:
        before = self.reactor.seconds()
        for moment in (1.0, before - 3600, before + 1e9):
            self.patch(time, "time", lambda moment=moment: moment)
            self.assertTrue(0 <= self.reactor.seconds() - before < 60)
            self.assertTrue(0 <= self.clock.timers.seconds() - before < 60)

    def test_dates_are_those_of_the_wall_and_all_else_is_the_reactors(self) -> None:
        self.assertLess(abs(self.clock.seconds() - time.time()), 60)
        self.assertEqual(self.clock.callLater(3, None), ("later", 3, None))
        self.assertIs(self.clock.timers, self.reactor)
