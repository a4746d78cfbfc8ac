"""Where TaskManager is on a host: what may be named, and what a host's shell starts of it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tm.errors import ConfigError
from tm.model.installed import Own, Paths, check, shell_command, start_command

OWN = Own("/opt/tm/.venv/bin/python", "/opt/tm/bin/TMMS", "", "3.11")
ME = pwd.getpwuid(os.getuid()).pw_name
COPIES = "'tm hosts add HOST --program FILE' copies it"
ECHO = "import sys, os; print(sys.argv[1:], os.environ['TM_PYTHON'], os.environ.get('TM_ETC'))"


class NamingTests(SynchronousTestCase):
    def test_an_installation_can_be_named(self) -> None:
        for paths in (
            Paths(), Paths("python3"), Paths("python3.12"), Paths("/opt/py/bin/python3.11", "/opt/tm"),
            Paths("~/venv/bin/python", "~/tm"), Paths("", "", "~/.taskManager/bin/tm.pyz"),
            Paths("", "", "/opt/tm-1.0.0-cp311-x86_64.pyz"),
        ):  # fmt: skip
            check(paths)

    def test_no_other_program_can_be_named(self) -> None:
        for paths in (
            Paths("/bin/rm"), Paths("perl"), Paths("python/../../bin/sh"), Paths("bin/python3"), Paths("-c"),
            Paths(root="tm"), Paths(root="/opt/$HOME"), Paths(program="/sbin/reboot"), Paths(program="tm.pyz"),
            Paths(program="/tmp/x.pyz"), Paths(program="~/tm.pyz\nreboot"),
        ):  # fmt: skip
            with self.assertRaises(ConfigError, msg=paths) as caught:
                check(paths)
            self.assertEqual(caught.exception.word, "config.host")


class CommandTests(SynchronousTestCase):
    def test_where_nothing_is_said_the_same_paths_are_used_there(self) -> None:
        command = start_command(Paths(), OWN, "TMMS", ["--host", "n1"], {"TM_USER": "alice"})
        self.assertEqual(
            command, ["env", "TM_USER=alice", "/opt/tm/.venv/bin/python", "/opt/tm/bin/TMMS", "--host", "n1"]
        )

    def test_who_runs_from_one_file_starts_that_file(self) -> None:
        own = OWN._replace(one_file="/home/alice/tm.pyz")
        command = start_command(Paths(), own, "TMMS", ["--host", "n1"], {})
        self.assertEqual(command, ["/opt/tm/.venv/bin/python", "/home/alice/tm.pyz", "TMMS", "--host", "n1"])

    def test_our_own_python_is_not_handed_to_a_host_with_another(self) -> None:
        command = start_command(Paths("python3"), OWN, "TMMS", [], {"TM_PYTHON": "/here", "TM_USER": "alice"})
        self.assertEqual(command[:4], ["env", "TM_USER=alice", "sh", "-c"])


class PortableTests(SynchronousTestCase):
    """Words for login shells that are no Bourne shells."""

    def test_no_word_has_what_a_csh_does_not_pass_on(self) -> None:
        command = shell_command("echo hi!\n" * 900, "it's\n!")
        self.assertLess(max(map(len, command)), 1000)
        self.assertEqual([word for word in command if "\n" in word or "!" in word], [])

    def test_the_script_hears_its_words_as_they_are(self) -> None:
        words = ["it's", "a\nb", "", "!", "$HOME", "-n", "é"]
        script = 'printf "%s\\n" "$#"; printf "<%s>" "$@"'
        said = subprocess.run(shell_command(script, *words), capture_output=True, text=True, timeout=30).stdout
        self.assertEqual(said, "7\n" + "".join(f"<{word}>" for word in words))


class ShellTests(SynchronousTestCase):
    """What the shell on the host makes of it."""

    def setUp(self) -> None:
        self.home = tempfile.TemporaryDirectory(prefix="tm-home ")
        self.addCleanup(self.home.cleanup)
        self.folder = Path(self.home.name, "in stalled")
        (self.folder / "bin").mkdir(parents=True)
        self.script = self.folder / "bin" / "TMMS"
        self.script.write_text(ECHO)
        self.file = self.folder / "tm.pyz"
        self.file.write_text(ECHO)
        self.folder.chmod(0o755)

    def run_there(self, paths: Paths, own: Own = OWN, **variables: str) -> tuple[int, str]:
        command = start_command(paths, own, "TMMS", ["--host", "n1"], variables)
        environment = {"HOME": self.home.name, "PATH": os.environ["PATH"]}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        return done.returncode, (done.stdout + done.stderr).strip()

    def test_an_installation_in_the_home_is_started(self) -> None:
        status, said = self.run_there(Paths(sys.executable, "~/in stalled"), TM_ETC="/no/such")
        self.assertEqual((status, said), (0, f"['--host', 'n1'] {sys.executable} None"))

    def test_the_one_file_program_is_told_which_program_to_be(self) -> None:
        status, said = self.run_there(Paths(sys.executable, program=str(self.file)))
        self.assertEqual((status, said), (0, f"['TMMS', '--host', 'n1'] {sys.executable} None"))

    def test_a_python_is_found_by_its_name(self) -> None:
        own = OWN._replace(version=f"3.{sys.version_info.minor}")
        status, said = self.run_there(Paths(root="~/in stalled"), own)
        self.assertEqual(status, 0, said)
        self.assertIn("'--host', 'n1'", said)

    def test_a_file_that_others_may_write_is_not_started(self) -> None:
        for path in (self.file, self.folder):
            before = path.stat().st_mode
            path.chmod(0o777)
            status, said = self.run_there(Paths(sys.executable, program="~/in stalled/tm.pyz"))
            path.chmod(before)
            self.assertEqual(status, 78)
            self.assertIn(f"others may write it; say 'chmod go-w {path}'", said)

    def test_a_link_to_what_others_may_write_is_not_started(self) -> None:
        self.folder.chmod(0o777)
        os.symlink(self.file, os.path.join(self.home.name, "tm.pyz"))
        status, said = self.run_there(Paths(sys.executable, program="~/tm.pyz"))
        self.assertEqual((status, "others may write it" in said), (78, True), said)

    def test_a_strangers_file_is_not_started_unless_our_installation_is_theirs(self) -> None:
        if os.getuid() != 0:
            self.skipTest("only root gives files away")
        stranger = pwd.getpwnam("nobody")
        os.chown(self.script, stranger.pw_uid, stranger.pw_gid)
        status, said = self.run_there(Paths(sys.executable, "~/in stalled"))
        self.assertEqual(status, 78)
        self.assertIn(f"belongs to {stranger.pw_name}; what is started must belong to {ME} or root", said)
        status, said = self.run_there(Paths(sys.executable, "~/in stalled"), OWN._replace(owner=stranger.pw_name))
        self.assertEqual(status, 0, said)

    def test_what_is_not_there_is_named(self) -> None:
        status, said = self.run_there(Paths(program="~/tm.pyz"))
        self.assertEqual((status, said), (78, f"{self.home.name}/tm.pyz: is not there; {COPIES}"))
        status, said = self.run_there(Paths("/no/such/python3", "~/in stalled"))
        self.assertEqual((status, said), (78, "no Python is there: /no/such/python3"))
