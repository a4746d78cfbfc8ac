"""Tunnels as a server sees them, dug by a program that plays ssh."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.support.processes import is_alive
from tm.edge.tunnel import Tunnels
from tm.errors import LaunchError
from tm.ports import Target

SSH = """#!/bin/sh
echo "$PWD $*" >> {folder}/asked
case "$*" in
  *"-O forward"*) [ -e {folder}/no-forward ] && {{ echo "remote port forwarding failed" >&2; exit 255; }}; echo 40123;;
  *) [ -e {folder}/no-login ] && {{ echo "alice@n1: Permission denied (publickey)." >&2; exit 255; }}
     echo $$ > {folder}/pid; echo tm-tunnel; exec cat > /dev/null;;
esac
"""


class TunnelTests(TestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        self.work = os.path.join(self.folder, "work")
        os.makedirs(self.work)
        program = Path(self.folder, "ssh")
        program.write_text(SSH.format(folder=self.folder))
        program.chmod(0o755)
        self.environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": self.folder}
        self.tunnels = Tunnels(reactor, self.environment, self.work, lambda: ("127.0.0.1", 4711))
        self.target = Target("n1", "alice@n1.lab", ["true"], {"port": 2222})
        self.addCleanup(self.ended)

    async def ended(self) -> None:
        """Fill all in and wait for the ends of their processes."""
        pid = self.pid() if Path(self.folder, "pid").exists() else 0
        self.tunnels.close_all()
        while pid and is_alive(pid):
            await self.pause()

    def pause(self) -> Deferred[None]:
        """Let the reactor turn."""
        waiting: Deferred[None] = Deferred()
        reactor.callLater(0.02, waiting.callback, None)
        return waiting

    def asked(self) -> list[str]:
        """Return how ssh was called, with the folder it was in."""
        return Path(self.folder, "asked").read_text().splitlines()

    def pid(self) -> int:
        """Return the pid of the last tunnel."""
        return int(Path(self.folder, "pid").read_text())

    async def failure(self, launcher: str = "openssh") -> LaunchError:
        """Return how the digging fails."""
        try:
            await self.tunnels.open(self.target, launcher)
        except LaunchError as error:
            return error
        raise AssertionError("it was dug")

    async def test_it_is_dug_once_and_leads_to_our_own_port(self) -> None:
        both = [Deferred.fromCoroutine(self.tunnels.open(self.target, "openssh")) for _ in range(2)]
        self.assertEqual([await one for one in both], [("127.0.0.1", 40123)] * 2)
        self.assertEqual(await self.tunnels.open(self.target, "openssh"), ("127.0.0.1", 40123))
        master, forward = self.asked()
        self.assertTrue(master.startswith(f"{self.work} -M -S tunnel-"))
        for words in ("StrictHostKeyChecking=yes", "ClearAllForwardings=yes", "-p 2222 -l alice"):
            self.assertIn(words, master)
        self.assertIn("-R 127.0.0.1:0:127.0.0.1:4711 -- n1.lab", forward)
        self.assertTrue(forward.startswith(self.work))

    async def test_one_that_has_ended_is_dug_anew(self) -> None:
        await self.tunnels.open(self.target, "openssh")
        first = self.pid()
        os.kill(first, 9)
        while len(self.asked()) < 4:
            await self.pause()
            await self.tunnels.open(self.target, "openssh")
        self.assertNotEqual(self.pid(), first)

    async def test_sockets_of_those_that_were_killed_are_swept_away(self) -> None:
        for name in ("tunnel-4194305-1", f"tunnel-{os.getppid()}-1", "tunnel-x"):
            Path(self.work, name).touch()
        await self.tunnels.open(self.target, "openssh")
        own = Path(self.work, f"tunnel-{os.getpid()}-1")
        own.touch()
        self.assertEqual(sorted(os.listdir(self.work)), sorted([f"tunnel-{os.getppid()}-1", own.name, "tunnel-x"]))
        os.kill(self.pid(), 9)
        while own.exists():
            await self.pause()

    async def test_one_that_is_closed_ends(self) -> None:
        await self.tunnels.open(self.target, "openssh")
        self.tunnels.close("n1")
        self.tunnels.close("n2")
        while is_alive(self.pid()):
            await self.pause()

    async def test_what_is_in_the_way_is_named(self) -> None:
        Path(self.folder, "no-login").touch()
        self.assertEqual((await self.failure()).word, "ssh.auth")
        os.unlink(os.path.join(self.folder, "no-login"))
        Path(self.folder, "no-forward").touch()
        error = await self.failure()
        self.assertEqual(error.word, "ssh.tunnel")
        self.assertIn("AllowTcpForwarding", error.text)
        os.unlink(os.path.join(self.folder, "no-forward"))
        self.assertEqual(await self.tunnels.open(self.target, "openssh"), ("127.0.0.1", 40123))

    async def test_who_cannot_dig_is_named_with_who_can(self) -> None:
        error = await self.failure("conch")
        self.assertEqual(error.word, "config.launcher")
        self.assertIn("launcher=openssh", error.text)

    async def test_without_an_ssh_it_is_said_what_to_install(self) -> None:
        os.unlink(os.path.join(self.folder, "ssh"))
        self.environment["PATH"] = self.folder
        self.assertEqual((await self.failure()).word, "ssh.config")
        self.assertEqual((await self.failure()).word, "ssh.config")
