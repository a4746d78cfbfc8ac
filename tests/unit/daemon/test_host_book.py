"""What a server on a host knows, and that its journal says the same to the next one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.desk import order_line, raw, signed
from tests.support.properties import examples
from tm.daemon.host_book import Book, Snapshot, done_line, fact_line, start_entry
from tm.daemon.orders import OrderLine
from tm.errors import RefusedError
from tm.model.lifecycle import Fact


def fresh() -> Snapshot:
    return Snapshot("sp", "boot")


def said(book: Book) -> object:
    """Return all that must outlive a server, as one value."""
    about = book.about
    claims = {key: (claim.order, claim.fact) for key, claim in book.claims.items()}
    return (about.spool, about.boot, about.mark, about.epoch, about.run, book.grant, claims)


def ended(job: int, at: float = 2.0) -> Fact:
    return Fact(job, 1, "ended", at, exit_code=0, started_at=1.0)


class AdmittingTests(SynchronousTestCase):
    def refused(self, book: Book, word: str, line: OrderLine) -> None:
        before = said(book)
        self.assertEqual(self.assertRaises(RefusedError, book.admit, line).word, word)
        self.assertEqual(said(book), before)

    def test_new_commands_are_admitted_once_and_in_order(self) -> None:
        book = Book(fresh())
        self.assertEqual([order.c for order in book.admit(order_line(signed(1), signed(2), grant=2))], [1, 2])
        self.assertEqual((book.about.mark, book.grant), (2, 2))
        self.assertEqual(book.admit(order_line(signed(1), signed(2), grant=3)), [])
        self.assertEqual([order.c for order in book.admit(order_line(signed(2), signed(3)))], [3])
        self.assertEqual(book.grant, 3)

    def test_a_gap_is_refused_whole(self) -> None:
        book = Book(fresh())
        book.admit(order_line(signed(1)))
        for numbers in ((3,), (2, 4), (3, 2), (2, 2), (1, 3)):
            self.refused(book, "proto.gap", order_line(*[signed(number) for number in numbers], grant=9))

    def test_an_older_dispatcher_is_refused(self) -> None:
        book = Book(fresh())
        book.admit(order_line(epoch=4, run="new"))
        self.refused(book, "store.stale", order_line(signed(1), epoch=3, run="old", grant=7))
        self.assertEqual([order.c for order in book.admit(order_line(signed(1), epoch=5))], [1])
        self.assertEqual(book.about.epoch, 5)

    def test_orders_for_another_spool_are_refused(self) -> None:
        book = Book(fresh())
        self.refused(book, "store.stale", order_line(signed(1), spool="earlier"))
        self.assertEqual(len(book.admit(order_line(signed(1), spool="sp"))), 1)


class FactsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.book = Book(fresh())
        self.book.claim(self.book.admit(order_line(signed(1), signed(2))))

    def states(self) -> list[tuple[int, int, str]]:
        return self.book.hello("n1", "1.0", 4, 99)["holds"]  # type: ignore[return-value]

    def test_a_fact_is_news_once_and_never_goes_back(self) -> None:
        self.assertEqual(self.states(), [(1, 1, "claimed"), (2, 1, "claimed")])
        self.assertIsNotNone(self.book.learn(Fact(1, 1, "started", 1.0)))
        self.assertIsNone(self.book.learn(Fact(1, 1, "started", 1.5)))
        self.assertEqual(self.states()[0], (1, 1, "running"))
        self.assertIsNotNone(self.book.learn(ended(1)))
        for late in (ended(1, 9.0), Fact(1, 1, "lost", 9.0), Fact(1, 1, "started", 9.0)):
            self.assertIsNone(self.book.learn(late))
        self.assertEqual(self.states()[0], (1, 1, "final"))

    def test_a_fact_of_nothing_that_is_claimed_here_is_no_news(self) -> None:
        for fact in (Fact(3, 1, "ended", 1.0), Fact(1, 2, "ended", 1.0)):
            self.assertIsNone(self.book.learn(fact))

    def test_what_the_dispatcher_may_not_know_is_told_again(self) -> None:
        self.book.learn(Fact(1, 1, "started", 1.0))
        self.book.learn(Fact(2, 1, "started", 1.0))
        self.book.learn(ended(2))
        self.assertEqual(self.book.untold(), [Fact(1, 1, "started", 1.0), ended(2)])

    def test_what_is_acknowledged_is_forgotten_and_a_start_is_not_an_ending(self) -> None:
        self.book.learn(Fact(1, 1, "started", 1.0))
        self.book.learn(ended(2))
        over = self.book.done(7, [Fact(1, 1, "started", 1.0), ended(2), ended(9)])
        self.assertEqual(
            ([claim.key for claim in over], list(self.book.claims), self.book.about.acked),
            ([(2, 1)], [(1, 1)], 7),
        )
        self.assertEqual((self.book.done(5, []), self.book.about.acked), ([], 7))


class JournalTests(SynchronousTestCase):
    @examples(200)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["order", "again", "end", "done", "snapshot", "rewrite"]), st.integers(0, 9)),
            max_size=40,
        )
    )
    def test_the_next_server_reads_what_this_one_knew(self, steps: list[tuple[str, int]]) -> None:
        book, journal, sent = Book(fresh()), list(Book(fresh()).snapshot()), []
        for what, number in steps:
            keys = list(book.claims)
            claim = book.claims[keys[number % len(keys)]] if keys else None
            if what in ("order", "again"):
                count = number % 3 if what == "order" else 0
                sent += [signed(len(sent) + place) for place in range(1, count + 1)]
                line = order_line(*sent[max(0, book.about.mark - number) :], epoch=1 + number // 5, grant=number)
                if line.epoch < book.about.epoch:
                    continue
                new = book.admit(line)
                if new:
                    journal.append(b"o" + raw(line))
                book.claim(new)
            elif what == "end" and claim is not None and book.learn(ended(claim.order.job)):
                journal.append(fact_line(ended(claim.order.job)))
            elif what == "done" and claim is not None and claim.fact is not None:
                journal.append(done_line(book.done(number, [claim.fact])))
            elif what == "snapshot":
                journal.append(next(iter(book.snapshot())))
            elif what == "rewrite":
                journal = list(book.snapshot())
        replayed = Book.replay(journal, fresh())
        self.assertEqual(replayed.claims.keys(), book.claims.keys())
        facts = [{key: claim.fact for key, claim in each.claims.items()} for each in (replayed, book)]
        self.assertEqual((replayed.about.mark, facts[0]), (book.about.mark, facts[1]))
        self.assertEqual(said(Book.replay(book.snapshot(), fresh()))[:5], said(book)[:5])  # type: ignore[index]

    def test_a_cut_last_line_does_not_count(self) -> None:
        lines = [
            *Book(fresh()).snapshot(),
            b"o" + raw(order_line(signed(1))),
            b"o" + raw(order_line(signed(2))),
        ]
        for cut in range(len(lines[-1])):
            book = Book.replay([*lines[:-1], lines[-1][:cut]], fresh())
            self.assertEqual((list(book.claims), book.about.mark), ([(1, 1)], 1))

    def test_no_journal_is_a_fresh_book(self) -> None:
        self.assertEqual(said(Book.replay([], fresh())), said(Book(fresh())))

    def test_an_order_that_is_done_with_is_not_claimed_again_by_a_line_that_repeats_it(self) -> None:
        book = Book(fresh())
        journal = list(book.snapshot())
        for orders in ([signed(1)], [signed(1), signed(2)]):
            line = order_line(*orders)
            book.claim(book.admit(line))
            journal.append(b"o" + raw(line))
            if len(orders) == 1:
                book.learn(ended(1))
                journal.append(done_line(book.done(1, [ended(1)])))
        self.assertEqual(list(Book.replay(journal, fresh()).claims), [(2, 1)])

    def test_lines_that_were_spoilt_do_not_count(self) -> None:
        book = Book(fresh())
        journal = list(book.snapshot())
        book.claim(book.admit(order_line(signed(1))))
        journal.append(b"o" + raw(order_line(signed(1))))
        facts = [b'f{"job":1,"attempt":1,"what":"%b"}' % what for what in (b"\xff", b"odd", b"started")]
        for spoilt in (*facts, b"", b"o", b"f\xff", b"o\xff\xfe", b"l[[1]]", b"d{}", b"s{", b"\xffx", b"c[]"):
            replayed = Book.replay([*journal, spoilt], fresh())
            self.assertEqual([(claim.key, claim.fact) for claim in replayed.claims.values()], [((1, 1), None)], spoilt)

    def test_a_mark_of_orders_that_never_reached_the_disk_does_not_count(self) -> None:
        book = Book(fresh())
        journal = list(book.snapshot())
        book.admit(order_line(signed(1)))
        journal += list(book.snapshot())[:1]
        self.assertEqual(Book.replay(journal, fresh()).about.mark, 0)
        journal.append(b"o" + raw(order_line(signed(1))))
        self.assertEqual(list(Book.replay(journal, fresh()).claims), [(1, 1)])


class PauseTests(SynchronousTestCase):
    def suspended(self, turn: int) -> Fact:
        return Fact(1, 1, "suspended" if turn % 2 else "resumed", 3.0, pid=9, turn=turn)

    def test_the_latest_word_is_told_again_until_the_end_and_an_older_one_is_no_news(self) -> None:
        book = Book(fresh())
        (claim,) = book.claim([signed(1)])
        book.learn(Fact(1, 1, "started", 1.0))
        for turn, news in ((1, True), (2, True), (1, False), (2, True)):
            self.assertEqual(book.learn(self.suspended(turn)) is claim, news)
        self.assertEqual([fact.what for fact in book.untold()], ["started", "resumed"])
        self.assertEqual((book.done(1, book.untold()), claim.state), ([], "running"))
        book.learn(ended(1))
        self.assertIsNone(book.learn(self.suspended(3)))
        self.assertEqual(book.done(2, book.untold()), [claim])


class StartTests(SynchronousTestCase):
    def test_a_keeper_is_told_all_it_needs_with_the_names_filled_in(self) -> None:
        (claim,) = Book(fresh()).claim(
            [signed(5, job=17, name="sim", stdout="%n-%j.%h", stderr=None, cores=2, umask=0o77)]
        )
        entry, (below, above) = start_entry(claim, "n1", "physics")
        self.assertEqual((entry["job"], entry["attempt"], entry["stdout"], entry["stderr"]), (17, 1, "sim-17.n1", None))
        self.assertEqual((entry["umask"], entry["cwd"], entry["command"]), (0o77, "/", "true"))
        self.assertEqual(
            entry["vars"], {"TM_JOB_ID": "17", "TM_ATTEMPT": "1", "SLURM_JOB_ID": "17", "SLURM_JOBID": "17"}
        )
        self.assertEqual(entry["env"], [below[0], claim.spec.environment, above[0]])
        self.assertEqual(below[1], {"OMP_NUM_THREADS": str(claim.order.cores)})
        named = {"TM_JOB_NAME": "sim", "TM_HOST": "n1", "TM_USER": "alice", "TM_CLUSTER": "physics"}
        self.assertLessEqual(named.items(), above[1].items())
