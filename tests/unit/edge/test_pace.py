"""A server accepts as fast as handshakes are done, and silence does not keep others out."""

from __future__ import annotations

import resource

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.wire import SteeredPort
from tm.edge import pace
from tm.edge.pace import MOST_AT_ONCE, YOUNG_SECONDS, Pace


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.port = Clock(), SteeredPort()
        self.pace = Pace(self.clock)
        self.pace.steer(self.port)

    def come(self, numbers: range) -> None:
        for number in numbers:
            self.pace.came(number)

    def test_nothing_is_accepted_while_many_handshakes_are_under_way(self) -> None:
        self.come(range(MOST_AT_ONCE - 1))
        self.assertTrue(self.port.reading)
        self.come(range(MOST_AT_ONCE, MOST_AT_ONCE + 5))
        self.assertFalse(self.port.reading)
        for number in range(MOST_AT_ONCE):
            self.assertEqual(self.port.reading, number > MOST_AT_ONCE // 2 + 3)
            self.pace.done(number)
        self.assertLess(self.port.numberAccepts, MOST_AT_ONCE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_handshakes_that_do_not_proceed_keep_others_out_for_a_second_only(self) -> None:
        self.come(range(MOST_AT_ONCE))
        self.clock.advance(YOUNG_SECONDS / 2)
        self.assertFalse(self.port.reading)
        self.clock.advance(YOUNG_SECONDS / 2)
        self.assertTrue(self.port.reading)
        self.pace.came("one more")
        self.assertTrue(self.port.reading)

    def test_a_port_that_is_closed_is_left_alone(self) -> None:
        self.come(range(MOST_AT_ONCE))
        self.port.disconnecting = True
        self.clock.advance(YOUNG_SECONDS)
        self.assertFalse(self.port.reading)

    def test_some_descriptors_are_no_connections(self) -> None:
        for soft, most in ((1024, 768), (400, 300), (65536, 65280), (resource.RLIM_INFINITY, 1 << 30)):
            self.patch(resource, "getrlimit", lambda which, soft=soft: (soft, soft))
            self.assertEqual(pace.most_connections(), most)
