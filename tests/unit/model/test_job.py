"""What a job may be, how it is read and shown, and the names its files get."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.properties import examples
from tm.errors import RefusedError
from tm.model.job import new_job
from tm.model.spec import MOST_CORES, MOST_PRIORITY, filled, read_spec

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


class FilledTests(SynchronousTestCase):
    def test_each_letter_is_replaced_and_two_percents_are_one(self) -> None:
        def fill(pattern: str) -> str:
            return filled(pattern, 17, "a/b", "n1", "eve")

        cases = {
            "%j.out": "17.out",
            "%n-%h-%u": "a_b-n1-eve",
            "%%": "%",
            "%%j": "%j",
            "%%%j": "%17",
            "%%%%": "%%",
            "%": "%",
            "100%": "100%",
            "%y%j": "%y17",
            "": "",
            "plain": "plain",
            "%j%j": "1717",
            "%%%%j": "%%j",
            "a%": "a%",
            "%%%": "%%",
        }
        for pattern, expected in cases.items():
            self.assertEqual(fill(pattern), expected, pattern)

    @examples(200)
    @given(NAMES, NAMES)
    def test_what_is_filled_in_is_never_filled_in_again(self, name: str, rest: str) -> None:
        shown = filled("%n|" + rest.replace("%", "%%"), 1, name, "h", "u")
        self.assertEqual(shown, name.replace("/", "_") + "|" + rest)


class SpecTests(SynchronousTestCase):
    def refused(self, **more: object) -> str:
        error = self.assertRaises(RefusedError, read_spec, order(**more)[0])  # type: ignore[arg-type]
        self.assertEqual(error.word, "job.invalid")
        return error.text

    def test_bounds_hold_at_the_bound_and_not_beyond(self) -> None:
        good: list[dict[str, object]] = [
            {"cores": 1},
            {"cores": MOST_CORES},
            {"memory": 0},
            {"priority": MOST_PRIORITY},
            {"priority": -MOST_PRIORITY},
            {"umask": 0},
            {"umask": 0o777},
            {"terminal": [24, 80]},
            {"terminal": [0, 65535]},
            {"command": ["a", ""]},
        ]
        for more in good:
            read_spec(order(**more)[0])  # type: ignore[arg-type]
        bad: list[dict[str, object]] = [
            {"cores": 0},
            {"cores": MOST_CORES + 1},
            {"memory": -1},
            {"memory": 1 << 62},
            {"priority": MOST_PRIORITY + 1},
            {"priority": -MOST_PRIORITY - 1},
            {"umask": -1},
            {"umask": 0o1000},
            {"cwd": "tmp"},
            {"cwd": ""},
            {"command": ""},
            {"command": []},
            {"command": [""]},
            {"terminal": [1]},
            {"terminal": [1, 2, 3]},
            {"terminal": [-1, 2]},
            {"terminal": [65536, 2]},
        ]
        for more in bad:
            self.refused(**more)

    def test_no_text_that_reaches_the_kernel_may_hold_a_nul(self) -> None:
        for key in ("command", "name", "cwd", "stdin", "stdout", "stderr"):
            self.assertIn("NUL", self.refused(**{key: "/a\0b"}), key)
        self.assertIn("NUL", self.refused(command=["a", "b\0"]))

    def test_what_is_no_request_is_refused(self) -> None:
        for text in (
            "",
            "[]",
            "{}",
            '{"user":1}',
            order(colour="red")[0],
            order(cores="2")[0],
            order(cores=1.5)[0],
            order(cores=True)[0],
            order(command={"a": 1})[0],
        ):
            self.assertEqual(self.assertRaises(RefusedError, read_spec, text).word, "job.invalid", text)

    def test_a_name_is_shown_also_when_none_was_given(self) -> None:
        for command, shown in (
            ("sleep 10", "sleep"),
            ("/usr/bin/env x", "env"),
            (["/bin/ls", "a b"], "ls"),
            ("  ", ""),
        ):
            self.assertEqual(read_spec(order(command=command)[0]).shown_name, shown)
        self.assertEqual(read_spec(order(command="x" * 99)[0]).shown_name, "x" * 32)
        self.assertEqual(read_spec(order(name="mine")[0]).shown_name, "mine")

    def test_a_new_job_has_the_demands_of_its_request(self) -> None:
        text, signature = order(cores=3, memory=5, priority=-2, hosts=["n1"], interactive=True)
        job, spec = new_job(4, text, signature, 9.5)
        self.assertEqual(
            (job.cores, job.memory, job.priority, job.hosts, job.interactive), (3, 5, -2, ("n1",), True)
        )
        self.assertEqual(
            (job.id, job.user, job.spec, job.signature, job.submitted_at), (4, "alice", text, "signed", 9.5)
        )
        self.assertEqual((job.environment, job.phase.value, spec.user), ("e", "pending", "alice"))
