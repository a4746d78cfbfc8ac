"""Constraints: what is written means what it says and is written again the same; errors are named with their place."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.model.constraint import (
    DEEPEST,
    LONGEST,
    MOST_PREFERENCES,
    NUMBERS,
    RESERVED,
    SIZES,
    TEXTS,
    And,
    Compare,
    ConstraintError,
    Expression,
    Feature,
    Not,
    Or,
    holds,
    read_constraint,
    read_preferences,
    shown,
)

FEATURES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,12}", fullmatch=True).filter(
    lambda word: word.lower() not in RESERVED
)
COMPARES = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters='"\n'), max_size=12)
SIMPLE = st.one_of(
    FEATURES.map(Feature),
    st.builds(
        lambda key, how, number: Compare(key, how, float(number) if key not in SIZES else number),
        st.sampled_from(NUMBERS), COMPARES, st.integers(0, 10**15 - 1),
    ),
    st.builds(
        lambda key, how, text: Compare(key, how, 0.0, text), st.sampled_from(TEXTS), st.sampled_from(["=", "!="]), TEXT
    ),
)  # fmt: skip


def flat(kind: type[And] | type[Or], parts: list[Expression]) -> Expression:
    """Return *parts* joined as the reader joins them: an *and* of *and*s is written with parentheses and stays so."""
    return kind(tuple(parts))


EXPRESSIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: flat(And, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: flat(Or, parts)),
    ),
    max_leaves=8,
)
PIECES = st.sampled_from(
    [*"()!&|,<>=*\"' ", "and", "or", "not", "gpu", "cores", "memory", ">=", "8", "32G", "name", "n*", "load", "&&", "é"]
)


class Host:
    """A host with features, numbers and texts."""

    def __init__(self, *features: str, unknown: tuple[str, ...] = (), **values: float | str) -> None:
        self._features = features
        self._unknown = unknown
        self._values = values

    def has(self, feature: str) -> bool | None:
        return None if feature in self._unknown else feature in self._features

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        return None if value is None else float(value)

    def texts(self, key: str) -> Sequence[str] | None:
        return [str(self._values[key])] if key in self._values else None


class ReadTests(SynchronousTestCase):
    def wrong(self, text: str, at: int, what: str) -> None:
        error = self.assertRaises(ConstraintError, read_constraint, text)
        self.assertEqual((error.at, what in str(error)), (at, True), str(error))

    def test_not_binds_closest_then_and_then_or(self) -> None:
        a, b, c = Feature("a"), Feature("b"), Feature("c")
        self.assertEqual(read_constraint("a or b and not c"), Or((a, And((b, Not(c))))))
        self.assertEqual(read_constraint("(a or b) and c"), And((Or((a, b)), c)))
        self.assertEqual(read_constraint("not a and b"), And((Not(a), b)))
        self.assertEqual(read_constraint("not (a and b)"), Not(And((a, b))))

    def test_every_way_to_write_it_means_the_same(self) -> None:

        self.assertEqual(read_constraint("a & !b | c"), read_constraint("a and not b or c"))
        self.assertEqual(read_constraint("a&&!b||c"), read_constraint("a AND NOT b OR c"))
        self.assertEqual(read_constraint("cores==8"), read_constraint("Cores = 8"))

    def test_sizes_and_patterns_are_read(self) -> None:
        self.assertEqual(read_constraint("memory>=32G"), Compare("memory", ">=", 32 << 30))
        self.assertEqual(read_constraint("name=n*"), Compare("name", "=", 0.0, "n*"))
        self.assertEqual(read_constraint("cpu='AMD EPYC*'"), Compare("cpu", "=", 0.0, "AMD EPYC*"))
        self.assertEqual(read_constraint("load<1.5"), Compare("load", "<", 1.5))

    def test_what_is_wrong_is_named_with_its_place(self) -> None:
        self.wrong("", 0, "found the end, at character 1")
        self.wrong("gpu and", 7, "expected a feature")
        self.wrong("gpu old", 4, "expected 'and', 'or' or the end, found 'old', at character 5")
        self.wrong("(gpu", 4, "expected ')'")
        self.wrong("gpu)", 3, "found ')'")
        self.wrong("cores>=many", 7, "cores is compared with a number, not 'many'")
        self.wrong("memory>=32X", 8, "is no size of memory")
        self.wrong("colour=red", 0, "'colour' cannot be compared; these can: cores, memory")
        self.wrong("name<n3", 5, "compared with = or !=")
        self.wrong("gpu @ old", 4, "'@' has no meaning here")
        self.wrong("n*", 0, "'n*' is no name of a feature")
        self.wrong("a, b", 1, "found ','")
        self.wrong("not " * (DEEPEST + 1) + "a", DEEPEST * 4, "nested")
        self.wrong("a" * (LONGEST + 1), LONGEST, "longer")

    def test_preferences_are_a_list(self) -> None:
        self.assertEqual(read_preferences("ssd, not old"), (Feature("ssd"), Not(Feature("old"))))
        self.assertRaises(ConstraintError, read_preferences, "ssd,")
        self.assertRaises(ConstraintError, read_preferences, ",".join("a" * (MOST_PREFERENCES + 1)))

    @given(EXPRESSIONS)
    @settings(max_examples=150, deadline=None)
    def test_what_is_shown_is_read_as_what_it_was(self, expression: Expression) -> None:
        text = shown(expression)
        if len(text) <= LONGEST:
            self.assertEqual(read_constraint(text), expression, text)
            self.assertEqual(shown(read_constraint(text)), text)

    @given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES).map(" ".join)))
    @settings(max_examples=300, deadline=None)
    def test_no_text_gives_another_failure(self, text: str) -> None:
        for read in (read_constraint, read_preferences):
            try:
                found = read(text)
            except ConstraintError as error:
                self.assertTrue(0 <= error.at <= len(text), error)
            else:
                self.assertTrue(found)


class HoldTests(SynchronousTestCase):
    def says(self, text: str, host: Host) -> bool | None:
        return holds(read_constraint(text), host)

    def test_features_and_numbers_decide(self) -> None:
        host = Host("gpu", cores=8, memory=64 << 30, name="n12", load=1.5)
        for text in (
            "gpu and not old",
            "cores>=8",
            "cores<9 & memory>32G",
            "name=n*",
            "name=N1?",
            "name!=m*",
            "load<2",
        ):
            self.assertIs(self.says(text, host), True, text)
        for text in ("old", "not gpu", "cores!=8", "memory=32G or old", "name=n1", "load>=1.6"):
            self.assertIs(self.says(text, host), False, text)

    def test_what_nobody_knows_is_neither_true_nor_false(self) -> None:
        host = Host("ssd", unknown=("gpu",))
        for text in ("gpu", "not gpu", "cores>8", "gpu and ssd", "old or cores>8", "name=n*"):
            self.assertIsNone(self.says(text, host), text)
        self.assertIs(self.says("gpu or ssd", host), True)
        self.assertIs(self.says("gpu and old", host), False)

    @given(EXPRESSIONS, st.sets(FEATURES, max_size=3), st.integers(0, 9))
    @settings(max_examples=100, deadline=None)
    def test_the_contrary_holds_where_it_does_not(self, expression: Expression, features: set[str], cores: int) -> None:
        host = Host(*features, cores=cores, name="n1")
        value = holds(expression, host)
        self.assertIs(holds(Not(expression), host), None if value is None else not value)
