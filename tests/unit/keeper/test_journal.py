"""The journal: what is written is read again, wherever it was cut."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tm.keeper import journal
from tm.keeper.book import Running


def ending(job: int, what: str = "ended", **more: object) -> dict[str, object]:
    """Return a final fact."""
    return {"job": job, "attempt": 1, "what": what, "exit_code": 37, "cpu_seconds": 0.0, "max_rss": 0, **more}


class JournalTests(SynchronousTestCase):
    """Writing and reading."""

    @override
    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.log = journal.Log(self.path)

    @override
    def tearDown(self) -> None:
        self.log.close()

    def start(self, job: int) -> None:
        """Write that *job* was started."""
        self.log.append(journal.intent((job, 1)))
        self.log.append(journal.start(Running((job, 1), 1, 100 + job, 7, 2.5)))

    def content(self) -> bytes:
        """Return the file as it is."""
        with open(self.path, "rb") as file:
            return file.read()

    def test_no_journal_is_an_empty_one(self) -> None:
        found = journal.read(self.path + ".none")

        self.assertEqual((set(), {}, {}), (found.intents, found.started, found.endings))

    def test_an_attempt_moves_from_intent_to_started_to_ended_to_forgotten(self) -> None:
        self.log.append(journal.intent((1, 1)))
        self.assertEqual({(1, 1)}, journal.read(self.path).intents)
        self.log.append(journal.start(Running((1, 1), 1, 4711, 99, 2.5)))
        found = journal.read(self.path)
        self.assertEqual((set(), [(1, 1)]), (found.intents, list(found.started)))
        started = found.started[1, 1]
        self.assertEqual((4711, 99, 2.5), (started.pid, started.ticks, started.at))
        self.assertTrue(self.log.secure(journal.final(ending(1))))
        self.log.append(journal.usage(ending(1, cpu_seconds=1.5, max_rss=4096)))
        found = journal.read(self.path)
        self.assertEqual(({}, ending(1, cpu_seconds=1.5, max_rss=4096)), (found.started, found.endings[1, 1]))
        self.log.append(journal.forgotten((1, 1)))

        self.assertEqual({}, journal.read(self.path).endings)

    def test_it_says_of_what_runs_whether_it_is_suspended(self) -> None:
        for job in (1, 2, 3):
            self.start(job)
        running = Running((1, 1), 1, 101, 7, 2.5)
        for _ in range(3):
            running.turn += 1
            self.log.append(journal.pause(running))
        running = Running((2, 1), 1, 102, 7, 2.5)
        running.turn = 2
        self.log.append(journal.pause(running))
        self.log.append(journal.final(ending(2)) + journal.pause(running))
        found = journal.read(self.path)

        self.assertEqual({(1, 1): 3, (3, 1): 0}, {key: started.turn for key, started in found.started.items()})
        self.assertEqual([(2, 1)], list(found.endings))

    def test_what_never_ran_is_an_ending_too_and_may_be_tried_again(self) -> None:
        self.log.append(journal.intent((1, 1)))
        self.log.append(journal.final(ending(1, "refused")) + journal.final(ending(2, "returned")))
        self.log.append(journal.intent((2, 1)))
        found = journal.read(self.path)

        self.assertEqual(({(2, 1)}, [(1, 1)]), (found.intents, list(found.endings)))

    def test_lines_that_are_no_records_count_for_nothing(self) -> None:
        self.start(1)
        self.log.append(b'\x00\x00\n[]\n7\n["s",2]\n["e",{}]\n["e",3]\nnull\n["x",1,1]\n[["i"],1,1]\n')
        self.log.append(b'["i","x",{}]\n["s",3,1,"pid",1,1.0]\n["z",1,1,1,[],0]\n["e",{"job":"x","attempt":1}]\n')
        self.start(2)

        self.assertEqual([(1, 1), (2, 1)], list(journal.read(self.path).started))

    def test_when_it_has_grown_it_is_replaced_by_what_counts(self) -> None:
        self.assertFalse(self.log.grown)
        job = 0
        while not self.log.grown:
            job += 1
            self.start(job)
        self.log.replace([journal.start(Running((7, 1), 1, 107, 7, 2.5)), journal.final(ending(8))])
        self.start(9)
        found = journal.read(self.path)

        self.assertEqual(([(7, 1), (9, 1)], [(8, 1)]), (list(found.started), list(found.endings)))
        self.assertEqual((False, len(self.content())), (self.log.grown, self.log.size))
        self.assertFalse(os.path.exists(self.path + ".new"))

    def test_where_it_cannot_be_replaced_the_old_one_goes_on(self) -> None:
        os.mkdir(self.path + ".new")
        self.start(1)
        self.log.replace([])
        self.start(2)

        self.assertEqual([(1, 1), (2, 1)], list(journal.read(self.path).started))

    def test_only_its_owner_may_read_it(self) -> None:
        self.assertEqual(0o600, os.stat(self.path).st_mode & 0o777)

    @given(st.integers(0, 400))
    @settings(deadline=None)
    def test_wherever_it_is_cut_it_says_what_its_whole_lines_say(self, size: int) -> None:
        records = [
            journal.intent((1, 1)),
            journal.start(Running((1, 1), 1, 101, 7, 2.5)),
            journal.final(ending(1, reason="a\nb ä")),
            journal.usage(ending(1, cpu_seconds=0.25, max_rss=1)),
        ]
        cut = os.path.abspath(self.mktemp())
        with open(cut, "wb") as file:
            file.write(b"".join(records)[:size])
        found = journal.read(cut)
        whole = sum(len(b"".join(records[:number])) <= size for number in range(1, 5))
        place = ["nowhere", "intents", "started", "endings", "endings"][whole]

        self.assertEqual([place] if whole else [], [n for n in ("intents", "started", "endings") if getattr(found, n)])
        if whole == 4:
            self.assertEqual(0.25, found.endings[1, 1]["cpu_seconds"])
