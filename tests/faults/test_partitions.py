"""Hosts that are not reached: in both directions or one, for a moment or a day, or again and again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB
from tests.faults.record import count
from tests.faults.wires import MOST_TRIES, Wires
from tests.support.brain import host_state, laws_broken, order
from tm.model.brain import Brain
from tm.model.cluster import Hello
from tm.model.effects import Effects
from tm.model.job import Job
from tm.model.lifecycle import Fact
from tm.model.phase import Phase
from tm.model.views import shown_state

DAY = 86400.0


class WireTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"cores": 4, "infoserver": False}, "n2": {"cores": 4, "infoserver": False},
    }  # fmt: skip

    def test_a_link_that_is_dead_in_one_direction_or_loose_loses_and_doubles_nothing(self) -> None:
        site, wires = self.site, Wires(self.site)
        everything = site.submit_ledger(ANN, 1, 0, "n1")
        site.wait(everything)
        faults = {"mute": 11, "deaf": 11, "cut": 10, "loose": 12}
        for kind, row in faults.items():
            running = site.submit_ledger(ANN, 2, 1.0, "n1")
            site.wait(running, states=["running"])
            before, begun = wires.tries("n1"), time.monotonic()
            wires.fail(kind, "n1")
            running += site.submit_ledger(ANN, 1, 0, "n1")
            others = site.submit_ledger(BOB, 1, 0, "n2")
            site.wait(others)
            time.sleep(max(0.0, begun + 1.5 - time.monotonic()))
            seconds = wires.catch_up(running)
            tries, passed = wires.tries("n1") - before, time.monotonic() - begun
            self.assertLessEqual(tries, 1 + MOST_TRIES * passed, kind)
            everything += [*running, *others]
            count(row, 10 if kind == "loose" else 1, seconds=round(seconds, 2), tries=tries)
        site.check(everything)


class DayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.brain = Brain(epoch=1, hosts=(host_state("n1", 2), host_state("n2", 2)))
        self.brain.user_server_attached("alice")
        for host in ("n1", "n2"):
            self.say_hello(host, [], 1.0)

    def say_hello(self, host: str, holds: list[tuple[int, int, str]], at: float) -> None:
        """Let alice's server on *host* be reached."""
        self.brain.host_joined("alice", Hello(host, f"s-{host}", "b", 1, "r", len(holds), 0, holds), at)

    def report(self, host: str, number: int, what: str, at: float, **more: int) -> None:
        """Let alice's server on *host* say something of her jobs there."""
        facts = [Fact(job.id, 1, what, at, **more) for job in self.on(host)]  # type: ignore[arg-type]
        self.brain.facts_reported("alice", host, f"s-{host}", number, facts, at)

    def on(self, host: str) -> list[Job]:
        """Return the jobs on *host*."""
        return [job for job in self.brain.jobs.values() if job.host == host]

    def turn(self, at: float) -> Effects:
        """Let a second pass; return what is to be done."""
        self.brain.tick(at)
        self.brain.place(at)
        self.assertEqual(laws_broken(self.brain), [])
        return self.brain.take()

    def test_a_day_without_contact_ends_no_job_and_starts_none_again(self) -> None:
        brain = self.brain
        brain.submitted("alice", "t", [order()] * 4, {"e": "{}"}, 1.0)
        self.turn(2.0)
        self.assertEqual([len(self.on(host)) for host in ("n1", "n2")], [2, 2])
        for host in ("n1", "n2"):
            self.report(host, 1, "started", 3.0, pid=7)
        brain.host_left("alice", "n1", 4.0, "its connection is lost")
        brain.submitted("alice", "u", [order(hosts=["n1"])], {"e": "{}"}, 5.0)
        session = brain.sessions["alice", "n1"]
        for minute in range(1, 24 * 60):
            effects = self.turn(4.0 + 60.0 * minute)
            self.assertEqual([one for orders in effects.orders.values() for one in orders.start], [])
            self.assertEqual({shown_state(job, session)[0] for job in self.on("n1")}, {"unreachable"})
        at = 4.0 + DAY
        self.say_hello("n1", [(job.id, 1, "running") for job in self.on("n1")], at)
        self.assertEqual({shown_state(job, session)[0] for job in self.on("n1")}, {"running"})
        there = [job.id for job in self.on("n1")]
        self.report("n1", 2, "ended", at, exit_code=9)
        effects = self.turn(at + 1.0)
        ended = [effects.records.changed[number] for number in there]
        self.assertEqual([(job.phase, job.exit_code) for job in ended], [(Phase.FAILED, 9)] * 2)
        self.assertEqual([one.job for one in effects.orders["alice", "n1"].start], [5])
        count(10, 1)
