"""The waiting queue beside a naive one: the same ids, heads and order, whatever is added and removed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.properties import examples
from tm.model.ids import task_id
from tm.model.job import Job, new_job
from tm.model.queue import JobClass, WaitingQueue, class_of

KINDS: list[dict[str, object]] = [
    {}, {"priority": 5}, {"priority": -5}, {"cores": 2}, {"memory": 1024}, {"hosts": ["n1"]}, {"hosts": ["n1", "n2"]},
]  # fmt: skip


def job(number: int, user: str = "alice", **more: object) -> Job:
    return new_job(number, order(user, **more)[0], "signed", 0.0)[0]


JOBS = {number: job(number, "ab"[number % 2], **KINDS[number % len(KINDS)]) for number in range(1, 60)}


class NaiveQueue:
    def __init__(self) -> None:
        self.waiting: set[int] = set()

    def ids(self, kind: JobClass) -> list[int]:
        return sorted(number for number in self.waiting if class_of(JOBS[number]) == kind)

    def heads(self) -> list[tuple[int, int, JobClass]]:
        kinds = {class_of(JOBS[number]) for number in self.waiting}
        return sorted((kind.order, self.ids(kind)[0], kind) for kind in kinds)


class QueueTests(SynchronousTestCase):
    @examples(200)
    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 59)), max_size=120))
    def test_it_says_what_a_naive_queue_says(self, steps: list[tuple[bool, int]]) -> None:
        queue, naive = WaitingQueue(), NaiveQueue()
        for adds, number in steps:
            if adds:
                queue.add(JOBS[number])
                naive.waiting.add(number)
            else:
                queue.remove(number)
                naive.waiting.discard(number)
        self.assertEqual(len(queue), len(naive.waiting))
        self.assertEqual({number for number in JOBS if number in queue}, naive.waiting)
        self.assertEqual(queue.heads(), naive.heads())
        for _, _, kind in naive.heads():
            self.assertEqual(list(queue.ids(kind)), naive.ids(kind))
            self.assertEqual(queue.sizes()[kind], len(naive.ids(kind)))
            for place, number in enumerate(naive.ids(kind)):
                self.assertEqual(queue.before(number), (kind, place))
        self.assertIsNone(queue.before(60))

    def test_tasks_of_arrays_count_one_by_one(self) -> None:
        queue = WaitingQueue()
        some = [job(1), job(2, array="0-9", array_cap=2), job(3), job(4, array="5,7,9")]
        for one in some:
            queue.add(one)
        kind = class_of(some[0])
        self.assertEqual(queue.sizes(), {kind: 15})
        self.assertEqual([queue.before(number) for number in (1, 2, 3, 4)], [(kind, n) for n in (0, 1, 11, 12)])
        self.assertEqual(queue.before(task_id(4, 9)), (kind, 14))
        self.assertEqual(list(queue.entries(kind)), [(1, 0), (2, 1), (3, 11), (4, 12)])
        some[1].tasks.started(0)  # type: ignore[union-attr]
        some[1].tasks.started(1)  # type: ignore[union-attr]
        queue.changed(2)
        self.assertEqual((queue.may_start(2), 2 in queue, queue.may_start(1)), (False, True, True))
        queue.remove(2)
        self.assertEqual((queue.sizes(), queue.before(3)), ({kind: 5}, (kind, 1)))
        self.assertIsNone(queue.before(task_id(2, 1)))

    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 8)), max_size=40))
    @examples(50)
    def test_it_tells_of_each_user_how_many_wait(self, steps: list[tuple[bool, int]]) -> None:
        counted = {"a": 0, "b": 0}

        def count(user: str, jobs: int) -> None:
            counted[user] += jobs

        queue = WaitingQueue(count)
        for add, number in steps:
            queue.add(JOBS[number]) if add else queue.remove(number)
            for user in counted:
                waiting = [n for n in JOBS if n in queue and JOBS[n].user == user]
                self.assertEqual(counted[user], len(waiting))

    def test_what_was_taken_from_the_middle_and_waits_again_waits_once(self) -> None:
        queue = WaitingQueue()
        for number in (1, 2, 3):
            queue.add(job(number))
        queue.remove(2)
        queue.add(job(2))
        self.assertEqual(list(queue.ids(class_of(job(1)))), [1, 2, 3])

    def test_what_is_removed_does_not_pile_up(self) -> None:
        queue = WaitingQueue()
        first = job(1)
        queue.add(first)
        for number in range(2, 2000):
            queue.add(job(number))
            queue.remove(number)
        self.assertEqual(list(queue.ids(class_of(first))), [1])
        self.assertLess(len(queue._lines[class_of(first)]._places), 300)

    def test_a_class_nobody_waits_in_is_gone(self) -> None:
        queue = WaitingQueue()
        queue.add(job(1))
        queue.remove(1)
        self.assertEqual((queue.heads(), list(queue.ids(class_of(job(1)))), len(queue)), ([], [], 0))
        queue.remove(1)

    def test_the_higher_priority_stands_first_then_the_older_head(self) -> None:
        queue = WaitingQueue()
        for number, priority, user in ((1, 0, "a"), (2, 7, "a"), (3, 0, "b"), (4, 7, "b")):
            queue.add(job(number, user, priority=priority))
        self.assertEqual([number for _, number, _ in queue.heads()], [2, 4, 1, 3])
