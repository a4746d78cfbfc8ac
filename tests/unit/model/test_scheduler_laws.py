"""Whatever is submitted and ends: nothing over capacity, limits hold, reasons are there, and nobody starves."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_config
from tests.support.properties import examples
from tm.model.demand import Demand, one_of
from tm.model.hall import Hall
from tm.model.job import Job
from tm.model.queue import class_of
from tm.model.rights import Group, Groups, Limits
from tm.model.room import Room
from tm.model.rules import RULES
from tm.model.settings import Scheduling
from tm.model.tasks import Tasks

HOSTS = {"n1": 2, "n2": 5, "n3": 8}
USERS = ("alice", "bob", "carol")
MEMORY = 16
LICENSES = {"matlab": 2}
LIMIT = Limits(cores=9)


def job(
    number: int, user: str, at: float, priority: int = 0, tasks: str = "", boost: int = 0, **asked: object
) -> Job:
    """Return a job of *user* that asks for *asked*, waiting since *at*."""
    return Job(
        number, user, "", "", one_of(Demand(**asked)), priority, False, "", at,  # type: ignore[arg-type]
        tasks=Tasks(tasks) if tasks else None, boost=boost, requeue=bool(asked.get("scavenge")),
    )  # fmt: skip


def any_job(dice: random.Random, number: int, at: float) -> Job:
    """Return one of many kinds of jobs, each of which fits the empty cluster."""
    asked: dict[str, object] = {
        "cores": dice.choice([1, 1, 1, 2, 3, 5, 8]),
        "memory": dice.choice([0, 0, 4, 16]),
    }
    if dice.random() < 0.5:
        asked["time"] = float(dice.choice([5, 20, 100]))
    if dice.random() < 0.1:
        asked["exclusive"] = True
    if dice.random() < 0.1:
        asked["consumables"] = (("matlab", dice.choice([1, 2])),)
    if dice.random() < 0.15:
        asked["scavenge"] = True
    if dice.random() < 0.2:
        asked["layout"] = dice.choice(["spread", "pack"])
    tasks = f"0-{dice.randrange(6)}" if dice.random() < 0.15 else ""
    return job(
        number,
        dice.choice(USERS),
        at,
        dice.choice([-5, 0, 0, 0, 7]),
        tasks,
        dice.choice([0, 0, 0, 1]),
        **asked,
    )


class Life:
    """A cluster in which jobs come and end by the dice *seed*."""

    def __init__(self, seed: int, rules: str, limited: bool, age_weight: float = 50.0) -> None:
        self.dice = random.Random(seed)
        groups = Groups((Group("all", frozenset({"*"}), user_limits=LIMIT),)) if limited else Groups()
        self.limited = limited
        self.hall = Hall(
            [host_config(name, cores, MEMORY) for name, cores in HOSTS.items()], rules=RULES[rules], groups=groups,
            settings=Scheduling(licenses=LICENSES, reservations=2, age_weight=age_weight),
            estimate=(lambda one: self.dice.choice([1.0, 10.0])) if self.dice.random() < 0.3 else None,
        )  # fmt: skip
        self.at = 0.0
        self.number = 0
        self.ends: dict[int, float] = {}
        self.leaving: list[int] = []

    def submit(self) -> int:
        self.number += 1
        self.hall.submitted(any_job(self.dice, self.number, self.at), self.at)
        return self.number

    def step(self) -> None:
        """Let time go on: some jobs end, scavengers leave, and what can start does."""
        self.at += self.dice.choice([0.0, 1.0, 7.0])
        for number in [number for number, end in self.ends.items() if end <= self.at]:
            del self.ends[number]
            self.hall.ended(number, self.at)
        for number in self.leaving:
            if number in self.ends:
                gone = self.hall.jobs[number]
                del self.ends[number]
                self.hall.ended(number, self.at)
                if gone.array is None:
                    gone.host = gone.started_at = gone.gives_way = None
                    self.hall.submitted(gone, self.at)
        for started in self.hall.place(self.at):
            most = started.demand.time or 100.0
            self.ends[started.id] = self.at + self.dice.uniform(0.1, most)
        self.leaving = self.hall.asked_to_leave()

    def check(self, case: SynchronousTestCase) -> None:
        """See that all laws hold now."""
        hall = self.hall
        used: dict[str, int] = {}
        for name, host in hall.hosts.items():
            there = hall.running(name)
            case.assertLessEqual(sum(one.cores for one in there), HOSTS[name])
            case.assertLessEqual(sum(one.memory for one in there), MEMORY)
            if any(one.demand.exclusive for one in there):
                case.assertEqual(len(there), 1, f"{name}: {host.places}")
            for one in there:
                for what, count in one.demand.consumables:
                    used[what] = used.get(what, 0) + count
        for what, count in used.items():
            case.assertLessEqual(count, LICENSES[what])
        if self.limited:
            for user in USERS:
                case.assertLessEqual(hall.limits.of_user(user)["cores"], 9)
        for kind in hall.queue.kinds:
            case.assertIsNotNone(hall.scheduler.verdict(kind), kind)

    def idle_capacity(self) -> list[str]:
        """Return which waiting classes could start and were not: nothing that happened was overlooked."""
        hall = self.hall
        found = []
        for kind in hall.queue.kinds:
            if self.limited and hall.limits.may_start(kind.user, kind.demand.cores, kind.demand.memory):
                continue
            for name, host in hall.hosts.items():
                room = Room(host, hall._licenses)
                if hall.matcher.room_for(kind.demand, room) and not hall.matcher.may_ever(
                    kind.demand, kind.user, host
                ):
                    if not any(hold.host == name for hold in hall.scheduler.holds()):
                        found.append(f"{kind} on {name}")
        return found


class LawsTests(SynchronousTestCase):
    @examples(120, shrink=False)
    @given(st.integers(0, 1 << 32), st.sampled_from(["ours", "ours", "easy", "fcfs"]), st.booleans())
    def test_nothing_is_over_capacity_overlooked_or_without_a_reason(
        self, seed: int, rules: str, limited: bool
    ) -> None:
        life = Life(seed, rules, limited)
        for _ in range(60):
            for _ in range(life.dice.choice([0, 1, 1, 4])):
                life.submit()
            life.step()
            life.check(self)
            if rules != "fcfs" and not life.leaving:
                self.assertEqual(life.idle_capacity(), [])

    @examples(60, shrink=False)
    @given(st.integers(0, 1 << 32), st.sampled_from(["ours", "ours", "easy", "fcfs"]), st.booleans())
    def test_all_that_fits_the_empty_cluster_starts_in_bounded_time_however_many_others_keep_coming(
        self, seed: int, rules: str, limited: bool
    ) -> None:
        life = Life(seed, rules, limited, age_weight=5.0)
        for _ in range(12):
            life.submit()
        first = set(life.hall.jobs)
        for step in range(900):
            if step % 2:
                life.submit()
            life.step()
            if not any(number in life.hall.queue for number in first if not _scavenges(life, number)):
                return
        left = [life.hall.jobs[number] for number in first if number in life.hall.queue]
        self.fail(f"after {life.at:.0f} s these still wait: {[class_of(one) for one in left]}")


def _scavenges(life: Life, number: int) -> bool:
    found = life.hall.jobs.get(number)
    return found is not None and found.demand.scavenge
