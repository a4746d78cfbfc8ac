"""The rooms that a scheduler has at hand are those that there are, in the same order with and without a constraint."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_config, host_state
from tests.support.properties import examples
from tm.model import floor
from tm.model.floor import Floor, Freest
from tm.model.job import Job
from tm.model.matching import Matcher
from tm.model.room import Room

NAMES = [f"n{number}" for number in range(6)]
CONSTRAINTS = ["ssd", "not ssd", "ssd and old", "cores>=3", "load<2"]


class Hosts:
    """Hosts that change; an `Around` as far as a floor asks."""

    def __init__(self) -> None:
        self.hosts = {name: host_state(name, 2) for name in NAMES}
        self.away: set[str] = set()

    def room(self, host: str) -> Room | None:
        return None if host in self.away else Room(self.hosts[host])

    def here(self, user: str) -> bool:
        return True

    def reach(self, user: str, host: str) -> int:
        return 2

    def running(self, host: str) -> Iterable[Job]:
        return ()

    def start(self, number: int, host: str) -> bool:
        return True

    def give_way(self, number: int, to: int) -> None:
        raise AssertionError("nobody is asked to")


CHANGES = st.tuples(
    st.sampled_from(NAMES), st.integers(1, 4), st.integers(0, 4), st.sets(st.sampled_from(["ssd", "old"])),
    st.booleans(), st.sampled_from(CONSTRAINTS),
)  # fmt: skip


class FloorTests(SynchronousTestCase):
    @examples(100)
    @given(st.lists(CHANGES, max_size=40), st.integers(1, 3))
    def test_of_a_constraint_all_rooms_are_found_in_their_order_and_no_others(
        self, changes: list[tuple[str, int, int, set[str], bool, str]], kept: int
    ) -> None:
        self.patch(floor, "MOST_CONSTRAINTS", kept)
        around, matcher = Hosts(), Matcher(lambda user, host: True)
        made = Floor(around, matcher.may_hold)
        for name in NAMES:
            made.look(name)
        freest = Freest(made, NAMES[:4])
        some = [name for name in NAMES[:4] if name in made.rooms]
        for name, cores, used, features, away, constraint in changes:
            host = around.hosts[name]
            host.configured(host_config(name, cores, features=tuple(sorted(features))))
            host.used_cores = min(used, cores)
            (around.away.add if away else around.away.discard)(name)
            made.look(name)
            freest.looked(name)
            some = [one for one in some if one in made.rooms]  # who has gone does not come back before it is asked anew
            self.assertEqual(freest.most(), max((made.rooms[one].free_cores for one in some), default=0))
            for wanted in (0, 2):
                every = [room.name for room in made.with_free(wanted, False)]
                self.assertEqual(len(every), sum(room.free_cores >= wanted for room in made.rooms.values()))
                such = [room.name for room in made.with_free(wanted, False, constraint)]
                self.assertEqual(such, [one for one in every if matcher.may_hold(constraint, around.hosts[one])])
        self.patch(floor, "MOST_CONSTRAINTS", 32)
