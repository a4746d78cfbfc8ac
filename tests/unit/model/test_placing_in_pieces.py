"""A placement that looks at very much does so in pieces, others are served in between, and nothing is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tests.support.properties import examples
from tm.model.brain import Brain
from tm.model.cluster import Hello

ASKED = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), min_size=1, max_size=30)


def a_brain(asked: list[tuple[int, int]], most: int | None) -> Brain:
    """Return a brain of eight hosts with four cores whose jobs *asked* for (cores, memory)."""
    hosts = [host_state(f"n{number}", 4) for number in range(8)]
    brain = Brain(epoch=1, hosts=hosts)
    brain.user_server_attached("alice")
    for host in hosts:
        brain.host_joined("alice", Hello(host.name, f"s{host.name}", "b", 1, "r", 0, 0, [], cores=4), 1.0)
    brain.scheduler.most_looks = most
    orders = [order("alice", cores=cores, memory=memory) for cores, memory in asked]
    brain.submitted("alice", "t", orders, {"e": "{}"}, 1.0)
    return brain


def place(brain: Brain) -> int:
    """Let *brain* place what it can; return in how many pieces it did."""
    pieces = 0
    while pieces == 0 or brain.scheduler.unfinished:
        brain.place(1.0)
        pieces += 1
        assert pieces < 1000
    return pieces


class PiecesTests(SynchronousTestCase):
    @examples(60)
    @given(ASKED)
    def test_in_pieces_nothing_is_left_that_could_start(self, asked: list[tuple[int, int]]) -> None:
        brain = a_brain(asked, 5)
        place(brain)
        waiting = len(brain.queue)
        brain.scheduler.most_looks = None
        brain.scheduler.everything_changed()
        place(brain)
        self.assertEqual(len(brain.queue), waiting)

    def test_much_is_looked_at_in_several_pieces(self) -> None:
        asked = [(1, memory) for memory in range(40)]
        self.assertGreater(place(a_brain(asked, 5)), 2)
        self.assertEqual(place(a_brain(asked, None)), 1)
