"""What a user's server on a host tells of its jobs, and when."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import HandWorker, ReadyWorker
from tests.support.desk import order_line, raw, signed
from tm.daemon.host_book import Book, Claim, Key, Snapshot
from tm.daemon.host_server import HostServer, HostSurroundings
from tm.errors import StoreError, TaskManagerError
from tm.model.lifecycle import Fact
from tm.wire.message import Reply


class Journal:
    """A spool whose journal is a list."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.durable: list[bool] = []

    def rewrite(self, lines: list[bytes]) -> None:
        self.written = list(lines)

    def drop_environments(self) -> None:
        """There are none."""

    def append(self, lines: list[bytes], durable: bool) -> int:
        self.written += lines
        self.durable += [durable] * len(lines)
        return 0


class Keepers:
    """Takes claims and starts nothing."""

    def __init__(self) -> None:
        self.given: list[Key] = []
        self.forgotten: list[Key] = []

        self.cancelled: list[Key] = []

    def tick(self) -> None:
        """Nothing is left over."""

    def leave(self) -> None:
        """They are none that would."""

    def give(self, claims: list[Claim]) -> None:
        self.given += [claim.key for claim in claims]

    def cancel(self, key: Key, grace: float) -> None:
        self.cancelled.append(key)

    def recall(self, keys: list[Key]) -> None:
        assert not keys

    def pause(self, suspend: list[Key], resume: list[Key], nice: list[object]) -> None:
        assert not suspend and not resume and not nice

    def forget(self, claims: list[Claim]) -> None:
        self.forgotten += [claim.key for claim in claims]


