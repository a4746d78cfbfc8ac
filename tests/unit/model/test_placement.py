"""Placement by priority and age: nothing over capacity, nothing to where it may not go, nothing passed over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tests.support.properties import examples
from tm.model.books import Room
from tm.model.job import Job, new_job
from tm.model.placement import allowed, by_priority_and_age, fits
from tm.model.queue import WaitingQueue, class_of

HOSTS = ["n1", "n2", "n3"]
DEMANDS = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["alice", "bob"]), "cores": st.integers(1, 5), "memory": st.integers(0, 4),
        "priority": st.integers(-1, 1), "hosts": st.lists(st.sampled_from(HOSTS), unique=True, max_size=2),
    }
)  # fmt: skip
ROOMS = st.lists(st.tuples(st.integers(-1, 8), st.integers(-1, 8)), min_size=3, max_size=3)


def rooms_of(sizes: list[tuple[int, int]]) -> list[Room]:
    rooms = []
    for name, (cores, memory) in zip(HOSTS, sizes, strict=True):
        room = Room(host_state(name, 8, 8))
        room.free_cores, room.free_memory = cores, memory
        rooms.append(room)
    return rooms


def jobs_of(demands: list[dict[str, object]]) -> dict[int, Job]:
    return {
        number: new_job(number, order(str(asked.pop("user")), **asked)[0], "signed", 0.0)[0]
        for number, asked in enumerate([dict(asked) for asked in demands], 1)
    }


class PlacementTests(SynchronousTestCase):
    @examples(250)
    @given(st.lists(DEMANDS, max_size=15), ROOMS, st.booleans())
    def test_it_keeps_to_what_is_free_and_permitted(
        self, demands: list[dict[str, object]], sizes: list[tuple[int, int]], bob_at_n1: bool
    ) -> None:
        jobs, queue = jobs_of(demands), WaitingQueue()
        for job in jobs.values():
            queue.add(job)

        def reach(user: str, host: str) -> bool:
            return bob_at_n1 or (user, host) != ("bob", "n1")

        rooms = rooms_of(sizes)
        placed = by_priority_and_age(queue, rooms, reach)
        self.assertEqual(len({placement.job for placement in placed}), len(placed))
        for name, (cores, memory) in zip(HOSTS, sizes, strict=True):
            here = [jobs[placement.job] for placement in placed if placement.host == name]
            self.assertLessEqual(sum(job.cores for job in here), max(0, cores))
            self.assertTrue(not here or sum(job.memory for job in here) <= memory)
            self.assertTrue(
                all((not job.hosts or name in job.hosts) and reach(job.user, name) for job in here)
            )
        self.assertEqual(len(queue), len(jobs))
        self.passed_over(jobs, {placement.job for placement in placed}, rooms, reach)

    def passed_over(self, jobs: dict[int, Job], placed: set[int], rooms: list[Room], reach: object) -> None:
        """Nobody waits for whom there is room left, and within a class nobody overtakes."""
        for job in jobs.values():
            kind = class_of(job)
            if job.id in placed:
                older = [other.id for other in jobs.values() if class_of(other) == kind and other.id < job.id]
                self.assertTrue(set(older) <= placed)
            else:
                free = [r.name for r in rooms if allowed(kind, r) and fits(kind, r) and r.free_cores > 0]
                self.assertFalse([name for name in free if reach(job.user, name)])  # type: ignore[operator]

    def test_the_higher_priority_comes_first_and_then_the_older(self) -> None:
        queue = WaitingQueue()
        asked = [{"user": "alice"}, {"user": "bob"}, {"user": "bob", "priority": 3}]
        for job in jobs_of(asked).values():
            queue.add(job)
        placed = by_priority_and_age(queue, rooms_of([(2, 8), (0, 8), (0, 8)]), lambda user, host: True)
        self.assertEqual([placement.job for placement in placed], [3, 1])

    def test_a_class_that_fits_nowhere_holds_nobody_up(self) -> None:
        queue = WaitingQueue()
        for job in jobs_of([{"user": "alice", "cores": 5, "priority": 9}, {"user": "bob"}]).values():
            queue.add(job)
        placed = by_priority_and_age(queue, rooms_of([(2, 8), (1, 8), (0, 8)]), lambda user, host: True)
        self.assertEqual([tuple(placement) for placement in placed], [(2, "n1")])

    def test_the_emptiest_host_is_taken(self) -> None:
        queue = WaitingQueue()
        for job in jobs_of([{"user": "alice"}] * 4).values():
            queue.add(job)
        placed = by_priority_and_age(queue, rooms_of([(1, 8), (3, 8), (2, 8)]), lambda user, host: True)
        self.assertEqual([placement.host for placement in placed], ["n2", "n2", "n3", "n1"])

    def test_where_a_server_is_already_nobody_waits_for_another_to_be_started(self) -> None:
        queue = WaitingQueue()
        for job in jobs_of([{"user": "alice"}] * 4).values():
            queue.add(job)
        rooms = rooms_of([(3, 8), (2, 8), (4, 8)])
        placed = by_priority_and_age(queue, rooms, lambda user, host: {"n1": 2, "n2": 2}.get(host, 1))
        self.assertEqual([placement.host for placement in placed], ["n1", "n1", "n2", "n1"])

    def test_a_server_is_started_for_those_that_have_no_room_where_one_is(self) -> None:
        queue = WaitingQueue()
        for job in jobs_of([{"user": "alice"}, {"user": "alice", "cores": 3}]).values():
            queue.add(job)
        placed = by_priority_and_age(queue, rooms_of([(2, 8), (8, 8), (0, 8)]), lambda user, host: 2 - (host != "n1"))
        self.assertEqual([tuple(placement) for placement in placed], [(1, "n1"), (2, "n2")])
