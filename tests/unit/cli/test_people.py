"""``tm users`` and ``tm groups``: what is refused before anything is sent, and how they explain themselves."""

from __future__ import annotations

import os

from tests.support.identities import Identity
from tests.unit.cli.test_tm import TmTestCase


class PeopleTests(TmTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.others = os.path.join(self.base, "others")
        os.makedirs(self.others)
        self.bob = Identity(self.others, "bob", "bob")

    def test_help_begins_with_examples(self) -> None:
        for words in (("users",), ("users", "add"), ("groups",), ("groups", "change")):
            said = self.tm(*words, "--help")
            self.assertTrue(said.startswith("examples:\n  tm " + " ".join(words)), said)

    def test_a_private_key_is_not_even_sent(self) -> None:
        for path in (self.bob.key, self.both()):
            for words in (("add", "bob", path), ("change", "bob", "--add", path)):
                self.assertIn("private key, which belongs to nobody but its user", self.refused("users", *words))

    def both(self) -> str:
        """Return a file with certificate and key."""
        path = os.path.join(self.others, "both.crt")
        with open(path, "w", encoding="ascii") as file:
            for part in (self.bob.certificate, self.bob.key):
                with open(part, encoding="ascii") as one:
                    file.write(one.read())
        return path

    def test_what_is_no_certificate_is_not_sent(self) -> None:
        self.assertIn("No such file", self.refused("users", "add", "bob", os.path.join(self.others, "none.crt")))
        for content in (b"hello", b"\xff\x00" * 10, b""):
            path = os.path.join(self.others, "bad.crt")
            with open(path, "wb") as file:
                file.write(content)
            self.assertIn("expected a certificate in PEM form", self.refused("users", "add", "bob", path))

    def test_what_changes_nothing_or_is_no_limit_is_wrong_usage(self) -> None:
        for words, part in (
            (("users", "change", "bob"), "nothing to change"),
            (("groups", "change", "physics"), "nothing to change"),
            (("groups", "change", "physics", "--limit", "cores"), "expected WHAT=NUMBER"),
            (("groups", "add", "physics", "--user-limit", "=4"), "expected WHAT=NUMBER"),
            (("groups", "change", "physics", "--shares", "many"), "invalid int value"),
            (("users",), "required"),
        ):
            self.assertIn(part, self.tm(*words, status=2))

    def test_without_a_cluster_it_says_what_is_missing(self) -> None:
        self.assertIn("TaskDispatcher.info", self.refused("users", "list"))
