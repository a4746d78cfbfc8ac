"""An InfoServer is heard only where its own host was called."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.client.trust import is_elsewhere

KNOWN = {
    "n1": {"10.0.0.1"}, "n1.lab": {"10.0.0.1", "fd00::1"}, "fd00::1": {"fd00::1"}, "n3": {"10.0.0.3"},
    "10.0.0.1": {"10.0.0.1"}, "localhost": {"127.0.0.1", "::1"},
}  # fmt: skip


class ElsewhereTests(SynchronousTestCase):
    def test_only_who_surely_is_another_host_is_elsewhere(self) -> None:
        for called, name, address, elsewhere in (
            ("n1", "n1", "n1.lab", False), ("n1.lab", "n1", "n1.lab", False), ("10.0.0.1", "n1", "n1.lab", False),
            ("fd00::1", "n1", "n1.lab", False), ("n1", "n3", "n3", True), ("n1.lab", "n3", "n3", True),
            ("10.0.0.1", "n3", "n3", True), ("localhost", "n3", "n3", False), ("n1", "here", "localhost", False),
            ("n1", "n3", "an alias of ssh", False), ("unknown", "n3", "n3", False), ("n1", "n3", "", False),
        ):  # fmt: skip
            found = is_elsewhere(called, name, address, lambda name: KNOWN.get(name, set()))
            self.assertEqual(found, elsewhere, (called, name))

    def test_names_that_nobody_knows_are_no_failure(self) -> None:
        self.assertFalse(is_elsewhere("no such.host.invalid", "n1", "." * 300))
