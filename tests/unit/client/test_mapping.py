"""Map mode: what a shell makes of the script is what the same command does with the value in its place."""

from __future__ import annotations

import os
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.client.house import House
from tm.client.hrunjob import read_options
from tm.client.mapping import MOST_VALUES, Map, read_sources
from tm.client.program import UsageError
from tm.client.request import make_request
from tm.errors import TaskManagerError

ODD = [
    "a b.txt",
    "x'y",
    '"',
    "/p/q.tar.gz",
    "n\nl",
    "$HOME `id`",
    "tab\there",
    "",
    "-n",
    "é",
    "\\",
    "a/",
    "*",
    ".x",
]
EVERY = "printf '<%s>' {} {#} {.} {/} {//} {/.}"


class MapTests(House):
    def ran(self, made: Map, number: int) -> bytes:
        """Return what the script prints as task *number*."""
        path = self.path("script")
        with open(path, "w") as file:
            file.write(made.script())
        os.chmod(path, 0o700)
        environ = {**os.environ, "TM_ARRAY_TASK_ID": str(number)}
        return subprocess.run([path], env=environ, capture_output=True, check=True).stdout

    def shell(self, command: str) -> bytes:
        return subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True).stdout

    def test_every_value_arrives_as_it_is(self) -> None:
        made = Map("printf '<%s>'", [ODD])
        for number, value in enumerate(ODD, 1):
            self.assertEqual(f"<{value}>".encode(), self.ran(made, number))

    def test_parts_of_values_are_those_of_gnu_parallel(self) -> None:
        made = Map(EVERY, [["/p/q.tar.gz", "plain", "d.d/x"]])

        self.assertEqual(b"</p/q.tar.gz><1></p/q.tar><q.tar.gz></p><q.tar>", self.ran(made, 1))
        self.assertEqual(b"<plain><2><plain><plain><.><plain>", self.ran(made, 2))
        self.assertEqual(b"<d.d/x><3><d.d/x><x><d.d><x>", self.ran(made, 3))

    def test_several_sources_are_combined_the_last_one_fastest(self) -> None:
        made = Map("echo {2} {1}", [["a", "b"], ["1", "2", "3"]])

        self.assertEqual(("1-6", 6), (made.array, made.count))
        self.assertEqual(
            ["1 a", "2 a", "3 a", "1 b", "2 b", "3 b"],
            [self.ran(made, n).decode().strip() for n in range(1, 7)],
        )
        self.assertEqual(b"a 2\n", self.ran(Map("echo", [["a", "b"], ["1", "2", "3"]]), 2))

    def test_words_of_a_vector_are_quoted_but_for_what_is_filled_in(self) -> None:
        self.assertEqual(b"a b;c x.out\n", self.ran(Map(["echo", "a b;c", "{.}.out"], [["x.in"]]), 1))

    def test_the_command_is_shell_text_with_its_own_exit_status(self) -> None:
        made = Map("echo {} | tr a b; exit 7", [["a"]])
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            self.ran(made, 1)
        self.assertEqual((7, b"b\n"), (caught.exception.returncode, caught.exception.stdout))

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8),
            min_size=1,
            max_size=4,
        )
    )
    def test_any_value_does_what_the_command_with_it_in_place_does(self, values: list[str]) -> None:
        made = Map(EVERY, [values])
        for number in range(1, made.count + 1):
            self.assertEqual(self.shell(made.command(number)), self.ran(made, number))

    def test_sources_are_words_and_files(self) -> None:
        with open(self.path("f"), "w") as file:
            file.write("one\r\n\nthree x\n")
        self.assertEqual(
            [["a", "b"], ["one", "", "three x"]], read_sources([":::", "a", "b", "::::", self.path("f")], [])
        )
        self.assertEqual([["one", "", "three x"]], read_sources([], [self.path("f")]))
        for words in (["a"], [":::+", "a"], ["x", ":::", "a"]):
            self.assertRaises(UsageError, read_sources, words, [])
        self.assertIn(
            "No such file",
            self.assertRaises(TaskManagerError, read_sources, ["::::", self.path("g")], []).text,
        )

    def test_too_many_or_too_long_values_are_refused_before_anything_is_sent(self) -> None:
        self.assertRaises(UsageError, Map, "x", [[]])
        self.assertRaises(UsageError, Map, "x {2}", [["a"]])
        self.assertIn(
            "100,000", self.assertRaises(TaskManagerError, Map, "x", [["a"] * 1000, ["b"] * 101]).text
        )
        with open(self.path("long"), "w") as file:
            file.write("\n".join(f"/some/folder/with/a/name/{n:06}" for n in range(MOST_VALUES)))
        options = read_options(["--export=NONE", "--map", "x", "--map-file", self.path("long")])
        error = self.assertRaises(TaskManagerError, make_request, *options, print)
        self.assertEqual("limit.line", error.word)
        self.assertIn("in parts", error.text)

    def test_a_hundred_thousand_numbers_fit(self) -> None:
        with open(self.path("numbers"), "w") as file:
            file.write("\n".join(map(str, range(MOST_VALUES))))
        request = make_request(
            *read_options(["--export=NONE", "--map-file", self.path("numbers"), "echo {}"]), print
        )
        self.assertEqual(
            (100_000, "1-100000", "echo"), (request.tasks, request.common["array"], request.common["name"])
        )
