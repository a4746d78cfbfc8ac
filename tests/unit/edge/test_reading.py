"""Reading files that grow: for many, as fast as each takes it, and only while somebody does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.reading import BLOCK, LOOK_SECONDS, Lookout, Reader


class Follower:
    """Notes what a reader brings."""

    def __init__(self, path: str, at: int = -1, lines: int | None = None) -> None:
        self.data = b""
        self.began: dict[int, int] = {}
        self.ended: dict[int, int] | None = None
        self.reader = Reader([(1, path, at)], lines, self._begun, self._output, self._done)

    def _begun(self, places: dict[int, int]) -> None:
        self.began = places

    def _output(self, channel: int, data: bytes) -> None:
        self.data += data

    def _done(self, places: dict[int, int]) -> None:
        self.ended = places


class ReadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.looks = 0
        self.lookout = Lookout(self.clock, self.in_thread)
        os.mkdir(self.mktemp())
        self.file = Path(self.mktemp())

    def in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        self.looks += 1
        return succeed(work())

    def follow(self, at: int = -1, lines: int | None = None) -> Follower:
        follower = Follower(str(self.file), at, lines)
        self.lookout.add(follower.reader)
        self.turn()
        return follower

    def turn(self, times: int = 5) -> None:
        self.clock.pump([LOOK_SECONDS] * times)

    def test_what_is_there_and_what_comes_is_read_from_where_it_was_asked_for(self) -> None:
        self.file.write_bytes(b"1\n2\n3\n")
        whole, last, rest = self.follow(), self.follow(lines=1), self.follow(at=2)
        with self.file.open("ab") as file:
            file.write(b"4\n")
        self.turn()

        self.assertEqual([b"1\n2\n3\n4\n", b"3\n4\n", b"2\n3\n4\n"], [one.data for one in (whole, last, rest)])
        self.assertEqual([{1: 0}, {1: 4}, {1: 2}], [one.began for one in (whole, last, rest)])

    def test_what_several_want_is_read_once(self) -> None:
        reads = []
        original = os.pread
        self.patch(os, "pread", lambda fd, size, at: reads.append(at) or original(fd, size, at))
        self.file.write_bytes(b"x" * 1000)
        for _ in range(5):
            self.lookout.add(Follower(str(self.file)).reader)
        self.turn(1)
        self.assertEqual(1, reads.count(0))

    def test_a_file_that_comes_later_is_read_from_its_beginning_whatever_was_asked_for(self) -> None:
        follower = self.follow(lines=1)
        self.file.write_bytes(b"1\n2\n")
        self.turn()
        self.assertEqual(b"1\n2\n", follower.data)

    def test_a_file_that_shrinks_or_is_replaced_is_read_anew(self) -> None:
        self.file.write_bytes(b"one\n")
        follower = self.follow()
        self.file.write_bytes(b"2\n")
        self.turn()
        self.file.rename(self.file.with_suffix(".old"))
        self.turn()
        self.file.write_bytes(b"three\n")
        self.turn()
        self.assertEqual(b"one\n2\nthree\n", follower.data)

    def test_what_is_no_file_is_not_waited_for(self) -> None:
        os.mkfifo(self.file)
        follower = self.follow()
        follower.reader.over = True
        self.turn()
        self.assertEqual((b"", {1: 0}), (follower.data, follower.ended))

    def test_all_is_read_before_it_is_over(self) -> None:
        self.file.write_bytes(b"x" * (3 * BLOCK + 5))
        follower = Follower(str(self.file))
        follower.reader.over = True
        self.lookout.add(follower.reader)
        self.turn(20)
        self.assertEqual((3 * BLOCK + 5, {1: 3 * BLOCK + 5}), (len(follower.data), follower.ended))

    def test_nothing_is_read_ahead_of_who_does_not_take_it(self) -> None:
        self.file.write_bytes(b"x" * (3 * BLOCK))
        slow, quick = Follower(str(self.file)), Follower(str(self.file))
        slow.reader.pauseProducing()
        for one in (slow, quick):
            self.lookout.add(one.reader)
        self.turn(10)
        self.assertEqual((0, 3 * BLOCK), (len(slow.data), len(quick.data)))
        slow.reader.resumeProducing()
        self.turn(10)
        self.assertEqual(3 * BLOCK, len(slow.data))

    def test_nothing_is_looked_at_while_nobody_follows(self) -> None:
        self.file.write_bytes(b"x")
        follower = self.follow()
        self.lookout.remove(follower.reader)
        self.turn()
        looks, self.looks = self.looks, 0
        self.turn(20)
        self.assertEqual((True, 0, []), (looks > 0, self.looks, self.clock.getDelayedCalls()))
