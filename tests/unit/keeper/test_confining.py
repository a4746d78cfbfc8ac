"""What a job is to inherit: what cannot be taken on is left, and nobody but that job notices."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tm.keeper.confining import Confining


class ConfiningTests(SynchronousTestCase):
    def test_processors_and_memory_that_there_cannot_be_are_left(self) -> None:
        before = os.sched_getaffinity(0)
        for cpu in (1 << 20, 1 << 31, 1 << 100):
            confining = Confining()
            self.assertEqual(confining.take_on((cpu,), 0), (False, False))
            self.assertFalse(confining.take_on((), 1 << 100)[1])
            confining.lay_off()
        self.assertEqual(os.sched_getaffinity(0), before)
