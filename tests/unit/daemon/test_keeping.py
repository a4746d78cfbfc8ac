"""What becomes of claims when keepers are found, living and dead."""

from __future__ import annotations

import json
import os

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.host_book import Book, Snapshot
from tm.daemon.keeping import Keeping
from tm.daemon.orders import Order
from tm.daemon.visitors import Beside, Holding
from tm.edge.keeper_link import Greeting
from tm.errors import TaskManagerError
from tm.model.lifecycle import Fact

SPEC = json.dumps({"user": "alice", "command": "true", "cwd": "/", "environment": "0" * 64})


INTERACTIVE = json.dumps({**json.loads(SPEC), "interactive": True})
NOBODY = 2**22 + 1
"""Above the highest pid."""
HOLDING = Holding(["holder"], "/spool")


class Link:
    """A living keeper that remembers what it is told."""

    pid = NOBODY

    def __init__(self, number: int) -> None:
        self.number = number
        self.told: list[dict[str, object]] = []

    def tell(self, **keys: object) -> None:
        self.told.append(keys)


class Keepers:
    """Keepers of which some live: *living* says what each greets with."""

    def __init__(self, living: dict[int, Greeting]) -> None:
        self._living = living
        self.living: dict[int, Link] = {}
        self.started: list[Link] = []

    def connect(self, number: int, user: Keeping) -> Deferred[Link]:
        if number not in self._living:
            return fail(TaskManagerError("net.keeper", "there is none"))
        self.living[number] = link = Link(number)
        user.keeper_greets(link, self._living[number])
        return succeed(link)

    async def start(self, number: int, user: Keeping) -> Link:
        self.started.append(Link(number))
        return self.started[-1]


class Files:
    """The journals of keepers in a folder."""

    def __init__(self, folder: str, journals: dict[int, list[object]]) -> None:
        self._folder = folder
        self._numbers = sorted(journals)
        os.mkdir(folder)
        for number, records in journals.items():
            with open(self.keeper_file(number, "log"), "w") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)

    def keepers(self) -> list[int]:
        return self._numbers

    def keeper_file(self, number: int, kind: str) -> str:
        return os.path.join(self._folder, f"keeper-{number}.{kind}")

    def bury(self, number: int) -> None:
        os.unlink(self.keeper_file(number, "log"))


