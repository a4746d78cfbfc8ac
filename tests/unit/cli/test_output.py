"""``tm output --file``: what is said of a bundle that is not there, or lacks what was asked for."""

from __future__ import annotations

import os

from tests.unit.cli.test_tm import TmTestCase
from tm.bundle import append, folder_of, merge


class OutputTests(TmTestCase):
    def setUp(self) -> None:
        super().setUp()
        os.makedirs(self.base)
        self.path = os.path.join(self.base, "tm-17.bundle")

    def test_a_bundle_that_is_not_there_is_named(self) -> None:
        self.assertIn(f"{self.path} is not there", self.tm("output", "--file", self.path, status=1))

    def test_tasks_of_which_it_has_nothing_are_named_with_what_lists_the_others(self) -> None:
        source = os.path.join(self.base, "output")
        with open(source, "w") as file:
            file.write("hello\n")
        os.makedirs(folder_of(self.path))
        with open(os.path.join(folder_of(self.path), "n1.part"), "ab") as segment:
            append(segment, [({"task": 3, "attempt": 1, "exit": 0}, source)])
        merge(self.path)

        said = self.tm("output", "--file", self.path, "--task", "9", status=1)

        self.assertIn(f"{self.path} has no output of 9; 'tm output --list --file {self.path}'", said)
        self.assertIn("       3  attempt 1", self.tm("output", "--list", "--file", self.path))
