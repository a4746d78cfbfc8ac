"""Which jobs fit which hosts, ever and now; what can never run is refused with what would be possible."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import about, host_state, order, report
from tm.errors import RefusedError
from tm.model.brain import Brain
from tm.model.cluster import HostState, Session
from tm.model.demand import Demand
from tm.model.job import new_job
from tm.model.matching import Matcher, sentence_of, shown_size, word_of
from tm.model.possible import LATER, NEVER, NOW
from tm.model.report import Gpu
from tm.model.rights import Group, Groups, Limits
from tm.model.room import Room
from tm.model.settings import Scheduling

GIB = 1 << 30
DEMANDS = st.builds(
    Demand,
    cores=st.integers(1, 6), memory=st.sampled_from([0, GIB, 9 * GIB]), gpus=st.integers(0, 3),
    exclusive=st.booleans(), constraint=st.sampled_from(["", "ssd", "cores>=4 and not old"]),
    consumables=st.sampled_from([(), (("matlab", 1),), (("ansys", 2),)]),
)  # fmt: skip


def hosts() -> list[HostState]:
    """Return a small, a large and a special host."""
    return [
        host_state("n1", 2, 8 * GIB, features=("old",), infoserver=False),
        host_state("n2", 8, 32 * GIB, gpus=2, features=("ssd",), consumables={"matlab": 2}),
        host_state("n3", 4, 16 * GIB, users=("@chem",), infoserver=False),
    ]


def brain_with(*some: HostState) -> Brain:
    """Return a brain with a license in the cluster."""
    brain = Brain(epoch=1, hosts=some or hosts())
    brain.cluster_configured(Scheduling(licenses={"ansys": 3}), 0.0)
    return brain


def demand(**more: Any) -> Demand:
    return Demand(**more)


class Walked(dict[str, HostState]):
    """Hosts that count how often somebody goes through all of them."""

    walks = 0

    def values(self) -> Any:
        self.walks += 1
        return super().values()


class MatcherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.matcher = Matcher(lambda user, host: host.name != "n3")
        self.matcher.licenses = {"ansys": 3}
        self.n1, self.n2, self.n3 = hosts()

    def never(self, host: HostState, **more: Any) -> str:
        return self.matcher.may_ever(demand(**more), "alice", host)

    def test_what_a_host_lacks_is_named(self) -> None:
        for more, expected in (
            ({}, ""),
            ({"cores": 3}, "cores: it has 2 cores"),
            ({"memory": 9 * GIB}, "memory: it has 8G"),
            ({"gpus": 1}, "gpus: it has 0 GPUs"),
            ({"hosts": ("n2",)}, "host: it is not among the hosts asked for"),
            ({"exclude": ("n1",)}, "exclude: the job excludes it"),
            ({"consumables": (("matlab", 1),)}, "consumables: it has 0 matlab"),
            ({"consumables": (("ansys", 4),)}, "licenses: the cluster has 3 ansys"),
            ({"consumables": (("ansys", 3),)}, ""),
            ({"constraint": "not old"}, "constraint: 'not old' does not hold for it"),
            ({"constraint": "old and memory>=8G and name=n*"}, ""),
        ):
            self.assertEqual(self.never(self.n1, **more), expected)
        self.assertEqual(self.never(self.n3), "users: it is not open to alice (only @chem)")

    def test_a_verdict_is_kept_until_the_host_is_another(self) -> None:
        self.assertIn("cores", self.never(self.n1, cores=4))
        self.n1.configured(msgspec.structs.replace(self.n1.config, cores=4))
        self.assertEqual(self.never(self.n1, cores=4), "")

    def test_what_nobody_knows_keeps_nothing_away_and_starts_nothing(self) -> None:
        host = host_state("n4", None)
        for more in ({"cores": 64}, {"gpus": 4}, {"constraint": "cores>=64"}, {"constraint": "load<2"}):
            self.assertEqual(self.never(host, **more), "")
            self.assertFalse(self.matcher.room_for(demand(**more), Room(host)))
        host.described(msgspec.structs.replace(about("n4"), gpus=[Gpu(0, "A100", 40 * GIB)]))
        host.saw(4, None)
        self.assertIn("cores", self.never(host, cores=64))
        self.assertIn("gpus: it has 1 GPU", self.never(host, gpus=4))
        self.assertEqual(self.never(host, constraint="gpu and gpu=a1* and gpu_memory>=40G"), "")

    def test_load_decides_from_report_to_report(self) -> None:
        for load, free in ((1.9, True), (2.0, False)):
            self.n1.report = report(load=(load, 0.0, 0.0))
            self.assertEqual(self.matcher.room_for(demand(constraint="old and load<2"), Room(self.n1)), free)
        why = self.matcher.why_full(demand(constraint="load<2"), Room(self.n1))
        self.assertEqual(why, "constraint: 'load<2' does not hold for it now (load 2.00)")

    def test_what_comes_first_counts_more_than_all_that_follows(self) -> None:
        wish = demand(prefer="ssd, old, cores<4")
        self.assertEqual([self.matcher.preference(wish, host) for host in (self.n1, self.n2)], [3, 4])
        self.assertEqual(self.matcher.preference(demand(), self.n1), 0)

    def test_why_it_does_not_fit_now_is_named(self) -> None:
        room = Room(self.n2, {"ansys": 1})
        for more, expected in (
            ({}, ""),
            ({"cores": 9}, "cores: 8 cores of 8 free now"),
            ({"memory": 33 * GIB}, "memory: 32G free now"),
            ({"gpus": 3}, "gpus: 2 of 2 GPUs free now"),
            ({"consumables": (("matlab", 3),)}, "consumables: 2 matlab free now"),
            ({"consumables": (("ansys", 2),)}, "licenses: 1 ansys free now"),
        ):
            self.assertEqual(self.matcher.why_full(demand(**more), room), expected)
            self.assertEqual(self.matcher.room_for(demand(**more), room), not expected)
        room.take(demand())
        self.assertEqual(self.matcher.why_full(demand(exclusive=True), room), "exclusive: 1 job runs there")
        room.give(demand())
        room.take(demand(exclusive=True))
        self.assertEqual(self.matcher.why_full(demand(), room), "exclusive: a job has it for itself")
        self.n2.report = report(gpus=[Gpu(1, "A100", 40 * GIB, 0, 0.0, ["bob"])])
        why = self.matcher.why_full(demand(gpus=2), Room(self.n2))
        self.assertEqual(why, "strangers: 1 of its 2 GPUs busy with strangers (bob)")

    @given(st.lists(DEMANDS, max_size=12))
    @settings(max_examples=150, deadline=None)
    def test_what_fits_stays_within_what_there_is_and_gives_all_of_it_back(self, demands: list[Demand]) -> None:
        host = host_state("n2", 8, 32 * GIB, gpus=2, features=("ssd",), consumables={"matlab": 2})
        licenses = {"ansys": 3}
        room, taken = Room(host, licenses), []
        for one in demands:
            fits = self.matcher.room_for(one, room)
            self.assertEqual(fits, not self.matcher.why_full(one, room))
            if fits:
                room.take(one)
                taken.append(one)
            self.assertTrue(min(room.free_cores, room.free_memory, room.free_gpus) >= 0)
            self.assertTrue(room.left("matlab") >= 0 and licenses["ansys"] >= 0)
            self.assertTrue(not any(one.exclusive for one in taken) or len(taken) == 1)
        for one in taken:
            room.give(one)
        self.assertEqual(
            (room.free_cores, room.free_memory, room.free_gpus, room.left("matlab"), licenses, room.jobs, room.alone),
            (8, 32 * GIB, 2, 2, {"ansys": 3}, 0, False),
        )

    def test_sizes_are_short(self) -> None:
        self.assertEqual(
            [shown_size(size) for size in (64 * GIB, GIB + 1, 1000, (5 << 40) // 3)], ["64G", "1G", "1000", "1.6T"]
        )


class ImpossibleTests(SynchronousTestCase):
    def refused(self, word: str, brain: Brain, **more: object) -> str:
        error = self.assertRaises(
            RefusedError, brain.submitted, "alice", f"t{brain._next_id}", [order(**more)], {}, 1.0
        )
        self.assertEqual(error.word, word, error.text)
        self.assertEqual(brain.jobs, {})
        return error.text

    def test_what_no_host_has_is_refused_with_what_would_be_possible(self) -> None:
        brain = brain_with()
        for more, expected in (
            (
                {"cores": 9},
                "2 of 3 with fewer than 9 cores, 1 of 3 not open to alice); possible would be at most 8 cores (n2)",
            ),
            ({"memory": 64 * GIB}, "possible would be at most 32G of memory (n2)"),
            ({"gpus": 3}, "possible would be at most 2 GPUs (n2)"),
            ({"consumables": {"matlab": 3}}, "possible would be at most 2 matlab"),
            ({"consumables": {"ansys": 4}}, "possible would be at most 3 ansys"),
            ({"constraint": "ssd and old"}, "possible would be another constraint (with none n1, n2 could)"),
            ({"hosts": ["n1"], "cores": 4}, "possible would be at most 2 cores (n1) or another host (n2)"),
            ({"cores": 9, "gpus": 3}, "the largest host, n2, has 8 cores, 32G of memory, 2 GPUs"),
        ):
            self.assertIn(expected, self.refused("job.impossible", brain, **more))

    def test_a_cluster_of_one_host_says_what_that_has(self) -> None:
        text = self.refused("job.impossible", brain_with(host_state("n1", 2)), cores=64)
        self.assertEqual(text, "no host can ever run this (n1: it has 2 cores); possible would be at most 2 cores (n1)")

    def test_who_may_use_no_host_reads_so(self) -> None:
        text = self.refused("job.impossible", brain_with(host_state("n1", 2, users=("bob",))))
        self.assertIn("no host is open to alice", text)

    def test_names_that_are_none_are_refused_with_those_that_there_are(self) -> None:
        brain = brain_with()
        self.assertIn("no host 'n9'", self.refused("host.unknown", brain, exclude=["n9"]))
        text = self.refused("feature.unknown", brain, constraint="ssd and not odl")
        self.assertEqual(text, "no host has the feature 'odl'; there are gpu, old, ssd")
        self.assertIn("'fast'", self.refused("feature.unknown", brain, prefer="fast"))
        text = self.refused("consumable.unknown", brain, consumables={"abaqus": 1})
        self.assertEqual(text, "there is nothing called 'abaqus' to be counted; there are ansys, matlab")
        self.assertIn("at character 5", self.refused("job.invalid", brain, constraint="ssd ssd"))

    def test_the_host_that_has_a_feature_is_looked_for_once(self) -> None:
        matcher, asked = Matcher(lambda user, host: True), Walked({host.name: host for host in hosts()})
        self.assertEqual([matcher.has_feature("ssd", asked) for _ in range(3)], [True] * 3)
        self.assertEqual(asked.walks, 1)
        self.assertFalse(matcher.has_feature("odl", asked))

    def test_a_feature_that_its_last_host_lost_is_none(self) -> None:
        brain = brain_with()
        for number in range(2):
            brain.submitted("alice", f"t{number}", [order(constraint="ssd and not old")], {}, 1.0)
        without = [host.config for host in hosts() if host.name != "n2"]
        brain.hosts_configured([*without, host_state("n2", 8, features=("old",)).config], 2.0)
        again = [order(constraint="ssd and not old")]
        error = self.assertRaises(RefusedError, brain.submitted, "alice", "again", again, {}, 3.0)
        self.assertEqual(error.text, "no host has the feature 'ssd'; there are gpu, old")

    def test_an_account_is_a_group_of_the_user(self) -> None:
        brain = brain_with()
        everybody, chem = Group("everybody", frozenset({"*"})), Group("chem", frozenset({"alice"}))
        brain.people_configured(Groups((everybody, Group("bio", frozenset({"bob"})), chem)), 1.0)
        for number, (asked, counts) in enumerate((("", "chem"), ("everybody", "everybody"), ("chem", "chem")), 1):
            brain.submitted("alice", asked, [order(account=asked)], {}, 1.0)
            self.assertEqual(brain.jobs[number].account, counts)
        self.assertEqual(brain.account_of("dora", ""), "")
        error = self.assertRaises(RefusedError, brain.submitted, "alice", "x", [order(account="bio")], {}, 1.0)
        self.assertEqual(
            (error.word, error.text), ("account.unknown", "'bio' is no group of alice; these are: everybody, chem")
        )

    def test_a_job_that_asks_for_no_wall_time_has_the_usual_one(self) -> None:
        brain = brain_with()
        brain.cluster_configured(Scheduling(default_time=3600.0), 0.0)
        brain.submitted("alice", "t", [order(), order(time=60.0), order(array="0-9")], {}, 1.0)
        self.assertEqual([brain.jobs[number].demand.time for number in (1, 2, 3)], [3600.0, 60.0, 3600.0])
        self.assertEqual([brain.jobs[number].changed for number in (1, 2)], [True, False])

    @given(DEMANDS)
    @settings(max_examples=100, deadline=None)
    def test_what_is_not_refused_fits_an_empty_host(self, asked: Demand) -> None:
        brain = brain_with()
        try:
            brain.check_demand("alice", asked)
        except RefusedError as error:
            self.assertEqual(error.word, "job.impossible")
            self.assertEqual({one.fits for one in brain.fits("alice", asked, 1.0)}, {NEVER})
        else:
            self.assertIn(NOW, [one.fits for one in brain.fits("alice", asked, 1.0)])


class FitTests(SynchronousTestCase):
    def fits(self, brain: Brain, **more: Any) -> list[tuple[str, str, str]]:
        return [(one.host, one.fits, one.word) for one in brain.fits("alice", demand(**more), 1.0)]

    def test_every_host_says_now_later_or_never(self) -> None:
        brain = brain_with()
        job = new_job(1, *order(cores=7), 1.0)[0]
        Session("bob", brain.hosts["n2"]).occupy(job)
        self.assertEqual(self.fits(brain, cores=2), [("n1", NOW, ""), ("n2", LATER, "cores"), ("n3", NEVER, "users")])
        brain.host_drained("n1", None, "a fan", 1.0)
        self.assertEqual(brain.fits("alice", demand(), 1.0)[1][1:4], (LATER, "inactive", "a fan"))

    def test_what_is_preferred_comes_first(self) -> None:
        brain = brain_with()
        self.assertEqual([one[0] for one in self.fits(brain, prefer="ssd")], ["n2", "n1", "n3"])

    def test_a_limit_of_a_group_lets_all_wait(self) -> None:
        brain = brain_with()
        brain.people_configured(Groups((Group("all", frozenset({"*"}), limits=Limits(running=0)),)), 1.0)
        self.assertEqual([one[1:] for one in self.fits(brain)][:2], [(LATER, "limit")] * 2)

    def test_licenses_are_counted_over_all_hosts(self) -> None:
        brain = brain_with()
        job = new_job(1, *order(consumables={"ansys": 2}), 1.0)[0]
        Session("bob", brain.hosts["n1"]).occupy(job)
        self.assertEqual(self.fits(brain, consumables=(("ansys", 1),))[0], ("n1", NOW, ""))
        (first, second, _) = brain.fits("alice", demand(consumables=(("ansys", 2),)), 1.0)
        self.assertEqual((first.reason, second.word), ("1 ansys free now", "licenses"))

    def test_reasons_are_a_word_and_a_sentence(self) -> None:
        self.assertEqual((word_of("cores: it has: 2"), sentence_of("cores: it has: 2")), ("cores", "it has: 2"))
