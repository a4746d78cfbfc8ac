"""What is said of a host whose people need a part of it: as long as they do, and no longer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.model.guest import CALM_SECONDS, Left, Level, left_by, offer
from tm.model.host import Courtesy, HostConfig
from tm.model.report import About, HostReport

GIGABYTE = 1 << 30
ABOUT = About(
    host="n1", boot="b", version="1", pid=1, port=1, fingerprint="f", booted_at=0, cores=2, memory=16 * GIGABYTE
)


class ReasonTests(SynchronousTestCase):
    def heard(self, level: Level, at: float, memory: int, **said: float) -> Left:
        """Return what is left of two cores and *memory* after a report at *at*."""
        config = HostConfig(name="n1", address="n1", policy=Courtesy.SUSPEND)
        report = HostReport(host="n1", at=at, memory_available=8 * GIGABYTE, cpu_by_user={"zoe": 1.0}, **said)
        level.heard(left_by(config, 2, memory, ABOUT, report, at))
        return level.at(at, 2, memory)

    def test_the_reason_goes_with_the_load_whether_memory_is_limited_or_not(self) -> None:
        for memory in (2 * GIGABYTE, 1 << 62):
            level = Level()
            self.heard(level, 0, memory)
            self.assertEqual(self.heard(level, 20, memory, cpu_others=1.0).reason, "", "one report alone")
            held = self.heard(level, 25, memory, cpu_others=1.0)
            self.assertEqual((held.cores, held.reason), (1, "others (zoe) use 1 of 2 cores"))
            for at in range(30, int(30 + CALM_SECONDS), 5):
                self.assertEqual(self.heard(level, at, memory).cores, 1)
            calm = self.heard(level, 31 + CALM_SECONDS, memory)
            self.assertEqual((calm.cores, calm.reason), (2, ""))
            config = HostConfig(name="n1", address="n1", policy=Courtesy.SUSPEND)
            self.assertEqual(offer(config, calm, 50).cores, None)

    def test_memory_has_a_reason_of_its_own(self) -> None:
        level = Level()
        self.heard(level, 0, 12 * GIGABYTE)
        held = self.heard(level, 5, 12 * GIGABYTE)
        self.assertEqual((held.cores, held.memory, held.reason), (2, 8 * GIGABYTE, "others leave 8G of memory"))
        both = [self.heard(level, at, 12 * GIGABYTE, cpu_others=1.0) for at in (10, 15)][-1]
        self.assertEqual(both.reason, "others (zoe) use 1 of 2 cores; others leave 8G of memory")
