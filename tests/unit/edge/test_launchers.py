"""Which launcher a name means, and how the words of a failed ssh are understood."""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.child import Ended, last_lines
from tm.edge.launch_openssh import classify
from tm.edge.launchers import NAMES, launcher
from tm.errors import ConfigError


class FactoryTests(SynchronousTestCase):
    """`tm.edge.launchers.launcher`."""

    def test_every_name_gives_a_launcher(self) -> None:
        kinds = {type(launcher(name, Clock(), {})).__name__ for name in NAMES}
        self.assertEqual(kinds, {"LocalLauncher", "OpenSSHLauncher", "ConchLauncher"})

    def test_an_unknown_name_is_told_with_the_known_ones(self) -> None:
        error = self.assertRaises(ConfigError, launcher, "rsh", Clock(), {})
        self.assertEqual(error.word, "config.launcher")
        self.assertIn("'rsh': it must be one of local, openssh, conch", error.text)

    def test_a_missing_library_is_told_with_the_command_that_installs_it(self) -> None:
        with patch.dict(sys.modules, {"tm.edge.launch_conch": None}):
            error = self.assertRaises(ConfigError, launcher, "conch", Clock(), {})
        self.assertIn("pip install taskmanager[conch]", error.text)


class WordsTests(SynchronousTestCase):
    """What ssh says on its way out."""

    def test_each_kind_of_failure_is_recognised(self) -> None:
        for said, word in (
            ("No ED25519 host key is known for n1 and you have requested strict checking.", "ssh.hostkey"),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                "ssh.hostkey",
            ),
            ("alice@n1: Permission denied (publickey,password).", "ssh.auth"),
            ("Received disconnect from n1 port 22:2: Too many authentication failures", "ssh.auth"),
            ("ssh: Could not resolve hostname n1: Name or service not known", "ssh.unreachable"),
            ("ssh: connect to host n1 port 22: No route to host", "ssh.unreachable"),
            ("Connection timed out during banner exchange", "ssh.unreachable"),
            ("kex_exchange_identification: read: Connection reset by peer", "ssh.unreachable"),
            ("Timeout, server n1 not responding.", "ssh.unreachable"),
            ("Unable to negotiate with n1 port 22: no matching cipher found. Their offer: x", "ssh.config"),
            ("/home/a/.ssh/config: line 1: Bad configuration option: nonsense", "ssh.config"),
            ("something else", "ssh.command"),
        ):
            self.assertEqual(classify(Ended(255, None, "", said, False)), word, said)
            self.assertEqual(classify(Ended(1, None, "", said, False)), "ssh.command", said)

    def test_the_last_meaningful_lines_are_kept_on_one_line(self) -> None:
        text = "a\nb.\n\nWarning: Permanently added 'n1'\ndebug1: x\nc\x1b[31m\nd.\n"
        self.assertEqual(last_lines(text), "b; c [31m; d")

    def test_of_a_server_that_did_not_start_only_its_own_words_are_kept(self) -> None:
        text = "An error has occurred: b'TaskManagerError: the disk is full'\nPlease look at log file for more.\n"
        self.assertEqual(last_lines(text), "the disk is full")
        self.assertEqual(last_lines("""An error has occurred: b"OSError: it's full"\n"""), "it's full")

    def test_what_is_too_long_keeps_its_end(self) -> None:
        self.assertEqual(last_lines("abcdefgh", limit=4), "…fgh")
