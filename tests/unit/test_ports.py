"""What can be the target of a launch."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.errors import LaunchError
from tm.ports import Target


class TargetTests(SynchronousTestCase):
    """`tm.ports.Target` refuses what an ssh or a shell could take for something else."""

    def refused(self, address: str = "n1.lab", argv: object = ("true",), **options: object) -> str:
        error = self.assertRaises(LaunchError, Target, "n1", address, argv, options)
        self.assertEqual(error.word, "config.host")
        self.assertIn("host n1: ", error.text)
        return str(error.text)

    def test_an_address_is_a_name_or_a_number_with_or_without_a_user(self) -> None:
        for address, user, hostname in (
            ("n1", None, "n1"),
            ("n1.lab", None, "n1.lab"),
            ("10.0.0.7", None, "10.0.0.7"),
            ("fe80::1", None, "fe80::1"),
            ("alice@n1", "alice", "n1"),
        ):
            target = Target("n1", address, ["true"])
            self.assertEqual((target.user, target.hostname, target.port), (user, hostname, None))

    def test_addresses_that_ssh_or_a_shell_could_take_for_something_else_are_refused(self) -> None:
        for address in (
            "-oProxyCommand=x",
            "a@-x",
            "n1;id",
            "n1 x",
            "$(id)",
            "n1\n",
            "",
            "@n1",
            "a@b@c",
            "n1/x",
        ):
            self.refused(address)

    def test_an_option_that_nobody_knows_is_refused_and_the_known_ones_named(self) -> None:
        self.assertIn("identity, known_hosts, config", self.refused(proxy="x"))

    def test_values_that_an_option_cannot_have_are_refused(self) -> None:
        for port in (0, 65536, -1, "22", True, None):
            self.refused(port=port)
        for path in ("relative", "", "~bob/key", '/a"b', "/a\nb", "/a%hb", "/a${HOME}", 7):
            self.refused(identity=path)
        for user in ("-x", "", "a b", "a@b", None):
            self.refused(user=user)

    def test_a_command_has_words_without_nul(self) -> None:
        for argv in ((), ("a", "b\0c"), ("a", 1)):
            self.refused(argv=argv)

    def test_the_option_decides_over_the_user_in_the_address(self) -> None:
        self.assertEqual(Target("n1", "alice@n1", ["true"], {"user": "bob"}).user, "bob")

    def test_paths_may_begin_at_home(self) -> None:
        target = Target("n1", "n1", ["true"], {"identity": "~/.ssh/id", "config": "/etc/x"})
        self.assertEqual(target.path("identity", "/home/alice"), "/home/alice/.ssh/id")
        self.assertEqual(target.path("config", "/home/alice"), "/etc/x")
        self.assertIsNone(target.path("known_hosts", "/home/alice"))
