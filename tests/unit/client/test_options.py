"""Options, and where they end and commands begin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.client.choices import ACTIONS, COMMAND_LINE, SUBMISSION
from tm.client.hrunjob import read_options
from tm.client.options import FLAG, Option, Options, Reader
from tm.client.program import UsageError


class ReaderTests(SynchronousTestCase):
    def complaint(self, *argv: str) -> str:
        return self.assertRaises(UsageError, read_options, list(argv)).text

    def test_values_stand_behind_their_option_with_or_without_a_sign(self) -> None:
        for words in (["-c", "4"], ["-c4"], ["-c=4"], ["--cores", "4"], ["--cores=4"], ["--cpus-per-task=4"]):
            options, rest, _ = read_options([*words, "go"])
            self.assertEqual((4, ["go"]), (options.cores, rest), words)

    def test_letters_of_flags_may_stand_together(self) -> None:
        options, rest, _ = read_options(["-qWc", "2", "x"])

        self.assertEqual((True, True, 2, ["x"]), (options.quiet, options.wait, options.cores, rest))

    def test_the_command_begins_at_the_first_word_that_is_no_option(self) -> None:
        self.assertEqual((["sleep", "-x", "--", "1"], False), read_options(["sleep", "-x", "--", "1"])[1:])
        self.assertEqual((["sleep 1"], True), read_options(["-q", "--", "sleep 1"])[1:])
        self.assertEqual((["-"], False), read_options(["-q", "-"])[1:])

    def test_several_values_end_at_the_next_option(self) -> None:
        options, rest, _ = read_options(["-i", "3", "5-7", "9_2", "--json"])

        self.assertEqual(
            ([3, 5, 6, 7, (1 << 52) | (9 << 20) | 2], True, []), (options.info, options.json, rest)
        )

    def test_a_value_may_be_a_negative_number_but_no_option(self) -> None:
        self.assertEqual(-5, read_options(["-p", "-5"])[0].priority)
        self.assertIn("--name needs a value", self.complaint("--name", "--wait"))

    def test_a_value_that_is_optional_stands_behind_the_sign_alone(self) -> None:
        self.assertEqual(
            (100, ["5"]), (read_options(["--nice", "5"])[0].nice, read_options(["--nice", "5"])[1])
        )
        self.assertEqual(5, read_options(["--nice=5"])[0].nice)
        self.assertEqual((0, 7), (read_options(["-s"])[0].status, read_options(["-s", "7"])[0].status))

    def test_what_is_wrong_is_named_with_what_is_expected(self) -> None:
        self.assertIn("did you mean --time?", self.complaint("--tme", "1"))
        self.assertIn("--cores: 'x' is no number of cores; write 1 or more", self.complaint("--cores=x"))
        self.assertIn("--wait takes no value", self.complaint("--wait=1"))
        self.assertIn("no meaning here", self.complaint("--partition=x", "y"))
        self.assertIn("needs at least one value", self.complaint("-k"))

    @given(st.lists(st.text(max_size=5), min_size=1))
    def test_what_stands_behind_the_dashes_is_left_as_it_is(self, words: list[str]) -> None:
        self.assertEqual((words, True), read_options(["-q", "--", *words])[1:])

    def test_no_name_means_two_things(self) -> None:
        for table in (COMMAND_LINE, SUBMISSION, ACTIONS):
            names = [name for option in table for name in option.names]
            self.assertEqual(len(set(names)), len(names))


class OptionsTests(SynchronousTestCase):
    def test_what_counts_more_wins_and_lists_are_joined(self) -> None:
        table = [Option("--a", "a"), Option("--b", "b", FLAG), Option("--e", "e", "more")]
        upper, lower = (
            Reader(table).read(words)[0] for words in (["--a=1", "--e=x"], ["--a=2", "--b", "--e=y"])
        )

        upper.under(lower)

        self.assertEqual(("1", True, ["y", "x"]), (upper.a, upper.b, upper.e))

    def test_what_was_not_given_is_none_false_or_empty(self) -> None:
        found = Options([Option("--a", "a"), Option("--b", "b", FLAG), Option("--e", "e", "more")])

        self.assertEqual((None, False, []), (found.a, found.b, found.e))
