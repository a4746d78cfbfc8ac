"""Telling users: a place that cannot be reached is said to be none, whatever it looks like."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.bell import Bell
from tm.errors import RefusedError
from tm.model.notify_targets import target_complaint


class BellTests(SynchronousTestCase):
    def test_an_address_that_is_none_is_refused_and_not_left_unanswered(self) -> None:
        bell = Bell(MemoryReactorClock(), {})
        for target in ("http://[::1", "http://[/"):
            self.assertEqual(target_complaint(target), "")
            rung: Deferred[None] = Deferred.fromCoroutine(bell.ring(target, "title", "text", {}))
            self.assertEqual(self.failureResultOf(rung, RefusedError).value.word, "notify.failed")
