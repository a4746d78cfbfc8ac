"""Whether orphans that live for a moment each can hide: on a drawn list of children; the signals go to nobody."""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tm.keeper import procfs
from tm.keeper.book import Running
from tm.keeper.chasing import Chase
from tm.keeper.felling import GIVE_UP_AFTER, Felling
from tm.keeper.order import Key
from tm.keeper.procfs import Process
from tm.keeper.tree import Stem

KEEPER = 2**22 + 10
MAIN = KEEPER + 1
OTHER = KEEPER + 2
FIRST_ORPHAN = KEEPER + 3
"""All above the highest pid, so that no signal finds anybody."""


class ChaseCase(SynchronousTestCase):
    """A keeper with the jobs 1, which is cancelled, and 2."""

    @override
    def setUp(self) -> None:
        self.children: dict[int, Process] = {}
        self.claims: dict[int, Key] = {}
        self.sent: list[tuple[int, int]] = []
        self.chained = False
        self.stem = Stem(KEEPER, {MAIN: (1, 1), OTHER: (2, 1)}, self.claims.get)
        self.patch(procfs, "read", self.children.get)
        self.patch(procfs, "send", lambda process, number: self.sent.append((process.pid, number)))

    def orphan(self, owner: Key | None, dead: bool = False, daemon: bool = False) -> int:
        """Let there be another child of the keeper."""
        pid = FIRST_ORPHAN + len(self.children)
        self.children[pid] = Process(pid, KEEPER, pid, ticks=pid, dead=dead, daemon=daemon)
        if owner is not None and not dead:
            self.claims[pid] = owner
        return pid

    def listed(self) -> list[int]:
        """Return all children; where there is a chain, of it one that is dead when it is read."""
        if self.chained:
            self.orphan(None, dead=True)
        return [MAIN, OTHER, *self.children]

    def chase(self, ripe: bool = True) -> set[Key]:
        """Return which of the jobs 1 and, where that is not *ripe*, 2 have no orphan for sure."""
        keys: set[Key] = {(1, 1)} if ripe else {(1, 1), (2, 1)}
        return Chase(self.stem, keys if ripe else (), keys, self.listed).run(0.02)


class ChaseTests(ChaseCase):
    def test_nobody_hides_behind_those_that_were_dead_before_they_were_read(self) -> None:
        self.orphan(None, dead=True)

        self.assertEqual(self.chase(), {(1, 1)})

    def test_somebody_may_hide_where_one_more_has_died_each_time(self) -> None:
        self.chained = True

        self.assertEqual(self.chase(), set())

    def test_who_dies_while_it_is_asked_whose_it_is_may_have_left_another(self) -> None:
        pid = self.orphan(None)

        def claim(asked: int) -> Key | None:
            self.assertEqual(asked, pid)
            self.children[pid] = Process(pid, KEEPER, pid, ticks=pid, dead=True)
            self.orphan((1, 1))
            self.stem.claim = self.claims.get
            return None

        self.stem.claim = claim
        self.assertEqual(self.chase(), set())
        self.assertEqual(self.sent, [(pid + 1, signal.SIGSTOP)])

    def test_who_is_about_to_die_may_leave_another_until_it_is_dead(self) -> None:
        pid = self.orphan(None)
        self.children[pid].exiting = True
        self.assertEqual(self.chase(), set())
        self.children[pid].dead = True
        self.assertEqual(self.chase(), {(1, 1)})

    def test_who_is_ripe_is_stopped_and_nobody_else(self) -> None:
        mine = self.orphan((1, 1))
        for owner, daemon in (((2, 1), False), ((7, 1), False), (None, False), ((1, 1), True)):
            self.orphan(owner, daemon=daemon)

        self.assertEqual(self.chase(), set())
        self.assertEqual(self.sent, [(mine, signal.SIGSTOP)])

    def test_who_is_not_ripe_is_only_seen(self) -> None:
        self.orphan((1, 1))

        self.assertEqual((self.chase(ripe=False), self.sent), ({(2, 1)}, []))

    def test_another_process_than_a_child_of_the_keeper_is_left_alone(self) -> None:
        pid = self.orphan((1, 1))
        self.children[pid].ppid = 1

        self.assertEqual((self.chase(), self.sent), ({(1, 1)}, []))


class WaitingTests(ChaseCase):
    """The ending of a cancelled job whose first process is dead."""

    def tend(self, felling: Felling, now: float) -> list[Key]:
        """Return who is said to be gone."""
        return felling.tend(now, {(1, 1): Running((1, 1), 1, MAIN, 0, 0.0)}, lambda pid: True)

    def felling(self) -> Felling:
        """Return one that has job 1 cancelled without a grace, at 0."""
        felling = Felling(self.stem, lambda: {MAIN: Process(MAIN, KEEPER, MAIN, dead=True)}, self.listed)
        felling.begin([(Running((1, 1), 1, MAIN, 0, 0.0), 0.0)], 0.0)
        return felling

    def test_it_is_gone_when_nobody_of_it_can_hide(self) -> None:
        self.orphan((2, 1))
        self.orphan(None)

        self.assertEqual(self.tend(self.felling(), 0.1), [(1, 1)])

    def test_it_is_not_gone_while_somebody_may_hide_until_nobody_of_it_was_seen_for_a_while(self) -> None:
        felling = self.felling()
        self.chained = True
        self.assertEqual(self.tend(felling, 0.1), [])
        pid = self.orphan((1, 1))
        self.assertEqual(self.tend(felling, 3.0), [])
        self.children[pid].dead = True
        self.assertEqual(self.tend(felling, GIVE_UP_AFTER + 2.9), [])
        self.assertEqual(self.tend(felling, GIVE_UP_AFTER + 3.1), [(1, 1)])

    def test_it_is_gone_as_soon_as_nobody_may_hide_any_more(self) -> None:
        felling = self.felling()
        self.chained = True
        self.assertEqual(self.tend(felling, 0.1), [])
        self.chained = False
        self.assertEqual(self.tend(felling, 0.2), [(1, 1)])
