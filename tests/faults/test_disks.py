"""Disks that are full, fail, lose their power, hang or go away, and hosts that boot, on a stage."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.faults import stage
from tests.faults.record import count

PLAYS = "tests.faults.disk_plays"


class StageCase(SynchronousTestCase):
    def play(self, row: int, name: str) -> None:
        """Have a play of `tests.faults.disk_plays` played, and counted for *row*."""
        seed = random.SystemRandom().randrange(1 << 32)
        said = stage.played(PLAYS, name, seed)
        count(row, sum(line["trials"] for line in said), seed=seed)


class FullTests(StageCase):
    skip = stage.obstacle() or None

    def test_a_dispatcher_whose_disk_is_full_accepts_nothing_and_goes_on_by_itself_with_room(self) -> None:
        self.play(22, "dispatcher_full")

    def test_endings_arrive_though_the_spools_disk_is_full_and_one_of_the_servers_is_killed(self) -> None:
        self.play(23, "spool_full")

    def test_a_disk_that_takes_no_more_files_is_named(self) -> None:
        self.play(26, "no_inodes")


class BootTests(SynchronousTestCase):
    skip = stage.obstacle() or None

    def test_what_ran_on_a_host_that_booted_is_lost_and_begins_anew_only_if_it_may(self) -> None:
        (said,) = stage.played("tests.faults.boot_plays", "reboot")
        count(17, said["trials"], seconds=said["seconds"])


class DiskTests(StageCase):
    skip = stage.loop_obstacle() or None

    def test_what_was_accepted_is_there_after_the_power_failed(self) -> None:
        self.play(21, "dispatcher_power")

    def test_a_dispatcher_whose_disk_fails_accepts_nothing_and_a_new_one_has_all(self) -> None:
        self.play(26, "dispatcher_disk_fails")

    def test_a_disk_that_is_mounted_read_only_is_named(self) -> None:
        self.play(26, "read_only")

    def test_a_home_that_hangs_keeps_only_those_waiting_who_write_there(self) -> None:
        self.play(28, "home_hangs")

    def test_endings_arrive_though_the_home_has_gone_and_new_jobs_are_told(self) -> None:
        self.play(29, "home_goes_away")
