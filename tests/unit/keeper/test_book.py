"""What waits, runs and has ended, and who may start: pure."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.keeper.book import Book, Running
from tm.keeper.order import Key, Order


def order(job: int, cores: int = 1, attempt: int = 1) -> Order:
    """Return an order of *cores* cores."""
    return Order({"job": job, "attempt": attempt, "command": "true", "cores": cores})


def start(book: Book) -> list[int]:
    """Start all that may start; return the jobs."""
    jobs = []
    while (first := book.first()) is not None:
        book.start(Running(first.key, first.cores, 1000 + first.key[0], 5, 1.0))
        jobs.append(first.key[0])
    return jobs


def end(book: Book, key: Key, what: str = "ended") -> None:
    """End *key*."""
    book.end({"job": key[0], "attempt": key[1], "what": what})


class BookTests(SynchronousTestCase):
    """The laws of the book."""

    def test_nothing_starts_without_a_grant(self) -> None:
        book = Book()
        book.queue(order(1, cores=0))

        self.assertEqual([], start(book))

    def test_orders_start_in_order_as_far_as_the_grant_goes(self) -> None:
        book = Book()
        book.grant = 4
        for job, cores in enumerate([2, 1, 2, 1]):
            book.queue(order(job, cores))
        self.assertEqual([0, 1], start(book))
        end(book, (0, 1))

        self.assertEqual([2, 3], start(book))

    def test_a_wide_order_waits_for_all_others_and_keeps_them_waiting(self) -> None:
        book = Book()
        book.grant = 2
        for job, cores in enumerate([1, 8, 1]):
            book.queue(order(job, cores))
        self.assertEqual([0], start(book))
        end(book, (0, 1))
        self.assertEqual([1], start(book))
        end(book, (1, 1))

        self.assertEqual([2], start(book))

    def test_a_smaller_grant_ends_nothing_and_starts_nothing(self) -> None:
        book = Book()
        book.grant = 3
        for job in range(4):
            book.queue(order(job))
        start(book)
        book.grant = 1
        end(book, (0, 1))
        end(book, (1, 1))
        self.assertEqual([], start(book))
        end(book, (2, 1))

        self.assertEqual([3], start(book))

    def test_known_is_what_waits_runs_or_has_ended_but_not_what_was_returned_or_forgotten(self) -> None:
        book = Book()
        book.grant = 1
        for job in (1, 2):
            book.queue(order(job))
        start(book)
        self.assertEqual((True, True, False), tuple(book.knows((job, 1)) for job in (1, 2, 3)))
        self.assertFalse(book.knows((1, 2)))
        end(book, (1, 1))
        self.assertTrue(book.withdraw((2, 1)))
        end(book, (2, 1), "returned")
        self.assertEqual((True, False), (book.knows((1, 1)), book.knows((2, 1))))
        self.assertTrue(book.forget((1, 1)))

        self.assertFalse(book.knows((1, 1)))

    def test_a_greeting_says_who_is_suspended_after_who_runs(self) -> None:
        book = Book()
        book.grant = 3
        for job in (1, 2, 3):
            book.queue(order(job))
        start(book)
        book.running[1, 1].turn, book.running[2, 1].turn = 3, 4
        running = [(fact["what"], fact["job"], fact.get("turn")) for fact in book.hello()["running"]]

        self.assertEqual([("started", job, None) for job in (1, 2, 3)], running[:3])
        self.assertEqual([("suspended", 1, 3), ("resumed", 2, 4)], running[3:])

    def test_withdrawing_is_only_for_what_waits(self) -> None:
        book = Book()
        book.grant = 1
        book.queue(order(1))
        start(book)

        self.assertEqual((False, False), (book.withdraw((1, 1)), book.withdraw((2, 1))))

    @given(st.lists(st.tuples(st.sampled_from("qesgw"), st.integers(0, 9)), max_size=60))
    @settings(deadline=None)
    def test_whatever_happens_the_grant_holds_and_each_attempt_is_in_one_place(
        self, steps: list[tuple[str, int]]
    ) -> None:
        book = Book()
        for step, number in steps:
            key = (number, 1)
            in_use = book.in_use
            if step == "q" and not book.knows(key):
                book.queue(order(number, cores=number % 4))
            elif step == "e" and key in book.running:
                end(book, key)
            elif step == "g":
                book.grant = number
            elif step == "w":
                book.withdraw(key)
            elif step == "s" and start(book):
                self.assertTrue(book.in_use <= book.grant or len(book.running) == 1 or book.in_use == in_use)
            places = [*book.queued, *book.running, *book.ended]
            self.assertEqual(len(set(places)), len(places))
            self.assertEqual(book.in_use, sum(running.cores for running in book.running.values()))
