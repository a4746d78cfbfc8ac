"""Where options end and commands begin, and how sizes and ids are written."""

from __future__ import annotations

import argparse

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.client.parser import parse_cores, parse_size, split_command

VALUED = ("-n", "--name")
MANY = ("-k",)


class SplitTests(SynchronousTestCase):
    def test_one_word_is_shell_text_and_more_are_a_vector(self) -> None:
        self.assertEqual((["-n", "x"], "sleep 10"), split_command(["-n", "x", "sleep 10"], VALUED))
        self.assertEqual(([], ["sleep", "-x"]), split_command(["sleep", "-x"], VALUED))

    def test_two_dashes_make_even_one_word_a_vector(self) -> None:
        self.assertEqual((["-q"], ["sleep 10"]), split_command(["-q", "--", "sleep 10"], VALUED))

    def test_a_later_pair_of_dashes_belongs_to_the_command(self) -> None:
        self.assertEqual(([], ["a", "--", "b"]), split_command(["--", "a", "--", "b"], VALUED))
        self.assertEqual(([], ["a", "--", "b"]), split_command(["a", "--", "b"], VALUED))

    def test_values_of_options_are_no_command(self) -> None:
        self.assertEqual(
            (["--name", "x", "-k", "3", "4"], []),
            split_command(["--name", "x", "-k", "3", "4"], VALUED, MANY),
        )
        self.assertEqual((["--name=x"], "go"), split_command(["--name=x", "go"], VALUED))

    @given(st.lists(st.text(max_size=5), min_size=1))
    def test_what_stands_behind_the_dashes_is_left_as_it_is(self, words: list[str]) -> None:
        self.assertEqual(([], words), split_command(["--", *words], VALUED, MANY))


class ValueTests(SynchronousTestCase):
    def test_sizes_are_binary_and_a_bare_number_counts_mebibytes(self) -> None:
        self.assertEqual(
            [2**32, 3 * 2**29, 500 << 20, 64 << 20], list(map(parse_size, ["4G", "1.5gb", "500MiB", "64"]))
        )

    def test_what_is_no_value_is_refused_with_a_sentence(self) -> None:
        for parse, text in (
            (parse_size, "lots"),
            (parse_cores, "0"),
        ):
            self.assertRaises(argparse.ArgumentTypeError, parse, text)
