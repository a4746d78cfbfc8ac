"""The book of starts: what is signed once runs once, and nothing that may run is kept from it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tm.model import starts
from tm.model.ids import task_id
from tm.model.starts import Hello, Report, Said, StartBook, mark, mark_of


def signature(number: int, token: str = "t") -> str:
    """Return what stands for a good signature of job *number* of a submission."""
    return f"{mark('submit', token)}{number:08x}." + "0" * 40


class BookCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.book = StartBook()
        for spool in ("s1", "s2"):
            self.book.joined(Hello(spool))
        self.written: list[str] = []
        self.texts: dict[int, str] = {}
        self.spools: dict[int, str] = {}

    def go(
        self, job: int = 17, attempt: int = 1, c: int = 1, spool: str = "s1", sig: str = "", **more: object
    ) -> str:
        if more or job not in self.texts:
            self.texts[job] = order(**more)[0]  # type: ignore[arg-type]
        told = self.book.unfit(job, attempt, c, sig or signature(job), self.texts[job], spool)
        if not told:
            self.spools[job] = spool
        self.written += self.book.fresh
        self.book.fresh.clear()
        return told

    def goes(self, *arguments: object, **more: object) -> None:
        self.assertEqual(self.go(*arguments, **more), "")  # type: ignore[arg-type]

    def refused(self, *arguments: object, **more: object) -> None:
        self.assertTrue(self.go(*arguments, **more).startswith("auth.replay: "))  # type: ignore[arg-type]

    def hear(
        self, what: str, job: int = 17, attempt: int = 1, code: int | None = None, cause: str = "", at: str = ""
    ) -> None:
        report = Report(at or self.spools.get(job, "s1"), [Said(job, attempt, what, code, cause)])
        self.book.said(report)
        self.book.acknowledged(report)

    def again(self) -> None:
        """Go on with a book that reads what this one wrote."""
        self.written += self.book.fresh
        self.book = StartBook(self.written)
        for spool in ("s1", "s2"):
            self.book.joined(Hello(spool, 0))


class ReplayTests(BookCase):
    def test_the_same_order_may_be_said_again_and_nothing_else_of_it(self) -> None:
        self.goes()
        self.goes()
        self.refused(spool="s2")
        self.refused(c=2)
        self.goes()

    def test_what_is_signed_once_is_no_second_job(self) -> None:
        self.goes()
        self.refused(18, sig=signature(17))
        self.hear("ended", code=0)
        self.refused(18, sig=signature(17))
        self.goes(18)

    def test_a_job_that_has_ended_is_not_started_again_on_its_host_or_another(self) -> None:
        for code in (0, 1):
            job = 20 + code
            self.goes(job, c=job)
            self.hear("ended", job, code=code)
            self.refused(job, c=job)
            self.refused(job, 2, c=30)
            self.refused(job, 2, c=1, spool="s2")

    def test_a_job_that_runs_gets_no_second_attempt_beside_it(self) -> None:
        self.goes(requeue=True)
        self.refused(attempt=2, spool="s2")
        self.goes(18)
        self.refused(18, 2, spool="s2")
        self.book.left("s1")
        self.goes(attempt=2, spool="s2")
        self.refused(18, 2, spool="s2")

    def test_an_older_attempt_comes_too_late(self) -> None:
        self.goes()
        self.hear("returned")
        self.goes(attempt=2, c=2)
        self.refused(attempt=1, c=1)

    def test_tasks_of_an_array_are_told_apart(self) -> None:
        for index in (0, 5, 900):
            self.goes(task_id(17, index), c=index, sig=signature(1), array="0-999")
            self.hear("ended", task_id(17, index), code=0)
        for index in (0, 5, 900):
            self.refused(task_id(17, index), c=1000 + index, sig=signature(1))
            self.refused(task_id(18, index), c=1000 + index, sig=signature(1))
        self.goes(task_id(17, 6), sig=signature(1))

    def test_a_signature_without_a_mark_counts_by_the_number_of_its_job(self) -> None:
        self.goes(sig="0" * 64)
        self.goes(18, sig="0" * 64)
        self.refused(18, sig="0" * 64, spool="s2")
        self.hear("ended", code=3)
        self.refused(attempt=2, sig="0" * 64)


class FurtherAttemptTests(BookCase):
    def test_one_that_was_taken_back_or_never_began_is_none(self) -> None:
        for attempt, what in enumerate(["returned", "refused", "returned"] * 5, 1):
            self.goes(attempt=attempt, c=attempt, spool=f"s{attempt % 2}")
            self.hear(what, attempt=attempt)

    def test_retries_are_counted_out(self) -> None:
        self.goes(retries=2)
        for attempt in (1, 2):
            self.hear("ended", attempt=attempt, code=75)
            self.goes(attempt=attempt + 1, c=attempt + 1, spool=f"s{attempt}")
        self.hear("ended", attempt=3, code=75)
        self.refused(attempt=4, c=4)

    def test_one_that_ended_well_is_not_retried(self) -> None:
        self.goes(retries=2)
        self.book.said(Report("s1", [Said(17, 1, "ended", 0)]))
        self.refused(attempt=2, c=2)
        self.goes(18, retries=2)
        self.hear("ended", 18, code=0, cause="time")
        self.goes(18, 2, c=2)

    def test_a_lost_host_uses_a_retry_whether_it_was_heard_of_or_not(self) -> None:
        self.goes(retries=1)
        self.book.left("s1")
        self.goes(attempt=2, spool="s2")
        self.refused(attempt=3, spool="s3")

    def test_who_consents_is_begun_anew_as_often_as_its_host_is_restarted_or_needed(self) -> None:
        for job, more in ((17, {"requeue": True}), (18, {"scavenge": True})):
            self.goes(job, **more)
            for attempt in range(1, 9):
                if attempt % 2:
                    self.hear("rebooted", job, attempt)
                else:
                    self.book.gives_way(job, attempt, self.spools[job])
                    self.hear("ended", job, attempt, code=143)
                self.goes(job, attempt + 1, c=attempt + 1)
            self.hear("ended", job, 9, code=1)
            self.refused(job, 10, c=10)

    def test_who_was_put_back_goes_again_however_it_ended(self) -> None:
        self.goes()
        self.book.gives_way(17, 1, "s1")
        self.refused(attempt=2, spool="s2")
        self.book.left("s1")
        self.refused(attempt=2, spool="s2")
        self.hear("ended", code=0)
        self.goes(attempt=2, spool="s2")

    def test_who_ended_just_before_it_was_put_back_goes_again_and_one_long_over_does_not(self) -> None:
        self.goes()
        self.book.said(Report("s1", [Said(17, 1, "ended", 0)]))
        self.book.gives_way(17, 1, "s1")
        self.goes(attempt=2, spool="s2")
        self.goes(18)
        self.hear("ended", 18, code=0)
        self.book.gives_way(18, 1, "s1")
        self.refused(18, 2, spool="s2")

    def test_attempts_that_went_nowhere_leave_gaps(self) -> None:
        self.goes(retries=1)
        self.hear("ended", code=1)
        self.goes(attempt=5, c=9)


class TrickTests(BookCase):
    """What a dispatcher in wrong hands can say to servers on hosts, so that they say what it needs."""

    def test_an_order_that_starts_nothing_does_not_make_the_one_before_one_that_never_began(self) -> None:
        self.goes()
        self.book.voided(17, 1, "s1")
        self.hear("refused")
        self.refused(attempt=2, spool="s2")
        self.again()
        self.refused(attempt=2, spool="s2")

    def test_what_another_host_says_of_it_counts_for_nothing(self) -> None:
        self.goes()
        self.refused(spool="s2")
        self.book.voided(17, 1, "s2")
        self.hear("refused", at="s2")
        self.hear("rebooted", at="s2")
        self.refused(attempt=2, spool="s2")

    def test_who_is_asked_to_give_way_where_it_is_not_is_not_asked(self) -> None:
        self.goes()
        self.book.gives_way(17, 1, "s2")
        self.hear("ended", code=0)
        self.refused(attempt=2, spool="s2")

    def test_what_a_host_was_told_to_forget_is_not_unknown(self) -> None:
        self.goes(c=5)
        self.book.forgotten(17, 1, "s1")
        self.book.joined(Hello("s1", 5, []))
        self.refused(attempt=2, spool="s2")
        self.again()
        self.refused(attempt=2, spool="s2")


class MemoryTests(BookCase):
    def test_another_book_that_reads_the_lines_refuses_and_lets_go_the_same(self) -> None:
        self.goes()
        self.goes(18, retries=1)
        self.goes(19)
        self.goes(20)
        self.hear("ended", 18, code=1)
        self.hear("ended", 19, code=1)
        self.hear("returned", 20)
        self.written += self.book.fresh
        for lines in (self.written, list(StartBook(self.written).snapshot())):
            self.book, self.written = StartBook(lines), lines
            self.book.joined(Hello("s1", 1, [(17, 1, "running")]))
            self.goes()
            self.refused(spool="s2")
            self.refused(attempt=2)
            self.refused(19, 2)
        self.goes(18, 2, c=2)
        self.goes(20, 2, c=2)

    def test_many_of_one_submission_and_large_arrays_take_a_bit_each(self) -> None:
        for number in (1, 60, 63, 64, 5000):
            self.goes(number, c=number)
            self.hear("ended", number, code=0)
        self.book = StartBook(list(self.book.snapshot()))
        for number in (1, 60, 63, 64, 5000):
            self.refused(number, c=9000 + number)
        for number in (2, 59, 62, 65, 4999, 5001, 100_000):
            self.goes(number, c=9000 + number)

    def test_damaged_lines_say_less_and_stop_nothing(self) -> None:
        self.goes()
        self.hear("returned")
        lines = [
            *self.written,
            *self.book.fresh,
            "s x\n",
            "o 17 q w e\n",
            "c zz\n",
            "b x y\n",
            "\n",
            "\0\xff",
        ]
        for cut in range(len(lines[0])):
            StartBook([lines[0][:cut]])
        self.book = StartBook(lines)
        self.goes(attempt=2, c=2)

    def test_the_oldest_are_forgotten_where_there_are_too_many(self) -> None:
        self.patch(starts, "MOST_OPEN", 10)
        self.patch(starts, "MOST_CLOSED", 10)
        for job in range(100):
            self.goes(job, sig=signature(1, str(job)))
            self.goes(1000 + job, sig=signature(1, f"open {job}"))
            self.hear("ended", job, code=0)
        self.assertLessEqual(len(list(self.book.snapshot())), 20)
        self.goes(0, 2, sig=signature(1, "0"))
        self.refused(99, 2, sig=signature(1, "99"))

    def test_what_ended_while_another_server_was_in_charge_is_let_go(self) -> None:
        self.goes(c=5)
        self.goes(18, c=6)
        self.book.joined(Hello("s1", 5, []))
        self.goes(attempt=2, c=2, spool="s2")
        self.refused(18, 2, c=3, spool="s2")
        self.book.doubt()
        self.goes(18, 2, c=3, spool="s2")

    def test_a_mark_is_of_one_submission_and_one_place(self) -> None:
        self.assertNotEqual(mark("submit", "t"), mark("rerun", "t"))
        self.assertEqual(mark_of(signature(17)), mark("submit", "t") + "00000011")
        self.assertEqual(mark_of("0" * 64), "")
