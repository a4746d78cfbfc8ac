"""A line for a shell that asks what a request does."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.model.command_line import options, whole


class Options(SynchronousTestCase):
    def test_flags_values_sizes_times_and_lists_are_written_as_they_are_read(self) -> None:
        asked = {
            "exclusive": True, "hold": False, "name": "a b", "time": 90.0, "memory": 4 << 30, "hosts": ["n1", "n2"],
            "array": "0-9", "array_cap": 3, "consumables": {"matlab": 2}, "layout": "spread", "warn_signal": "USR1",
            "retry_memory": 2.0,
        }  # fmt: skip
        self.assertEqual(
            options(asked),
            [
                "--exclusive", "--name='a b'", "--time=90s", "--mem=4096M", "--host=n1,n2", "--array=0-9%3",
                "--licenses=matlab:2", "--spread", "--signal=USR1@60", "--retry-memory=x2",
            ],
        )  # fmt: skip

    def test_nothing_in_a_value_is_read_by_the_shell(self) -> None:
        self.assertEqual(options({"constraint": "gpu & $(id)"}), ["--constraint='gpu & $(id)'"])
        self.assertEqual(whole(["--hold"], "/a b", "echo 'x'"), "cd '/a b' && hRunJob --hold 'echo '\"'\"'x'\"'\"''")

    def test_what_is_unknown_is_left_out(self) -> None:
        self.assertEqual(options({"umask": 18, "user": "alice"}), [])