class Told:
    """Hears facts as the server does."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.heard: list[str] = []

    def facts(self, facts: list[Fact], to_keep: bool) -> list[Fact]:
        self.heard += [fact.what for fact in facts if self._book.learn(fact) is not None]
        return []


RETURNED = ["r", {"job": 7, "attempt": 1, "what": "returned", "at": 1.0}]


class FindTests(SynchronousTestCase):
    """One claim, and keepers that know something of it."""

    def found(self, journals: dict[int, list[object]], living: dict[int, Greeting]) -> tuple[Told, Keepers]:
        """Return what is told and which keepers are started once all have been found and settled."""
        book = Book(Snapshot("spool", "boot"))
        book.grant = 1
        book.claim([Order(1, 7, 1, 1, SPEC, "")])
        told, keepers, clock = Told(book), Keepers(living), Clock()
        keeping = Keeping(
            keepers,
            Files(self.mktemp(), journals),
            book,
            told,
            clock,
            "n1",
            "test",
            lambda lines: succeed(None),
            HOLDING,
        )
        self.successResultOf(Deferred.fromCoroutine(keeping.find(False)))
        keeping.settled()
        return told, keepers

    def test_a_journal_is_read_before_it_goes_however_soon_another_keeper_died(self) -> None:
        book, clock = Book(Snapshot("spool", "boot")), Clock()
        book.grant = 2
        book.claim([Order(number, job, 1, 1, SPEC, "") for number, job in ((1, 7), (2, 8))])
        journals: dict[int, list[object]] = {1: [["s", 7, 1, NOBODY, 1, 1.0]], 2: [["s", 8, 1, NOBODY, 1, 2.0]]}
        keepers, told = Keepers({2: Greeting(1, 2, [], [Fact(8, 1, "started", 2.0, pid=NOBODY)], [])}), Told(book)
        keeping = Keeping(
            keepers,
            Files(self.mktemp(), journals),
            book,
            told,
            clock,
            "n1",
            "test",
            lambda lines: succeed(None),
            HOLDING,
        )
        self.successResultOf(Deferred.fromCoroutine(keeping.find(False)))
        keeping.settled()

        keeping.keeper_gone(keepers.living[2])
        clock.pump([0.05] * 140)

        self.assertEqual(["started", "started", "lost", "lost"], told.heard)
        self.assertEqual([], [line for link in keepers.started for line in link.told if "start" in line])

    def test_who_is_to_be_suspended_is_said_to_the_keeper_that_has_it(self) -> None:
        book = Book(Snapshot("spool", "boot"))
        book.claim([Order(number, number, 1, 1, SPEC, "") for number in (1, 2, 3)])
        living = {k: Greeting(1, k, [], [Fact(k, 1, "started", 2.0, pid=NOBODY)], []) for k in (1, 2)}
        keepers = Keepers(living)
        files, told = Files(self.mktemp(), {1: [], 2: []}), Told(book)
        keeping = Keeping(keepers, files, book, told, Clock(), "n1", "test", lambda lines: succeed(None), HOLDING)
        self.successResultOf(Deferred.fromCoroutine(keeping.find(False)))

        keeping.pause([(1, 1), (3, 1), (9, 1)], [(2, 1)], [(2, 1, 19)])

        self.assertEqual(keepers.living[1].told[-1:], [{"suspend": [(1, 1)]}])
        self.assertEqual(keepers.living[2].told[-1:], [{"resume": [(2, 1)], "nice": [(2, 1, 19)]}])

    def test_who_was_suspended_when_its_keeper_died_is_told_to_be_so(self) -> None:
        told, _ = self.found({1: [["s", 7, 1, NOBODY, 1, 1.0], ["z", 7, 1, 1, 2.0, 0.0]]}, {})
        self.assertEqual(["started", "suspended"], told.heard[:2])

    def test_what_a_dead_keeper_gave_back_is_no_ending_of_what_a_living_one_runs(self) -> None:
        running = Greeting(1, 2, [], [Fact(7, 1, "started", 2.0, pid=9)], [])

        told, keepers = self.found({1: [RETURNED], 2: []}, {2: running})

        self.assertEqual(["started"], told.heard)
        self.assertEqual([], keepers.started)

    def test_what_a_living_keeper_gave_back_is_no_ending_of_what_another_runs(self) -> None:
        gave_back = Greeting(1, 1, [], [], [Fact(7, 1, "returned", 1.0)])
        running = Greeting(1, 2, [], [Fact(7, 1, "started", 2.0, pid=9)], [])
        for living in ({1: gave_back, 2: running}, {2: gave_back, 1: running}):
            told, keepers = self.found({number: [] for number in living}, living)

            self.assertEqual((["started"], []), (told.heard, keepers.started))
            forgot = [line for link in keepers.living.values() for line in link.told if "forget" in line]
            self.assertEqual([{"forget": [(7, 1)]}], forgot)

    def test_what_a_living_keeper_gave_back_is_given_to_a_new_one(self) -> None:
        told, keepers = self.found({1: []}, {1: Greeting(1, 1, [], [], [Fact(7, 1, "returned", 1.0)])})

        self.assertEqual([], told.heard)
        self.assertEqual([7], [entry["job"] for line in keepers.started[0].told for entry in line.get("start", [])])

    def test_a_keeper_that_only_lost_its_connection_is_asked_again(self) -> None:
        book, clock = Book(Snapshot("spool", "boot")), Clock()
        book.grant = 3
        book.claim([Order(number, job, 1, 1, SPEC, "") for number, job in ((1, 7), (2, 8), (3, 9))])
        greeting = Greeting(os.getpid(), 1, [(8, 1), (9, 1)], [Fact(7, 1, "started", 2.0, pid=NOBODY)], [])
        keepers, told = Keepers({1: greeting}), Told(book)
        keeping = Keeping(
            keepers,
            Files(self.mktemp(), {1: []}),
            book,
            told,
            clock,
            "n1",
            "test",
            lambda lines: succeed(None),
            HOLDING,
        )
        self.successResultOf(Deferred.fromCoroutine(keeping.find(False)))
        keeping.settled()
        broken = keepers.living[1]
        broken.pid = os.getpid()
        keeping.cancel((9, 1), 10.0)
        greeting.queued.remove((9, 1))  # the keeper did not get that order after all

        keeping.keeper_gone(broken)
        clock.pump([0.05] * 140)

        self.assertEqual(["started", "returned"], told.heard)
        self.assertEqual([], keepers.started)
        self.assertEqual([{"grant": 0, "recall": [(8, 1)]}], keepers.living[1].told)

    def test_what_a_dead_keeper_gave_back_is_given_to_a_new_one(self) -> None:
        told, keepers = self.found({1: [RETURNED]}, {})

        self.assertEqual([], told.heard)
        self.assertEqual([7], [entry["job"] for line in keepers.started[0].told for entry in line.get("start", [])])

    def test_a_claim_that_no_keeper_knows_is_given_once(self) -> None:
        told, keepers = self.found({}, {})

        self.assertEqual([], told.heard)
        self.assertEqual(1, sum(len(line.get("start", [])) for line in keepers.started[0].told))

    def test_what_is_given_again_is_given_once(self) -> None:
        book = Book(Snapshot("spool", "boot"))
        book.grant = 1
        [claim] = book.claim([Order(1, 7, 1, 1, SPEC, "")])
        keepers = Keepers({})
        files = Files(self.mktemp(), {})
        keeping = Keeping(
            keepers, files, book, Told(book), Clock(), "n1", "test", lambda lines: succeed(None), HOLDING
        )
        self.successResultOf(Deferred.fromCoroutine(keeping.find(False)))
        keeping.settled()
        keeping.give([claim])
        keeping.give([claim])
        self.assertEqual([1], [len(line["start"]) for line in keepers.started[0].told if "start" in line])

    def test_an_ending_in_a_dead_keepers_journal_counts(self) -> None:
        ended = ["e", {"job": 7, "attempt": 1, "what": "ended", "at": 3.0, "exit_code": 5}]

        told, keepers = self.found({1: [ended]}, {})

        self.assertEqual((["ended"], []), (told.heard, keepers.started))

    def test_an_ending_that_was_spoilt_is_lost_and_not_started_again(self) -> None:
        for spoilt in ({"exit_code": 10**30}, {"at": "noon"}, {"pid": [1]}, {"what": None}, {"what": "odd"}):
            ending = {"job": 7, "attempt": 1, "what": "ended", "at": 9.0, "exit_code": 0, **spoilt}
            told, keepers = self.found({3: [["i", 7, 1], ["e", ending]]}, {})
            self.assertEqual((told.heard, keepers.started), (["lost"], []), spoilt)

    def test_an_intent_of_a_keeper_that_was_not_ours_is_lost_and_not_started_again(self) -> None:
        told, keepers = self.found({1: [["i", 7, 1]]}, {})

        self.assertEqual((["lost"], []), (told.heard, keepers.started))

    def test_a_command_that_runs_now_is_held_and_one_that_was_refused_is_never_started(self) -> None:
        book, clock = Book(Snapshot("spool", "boot")), Clock()
        book.grant = 3
        book.claim([Order(1, 7, 1, 1, INTERACTIVE, ""), Order(3, 9, 1, 1, "", "", "not its user's")])
        told, keepers = Told(book), Keepers({})
        keeping = Keeping(
            keepers, Files(self.mktemp(), {}), book, told, clock, "n1", "test", lambda lines: succeed(None), HOLDING
        )
        keeping.settled()

        self.assertEqual(["refused"], told.heard)
        (entry,) = next(line["start"] for line in keepers.started[0].told if "start" in line)  # type: ignore[misc]  # what is said
        held = ["holder", "/spool", "run-7-1-0.sock", "first", "pipes", "0", "0", "/bin/sh", "-c", "true"]
        self.assertEqual((held, None), (entry["command"], entry["stdout"]))

    def test_what_is_beside_a_job_is_said_to_its_keeper_in_the_jobs_name(self) -> None:
        book = Book(Snapshot("spool", "boot"))
        (claim, lone) = book.claim([Order(1, 7, 1, 1, SPEC, ""), Order(2, 8, 1, 1, SPEC, "")])
        keepers = Keepers({1: Greeting(1, 1, [], [Fact(7, 1, "started", 2.0, pid=NOBODY)], [])})
        keeping = Keeping(
            keepers, Files(self.mktemp(), {1: []}), book, Told(book), Clock(), "n1", "test",
            lambda lines: succeed(None), HOLDING,
        )  # fmt: skip
        self.successResultOf(Deferred.fromCoroutine(keeping.find(False)))
        visit = Beside(7, 4, ["top"], 24, 80, "vt100")

        self.assertTrue(keeping.beside(claim, lambda entry: HOLDING.beside(claim.key, visit, entry)))
        self.assertFalse(keeping.beside(lone, lambda entry: entry))

        (entry,) = keepers.living[1].told[-1]["beside"]  # type: ignore[misc]  # what is said
        held = ["holder", "/spool", "run-7-1-4.sock", "beside", "terminal", "24", "80", "top"]
        self.assertEqual(
            (7, held, "vt100", "7"), (entry["job"], entry["command"], entry["vars"]["TERM"], entry["vars"]["TM_JOB_ID"])
        )
