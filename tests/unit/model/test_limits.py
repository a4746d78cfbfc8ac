"""Usage and limits against a model that counts all jobs anew for every question."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.demand import Demand
from tm.model.job import Job
from tm.model.limits import Usage
from tm.model.rights import Group, Groups, Limits

USERS = ("alice", "bob", "carol")
NONE = Limits()


def job(number: int, user: str, cores: int = 1, memory: int = 0) -> Job:
    """Return a waiting job."""
    return Job(number, user, "", "", Demand(cores, memory), 0, False, "e", 0.0)


def group(
    name: str,
    members: str,
    limits: Limits = NONE,
    each: Limits = NONE,
) -> Group:
    """Return a group of the *members*, names between spaces."""
    return Group(name, frozenset(members.split()), limits=limits, user_limits=each)


@dataclass
class Naive:
    """The same, said simply: all jobs in lists, all sums made anew."""

    groups: Groups
    running: dict[int, Job] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)

    def may_start(self, user: str, cores: int, memory: int) -> bool:
        for one in self.groups.groups:
            if user not in one.members and "*" not in one.members:
                continue
            together = [j for j in self.running.values() if j.user in one.members or "*" in one.members]
            alone = [j for j in self.running.values() if j.user == user]
            for limits, jobs in ((one.limits, together), (one.user_limits, alone)):
                asked = [*jobs, job(0, user, cores, memory)]
                sums = (len(asked), sum(j.cores for j in asked), sum(j.memory for j in asked))
                for most, used in zip((limits.running, limits.cores, limits.memory), sums, strict=True):
                    if most is not None and used > most:
                        return False
        return True

    def may_wait(self, user: str, jobs: int) -> bool:
        for one in self.groups.groups:
            if user not in one.members and "*" not in one.members:
                continue
            together = sum(n for who, n in self.waiting.items() if who in one.members or "*" in one.members)
            for limits, used in ((one.limits, together), (one.user_limits, self.waiting.get(user, 0))):
                if limits.queued is not None and used + jobs > limits.queued:
                    return False
        return True


def made(some: list) -> Groups:
    """Return groups of (members, limits, user limits)."""
    return Groups(tuple(Group(f"g{n}", frozenset(m), limits=a, user_limits=b) for n, (m, a, b) in enumerate(some)))


small = st.none() | st.integers(0, 6)
limits_of = st.builds(Limits, running=small, cores=small, memory=small, queued=small)
groups_of = st.lists(st.tuples(st.sets(st.sampled_from([*USERS, "*"])), limits_of, limits_of), max_size=3).map(
    lambda some: Groups(
        tuple(Group(f"g{n}", frozenset(m), limits=a, user_limits=b) for n, (m, a, b) in enumerate(some))
    )
)
amounts = st.tuples(st.sampled_from(USERS), st.integers(1, 4), st.integers(0, 4))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(1, 8), amounts),
        st.tuples(st.just("end"), st.integers(1, 8), amounts),
        st.tuples(st.just("wait"), st.integers(-3, 5), amounts),
        st.tuples(st.just("groups"), groups_of, amounts),
    ),
    max_size=30,
)


class UsageLawTests(SynchronousTestCase):
    @given(groups_of, steps)
    @examples(300)
    def test_every_answer_is_what_counting_anew_gives(self, groups: Groups, some: list) -> None:
        usage, naive = Usage(groups), Naive(groups)
        for what, value, (user, cores, memory) in some:
            if what == "start":
                usage.started(job(value, user, cores, memory))
                naive.running.setdefault(value, job(value, user, cores, memory))
            elif what == "end":
                usage.ended(job(value, user))
                naive.running.pop(value, None)
            elif what == "wait":
                by = max(value, -naive.waiting.get(user, 0))
                usage.waits(user, by)
                naive.waiting[user] = naive.waiting.get(user, 0) + by
            else:
                usage.configured(value)
                naive.groups = value
            for who in USERS:
                self.assertEqual(not usage.may_start(who, cores, memory), naive.may_start(who, cores, memory))
                self.assertEqual(not usage.queued(who, cores), naive.may_wait(who, cores))

    @given(groups_of, st.lists(amounts, max_size=12))
    @examples(200)
    def test_a_trial_takes_what_starting_one_after_the_other_would(self, groups: Groups, asked: list) -> None:
        usage, real = Usage(groups), Usage(groups)
        trial = usage.trial()
        for number, (user, cores, memory) in enumerate(asked, 1):
            why = trial.may_start(user, cores, memory)
            self.assertEqual(why, real.may_start(user, cores, memory))
            if not why:
                trial.take(user, cores, memory)
                real.started(job(number, user, cores, memory))
        self.assertEqual(usage.of_user("alice")["running"], 0)

    @given(groups_of, amounts)
    @examples(100)
    def test_what_can_never_start_is_what_cannot_start_on_an_empty_cluster(self, groups: Groups, asked: tuple) -> None:
        usage = Usage(groups)
        self.assertEqual(bool(usage.never(*asked)), bool(usage.may_start(*asked)))

    @given(groups_of, st.lists(amounts, max_size=8, unique_by=lambda one: one))
    @examples(100)
    def test_when_all_have_ended_nothing_is_used(self, groups: Groups, asked: list) -> None:
        usage = Usage(groups)
        jobs = [job(number, *one) for number, one in enumerate(asked)]
        for one in jobs:
            usage.waits(one.user, 1)
            usage.started(one)
            usage.started(one)
        for one in jobs:
            usage.waits(one.user, -1)
            usage.ended(one)
            usage.ended(one)
        for name in USERS:
            self.assertEqual(set(usage.of_user(name).values()), {0})
        for one in groups.groups:
            self.assertEqual(set(usage.of_group(one.name).values()), {0})


class UsageSentenceTests(SynchronousTestCase):
    def test_without_groups_nothing_is_limited(self) -> None:
        usage = Usage()
        usage.started(job(1, "alice", 1000, 1 << 50))
        self.assertEqual((usage.may_start("alice", 10**6, 1 << 60), usage.queued("alice", 10**9)), ("", ""))

    def test_a_group_together_is_named_with_what_is_used(self) -> None:
        usage = Usage(Groups((group("physics", "alice bob", Limits(running=2, cores=8, memory=4 << 30)),)))
        usage.started(job(1, "bob", 6, 3 << 30))
        self.assertEqual(
            usage.may_start("alice", 4, 0),
            "group physics together may use 8 cores at once (6 now), the job asks for 4",
        )
        self.assertEqual(
            usage.may_start("alice", 1, 2 << 30),
            "group physics together may use 4G of memory at once (3G now), the job asks for 2G",
        )
        usage.started(job(2, "alice"))
        self.assertEqual(
            usage.may_start("alice", 1, 0), "group physics together may have 2 jobs running at once (2 now)"
        )
        self.assertEqual(usage.may_start("carol", 100, 0), "")

    def test_a_member_alone_is_named_and_others_do_not_count(self) -> None:
        usage = Usage(Groups((group("all", "*", each=Limits(running=1)),)))
        usage.started(job(1, "bob"))
        self.assertEqual(usage.may_start("alice", 1, 0), "")
        self.assertEqual(
            usage.may_start("bob", 1, 0), "each member of group all may have 1 job running at once (1 now)"
        )

    def test_too_many_waiting_jobs_are_refused_with_what_to_do(self) -> None:
        usage = Usage(Groups((group("all", "*", Limits(queued=100)),)))
        usage.waits("bob", 60)
        self.assertEqual(usage.queued("alice", 40), "")
        self.assertEqual(
            usage.queued("alice", 41),
            "group all together may have 100 jobs waiting (60 now), 41 more would be too many; submit again"
            " when some have started, or have the limit 'queued' of group all raised in etc/groups",
        )

    def test_the_limits_of_all_groups_hold(self) -> None:
        usage = Usage(Groups((group("wide", "alice", Limits(cores=64)), group("all", "*", each=Limits(cores=2)))))
        self.assertIn("each member of group all may use 2 cores", usage.may_start("alice", 3, 0))
        self.assertIn("raised in etc/groups", usage.never("alice", 3, 0))
        self.assertEqual([bound.group for bound in usage.bounds("alice")], ["wide", "all"])
