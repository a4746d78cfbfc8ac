"""Advice at submission: what alike jobs used of what is asked, and silence where it is not worth a word."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.advice import LEAST_KNOWN, advice
from tm.model.demand import Demand
from tm.model.estimate import Ending

G = 1 << 30


def endings(
    count: int = 10, run: float = 50.0, memory: float = 1.2 * G, cores: int = 8, busy: float = 0.0
) -> list[Ending]:
    """Return so many alike endings."""
    return [Ending(run, memory, cores, 0.0, busy)] * count


ENDINGS = st.builds(
    Ending, st.floats(0, 1e6), st.floats(0, 1e12), st.sampled_from([1.0, 8.0]), st.just(0.0), st.floats(0, 1e6)
)

class AdviceTests(SynchronousTestCase):
    def test_much_more_memory_than_was_used_is_named(self) -> None:
        self.assertEqual(
            advice(endings(), Demand(memory=16 * G)),
            ["the last 10 of this kind used at most 1.2G of the 16G of memory asked; --mem 1536M would do"],
        )

    def test_the_most_counts_and_not_the_mean(self) -> None:
        self.assertEqual(advice([*endings(9), *endings(1, memory=15 * G)], Demand(memory=16 * G)), [])

    def test_much_more_time_than_was_needed_is_named(self) -> None:
        (text,) = advice(endings(run=420.5), Demand(time=86400.0))
        self.assertEqual(
            text,
            "the last 10 of this kind ran for at most 7m1s of the 1d asked; --time 15m would do, and finds room sooner",
        )

    def test_cores_that_were_idle_are_named(self) -> None:
        (text,) = advice(endings(busy=51.0), Demand(8))
        self.assertEqual(
            text, "the last 10 of this kind kept at most 1.0 of the 8 cores busy; --cpus-per-task 1 would do"
        )
        self.assertEqual(advice(endings(busy=300.0), Demand(8)), [])
        self.assertEqual(advice(endings(busy=51.0), Demand(4)), [])

    def test_little_is_not_worth_a_word(self) -> None:
        self.assertEqual(advice(endings(), Demand()), [])
        self.assertEqual(advice(endings(memory=1000), Demand(memory=G)), [])
        self.assertEqual(advice(endings(), Demand(time=3600.0)), [])
        self.assertEqual(advice(endings(LEAST_KNOWN - 1), Demand(memory=16 * G)), [])
        self.assertEqual(advice(endings(memory=0), Demand(memory=16 * G)), [])

    @examples(200)
    @given(
        st.lists(ENDINGS, max_size=32), st.integers(1, 64), st.integers(0, 1 << 40), st.floats(0, 1e7),
    )  # fmt: skip
    def test_what_is_advised_is_less_than_what_was_asked(
        self, ended: Sequence[Ending], cores: int, memory: int, time: float
    ) -> None:
        for text in advice(ended, Demand(cores, memory, time=time)):
            self.assertTrue(text.startswith("the last "))
            self.assertTrue("--mem" not in text or memory > G)
            self.assertTrue("--time" not in text or time > 3600)
            self.assertTrue("--cpus-per-task" not in text or int(text.split("--cpus-per-task ")[1].split()[0]) < cores)
