"""Stores that were damaged: each is right, an older state of itself, or refused in a sentence."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.damage import Damaged
from tests.faults.record import count

TRIALS = 15


class DamageTests(SynchronousTestCase):
    def test_a_damaged_store_is_right_older_or_refused(self) -> None:
        seed = random.SystemRandom().randrange(1 << 32)
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        damaged = Damaged(folder, random.Random(seed))
        found = Counter(damaged.trial(kind) for kind in damaged.kinds for _ in range(TRIALS))
        self.assertEqual(set(found) - {"right", "older", "refused"}, set(), f"seed {seed}: {found}")
        count(24, sum(found.values()), seed=seed, **found)
