"""What is said of a server that was killed in the middle of jobs: by the jobs' own book."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.peers import crashing
from benchmarks.peers.crashing import Book, Server, judge


def nothing() -> None:
    """Do nothing."""


def book(begun: str, ended: str) -> Book:
    """Return a book of jobs of one letter each."""
    return Book(Counter(begun), Counter(ended))


def server(unfinished: str = "", state: str = "") -> Server:
    """Return a server that still knows of these jobs."""
    return Server(nothing, nothing, lambda: set(unfinished), lambda: state)


class BookTests(SynchronousTestCase):
    def test_a_job_that_runs_has_begun_and_not_ended(self) -> None:
        path = self.mktemp()
        Path(path).write_text("begin 1\nend 1\nbegin 2\nbegin 3\nbegin 1\n")
        found = crashing.read(path)
        self.assertEqual(found, Book(Counter({"1": 2, "2": 1, "3": 1}), Counter({"1": 1})))
        self.assertEqual(found.under_way(), {"1", "2", "3"})

    def test_a_line_that_is_not_whole_does_not_count(self) -> None:
        path = self.mktemp()
        Path(path).write_text("begin 1\nbegin 2")
        self.assertEqual(crashing.read(path).begun, Counter({"1": 1}))

    def test_without_a_book_nothing_has_begun(self) -> None:
        self.assertEqual(crashing.read(self.mktemp()), Book(Counter(), Counter()))


class JudgementTests(SynchronousTestCase):
    def test_when_each_has_run_once_nothing_is_lost(self) -> None:
        self.assertEqual(judge(book("abc", "abc"), list("abc"), {"b"}, 1.5, server()), (0, 0, 1.5, 0, ""))

    def test_what_has_not_run_and_is_not_known_any_more_is_lost(self) -> None:
        self.assertEqual(judge(book("a", "a"), list("abc"), set(), None, server()).lost, 2)

    def test_what_has_not_run_and_is_still_known_waits(self) -> None:
        found = judge(book("a", "a"), list("abc"), set(), None, server("bc"))
        self.assertEqual((found.lost, found.note), (0, "2 still wait when nothing more happens"))

    def test_what_has_begun_twice_is_doubled(self) -> None:
        self.assertEqual(judge(book("aab", "aab"), list("ab"), set(), 1.0, server()).doubled, 1)

    def test_what_ran_and_did_not_end_is_disturbed(self) -> None:
        self.assertEqual(judge(book("aabc", "abc"), list("abc"), {"a", "b"}, 1.0, server()).disturbed, 1)

    def test_what_nobody_had_accepted_and_what_the_server_says_is_noted(self) -> None:
        found = judge(book("ax", "ax"), ["a"], set(), 1.0, server(state="the node is drained"), "helped")
        self.assertEqual(found.note, "helped; 1 ran that were not accepted; the node is drained")


class KillTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.done: list[str] = []
        self.append("begin 1", "end 1", "begin 2")

    def append(self, *lines: str) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)

    def kill(self) -> None:
        self.done.append("killed")
        self.append("end 2")

    def restart(self) -> None:
        self.done.append("restarted")
        self.append("begin 3", "end 3")

    def help(self) -> str:
        self.restart()
        return "a restart of the node"

    def push(self) -> str:
        self.append("begin 4", "end 4")
        return "a push"

    def test_the_server_is_killed_and_restarted_and_its_next_job_timed(self) -> None:
        found = crashing.kill_and_restart(self.path, ["1", "2", "3"], Server(self.kill, self.restart, set), 5.0)
        self.assertEqual(self.done, ["killed", "restarted"])
        self.assertEqual(found._replace(next_start=None), (0, 0, None, 0, ""))
        self.assertLess(found.next_start or 0.0, 5.0)
        self.assertIsNotNone(found.next_start)

    def test_where_nothing_starts_it_is_helped_and_that_is_noted(self) -> None:
        helped = Server(self.kill, nothing, set, lambda: "drained", self.help)
        found = crashing.kill_and_restart(self.path, ["1", "2", "3"], helped, 0.1)
        self.assertEqual(found._replace(note=""), (0, 0, None, 0, ""))
        note = (
            r"^1 jobs wait 0 s in vain \(drained\); after a restart of the node the next starts in \d\.\d s; drained$"
        )
        self.assertRegex(found.note, note)

    def test_what_stops_again_after_a_start_is_helped_too(self) -> None:
        helped = Server(self.kill, self.restart, set, help=self.push)
        found = crashing.kill_and_restart(self.path, ["1", "2", "3", "4"], helped, 0.2)
        self.assertIsNotNone(found.next_start)
        self.assertEqual(found.lost, 0)
        self.assertIn("1 jobs wait 0 s in vain; after a push", found.note)

    def test_a_server_that_never_goes_on_has_lost_what_waited(self) -> None:
        found = crashing.kill_and_restart(self.path, ["1", "2", "3"], Server(self.kill, nothing, set), 0.1)
        self.assertEqual((found.lost, found.next_start), (1, None))
