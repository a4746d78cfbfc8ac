"""Whose process is it: pure, on drawn process tables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.keeper.order import Key
from tm.keeper.procfs import Process
from tm.keeper.tree import Stem, members

KEEPER = 10


def table(*rows: tuple[int, int, int], dead: tuple[int, ...] = (), daemons: tuple[int, ...] = ()) -> dict[int, Process]:
    """Return processes by pid; a row is pid, ppid, session."""
    return {pid: Process(pid, ppid, session, dead=pid in dead, daemon=pid in daemons) for pid, ppid, session in rows}


class MemberTests(SynchronousTestCase):
    """The keeper is 10; job 1 begins with process 100, job 2 with 200."""

    def found(
        self,
        processes: dict[int, Process],
        claims: dict[int, Key] | None = None,
        mains: dict[int, Key] | None = None,
    ) -> list[int]:
        """Return the pids of job 1."""
        mains = mains or {100: (1, 1), 200: (2, 1)}
        stem = Stem(KEEPER, mains, (claims or {}).get)
        return sorted(process.pid for process in members(stem, processes, 100))

    def test_descendants_belong_whatever_their_session(self) -> None:
        processes = table(
            (100, 10, 100), (101, 100, 100), (102, 101, 102), (103, 102, 102), (200, 10, 200), (201, 200, 200)
        )

        self.assertEqual([100, 101, 102, 103], self.found(processes))

    def test_the_session_belongs_whatever_its_parents(self) -> None:
        self.assertEqual([100, 103], self.found(table((100, 10, 100), (103, 10, 100), (201, 10, 200))))

    def test_orphans_belong_by_their_environment_with_all_that_descends_from_them(self) -> None:
        processes = table((100, 10, 100), (150, 10, 150), (151, 150, 151), (250, 10, 250))

        self.assertEqual([100, 150, 151], self.found(processes, {150: (1, 1), 250: (2, 1)}))

    def test_another_attempt_of_the_job_is_another_one(self) -> None:
        self.assertEqual([100], self.found(table((100, 10, 100), (150, 10, 150)), {150: (1, 2)}))

    def test_the_session_says_more_than_the_environment(self) -> None:
        self.assertEqual([100], self.found(table((100, 10, 100), (201, 10, 200)), {201: (1, 1)}))

    def test_nobodys_orphans_belong_to_the_only_job(self) -> None:
        processes = table((100, 10, 100), (150, 10, 150), (151, 150, 150))

        self.assertEqual([100], self.found(processes))
        self.assertEqual([100, 150, 151], self.found(processes, mains={100: (1, 1)}))

    def test_strangers_do_not_belong(self) -> None:
        processes = table((1, 0, 1), (10, 1, 10), (11, 1, 11), (12, 11, 11), (100, 10, 100))

        self.assertEqual([100], self.found(processes, {11: (1, 1), 12: (1, 1)}, mains={100: (1, 1)}))

    def test_the_dead_are_not_members_but_their_children_are(self) -> None:
        processes = table((100, 10, 100), (101, 100, 100), (102, 101, 102), dead=(100, 101))

        self.assertEqual([102], self.found(processes))

    def test_a_daemon_of_ours_does_not_belong_nor_what_descends_from_it(self) -> None:
        rows = [(100, 10, 100), (101, 100, 100), (102, 101, 102), (103, 10, 103), (104, 103, 104), (105, 10, 100)]

        self.assertEqual([100, 101], self.found(table(*rows, daemons=(102, 103, 105)), mains={100: (1, 1)}))

    def test_the_first_process_belongs_whatever_it_calls_itself(self) -> None:
        self.assertEqual([100, 101], self.found(table((100, 10, 100), (101, 100, 100), daemons=(100,))))
