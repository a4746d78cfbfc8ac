"""Whom the ending of a cancelled job waits for: on drawn process tables; the signals go to nobody."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.keeper import felling, procfs
from tm.keeper.book import Running
from tm.keeper.felling import GIVE_UP_AFTER, Felling
from tm.keeper.procfs import Process
from tm.keeper.tree import Stem

KEEPER = 2**22 + 10
MAIN = KEEPER + 1
OTHER = KEEPER + 2
FIRST_CHILD = KEEPER + 3
"""All above the highest pid, so that no signal finds anybody."""


class Table:
    """A keeper with two jobs; job 1 is cancelled."""

    def __init__(self) -> None:
        self.processes = {MAIN: Process(MAIN, KEEPER, MAIN), OTHER: Process(OTHER, KEEPER, OTHER)}
        self.living = {MAIN}
        self._next = FIRST_CHILD
        self.running = {(1, 1): Running((1, 1), 1, MAIN, 0, 0.0)}
        stem = Stem(KEEPER, {MAIN: (1, 1), OTHER: (2, 1)}, lambda pid: None)
        self.felling = Felling(stem, lambda: dict(self.processes))

    def fork(self, parent: int, own_session: bool) -> None:
        """Let *parent* have a child that has no environment, and perhaps not its session either."""
        pid, self._next = self._next, self._next + 1
        session = pid if own_session else self.processes[parent].session
        self.processes[pid] = Process(pid, parent, session, ticks=pid)
        self.living.add(pid)

    def die(self, pid: int) -> None:
        """End *pid*: the first process stays as a zombie, the children of others become the keeper's."""
        self.living.discard(pid)
        if pid == MAIN:
            self.processes[pid].dead = True
        else:
            del self.processes[pid]
        for process in self.processes.values():
            if process.ppid == pid:
                process.ppid = KEEPER

    def look(self, now: float) -> bool:
        """Return whether the job is said to be gone."""
        return bool(self.felling.tend(now, self.running, lambda pid: pid not in self.living))


class FellingTests(SynchronousTestCase):
    def test_who_was_seen_in_the_tree_is_waited_for_though_nothing_tells_whose_it_is(self) -> None:
        table = Table()
        table.fork(MAIN, own_session=True)
        table.felling.begin([(table.running[1, 1], 10.0)], 0.0)
        table.die(MAIN)

        self.assertFalse(table.look(0.1))
        table.die(FIRST_CHILD)
        self.assertTrue(table.look(0.2))

    def test_another_process_with_the_pid_is_not_waited_for(self) -> None:
        table = Table()
        table.fork(MAIN, own_session=True)
        table.felling.begin([(table.running[1, 1], 10.0)], 0.0)
        table.die(MAIN)
        table.processes[FIRST_CHILD] = Process(FIRST_CHILD, 1, 1, ticks=7)

        self.assertTrue(table.look(0.1))

    def test_the_group_of_another_process_with_the_pid_is_not_stopped(self) -> None:
        stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        seen = procfs.read(stranger.pid)
        assert seen is not None
        stopped: list[int] = []
        self.patch(os, "killpg", lambda pid, number: stopped.append(pid))
        for ticks in (seen.ticks - 1, seen.ticks):
            running = {(1, 1): Running((1, 1), 1, stranger.pid, ticks, 0.0)}
            one = Felling(Stem(KEEPER, {stranger.pid: (1, 1)}, lambda pid: None), dict)
            one.begin([(running[1, 1], 0.0)], 0.0)
            one.tend(0.1, running, lambda pid: False)
            self.assertEqual(stopped, [stranger.pid] if ticks == seen.ticks else [])

    def test_who_is_due_is_killed_soon_however_many_others_appear_and_slowly_they_are_read(self) -> None:
        table = Table()
        sent: list[tuple[int, int]] = []
        self.patch(procfs, "send", lambda process, number: sent.append((process.pid, number)))
        clock = itertools.count(0.0, 0.2)
        self.patch(felling, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        table.felling.begin([(table.running[1, 1], 0.0)], 0.0)
        looks = 0

        def look() -> dict[int, Process]:
            nonlocal looks
            looks += 1
            table.fork(MAIN, own_session=True)
            return dict(table.processes)

        self.patch(table.felling, "_snapshot", look)
        self.assertFalse(table.look(0.1))
        self.assertLess(looks, 5)
        self.assertIn((MAIN, signal.SIGKILL), sent)

    @examples(200)
    @given(st.data())
    def test_a_job_is_gone_only_when_all_that_could_be_seen_of_it_are_dead(self, data: st.DataObject) -> None:
        table = Table()
        for _ in range(data.draw(st.integers(0, 4))):
            table.fork(data.draw(st.sampled_from(sorted(table.living))), data.draw(st.booleans()))
        table.felling.begin([(table.running[1, 1], 10.0)], 0.0)
        gone = False
        for step in range(1, 12):
            if table.living and data.draw(st.booleans()):
                table.die(data.draw(st.sampled_from(sorted(table.living))))
            gone = table.look(step * GIVE_UP_AFTER / 20)
            self.assertEqual(not table.living, gone)
            if gone:
                break
            if MAIN not in table.living and data.draw(st.booleans()):
                table.fork(data.draw(st.sampled_from(sorted(table.living))), data.draw(st.booleans()))
                self.assertFalse(table.look(step * GIVE_UP_AFTER / 20 + 0.01))
        self.assertEqual(not gone, table.felling.holds((1, 1)))
