"""Outputs that are read where the user's server is: of files, of a task in a bundle, no faster than they are taken."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import NotedPeer
from tm import bundle
from tm.edge.reading import BLOCK, Lookout
from tm.edge.reading_here import HereFiles
from tm.errors import RefusedError


class HereCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock = Clock()
        self.here = HereFiles(Lookout(self.clock, maybeDeferred), maybeDeferred)  # type: ignore[arg-type]  # at once
        self.peer = NotedPeer()

    def path(self, content: bytes, name: str = "out") -> str:
        Path(self.folder, name).write_bytes(content)
        return str(self.folder / name)

    def done(self, reading: Any) -> bool:
        answer: bool = self.successResultOf(Deferred.fromCoroutine(reading))
        self.clock.pump([0.0] * 10)
        return answer

    @property
    def text(self) -> bytes:
        return b"".join(data for _, data in self.peer.bulks)

    def states(self) -> list[tuple[str, Any]]:
        return [(one["state"], one.get("places")) for one in self.peer.told]


class FileTests(HereCase):
    def test_files_are_read_from_a_place_or_their_last_lines_to_the_end(self) -> None:
        files = [(1, self.path(b"one\ntwo\nthree\n"), -1), (2, self.path(b"error\n", "err"), 2)]
        self.assertTrue(self.done(self.here.read(self.peer, files, 1)))
        self.assertEqual(self.peer.bulks, [(1, b"three\n"), (2, b"ror\n")])
        self.assertEqual(self.states(), [("reading", [[1, 8], [2, 2]]), ("read", [[1, 14], [2, 6]])])

    def test_what_is_not_here_is_not_read(self) -> None:
        self.assertFalse(self.done(self.here.read(self.peer, [(1, str(self.folder / "none"), -1)], None)))
        self.assertFalse(self.done(self.here.read(self.peer, [(1, str(self.folder), -1)], None)))
        self.assertEqual(self.peer.told, [])

    def test_who_does_not_take_it_gets_no_more(self) -> None:
        peer = Slow()
        self.done(self.here.read(peer, [(1, self.path(b"x" * (3 * BLOCK)), -1)], None))
        self.assertEqual(len(peer.bulks), 1)
        peer.congestion(False)
        self.clock.pump([0.0] * 3)
        self.assertEqual(len(peer.bulks), 2)
        peer.lost()
        peer.congestion(False)
        self.clock.pump([0.0] * 3)
        self.assertEqual(len(peer.bulks), 2)


class Slow(NotedPeer):
    """A peer that chokes at each piece."""

    def send_bulk(self, channel: int, data: bytes) -> None:
        super().send_bulk(channel, data)
        self.congestion(True)


class TaskTests(HereCase):
    def bundled(self, *outputs: bytes) -> str:
        """Return the path of a bundle in which the tasks from 0 on have written *outputs*."""
        path = str(self.folder / "all")
        os.mkdir(bundle.folder_of(path))
        with open(os.path.join(bundle.folder_of(path), "n1.part"), "ab") as segment:
            assert isinstance(segment, io.BufferedWriter)
            records = [
                ({"task": task, "attempt": 1}, self.path(content, f"o{task}")) for task, content in enumerate(outputs)
            ]
            bundle.append(segment, records)
        return path

    def test_what_one_task_wrote_is_read_out_of_its_bundle_before_and_after_that_is_put_together(self) -> None:
        path = self.bundled(b"zero\n", b"one\ntwo\nthree", b"")
        for merged in (False, True):
            if merged:
                bundle.merge(path)
            for task, at, lines, begin, text in (
                (0, -1, 100, 0, b"zero\n"), (1, -1, 1, 8, b"three"), (1, 4, 1, 4, b"two\nthree"), (2, -1, None, 0, b""),
                (1, 99, None, 13, b""), (1, -1, None, 0, b"one\ntwo\nthree"),
            ):  # fmt: skip
                self.peer = NotedPeer()
                self.assertTrue(self.done(self.here.read_task(self.peer, path, task, at, lines)))
                self.assertEqual(self.text, text)
                self.assertEqual(self.states(), [("reading", [[1, begin]]), ("read", [[1, begin + len(text)]])])
            self.assertFalse(self.done(self.here.read_task(self.peer, path, 3, -1, None)))

    def test_it_is_read_no_faster_than_it_is_taken(self) -> None:
        path = self.bundled(b"x" * (BLOCK + 1))
        peer = Slow()
        self.done(self.here.read_task(peer, path, 0, -1, None))
        self.assertEqual([len(data) for _, data in peer.bulks], [BLOCK])
        peer.congestion(False)
        self.assertEqual([len(data) for _, data in peer.bulks], [BLOCK, 1])
        peer = Slow()
        self.done(self.here.read_task(peer, path, 0, -1, None))
        peer.lost()
        self.assertEqual(([len(data) for _, data in peer.bulks], len(peer.told)), ([BLOCK], 1))

    def test_what_is_no_bundle_or_goes_away_is_said(self) -> None:
        self.assertFalse(self.done(self.here.read_task(self.peer, str(self.folder / "none"), 0, -1, None)))
        reading = Deferred.fromCoroutine(self.here.read_task(self.peer, self.path(b"no bundle"), 0, -1, None))
        self.assertEqual(self.failureResultOf(reading, RefusedError).value.word, "bundle.damaged")
        path = self.bundled(b"x" * (BLOCK + 1))
        peer = Slow()
        self.done(self.here.read_task(peer, path, 0, -1, None))
        os.unlink(os.path.join(bundle.folder_of(path), "n1.part"))
        peer.congestion(False)
        self.assertEqual(peer.told[-1]["state"], "lost")
