"""What every launcher promises, and what the two that go over ssh promise beyond it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.support.sshd import ONLY_ETM, ONLY_GCM, Sshd
from tm.edge.launch_conch import ConchLauncher
from tm.edge.launch_local import LocalLauncher
from tm.edge.launch_openssh import OpenSSHLauncher
from tm.errors import LaunchError
from tm.ports import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    Contract = TestCase
else:
    Contract = object

GENEROUS = 60.0

SAY = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w'))"
DETACH = """
import os, sys, time
folder = sys.argv[1]
if os.fork():
    os._exit(0)
os.setsid()
nothing = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(nothing, fd)
end = time.monotonic() + 60
while not os.path.exists(folder + "/go") and time.monotonic() < end:
    time.sleep(0.02)
os.mkdir(folder + "/alive")
"""
OVERLAP = 'echo in >> "$0"; sleep 0.2; echo out >> "$0"'
HANG = 'echo $$ > "$0.new"; mv "$0.new" "$0"; while [ -e "$1" ]; do sleep 0.05; done'


async def until(true: Callable[[], bool]) -> None:
    """Return when *true* holds; raise `AssertionError` after a minute."""
    end = time.monotonic() + GENEROUS
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it did not become true within a minute")
        await deferLater(reactor, 0.02)


def environment(home: str) -> dict[str, str]:
    """An environment in which nothing of the person who runs the tests can be found."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8"}