class Link:
    """A link to the user's server whose answers the test gives."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], Deferred[Reply]]] = []

    def ask(self, verb: str, rest: str, json_: bool = False) -> Deferred[Reply]:
        self.asked.append((verb, json.loads(rest), Deferred()))
        return self.asked[-1][2]


class ReportingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.journal = Journal()
        self.keepers = Keepers()
        surroundings = HostSurroundings(
            host="n1", cores=2, memory=None, clock=self.clock, spool=self.journal, writer=ReadyWorker(),
            revive=lambda: None, stop=lambda: None, idle_seconds=60.0,
        )  # type: ignore[arg-type]  # fmt: skip
        self.server = HostServer(surroundings, Book(Snapshot("sp", "boot")))
        self.server.keeping = self.keepers  # type: ignore[assignment]  # what is used of it
        self.link = self.join()
        self.server.event(self.link, raw(order_line(*map(signed, range(1, 6)), spool="sp")))  # type: ignore[arg-type]

    def join(self) -> Link:
        """Return a link on which the server has taken its place."""
        link = Link()
        self.server.link_up(link, "TMS")  # type: ignore[arg-type]  # what is used of it
        link.asked.pop()[2].callback(Reply('{"epoch":1,"run":"r"}'))
        return link

    def end(self, *jobs: int) -> None:
        """Let *jobs* end."""
        facts = [Fact(job, 1, "ended", 2.0, exit_code=0, started_at=1.0) for job in jobs]
        self.assertEqual(self.server.facts(facts, False), [])

    def reports(self, link: Link) -> list[tuple[int, list[int]]]:
        """Return number and jobs of each report on *link*."""
        return [(about["k"], [fact["job"] for fact in about["facts"]]) for _, about, _ in link.asked]

    def test_an_ending_is_told_at_once(self) -> None:
        self.end(1)
        self.assertEqual(self.reports(self.link), [(1, [1])])

    def test_what_comes_while_a_report_is_under_way_is_the_next(self) -> None:
        self.end(1)
        self.end(2)
        self.end(3, 4)
        self.assertEqual(self.reports(self.link), [(1, [1])])
        self.link.asked[0][2].callback(Reply())
        self.assertEqual(self.reports(self.link), [(1, [1]), (2, [2, 3, 4])])

    def test_a_keeper_forgets_what_is_acknowledged_once_that_is_written(self) -> None:
        self.end(1)
        self.assertEqual(self.keepers.forgotten, [])
        self.link.asked[0][2].callback(Reply())
        self.assertEqual(self.keepers.forgotten, [(1, 1)])
        self.assertEqual(self.journal.written[-1], b"d[[1,1]]")

    def test_what_was_not_acknowledged_is_told_again_on_the_next_link(self) -> None:
        self.end(1)
        self.end(2)
        self.server.link_down("gone")
        self.link.asked[0][2].errback(TaskManagerError("net.lost", "gone"))
        self.end(3)
        link = self.join()
        self.assertEqual(self.reports(link), [(1, [1, 2, 3])])
        link.asked[0][2].callback(Reply())
        self.assertEqual(self.keepers.forgotten, [(1, 1), (2, 1), (3, 1)])

    def test_a_report_that_is_not_taken_is_told_again_after_joining_again(self) -> None:
        self.end(1)
        self.link.asked[0][2].callback(Reply("say hello first", word="host.unknown"))
        self.end(2)
        self.clock.advance(2.0)
        verb, _, asked = self.link.asked.pop()
        self.assertEqual(verb, "join")
        asked.callback(Reply('{"epoch":1,"run":"r"}'))
        self.assertEqual(self.reports(self.link)[1:], [(1, [1, 2])])

    def test_an_order_that_was_lost_on_the_way_is_asked_for_by_joining_again_once(self) -> None:
        for number in (7, 8):
            self.server.event(self.link, raw(order_line(signed(number), spool="sp")))  # type: ignore[arg-type]
        ((verb, hello, answer),) = self.link.asked
        self.assertEqual((verb, hello["mark"]), ("join", 5))
        answer.callback(Reply('{"epoch":1,"run":"r"}'))
        self.server.event(self.link, raw(order_line(*map(signed, (6, 7, 8)), spool="sp")))  # type: ignore[arg-type]
        self.assertEqual(self.server.book.about.mark, 8)

    def test_the_start_of_a_job_that_has_ended_is_not_told(self) -> None:
        self.end(1)
        self.server.facts([Fact(2, 1, "started", 1.0, pid=7)], False)
        self.end(2)
        self.link.asked[0][2].callback(Reply())
        self.assertEqual([fact["what"] for fact in self.link.asked[1][1]["facts"]], ["ended"])


class ClaimingTests(SynchronousTestCase):
    """A disk on which nothing is before the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.journal = Journal()
        self.keepers = Keepers()
        self.disk = HandWorker()
        self.revived: list[float] = []
        surroundings = HostSurroundings(
            host="n1", cores=2, memory=None, clock=self.clock, spool=self.journal, writer=self.disk,
            revive=lambda: self.revived.append(self.clock.seconds()), stop=lambda: None, idle_seconds=60.0,
        )  # type: ignore[arg-type]  # fmt: skip
        self.server = HostServer(surroundings, Book(Snapshot("sp", "boot")))
        self.server.keeping = self.keepers  # type: ignore[assignment]  # what is used of it
        self.server.startService()
        self.addCleanup(self.server.stopService)

    def order(self, *numbers: int) -> None:
        """Let the orders of commands *numbers* come."""
        line = raw(order_line(*map(signed, numbers), spool="sp"))
        self.server.event(Link(), line)  # type: ignore[arg-type]  # what is used of it

    def test_nothing_is_given_to_a_keeper_before_its_order_is_on_the_disk(self) -> None:
        self.order(1, 2)
        self.order(3)
        self.assertEqual((self.keepers.given, self.server.book.claims), ([], {}))
        self.disk.work()
        self.assertEqual((self.keepers.given, len(self.journal.written)), ([(1, 1), (2, 1)], 1))
        self.disk.work()
        self.assertEqual((self.keepers.given, len(self.journal.written)), ([(1, 1), (2, 1), (3, 1)], 2))

    def test_what_could_not_be_claimed_is_not_begun_and_may_be_ordered_again(self) -> None:
        self.disk.broken = StoreError("store.full", "free some space")
        self.order(1, 2)
        self.disk.work()
        self.assertEqual((self.keepers.given, self.server.book.claims), ([], {}))
        self.disk.broken = None
        self.order(1, 2)
        self.disk.work()
        self.assertEqual(self.keepers.given, [(1, 1), (2, 1)])

    def test_claims_and_the_endings_that_no_keeper_keeps_are_asked_to_be_on_the_disk(self) -> None:
        self.order(1, 2)
        self.disk.work()
        self.server.facts([Fact(1, 1, "ended", 2.0, exit_code=0)], False)
        self.server.facts([Fact(2, 1, "lost", 2.0)], True)
        self.disk.work()
        self.assertEqual([line[:1] for line in self.journal.written], [b"o", b"f"])
        self.assertEqual(self.journal.durable, [True, True])

    def test_who_has_endings_to_tell_has_the_users_server_started(self) -> None:
        self.order(1)
        self.disk.work()
        self.server.link_down("gone")
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.revived, [])
        self.server.facts([Fact(1, 1, "ended", 2.0, exit_code=0)], False)
        self.clock.pump([1.0] * 61)
        self.assertEqual(self.revived, [1011.0, 1042.0])

    def test_a_link_that_breaks_ends_no_job(self) -> None:
        self.order(1, 2)
        self.disk.work()
        link = Link()
        self.server.link_up(link, "TMS")  # type: ignore[arg-type]  # what is used of it
        self.server.link_down("gone")
        self.clock.pump([1.0] * 600)
        self.assertEqual((self.keepers.cancelled, list(self.server.book.claims)), ([], [(1, 1), (2, 1)]))

    def test_it_says_what_it_holds_once_the_claims_that_are_on_their_way_are_on_the_disk(self) -> None:
        self.order(1, 2)
        link = Link()
        self.server.link_up(link, "TMS")  # type: ignore[arg-type]  # what is used of it
        self.assertEqual(link.asked, [])
        while self.disk.work():
            pass
        [(verb, about, _)] = link.asked
        self.assertEqual((verb, about["mark"], about["holds"]), ("join", 2, [[1, 1, "claimed"], [2, 1, "claimed"]]))

    def test_orders_that_come_while_it_leaves_are_for_the_next_server_here(self) -> None:
        self.clock.pump([1.0] * 62)
        self.order(1)
        while self.disk.work():
            pass
        self.assertEqual((self.keepers.given, self.server.book.about.mark), ([], 0))
        self.assertEqual([line[:1] for line in self.journal.written], [b"s"])
