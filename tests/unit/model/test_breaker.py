"""A host that breaks what starts there is taken out, for a longer time each time, and a probe decides."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.model.breaker import FIRST_PAUSE, LONGEST_PAUSE, UNLIMITED, WINDOW_SECONDS, Breaker, blames_host


class BreakerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.breaker = Breaker()

    def fail(self, user: str, job: int | None, at: float, alone: bool = False) -> bool:  # type: ignore[override]
        return self.breaker.failed(user, job, f"job {job}: no home", at, alone)

    def out(self, at: float = 2.0) -> float:
        """Take the host out; return until when."""
        self.fail("alice", 1, at)
        self.assertTrue(self.fail("bob", 2, at))
        assert self.breaker.out_until is not None
        return self.breaker.out_until

    def test_two_users_are_needed_and_one_with_many_jobs_is_not_enough(self) -> None:
        self.assertEqual([self.fail("alice", job, 1.0) for job in range(20)], [False] * 20)
        self.assertEqual(self.breaker.room(1.0), UNLIMITED)
        self.assertTrue(self.fail("bob", 50, 1.0))
        self.assertEqual(self.breaker.reason, "starts failed for alice, bob, the last one: job 50: no home")
        self.assertEqual((self.breaker.room(1.0), self.breaker.out_until), (0, 1.0 + FIRST_PAUSE))

    def test_where_there_is_one_user_five_different_jobs_are_needed(self) -> None:
        told = [self.fail("alice", job, 1.0, alone=True) for job in (1, 1, 1, 1, 2, None, 3, 4)]
        self.assertEqual(told, [False] * 8)
        self.assertTrue(self.fail("alice", 5, 1.0, alone=True))

    def test_failures_are_forgotten_in_time_and_by_a_start_of_the_same_user(self) -> None:
        self.fail("alice", 1, 0.0)
        self.assertFalse(self.fail("bob", 2, WINDOW_SECONDS + 1))
        self.breaker.started("bob", 3, WINDOW_SECONDS + 2)
        self.assertFalse(self.fail("carol", 4, WINDOW_SECONDS + 3))

    def test_when_its_time_is_over_one_job_is_let_in_and_its_start_brings_the_host_back(self) -> None:
        until = self.out()
        self.assertEqual([self.breaker.room(at) for at in (until - 1, until)], [0, 1])
        self.breaker.sent(7)
        self.assertEqual(self.breaker.room(until + 1), 0)
        self.assertFalse(self.breaker.started("alice", 3, until + 1))
        self.assertTrue(self.breaker.started("bob", 7, until + 1))
        self.assertEqual((self.breaker.room(until + 1), self.breaker.reason), (UNLIMITED, ""))

    def test_a_probe_that_fails_takes_it_out_for_twice_as_long_up_to_a_bound(self) -> None:
        until, pauses = self.out(), []
        for job in range(10, 20):
            self.breaker.sent(job)
            self.assertFalse(self.fail("carol", job, until))
            self.breaker.sent(job + 100)
            self.assertTrue(self.fail("alice", job + 100, until))
            assert self.breaker.out_until is not None
            pauses.append(self.breaker.out_until - until)
            until = self.breaker.out_until
        self.assertEqual(pauses[:3], [2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE])
        self.assertEqual(pauses[-1], LONGEST_PAUSE)

    def test_what_was_on_its_way_when_it_went_out_changes_nothing(self) -> None:
        until = self.out()
        self.assertFalse(self.fail("carol", 9, 3.0))
        self.breaker.sent(7)
        self.assertFalse(self.fail("carol", 9, until))
        self.assertEqual(self.breaker.out_until, until)

    def test_a_server_that_cannot_be_started_for_the_probe_takes_it_out_again(self) -> None:
        until = self.out()
        self.assertFalse(self.fail("alice", None, until + 1))
        self.assertTrue(self.fail("bob", None, until + 1))
        self.assertEqual(self.breaker.out_until, until + 1 + 2 * FIRST_PAUSE)

    def test_whose_probe_fails_keeps_the_host_from_nobody_else(self) -> None:
        until = self.out()
        self.breaker.sent(7)
        self.assertFalse(self.fail("mallory", 7, until))
        for at in (until, until + 2 * FIRST_PAUSE - 1):
            self.assertEqual([self.breaker.keeps_away(user, at) for user in ("mallory", "bob")], [True, False])
            self.assertEqual(self.breaker.room(at), 1)
        self.assertFalse(self.breaker.keeps_away("mallory", until + 2 * FIRST_PAUSE))
        self.breaker.sent(8)
        self.assertTrue(self.breaker.started("bob", 8, until + 1))
        self.assertFalse(self.breaker.keeps_away("mallory", until + 1))

    def test_a_user_whose_server_never_starts_there_does_not_keep_it_out(self) -> None:
        until = self.out()
        for step in range(200):
            self.assertFalse(self.fail("bob", None, until + step * 60))
        self.assertEqual(self.breaker.room(until + 200 * 60), 1)

    def test_the_only_user_s_probe_decides_alone(self) -> None:
        until = self.out()
        self.breaker.sent(7)
        self.assertTrue(self.fail("alice", 7, until, alone=True))

    def test_a_probe_that_never_began_makes_room_for_another(self) -> None:
        until = self.out()
        self.breaker.sent(7)
        self.breaker.gone(8)
        self.assertEqual(self.breaker.room(until), 0)
        self.breaker.gone(7)
        self.assertEqual(self.breaker.room(until), 1)

    def test_one_that_breaks_again_soon_is_out_for_longer_and_one_that_was_whole_for_long_is_not(self) -> None:
        for quiet, pause in ((10.0, 2 * FIRST_PAUSE), (4000.0, FIRST_PAUSE)):
            self.breaker = Breaker()
            at = self.out() + 1
            self.breaker.sent(7)
            self.breaker.started("alice", 7, at)
            self.assertEqual(self.out(at + quiet) - (at + quiet), pause)


class BlameTests(SynchronousTestCase):
    def test_what_the_host_is_to_blame_for(self) -> None:
        for code, reason, command, blamed in (
            (125, "cannot enter /home/bob: No such file or directory", "true", True),
            (126, "cannot start /opt/sim: Permission denied", ["/opt/sim"], True),
            (127, "cannot start /opt/sim: No such file or directory", ["/opt/sim"], True),
            (127, "cannot start sim: No such file or directory", ["sim"], False),
            (125, "auth.signature: job 3 is not signed by this user", "true", False),
        ):
            self.assertEqual(blames_host(code, reason, command), blamed, reason)
