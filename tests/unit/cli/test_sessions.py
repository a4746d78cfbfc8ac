"""``tm token`` and ``tm web``: how they explain themselves, and what is refused before anything is sent."""

from __future__ import annotations

from tests.unit.cli.test_tm import TmTestCase


class SessionTests(TmTestCase):
    def test_help_begins_with_examples(self) -> None:
        for words in (
            ("token",),
            ("token", "create"),
            ("token", "revoke"),
            ("web",),
            ("web", "sessions"),
            ("web", "end"),
        ):
            said = self.tm(*words, "--help")
            self.assertTrue(said.startswith("examples:\n  tm " + " ".join(words)), said)

    def test_what_cannot_be_meant_is_wrong_usage(self) -> None:
        for words in (
            ("token",), ("token", "create"), ("token", "create", "t", "--may", "all"),
            ("token", "create", "t", "--days", "x"), ("token", "revoke"), ("web", "end"), ("web",),
        ):  # fmt: skip
            self.tm(*words, status=2)

    def test_only_a_token_is_revoked(self) -> None:
        self.assertIn("is no token", self.tm("token", "revoke", "s4f09c2ab", status=1))

    def test_without_a_cluster_they_say_what_is_missing(self) -> None:
        for words in (("token", "create", "t"), ("token", "list"), ("token", "revoke", "t1"), ("web", "sessions")):
            self.assertIn("TaskDispatcher.info", self.refused(*words))
