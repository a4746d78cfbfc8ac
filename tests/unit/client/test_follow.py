"""Tails of files that grow, shrink, appear late, or are no files."""

from __future__ import annotations

import os

from tests.unit.client.house import House
from tm.client.follow import Tail, make_tails


class TailTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.read_end, self.write_end = os.pipe()
        self.addCleanup(os.close, self.read_end)
        self.addCleanup(os.close, self.write_end)
        os.set_blocking(self.read_end, False)

    def tail(self, lines: int | None = None) -> Tail:
        made = Tail(self.path("f"), self.write_end, lines)
        self.addCleanup(made.close)
        return made

    def write(self, text: str, mode: str = "a") -> None:
        with open(self.path("f"), mode) as file:
            file.write(text)

    def shown(self) -> str:
        try:
            return os.read(self.read_end, 65536).decode()
        except BlockingIOError:
            return ""

    def test_what_is_appended_is_copied_byte_for_byte(self) -> None:
        tail = self.tail()
        self.assertFalse(tail.pump())
        self.write("a\rb")
        self.assertTrue(tail.pump())
        self.write("c\n")
        tail.finish()

        self.assertEqual("a\rbc\n", self.shown())

    def test_the_last_lines_are_counted_with_and_without_an_end(self) -> None:
        for text, expected in (
            ("1\n2\n3\n", "2\n3\n"),
            ("1\n2\n3", "2\n3"),
            ("1\n", "1\n"),
            ("", ""),
            ("\n\n\n", "\n\n"),
        ):
            self.write(text, "w")
            self.tail(2).pump()
            self.assertEqual(expected, self.shown())

    def test_a_file_that_is_begun_anew_is_shown_from_its_beginning(self) -> None:
        tail = self.tail()
        self.write("long text\n")
        tail.pump()
        self.write("new\n", "w")
        tail.pump()

        self.assertEqual("long text\nnew\n", self.shown())

    def test_what_is_no_regular_file_is_left_alone(self) -> None:
        os.mkfifo(self.path("f"))
        tail = self.tail()

        self.assertFalse(tail.pump())
        self.assertTrue(tail.seen)

    def test_a_stderr_of_its_own_goes_to_stderr(self) -> None:
        view = {"started_at": "2026-11-22T10:00:00Z", "stdout": "/o", "stderr": "/e"}

        self.assertEqual(["/o", "/e"], [tail.path for tail in make_tails(view, 0.0)])
        self.assertEqual(["/o"], [tail.path for tail in make_tails({**view, "stderr": "/o"}, 0.0)])
        self.assertEqual([], make_tails({**view, "stdout": None, "stderr": None}, 0.0))
        self.assertEqual([], make_tails({**view, "started_at": None}, 0.0))
