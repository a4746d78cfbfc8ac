"""What one job waits for of others: how it is written, shown and judged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.dependency import KINDS, Condition, Dependency, How, judge, read_dependency
from tm.model.ids import MOST_INDEX, MOST_PLAIN, task_id
from tm.model.phase import FINAL, Phase

TARGETS = st.one_of(
    st.integers(1, MOST_PLAIN), st.builds(task_id, st.integers(1, MOST_PLAIN), st.integers(0, MOST_INDEX))
)
KIND = st.sampled_from([kind for kind in KINDS if kind not in ("singleton", "aftercorr")])
CONDITIONS = st.one_of(st.just(Condition("singleton")), st.builds(Condition, KIND, TARGETS, st.just(0)))
DEPENDENCIES = st.builds(
    lambda found, one: Dependency(tuple(dict.fromkeys(found)), one and len(set(found)) > 1),
    st.lists(CONDITIONS, max_size=5), st.booleans(),
)  # fmt: skip
ENDED = {phase: How(True, 5.0, phase, f"is {phase}") for phase in FINAL}


class ReadingTests(SynchronousTestCase):
    @examples(200)
    @given(DEPENDENCIES)
    def test_what_is_shown_is_read_as_it_was(self, dependency: Dependency) -> None:
        self.assertEqual(read_dependency(str(dependency)), dependency)

    def test_several_jobs_of_a_kind_are_named_together_and_once(self) -> None:
        self.assertEqual(
            str(read_dependency("afterok:17:18_4,after:3+10, afterok:17")),
            "afterok:17,afterok:18_4,after:3+10",
        )

    def test_what_cannot_be_meant_is_refused_with_what_could_be(self) -> None:
        for text, words in {
            "afterwards:1": "afternotok, afterany",
            "afterok": "afterok:17",
            "afterok:": "afterok:17",
            "afterok:x": "17_4",
            "afterok:17_[1-3]": "17_4:17_5",
            "afterok:17+5": "only 'after'",
            "after:0": "no job 0",
            "singleton:3": "names no job",
            "after:1,after:2?after:3": "not by both",
            "aftercorr:1?after:2": "any will do",
            "after:" + ":".join(map(str, range(1, 1003))): "at most 1000",
            "after:1,,after:2": "no kind",
        }.items():
            with self.subTest(text=text[:40]):
                error = self.assertRaises(ValueError, read_dependency, text)
                self.assertIn(words, str(error))

    def test_a_wish_is_said_in_words(self) -> None:
        self.assertEqual(
            read_dependency("afterok:17,after:18_2+5").wish,
            "job 17 to succeed and job 18_2 to begin, and 5 min more",
        )
        many = read_dependency("after:1?after:2?after:3?after:4?after:5?after:6")
        self.assertTrue(many.wish.endswith("job 4 to begin or 2 more"))


class JudgingTests(SynchronousTestCase):
    def verdict(self, text: str, **how: How) -> tuple[str, str]:
        found = judge(read_dependency(text), lambda condition: how.get(f"job{condition.target}"))
        return str(found.left), found.never

    def test_each_kind_is_met_by_what_it_names_and_else_never(self) -> None:
        for kind, good in {
            "after": FINAL, "afterany": FINAL, "afterok": {Phase.COMPLETED}, "afternotok": FINAL - {Phase.COMPLETED},
        }.items():  # fmt: skip
            for phase, how in ENDED.items():
                left, never = self.verdict(f"{kind}:1", job1=how)
                self.assertEqual((left, never == ""), ("", phase in good), (kind, phase))

    def test_nothing_is_met_by_what_has_only_begun_but_after(self) -> None:
        for kind in ("after", "afterany", "afterok", "afternotok"):
            left, never = self.verdict(f"{kind}:1", job1=How(True, 5.0))
            self.assertEqual((left, never), ("" if kind == "after" else f"{kind}:1", ""))

    def test_of_all_what_is_unmet_is_left_and_one_that_cannot_be_is_the_end(self) -> None:
        good, bad = ENDED[Phase.COMPLETED], ENDED[Phase.FAILED]
        self.assertEqual(self.verdict("afterok:1,afterok:2", job1=good), ("afterok:2", ""))
        self.assertEqual(
            self.verdict("afterok:1,afterok:2", job1=bad), ("", "needs 1 to succeed, but it is failed")
        )

    def test_of_any_one_is_enough_and_only_the_last_is_the_end(self) -> None:
        good, bad = ENDED[Phase.COMPLETED], ENDED[Phase.FAILED]
        self.assertEqual(self.verdict("afterok:1?afterok:2", job2=good), ("", ""))
        self.assertEqual(self.verdict("afterok:1?afterok:2", job1=bad), ("afterok:2", ""))
        left, never = self.verdict("afterok:1?afterok:2", job1=bad, job2=bad)
        self.assertEqual(left, "")
        self.assertIn("needs 1", never)
        self.assertIn("needs 2", never)

    def test_minutes_count_from_the_beginning(self) -> None:
        found = judge(read_dependency("after:1+5"), lambda condition: How(True, 1000.0))
        self.assertEqual((found.left, found.not_before), (Dependency(), 1300.0))