class LauncherContract(Contract):
    """The promises of `tm.ports.Launcher`. A suite sets *make*, *failed*, and where needed *options*."""

    make: Any
    failed = "ssh.command"
    options: dict[str, object] = {}  # noqa: RUF012  # each suite sets its own

    timeout = 240

    def setUp(self) -> None:
        self.home = tempfile.mkdtemp(prefix="tm-launch-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.environment = environment(self.home)

    def path(self, name: str) -> str:
        return os.path.join(self.home, name)

    def read(self, name: str) -> str:
        with open(self.path(name)) as file:
            return file.read()

    def launcher(self, bound: float = GENEROUS, at_once: int = 8) -> Any:
        return self.make(reactor, self.environment, bound=bound, at_once=at_once)

    def launch(
        self, *argv: str, bound: float = GENEROUS, address: str = "127.0.0.1", **changes: object
    ) -> Any:
        options = {name: value for name, value in {**self.options, **changes}.items() if value is not None}
        target = Target("n1", address, argv, options)
        return Deferred.fromCoroutine(self.launcher(bound).launch(target))

    async def refused(self, word: str, *argv: str, **changes: Any) -> str:
        """Launch, expect a failure of class *word*, and return what it says."""
        error = await self.assertFailure(self.launch(*(argv or ("true",)), **changes), LaunchError)
        self.assertEqual((error.word, "\n" in error.text), (word, False), error.text)
        self.assertIn("n1: ", error.text)
        return str(error.text)

    async def test_a_launch_returns_when_the_command_has_ended_well(self) -> None:
        await self.launch("/bin/sh", "-c", 'sleep 0.3; echo ran > "$0"', self.path("ran"))
        self.assertEqual(self.read("ran"), "ran\n")

    async def test_arguments_arrive_byte_for_byte(self) -> None:
        words = [
            "two words",
            "",
            "-n",
            "--",
            "'",
            '"',
            "$HOME",
            "`id`",
            "*",
            "a\nb",
            "\\",
            "!x",
            "~",
            ";&|<>",
            "ü",
            "\t",
        ]
        await self.launch(sys.executable, "-c", SAY, self.path("said"), *words)
        self.assertEqual(json.loads(self.read("said")), words)

    async def test_a_failing_command_is_told_with_its_status_and_its_last_words(self) -> None:
        text = await self.refused(
            self.failed, "/bin/sh", "-c", "echo out; echo first >&2; echo no disk >&2; exit 7"
        )
        self.assertIn("status 7", text)
        self.assertIn("first; no disk", text)
        self.assertNotIn("out", text.replace("/bin", ""))

    async def test_what_a_failing_command_said_on_its_output_counts_where_it_was_silent_otherwise(
        self,
    ) -> None:
        self.assertIn("in use", await self.refused(self.failed, "/bin/sh", "-c", "echo in use; exit 1"))

    async def test_a_flood_of_last_words_is_cut(self) -> None:
        script = (
            "import sys; sys.stderr.write('x' * 5000000 + chr(10) + 'y' * 5000 + ' the end'); sys.exit(1)"
        )
        text = await self.refused(self.failed, sys.executable, "-c", script)
        self.assertTrue(text.endswith("y the end"), text)
        self.assertLess(len(text), 600)

    async def test_a_program_that_is_not_there_is_told(self) -> None:
        self.assertIn("/no/such/program", await self.refused(self.failed, "/no/such/program"))

    async def test_a_command_that_hangs_is_given_up_at_the_bound(self) -> None:
        self.hold()
        begin = time.monotonic()
        text = await self.refused(
            self.failed, "/bin/sh", "-c", HANG, self.path("pid"), self.path("held"), bound=4
        )
        self.assertIn("within 4 s", text)
        self.assertLess(time.monotonic() - begin, GENEROUS)

    async def test_a_launch_that_is_cancelled_is_over_at_once(self) -> None:
        self.hold()
        launch = self.launch("/bin/sh", "-c", HANG, self.path("pid"), self.path("held"))
        await until(lambda: os.path.exists(self.path("pid")))
        launch.cancel()
        await self.assertFailure(launch, CancelledError)

    async def test_a_daemon_that_detaches_survives_the_end_of_its_launch(self) -> None:
        await self.launch(sys.executable, "-c", DETACH, self.home)
        self.assertFalse(os.path.exists(self.path("alive")))
        os.mkdir(self.path("go"))
        await until(lambda: os.path.exists(self.path("alive")))

    async def test_no_more_launches_run_at_once_than_permitted(self) -> None:
        launcher = self.launcher(at_once=2)
        target = Target("n1", "127.0.0.1", ["/bin/sh", "-c", OVERLAP, self.path("log")], self.options)
        await gatherResults([Deferred.fromCoroutine(launcher.launch(target)) for _ in range(6)])
        running, most = 0, 0
        for word in self.read("log").split():
            running += 1 if word == "in" else -1
            most = max(most, running)
        self.assertEqual((running, self.read("log").count("in")), (0, 6))
        self.assertLessEqual(most, 2)

    def hold(self) -> None:
        """Let a `HANG` hang until the test is over."""
        os.mkdir(self.path("held"))


class LocalTests(LauncherContract, TestCase):
    """The launcher for this machine."""

    make = LocalLauncher
    failed = "launch.command"

    async def test_the_command_sees_the_given_environment_and_nothing_else(self) -> None:
        self.environment = {"ONLY": "this"}
        script = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
        await self.launch(sys.executable, "-c", script, self.path("said"))
        seen = json.loads(self.read("said"))
        self.assertEqual(
            {name: value for name, value in seen.items() if name != "LC_CTYPE"}, {"ONLY": "this"}
        )

    async def test_a_command_that_hangs_is_dead_after_the_bound_even_if_it_ignores_the_request(self) -> None:
        script = f"trap '' TERM; {HANG}"
        self.hold()
        await self.refused(
            "launch.command", "/bin/sh", "-c", script, self.path("pid"), self.path("held"), bound=2
        )
        self.assertRaises(ProcessLookupError, os.kill, int(self.read("pid")), 0)

    async def test_a_command_that_dies_of_a_signal_is_told(self) -> None:
        self.assertIn("signal 9", await self.refused("launch.command", "/bin/sh", "-c", "kill -9 $$"))

    async def test_a_file_that_is_no_program_is_told(self) -> None:
        with open(self.path("plain"), "w") as file:
            file.write("plain")
        self.assertIn("cannot be started", await self.refused("launch.command", self.path("plain")))


def _hang_up(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


class SSHContract(LauncherContract):
    """What a launcher over ssh promises beyond `LauncherContract`."""

    sshd: Sshd
    skip = Sshd.missing or None

    def setUp(self) -> None:
        super().setUp()
        self.sshd = Sshd()
        self.addCleanup(self.sshd.stop)
        self.options = self.sshd.options()

    def hosts_file(self, text: str, mode: int = 0o600) -> str:
        path = self.path("hosts")
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    async def test_a_host_whose_key_is_unknown_is_refused(self) -> None:
        text = await self.refused("ssh.hostkey", known_hosts=self.hosts_file(""))
        self.assertIn("log in once by hand: ssh", text)

    async def test_a_host_whose_key_has_changed_is_refused(self) -> None:
        with Sshd() as impostor:
            impostor.swap_host_keys()
            text = await self.refused("ssh.hostkey", **impostor.options())
        self.assertIn("changed", text)

    async def test_a_host_whose_key_is_revoked_is_refused(self) -> None:
        lines = self.sshd.known_hosts_lines()
        await self.refused("ssh.hostkey", known_hosts=self.hosts_file(lines + "@revoked " + lines))

    async def test_a_host_is_known_by_its_hashed_name(self) -> None:
        path = self.hosts_file(self.sshd.known_hosts_lines())
        subprocess.run(
            ["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True, timeout=GENEROUS
        )
        self.assertTrue(self.read("hosts").startswith("|1|"))
        await self.launch("true", known_hosts=path)

    async def test_a_host_with_many_keys_is_known_by_any_one_of_them(self) -> None:
        with Sshd(host_keys=("rsa", "ecdsa", "ed25519")) as sshd:
            for line in sshd.known_hosts_lines().splitlines():
                await self.launch("true", **sshd.options(known_hosts=self.hosts_file(line + "\n")))

    async def test_the_known_hosts_are_never_written(self) -> None:
        with Sshd(host_keys=("rsa", "ecdsa", "ed25519")) as sshd:
            one = sshd.known_hosts_lines().splitlines()[0] + "\n"
            await self.launch("true", **sshd.options(known_hosts=self.hosts_file(one)))
        self.assertEqual(self.read("hosts"), one)

    async def test_known_hosts_that_others_may_write_are_not_believed(self) -> None:
        path = self.hosts_file(self.sshd.known_hosts_lines(), 0o666)
        self.assertIn("others may write", await self.refused("ssh.config", known_hosts=path))

    async def test_a_port_where_nothing_listens_is_told(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            text = await self.refused("ssh.unreachable", port=bound.getsockname()[1])
        self.assertIn("refused", text)

    async def test_a_port_that_stays_silent_is_told(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            await self.refused("ssh.unreachable", port=silent.getsockname()[1], bound=3)

    async def test_a_host_that_hangs_up_is_told(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            launch = self.refused("ssh.unreachable", port=listener.getsockname()[1])
            launched = Deferred.fromCoroutine(launch)
            listener.setblocking(False)
            await until(lambda: _hang_up(listener))
            await launched

    async def test_a_host_that_opens_no_session_is_told(self) -> None:
        with Sshd(("MaxSessions 0",)) as sshd:
            error = await self.assertFailure(self.launch("true", **sshd.options()), LaunchError)
        self.assertIn(error.word, ("ssh.unreachable", "ssh.command"))

    async def test_a_name_that_nobody_knows_is_told(self) -> None:
        self.assertIn("no.such.invalid", await self.refused("ssh.unreachable", address="no.such.invalid"))

    async def test_a_key_that_the_host_does_not_accept_is_told(self) -> None:
        stranger = self.sshd.make_key(os.path.basename(self.home))
        await self.refused("ssh.auth", identity=stranger)

    async def test_a_user_may_stand_in_the_address(self) -> None:
        await self.launch("true", address=f"{self.sshd.user}@127.0.0.1", user=None)

    async def test_a_command_that_talks_like_ssh_is_not_believed(self) -> None:
        await self.refused("ssh.command", "/bin/sh", "-c", "echo Host key verification failed. >&2; exit 1")


class OpenSSHTests(SSHContract, TestCase):
    """The launcher that uses the system's ssh."""

    make = OpenSSHLauncher

    async def test_the_configuration_of_the_user_is_honoured(self) -> None:
        with open(self.path("config"), "w") as file:
            file.write(
                f"Host node\n  HostName 127.0.0.1\n  Port {self.sshd.port}\n  User {self.sshd.user}\n"
                f"  IdentityFile {self.sshd.identity}\n  UserKnownHostsFile {self.sshd.known_hosts}\n"
                "  RemoteCommand exit 9\n  LogLevel QUIET\n  ForwardAgent yes\n"
            )
        alone: dict[str, Any] = dict.fromkeys(("port", "user", "identity", "known_hosts"))
        await self.launch("true", address="node", config=self.path("config"), **alone)

    async def test_a_configuration_that_others_may_write_is_not_read(self) -> None:
        with open(self.path("config"), "w") as file:
            file.write(f"ProxyCommand touch {self.path('owned')}\n")
        os.chmod(self.path("config"), 0o666)
        self.assertIn("others may write", await self.refused("ssh.config", config=self.path("config")))
        self.assertFalse(os.path.exists(self.path("owned")))

    async def test_a_faulty_configuration_is_told(self) -> None:
        with open(self.path("config"), "w") as file:
            file.write("Nonsense yes\n")
        self.assertIn("line 1", await self.refused("ssh.config", config=self.path("config")))

    async def test_a_machine_without_ssh_is_told(self) -> None:
        self.environment["PATH"] = self.home
        self.assertIn("install the OpenSSH client", await self.refused("ssh.config"))

    async def test_an_rsa_key_serves(self) -> None:
        with Sshd() as sshd:
            key = sshd.make_key("rsa", "rsa")
            sshd.allow(key)
            await self.launch("true", **sshd.options(identity=key))

    async def test_hosts_with_new_ciphers_only_are_served(self) -> None:
        for lines in (ONLY_GCM, ONLY_ETM):
            with Sshd(lines) as sshd:
                await self.launch("true", **sshd.options())


class ConchTests(SSHContract, TestCase):
    """The launcher with an ssh client of its own. What it cannot do names the remedy."""

    make = ConchLauncher

    async def not_served(self, **changes: object) -> str:
        text = await self.refused("ssh.config", **changes)
        self.assertIn('use launcher = "openssh"', text)
        return text

    def key(self, kind: str, passphrase: str = "") -> str:
        key = self.sshd.make_key(f"{kind}-{os.path.basename(self.home)}", kind, passphrase)
        self.sshd.allow(key)
        return key

    def user_file(self, name: str, text: str) -> None:
        os.makedirs(self.path(".ssh"), exist_ok=True)
        with open(os.path.join(self.path(".ssh"), name), "w") as file:
            file.write(text)
        os.chmod(file.name, 0o600)

    def agent_with(self, key: str) -> None:
        """Start an agent that holds *key*, and let the environment name it."""
        address = self.path("agent")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
        self.addCleanup(agent.wait, GENEROUS)
        self.addCleanup(agent.send_signal, signal.SIGTERM)
        self.environment["SSH_AUTH_SOCK"] = address
        end = time.monotonic() + GENEROUS
        added = None
        while added is None or (added.returncode == 2 and time.monotonic() < end):
            added = subprocess.run(
                ["ssh-add", "-q", key], env={**self.environment}, capture_output=True, timeout=GENEROUS
            )
        self.assertEqual(added.returncode, 0, added.stderr)

    async def test_a_user_key_of_type_rsa_names_the_remedy(self) -> None:
        self.assertIn("RSA key", await self.not_served(identity=self.key("rsa")))

    async def test_an_ecdsa_key_serves(self) -> None:
        await self.launch("true", identity=self.key("ecdsa"))

    async def test_an_encrypted_key_names_the_remedy(self) -> None:
        self.assertIn("ssh-add", await self.not_served(identity=self.key("ed25519", "secret")))

    async def test_an_encrypted_key_serves_when_the_agent_holds_it(self) -> None:
        key = self.key("ed25519")
        self.agent_with(key)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", key], check=True, capture_output=True
        )
        await self.launch("true", identity=key)

    async def test_the_keys_of_the_agent_are_tried(self) -> None:
        self.agent_with(self.key("ecdsa"))
        await self.launch("true", identity=None)

    async def test_an_agent_with_an_rsa_key_only_names_the_remedy(self) -> None:
        self.agent_with(self.key("rsa"))
        self.assertIn("the agent's RSA key", await self.not_served(identity=None))

    async def test_an_agent_that_is_gone_is_no_obstacle(self) -> None:
        self.environment["SSH_AUTH_SOCK"] = self.path("gone")
        await self.launch("true")

    async def test_the_usual_files_are_read(self) -> None:
        with open(self.sshd.identity) as identity:
            self.user_file("id_ed25519", identity.read())
        self.user_file("known_hosts", self.sshd.known_hosts_lines())
        await self.launch("true", identity=None, known_hosts=None)

    async def test_a_user_without_any_key_is_told(self) -> None:
        self.assertIn("ssh-keygen", await self.refused("ssh.auth", identity=None))

    async def test_a_key_that_others_may_read_is_told(self) -> None:
        key = self.key("ed25519")
        os.chmod(key, 0o644)
        self.assertIn("chmod 600", await self.not_served(identity=key))

    async def test_hosts_with_new_ciphers_only_name_the_remedy(self) -> None:
        for lines, part in ((ONLY_GCM, "ciphers"), (ONLY_ETM, "message codes")):
            with Sshd(lines) as sshd:
                self.assertIn(part, await self.not_served(**sshd.options()))

    async def test_an_ssh_configuration_names_the_remedy(self) -> None:
        await self.not_served(config=self.sshd.config)

    async def test_a_way_over_another_host_names_the_remedy(self) -> None:
        self.user_file("config", "Host 127.*\n  ProxyJump gate\n")
        self.assertIn("ProxyJump gate", await self.not_served())

    async def test_a_certificate_of_the_host_names_the_remedy(self) -> None:
        other = self.sshd.make_key("ca-" + os.path.basename(self.home))
        with open(other + ".pub") as public:
            authority = "@cert-authority * " + public.read()
        await self.not_served(known_hosts=self.hosts_file(authority))
