"""The table of broken builds fits the tree: each applies, is a program, and names tests that there are."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.mutants import Edit, patched
from tests.mutants.table import MUTANTS
from tests.mutants.workshop import broken_files
from tm.model.rights import INFOSERVER, RIGHTS, WEB
from tm.places import find_root

ROOT = Path(find_root())
THIRTEEN = (
    "acknowledge-before-commit", "no-fsync-store", "no-claim", "no-deduplication", "no-mark", "delete-on-send",
    "plain-waitpid", "default-code-0", "epoch-ignored", "pid-unchecked", "identity-by-cn", "lose-connection-only",
    "unescaped-newline",
)  # fmt: skip
"""What any system of this kind must not do, and its tests must see."""
PROMISES = (*(f"P{number}" for number in range(1, 11)), "right", "bound")


class TableTests(SynchronousTestCase):
    def test_each_applies_to_the_tree_and_is_a_program(self) -> None:
        wrong = []
        for mutant in MUTANTS:
            try:
                for name, text in broken_files(mutant, ROOT).items():
                    compile(text, name, "exec")
            except (OSError, ValueError, SyntaxError) as error:
                wrong.append(f"{mutant.name}: {error}")
        self.assertEqual(wrong, [])

    def test_each_has_a_name_of_its_own_a_promise_and_catchers_that_are_there(self) -> None:
        self.assertEqual(len({mutant.name for mutant in MUTANTS}), len(MUTANTS))
        for mutant in MUTANTS:
            self.assertRegex(mutant.name, r"^[a-z0-9]+(-[a-z0-9]+)*$")
            self.assertIn(mutant.promise, PROMISES)
            self.assertTrue(mutant.what and mutant.catchers, mutant.name)
            for catcher in mutant.catchers:
                module, case, test = catcher.rsplit(".", 2)
                self.assertTrue(hasattr(getattr(import_module(module), case, None), test), catcher)

    def test_there_is_one_for_each_promise_each_right_and_each_of_the_thirteen(self) -> None:
        names = {mutant.name for mutant in MUTANTS}
        self.assertEqual(set(THIRTEEN) - names, set())
        self.assertEqual({mutant.promise for mutant in MUTANTS}, set(PROMISES))
        for right in (*RIGHTS, INFOSERVER, WEB, "own"):
            self.assertIn(f"right-{right}", names)

    def test_every_place_that_asks_for_rights_is_broken_once(self) -> None:
        asking = set()
        for path in (ROOT / "tm" / "daemon").glob("*.py"):
            if re.search(
                r"(?<![.\w])(demand|permitted|demand_through_web|check_granted)\(",
                path.read_text(encoding="utf-8"),
            ):
                asking.add(f"tm/daemon/{path.name}")
        broken = {edit.file for mutant in MUTANTS for edit in mutant.edits}
        harmless = {
            "tm/daemon/user_verbs.py",  # a user's server lets nobody in but its user, who may say all of its verbs
            "tm/daemon/info_verbs.py",  # whom an InfoServer lets in may say all of its verbs
        }
        self.assertEqual(asking - broken - harmless, set())


class PatchTests(SynchronousTestCase):
    def test_what_does_not_stand_there_once_is_refused_and_named(self) -> None:
        self.assertEqual(patched("a b c", (Edit("f", "b", "x"),)), "a x c")
        for text in ("a c", "b b"):
            error = self.assertRaises(ValueError, patched, text, (Edit("f", "b", "x"),))
            self.assertIn("f: 'b' stands there", str(error))
