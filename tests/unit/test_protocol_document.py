"""``docs/protocol.md`` says all there is: verbs with grammar and rule, error classes with their exit status."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sessions import DOCUMENT, sessions
from tm.client.program import UsageError
from tm.errors import exit_status
from tm.model.rights import DISPATCHER as DISPATCHER_RULES
from tm.model.rights import EVERYBODY, RIGHTS, THROUGH_WEB, Rule
from tm.model.rights import INFO_SERVER as INFO_SERVER_RULES
from tm.model.rights import USER_SERVER as USER_SERVER_RULES
from tm.places import find_root
from tm.wire.verbs import DISPATCHER, INFO_SERVER, SIGNALS, USER_SERVER, Verb

FAMILIES = (
    "auth busy config host info internal job launch limit net perm proto session ssh store token undo usage web"
).split()
ERRORS = {"TaskManagerError", "RefusedError", "WireError", "StoreError", "LaunchError", "LostError"}
_CLASS = re.compile(rf"({'|'.join(FAMILIES)})\.(?!html)[a-z]+(?=\Z|: )")
_ROW = re.compile(r"^\| `([a-z]+\.[a-z]+)` \| (.+) \| (.+) \| (\d+) \|$", re.MULTILINE)
_VERB = re.compile(r"^### `(.+)`\nWho: (.+)\n", re.MULTILINE)
COMMON = "Verbs of every server"
CODE = Path(find_root(), "tm")


def constants(tree: ast.AST) -> Iterator[str]:
    """Yield the texts of the code that are no failpoints."""
    points = {
        id(call.args[0]) for call in ast.walk(tree)
        if isinstance(call, ast.Call) and call.args and ast.unparse(call.func).endswith("reach")
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in points:
            yield node.value


def raised(tree: ast.AST) -> Iterator[str]:
    """Yield the classes that errors are made with, of whatever family."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ERRORS and node.args:
            word = node.args[0]
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                yield word.value


def classes_of_the_code() -> set[str]:
    """Return every error class that stands in the code."""
    found = set()
    for path in CODE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {match.group() for text in constants(tree) if (match := _CLASS.match(text))}
        found |= set(raised(tree))
    return found


def section(document: str, title: str) -> str:
    """Return the text below the heading *title*."""
    return document.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


class ErrorClassTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.document = DOCUMENT.read_text(encoding="utf-8")
        self.rows = {row[0]: row for row in _ROW.findall(section(self.document, "Error classes"))}

    def test_every_class_of_the_code_stands_in_the_table_and_no_other(self) -> None:
        self.assertEqual(classes_of_the_code(), set(self.rows))

    def test_every_class_is_said_with_the_exit_status_that_clients_give(self) -> None:
        for word, (_, _, _, status) in self.rows.items():
            expected = UsageError("").exit_status if word == "usage.wrong" else exit_status(word)
            self.assertEqual(int(status), expected, word)

    def test_the_table_is_sorted_so_that_a_class_is_found(self) -> None:
        self.assertEqual(list(self.rows), sorted(self.rows))

    def test_the_verbs_name_only_classes_of_the_table(self) -> None:
        verbs = self.document.partition("## Verbs of every server")[2].partition("## Public view")[0]
        named = {word for word in re.findall(r"`([a-z]+\.[a-z]+)`", verbs) if word.split(".")[0] in FAMILIES}
        self.assertEqual(named - set(self.rows), set())


class VerbTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.document = DOCUMENT.read_text(encoding="utf-8")

    def verbs_below(self, title: str) -> dict[str, str]:
        """Return usage and rule of each verb that is described below *title*."""
        return dict(_VERB.findall(section(self.document, title)))

    def check(self, title: str, verbs: Mapping[str, Verb], rules: Mapping[str, Rule]) -> None:
        """See that the section describes exactly *verbs*, with their grammar and their *rules*."""
        described = self.verbs_below(COMMON) | self.verbs_below(title)
        self.assertEqual({verb.usage for verb in verbs.values()}, set(described))
        for name, verb in verbs.items():
            rule, said = rules[name], described[verb.usage]
            if rule is EVERYBODY:
                self.assertTrue(said.startswith("everybody"), name)
            elif verb.usage not in self.verbs_below(COMMON):
                self.assertEqual(said.startswith("own"), rule.own, name)
            rights = re.findall(r"the right `([a-z]+)`", said.partition(".")[0].partition(", for")[0])
            self.assertEqual(rights, [rule.right] if rule.right else [], name)

    def test_every_verb_of_the_dispatcher_is_described_with_its_rule(self) -> None:
        self.check("Verbs of the TaskDispatcher", DISPATCHER, DISPATCHER_RULES)

    def test_every_verb_of_a_users_server_is_described_with_its_rule(self) -> None:
        self.check("Verbs of a TMS", USER_SERVER, USER_SERVER_RULES)

    def test_every_verb_of_an_infoserver_is_described_with_its_rule(self) -> None:
        self.check("Verbs of an InfoServer", INFO_SERVER, INFO_SERVER_RULES)

    def test_what_can_be_said_through_the_web_interface_is_named(self) -> None:
        for needed, title in (("look", "To look"), ("act", "To act")):
            (said,) = re.findall(rf"^{title}: (.*)\.$", self.document, re.MULTILINE)
            verbs = [f"`{verb}`" for verb, what in sorted(THROUGH_WEB.items()) if what == needed]
            self.assertEqual(said.split(), verbs)

    def test_every_verb_has_an_example_of_itself(self) -> None:
        for usage, name, text in re.findall(r"^### `(([a-z]+).*)`\n((?:(?!^#).*\n)*)", self.document, re.MULTILINE):
            self.assertRegex(text, rf"Example: `{name}", usage)

    def test_the_rights_and_the_signals_are_all_named(self) -> None:
        said = section(self.document, "Who may say what")
        self.assertIn("The rights are " + ", ".join(f"`{right}`" for right in RIGHTS), said)
        self.assertIn(f"`{' '.join(SIGNALS)}`", self.document)


class SessionTests(SynchronousTestCase):
    def test_sessions_begin_with_what_the_server_says_or_the_client_sends(self) -> None:
        recorded = sessions(DOCUMENT.read_text(encoding="utf-8"))
        self.assertTrue(recorded)
        for session in recorded:
            self.assertIn(session.lines[0][:3], ("S: ", "C: "))
            self.assertEqual([line for line in session.lines if line[:1] not in ("C", "S", "(")], [])
