"""The file of the book of starts: it outlives the process, keeps to its size, and stops nothing when it fails."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.unit.model.test_starts import signature
from tm.edge import start_file
from tm.edge.start_file import StartFile
from tm.model.starts import Report, Said, StartBook


class StartFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = os.path.join(folder, "starts")
        self.file = StartFile(self.path)
        self.addCleanup(lambda: self.file.close())
        self.text, _ = order()

    def go(self, book: StartBook, job: int, spool: str = "s1") -> str:
        told = book.unfit(job, 1, job, signature(job), self.text, spool)
        self.file.keep(book)
        return told

    def end(self, book: StartBook, job: int) -> None:
        report = Report("s1", [Said(job, 1, "ended", 0)])
        book.said(report)
        book.acknowledged(report)
        self.file.keep(book)

    def test_what_was_written_is_there_for_the_next_without_any_farewell(self) -> None:
        book = self.file.read()
        self.go(book, 17)
        self.go(book, 18)
        self.end(book, 18)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        other = StartFile(self.path)
        again = other.read()
        other.close()
        self.assertIn("auth.replay", again.unfit(17, 1, 17, signature(17), self.text, "s2"))
        self.assertIn("auth.replay", again.unfit(18, 2, 19, signature(18), self.text, "s1"))

    def test_it_is_written_anew_before_it_grows_large(self) -> None:
        self.patch(start_file, "REWRITE_AT", 4096)
        self.file.close()
        self.file = StartFile(self.path)
        book = self.file.read()
        for job in range(1, 2000):
            self.go(book, job)
            self.end(book, job)
        self.assertLess(os.path.getsize(self.path), 8192)
        self.assertIn("auth.replay", self.go(self.file.read(), 1, "s2"))

    def test_a_file_that_cannot_be_written_stops_nothing_and_is_said_once(self) -> None:
        book = self.file.read()
        self.file.close()
        for job in range(3):
            self.assertEqual(self.go(book, job), "")
        self.assertIn("auth.replay", self.go(book, 1, "s2"))

    def test_a_link_in_its_place_is_not_followed(self) -> None:
        elsewhere = self.path + ".elsewhere"
        with open(elsewhere, "w") as file:
            file.write("mine\n")
        os.symlink(elsewhere, self.path)
        os.symlink(elsewhere, self.path + ".new")
        book = self.file.read()
        self.assertEqual(self.go(book, 1), "")
        with open(elsewhere) as file:
            self.assertEqual(file.read(), "mine\n")
