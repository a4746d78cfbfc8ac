"""Cores and GPUs of a host: nothing is given twice, and everything comes back exactly once."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import about, host_state, order, report
from tm.model.cluster import HostState, Link, Session
from tm.model.devices import Holding
from tm.model.job import Job, new_job
from tm.model.phase import Phase
from tm.model.report import Gpu

STEPS = st.lists(
    st.tuples(st.sampled_from(["give", "hold", "release"]), st.integers(1, 5), st.sets(st.integers(0, 7), max_size=4)),
    max_size=40,
)


def job(number: int, **more: object) -> Job:
    return new_job(number, *order(**more), 1.0)[0]


def gpu(index: int, *users: str, used: int = 0) -> Gpu:
    return Gpu(index, "A100", 40 << 30, used, 0.0, list(users))


class HoldingTests(SynchronousTestCase):
    @given(STEPS)
    @settings(max_examples=150, deadline=None)
    def test_nothing_is_given_twice_and_all_comes_back(self, steps: list[tuple[str, int, set[int]]]) -> None:
        holding = Holding()
        has: dict[int, tuple[int, ...]] = {}
        for what, number, wanted in steps:
            others = {one for other, some in has.items() if other != number for one in some}
            if what == "give":
                if number not in has:
                    free = [one for one in range(8) if one not in others]
                    got = holding.give(number, len(wanted), range(8))
                    self.assertEqual(got, tuple(free[: len(wanted)]) if len(free) >= len(wanted) else ())
                    has[number] = got
            elif what == "hold":
                has[number] = holding.hold(number, sorted(wanted))
                self.assertEqual(set(has[number]), wanted - others)
            else:
                self.assertEqual(holding.release(number), has.pop(number, ()))
                self.assertEqual(holding.release(number), ())
            counted = Counter(one for some in has.values() for one in some)
            self.assertTrue(all(count == 1 for count in counted.values()))
            self.assertEqual(holding.held, set(counted))
        for number in list(has):
            holding.release(number)
        self.assertEqual(holding.held, set())


class HostTests(SynchronousTestCase):
    def session(self, host: HostState) -> Session:
        session = Session("alice", host)
        session.link = Link.UP
        return session

    def test_cores_are_given_where_there_are_as_many_as_configured(self) -> None:
        for configured, seen, given_ in ((4, 8, (0, 1)), (4, 4, (0, 1)), (4, 2, ()), (4, None, ()), (None, 4, (0, 1))):
            host = host_state("n1", configured)
            host.saw(seen, None)
            made = job(1, cores=2)
            self.session(host).occupy(made)
            self.assertEqual(made.cpus, given_, (configured, seen))

    def test_who_has_the_host_alone_may_use_all_of_its_cores(self) -> None:
        host = host_state("n1", 4)
        host.saw(4, None)
        made = job(1, cores=2, exclusive=True)
        session = self.session(host)
        session.occupy(made)
        self.assertEqual((made.cpus, host.alone, host.has_room(job(2))), ((), 1, False))
        session.release(1)
        self.assertEqual((host.alone, host.has_room(job(2)), host.has_room(made)), (0, True, True))
        session.occupy(job(2))
        self.assertFalse(host.has_room(made))

    def test_one_that_follows_has_the_cores_of_the_one_before(self) -> None:
        host = host_state("n1", 4)
        host.saw(4, None)
        session = self.session(host)
        jobs = [job(number) for number in range(1, 6)]
        for one in jobs[:4]:
            session.occupy(one)
            one.phase = Phase.RUNNING
        jobs[4].phase = Phase.STARTING
        session.ahead[5] = jobs[4]
        session.release(3)
        self.assertEqual((jobs[2].cpus, jobs[4].cpus, list(session.ahead)), ((2,), (2,), []))
        jobs[4].cpus, jobs[4].phase = (1,), Phase.RUNNING
        session.runs(jobs[4])
        self.assertEqual((jobs[4].cpus, host.cpus.held), ((), {0, 1, 3}))

    def test_what_a_job_had_before_a_restart_is_its_own(self) -> None:
        host = host_state("n1", 4, gpus=4)
        host.saw(4, None)
        old = job(1, cores=2, gpus=2)
        old.phase, old.cpus, old.gpu_ids = Phase.RUNNING, (1, 2), (0, 3)
        session = self.session(host)
        session.occupy(old)
        fresh = job(2, cores=2, gpus=2)
        session.occupy(fresh)
        self.assertEqual((old.cpus, old.gpu_ids, fresh.cpus, fresh.gpu_ids), ((1, 2), (0, 3), (0, 3), (1, 2)))
        self.assertEqual(host.free_gpus, 0)

    def test_gpus_are_those_that_its_infoserver_names(self) -> None:
        host = host_state("n1", 4)
        self.assertEqual((host.gpu_count, host.free_gpus), (None, 0))
        host.described(msgspec.structs.replace(about(), gpus=[gpu(2), gpu(5)]))
        self.assertEqual((host.gpu_count, host.idle_gpus), (2, (2, 5)))
        host.configured(host_state("n1", 4, gpus=1).config)
        self.assertEqual((host.gpu_count, host.idle_gpus), (1, (2,)))
        self.assertEqual(host_state("n1", 4, infoserver=False).gpu_count, 0)
        self.assertEqual(host_state("n1", 4, gpus=2).idle_gpus, (0, 1))

    def test_a_gpu_with_strangers_is_not_free(self) -> None:
        host = host_state("n1", 4, gpus=3)
        host.report = report(gpus=[gpu(0, "carol"), gpu(1, used=100 << 20), gpu(2, used=2 << 30)])
        self.assertEqual((host.idle_gpus, host.strangers), ((1,), {0: "carol", 2: "somebody"}))

    def test_our_own_jobs_are_no_strangers_and_what_they_leave_is_free_at_once(self) -> None:
        host = host_state("n1", 4, gpus=1)
        session = self.session(host)
        made = job(1, gpus=1)
        session.occupy(made)
        host.report = report(gpus=[gpu(0, "alice", used=30 << 30)])
        self.assertEqual((made.gpu_ids, host.free_gpus, host.strangers), ((0,), 0, {}))
        session.release(1)
        self.assertEqual((host.free_gpus, host.strangers), (1, {}))
        host.report = report(gpus=[gpu(0, "alice", used=30 << 30)])
        self.assertEqual((host.free_gpus, host.strangers), (0, {0: "alice"}))

    def test_consumables_are_counted_and_come_back(self) -> None:
        host = host_state("n1", 4, consumables={"matlab": 2})
        session = self.session(host)
        session.occupy(job(1, consumables={"matlab": 2, "ansys": 1}))
        self.assertEqual((host.free_consumables, host.used_consumables["ansys"]), ({"matlab": 0}, 1))
        session.release(1)
        self.assertEqual(host.free_consumables, {"matlab": 2})

    def test_only_what_asks_for_cores_and_memory_is_sent_ahead(self) -> None:
        for more, ahead in (
            ({}, True),
            ({"gpus": 1}, False),
            ({"consumables": {"x": 1}}, False),
            ({"exclusive": True}, False),
        ):
            session = self.session(host_state("n1", 4, gpus=4, consumables={"x": 4}))
            session.occupy(job(1, **more))
            session.mean_run = 0.001
            self.assertEqual(session.room_ahead(job(2, **more)) > 0, ahead, more)

    def test_who_stands_in_line_again_keeps_its_gpu(self) -> None:
        host = host_state("n1", 2, gpus=1, consumables={"matlab": 1})
        session = self.session(host)
        running, waiting = job(1, cores=2), job(2, gpus=1, consumables={"matlab": 1})
        running.phase, waiting.phase = Phase.RUNNING, Phase.STARTING
        waiting.gpu_ids, waiting.command_number = (0,), 1
        session.occupy(running)
        session.occupy(waiting)
        session.runs(running)
        session._step_back(set())
        self.assertEqual((list(session.ahead), host.used_cores, host.job_count), ([2], 2, 2))
        self.assertEqual((host.free_gpus, host.free_consumables), (0, {"matlab": 0}))
        session.release(1)
        self.assertEqual((list(session.occupying), host.used_cores, waiting.gpu_ids), ([2], 1, (0,)))
        session.release(2)
        self.assertEqual((host.free_gpus, host.free_consumables, host.used_cores), (1, {"matlab": 1}, 0))
