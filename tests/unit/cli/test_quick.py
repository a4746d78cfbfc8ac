"""What quickstart.py decides: how much work, what counts as passed, which environment will do, whose etc it is."""

from __future__ import annotations

import ast
import io
import os

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from examples.parallel_primes import pieces
from examples.primes import count
from tm.cli.quick.checks import Tally
from tm.cli.quick.environment import Environment
from tm.cli.quick.example import KNOWN, choose_limit
from tm.cli.quick.installation import HOSTS, INFO, MARK, Installation
from tm.cli.quick.steps import QuickError, Steps, bar
from tm.places import find_root

SAID = """\
===============================================================================
[SKIPPED]
only root can give files away

tests.unit.config.test_config.OwnerTests.test_one
===============================================================================
[SKIPPED]
sshd is not installed

tests.contract.test_launchers.SshTests.test_one
tests.contract.test_launchers.SshTests.test_two
-------------------------------------------------------------------------------
Ran 12 tests in 1.234s

FAILED (skips=3, failures=1, errors=1, successes=7)
""".splitlines()


class TallyTests(SynchronousTestCase):
    """The last line of ``quickstart.py test``."""

    def test_it_counts_what_trial_says(self) -> None:
        tally = Tally()
        tally.count(True)
        tally.read_trial(SAID, 1)
        self.assertEqual(str(tally), "8 passed, 2 failed, 3 skipped")
        self.assertEqual(tally.reasons, {"only root can give files away": 1, "sshd is not installed": 2})

    def test_what_has_not_come_to_its_end_has_failed(self) -> None:
        for lines, status in ((SAID[:-1], 1), ([], -9), (["Ran 1 tests in 0.1s", "PASSED (successes=1)"], 1)):
            tally = Tally()
            tally.read_trial(lines, status)
            self.assertEqual(tally.failed, 1)

    def test_a_strict_judge_lets_only_tests_for_another_account_be_skipped(self) -> None:
        tally = Tally()
        tally.read_trial(SAID, 1)
        lines = tally.judge_skips(strict=True)
        self.assertEqual(len(lines), 2)
        self.assertEqual((tally.failed, tally.skipped), (4, 1))


class ExampleTests(SynchronousTestCase):
    """The work of the example."""

    @given(some.integers(1, 10**9), some.integers(1, 300))
    def test_the_pieces_are_the_whole(self, limit: int, jobs: int) -> None:
        parts = pieces(limit, jobs)
        self.assertEqual(len(parts), jobs)
        self.assertEqual([part[0] for part in parts] + [limit], [0, *(part[1] for part in parts)])

    def test_what_the_pieces_count_is_the_known_number(self) -> None:
        self.assertEqual(sum(count(*part) for part in pieces(100_000, 7)), KNOWN[100_000])

    def test_more_work_or_a_faster_machine_gives_a_higher_limit(self) -> None:
        limits = [choose_limit(work, 1e-6) for work in (0.0, 1.0, 10.0, 100.0, 1e9)]
        self.assertEqual(limits, sorted(limits))
        self.assertEqual((limits[0], limits[-1]), (min(KNOWN), max(KNOWN)))
        self.assertGreater(choose_limit(10.0, 1e-7), choose_limit(10.0, 1e-6))


class OldPythonTests(SynchronousTestCase):
    """A Python that is too old."""

    def test_it_can_read_what_refuses_it(self) -> None:
        path = os.path.join(find_root(), "quickstart.py")
        with open(path, encoding="utf-8") as file:
            ast.parse(file.read(), feature_version=(3, 8))


class EnvironmentTests(SynchronousTestCase):
    """When the environment is made again."""

    def setUp(self) -> None:
        """A checkout of one file."""
        self.root = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.root, ".venv"))
        self.write("one")

    def write(self, text: str) -> None:
        """Change the list of libraries."""
        with open(os.path.join(self.root, "pyproject.toml"), "w", encoding="utf-8") as file:
            file.write(text)

    def is_enough(self, extra: str = "") -> bool:
        """Whether the environment is taken as it is."""
        environment = Environment(self.root)
        made: list[str] = []
        self.patch(environment, "_create", lambda steps: made.append("environment"))
        self.patch(environment, "_run", lambda command, failure: made.append("libraries"))
        steps = Steps(1, io.StringIO())
        steps.begin("environment")
        environment.ensure(steps, extra)
        return not made

    def test_it_is_made_once(self) -> None:
        self.assertFalse(self.is_enough())
        self.assertTrue(self.is_enough())

    def test_other_libraries_and_further_extras_make_it_again(self) -> None:
        self.assertFalse(self.is_enough())
        self.assertFalse(self.is_enough("dev"))
        self.assertTrue(self.is_enough("dev"))
        self.assertTrue(self.is_enough())
        self.write("two")
        self.assertFalse(self.is_enough())


class InstallationTests(SynchronousTestCase):
    """Whose configuration it is."""

    def setUp(self) -> None:
        """An empty etc."""
        self.root = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.root, "etc"))
        self.installation = Installation(self.root, "python")

    def write(self, name: str, text: str) -> None:
        """Write a file of etc."""
        with open(os.path.join(self.root, "etc", name), "w", encoding="utf-8") as file:
            file.write(text)

    def test_nothing_is_nobodys(self) -> None:
        self.assertFalse(self.installation.is_ours())

    def test_what_bears_the_mark_is_ours_and_removed(self) -> None:
        self.write(INFO, MARK + "cluster = quickstart-0000\n")
        self.write(HOSTS, MARK)
        self.write("users.sample", "")
        self.assertTrue(self.installation.is_ours())
        self.installation.remove()
        self.assertEqual(os.listdir(os.path.join(self.root, "etc")), ["users.sample"])

    def test_anything_else_is_left_alone(self) -> None:
        for name in (INFO, HOSTS):
            self.write(name, "cluster = physics\n")
            refusal = self.assertRaises(QuickError, self.installation.is_ours)
            self.assertIn(os.path.join(self.root, "etc"), refusal.text)
            self.assertRaises(QuickError, self.installation.remove)
            os.unlink(os.path.join(self.root, "etc", name))


class StepsTests(SynchronousTestCase):
    """What a person sees."""

    def test_a_step_is_one_line_where_nothing_can_be_redrawn(self) -> None:
        out = io.StringIO()
        steps = Steps(6, out)
        steps.begin("environment")
        steps.show("installing")
        steps.end(".venv, 20 packages")
        self.assertRegex(out.getvalue(), r"\A\[1/6\] environment   \.venv, 20 packages +0\.0 s\n\Z")

    def test_a_bar_fills(self) -> None:
        self.assertEqual(bar(3, 4), "############----  3/4  75 %")
