"""``docs/security.md`` says which verbs each right opens, and names every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import NAMES
from tm.model.rights import DISPATCHER, EVERYBODY, INFOSERVER, RIGHTS, WEB, Rule
from tm.places import find_root

ROOT = Path(find_root())
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def verbs(chosen: Callable[[Rule], bool]) -> set[str]:
    return {name for name, rule in DISPATCHER.items() if chosen(rule)}


class RightsTable(SynchronousTestCase):
    def setUp(self) -> None:
        rows = re.findall(r"^\| (.+) \|$", PAGE.partition("\n## Rights\n")[2].partition("\n## ")[0], re.MULTILINE)
        cells = [[cell.strip() for cell in row.split("|")] for row in rows[1:]]
        self.rows = {row[0].strip("`"): [set(re.findall(r"`([a-z]+)`", cell)) for cell in row[2:]] for row in cells}

    def test_it_has_a_row_for_everybody_and_for_each_right(self) -> None:
        everybody, own = list(self.rows)[:2]
        self.assertTrue(everybody.startswith("everybody") and own.endswith("own"))
        self.assertEqual(list(self.rows)[2:], [*RIGHTS, INFOSERVER, WEB])

    def test_each_row_names_the_verbs_that_its_rule_opens(self) -> None:
        everybody, own, *rights = self.rows.items()
        self.assertEqual(everybody[1], [verbs(lambda rule: rule == EVERYBODY), set()])
        self.assertEqual(own[1], [set(), verbs(lambda rule: rule.own and not rule.right)])
        for right, (alone, also_own) in rights:
            opened = {name for name, rule in DISPATCHER.items() if rule.right == right}
            owned = {name for name in opened if DISPATCHER[name].own}
            self.assertEqual((alone, also_own), (opened - owned, owned), right)

    def test_every_verb_stands_there_once(self) -> None:
        named = [verb for row in self.rows.values() for cell in row for verb in cell]
        self.assertEqual(sorted(named), sorted(DISPATCHER))

    def test_the_page_is_found_and_names_every_target(self) -> None:
        for path in ("README.md", "docs/architecture.md"):
            self.assertIn("security.md)", (ROOT / path).read_text(encoding="utf-8"), path)
        self.assertIn(f"`{' '.join(NAMES)}`", PAGE)

    def test_what_it_points_to_is_there(self) -> None:
        for target in re.findall(r"\]\(([^)#]+)", PAGE):
            self.assertTrue((ROOT / "docs" / target).exists(), target)
        for path in re.findall(r"`(tests/[a-z_/.]+)`", PAGE):
            self.assertTrue((ROOT / path).exists(), path)
