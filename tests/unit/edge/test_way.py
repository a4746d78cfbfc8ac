"""The file that says by which way a server comes back, and who runs already."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.way import WayWatch, read_way, tell_way
from tm.errors import TaskManagerError


class NotingDialler:
    """Counts how often it is told to dial anew."""

    def __init__(self) -> None:
        self.dials = 0

    def anew(self) -> None:
        """Be told so."""
        self.dials += 1


class WayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)

    def test_a_way_is_what_was_said_last_and_none_is_the_usual_one(self) -> None:
        self.assertIsNone(read_way(self.folder))
        for way in (("127.0.0.1", 40123), ("127.0.0.1", 7), None, None):
            tell_way(self.folder, way)
            self.assertEqual(read_way(self.folder), way)
        Path(self.folder, "tunnel").write_text("nonsense")
        self.assertIsNone(read_way(self.folder))

    def test_a_folder_that_cannot_be_written_is_named(self) -> None:
        error = self.assertRaises(TaskManagerError, tell_way, os.path.join(self.folder, "none"), ("127.0.0.1", 1))
        self.assertIn("none/tunnel", error.text)

    def test_who_runs_dials_anew_when_the_way_is_another(self) -> None:
        clock, dialler = Clock(), NotingDialler()
        tell_way(self.folder, ("127.0.0.1", 1))
        watch = WayWatch(clock, self.folder, dialler)
        watch.start()
        clock.advance(1)
        self.assertEqual(dialler.dials, 0)
        for number, way in enumerate((("127.0.0.1", 2), None), 1):
            tell_way(self.folder, way)
            clock.advance(1)
            clock.advance(1)
            self.assertEqual(dialler.dials, number)
        watch.stop()
        tell_way(self.folder, ("127.0.0.1", 3))
        clock.advance(5)
        self.assertEqual(dialler.dials, 2)
