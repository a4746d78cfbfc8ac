"""Shares and factors: decay, exactness, who shares with whom, and what of that outlives the dispatcher."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.fairshare import FairShare, parts_of
from tm.model.rights import Group, Groups

HOUR = 3600.0


def groups(**sharing: tuple[int, str]) -> Groups:
    return Groups(tuple(Group(name, frozenset(who.split()), shares=n) for name, (n, who) in sharing.items()))


class FairShareTests(SynchronousTestCase):
    def test_half_of_what_was_used_is_forgotten_after_a_half_life(self) -> None:
        shares = FairShare(HOUR, {"alice": (800.0, 0.0)})
        self.assertAlmostEqual(shares.used("alice", HOUR), 400.0)
        self.assertAlmostEqual(shares.used("alice", 3 * HOUR), 100.0)

    def test_cores_are_charged_as_they_are_used(self) -> None:
        shares = FairShare(1e9)
        shares.occupies("alice", 4, 0.0)
        shares.occupies("alice", -4, 100.0)
        self.assertAlmostEqual(shares.used("alice", 1000.0), 400.0, places=2)

    @examples(100)
    @given(st.lists(st.floats(0.0, 10 * HOUR), max_size=20))
    def test_numbers_do_not_depend_on_how_often_they_are_asked_for(self, times: list[float]) -> None:
        often, once = FairShare(HOUR), FairShare(HOUR)
        for shares in (often, once):
            shares.occupies("alice", 3, 0.0)
        for at in sorted(times):
            often.used("alice", at)
        end = 11 * HOUR
        self.assertAlmostEqual(often.used("alice", end) / once.used("alice", end), 1.0)

    def test_who_used_just_what_is_theirs_has_a_half(self) -> None:
        shares = FairShare(HOUR, {"alice": (100.0, 0.0), "bob": (100.0, 0.0)})
        shares.refresh({"alice", "bob", "carol"}, 0.0)
        self.assertEqual(shares.factor("carol", 0.0), 1.0)
        shares.refresh({"alice", "bob"}, 0.0)
        self.assertEqual((shares.factor("alice", 0.0), shares.factor("bob", 0.0)), (0.5, 0.5))

    def test_cores_in_use_count_at_once(self) -> None:
        shares = FairShare(HOUR)
        shares.refresh({"alice", "bob"}, 0.0)
        shares.occupies("alice", 1, 0.0)
        self.assertLess(shares.factor("alice", 0.0), shares.factor("bob", 0.0))

    def test_groups_divide_by_shares_and_members_evenly(self) -> None:
        table = groups(physics=(3, "alice bob"), chemistry=(1, "carol"), staff=(0, "alice carol"))
        self.assertEqual(
            parts_of(table, {"alice", "bob", "carol"}), {"alice": 0.375, "bob": 0.375, "carol": 0.25}
        )
        self.assertEqual(parts_of(table, {"alice", "carol"}), {"alice": 0.75, "carol": 0.25})

    def test_who_is_in_no_group_with_shares_belongs_to_one_of_all_others(self) -> None:
        self.assertEqual(parts_of(groups(), {"alice", "bob"}), {"alice": 0.5, "bob": 0.5})
        found = parts_of(groups(physics=(3, "alice")), {"alice", "dave", "erin"})
        self.assertEqual(found, {"alice": 0.75, "dave": 0.125, "erin": 0.125})
        self.assertEqual(parts_of(groups(everybody=(2, "*")), {"alice", "bob"}), {"alice": 0.5, "bob": 0.5})

    def test_what_is_kept_goes_on_where_it_was(self) -> None:
        first = FairShare(HOUR)
        first.occupies("alice", 2, 10.0)
        first.occupies("alice", -2, 110.0)
        kept = first.to_keep(["alice", "nobody"], 110.0)
        self.assertEqual(list(kept), ["alice"])
        self.assertAlmostEqual(FairShare(HOUR, kept).used("alice", 500.0), first.used("alice", 500.0))

    def test_the_table_names_who_is_first_at_the_top(self) -> None:
        shares = FairShare(HOUR, {"alice": (7200.0, 0.0), "old": (0.1, 0.0)})
        shares.configured(groups(physics=(3, "alice")), HOUR, 0.0)
        shares.refresh({"bob"}, 0.0)
        rows = shares.shown(0.0)
        self.assertEqual([row["user"] for row in rows], ["bob", "alice"])
        self.assertEqual((rows[1]["groups"], rows[1]["part"], rows[1]["used"]), (["physics"], 1.0, 7200.0))
        self.assertEqual((rows[0]["factor"], rows[0]["cores"]), (1.0, 0))
