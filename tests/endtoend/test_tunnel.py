"""Hosts that cannot dial us: their servers come back through ssh, and jobs there outlive every end of a tunnel.

The user's server is told an address of its own that leads nowhere, so whoever comes back comes by a tunnel.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import processes
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for
from tests.support.sshd import Sshd

NOWHERE = "192.0.2.1"  # an address of documentation, which nobody has


class TunnelCase(SynchronousTestCase):
    """A cluster of alice and bob whose host ``n1`` reaches them through a tunnel only."""

    skip = Sshd.missing or None
    table: Mapping[str, object] = {"cores": 2}

    def setUp(self) -> None:
        self.sshd = Sshd()
        self.addCleanup(self.sshd.stop)
        options = {**self.sshd.options(), "config": self.sshd.config}
        host = {"address": "127.0.0.1", "launcher": "openssh", "tunnel": True, "options": options, **self.table}
        self.cluster = Cluster(hosts={"n1": host})
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        for user in ("alice", "bob"):
            self.start_tms(user)

    def start_tms(self, user: str) -> None:
        """Start the user's server at an address where nobody reaches it."""
        self.cluster.forget_talk(user)
        self.cluster.launch([sys.executable, os.path.join(ROOT, "bin", "TMS"), "--host", NOWHERE], user)

    def tunnels(self, user: str) -> list[int]:
        """Return the tunnels of *user*, processes of ssh."""
        folder = os.path.join(self.cluster.local(user), "tms")
        found = []
        for pid, line in processes.marked(self.cluster.folder).items():
            if line.startswith("ssh -M -S tunnel-") and os.readlink(f"/proc/{pid}/cwd") == folder:
                found.append(pid)
        return found

    def way(self, user: str) -> str:
        """Return by which way the user's server on the host comes back."""
        return Path(self.cluster.spool(user), "tunnel").read_text()

    def host(self) -> dict[str, Any]:
        """Return the public view of the host."""
        with self.cluster.dispatcher("alice") as alice:
            return alice.values("hostinfo", "n1")[0]


class RunningTests(TunnelCase):
    def test_jobs_of_two_users_run_on_a_host_that_cannot_dial_them(self) -> None:
        cluster = self.cluster
        ids = {user: cluster.submit_ledger(user, 3) for user in ("alice", "bob")}
        for user, numbers in ids.items():
            cluster.wait(numbers, 40, user)
        cluster.check([number for numbers in ids.values() for number in numbers])
        self.assertEqual([len(self.tunnels(user)) for user in ids], [1, 1])
        self.assertNotEqual(self.way("alice"), self.way("bob"))

    def test_a_command_that_runs_now_has_its_input_and_output_through_the_tunnel(self) -> None:
        self.cluster.wait(self.cluster.submit_ledger("alice", 1), 40)
        given = os.urandom(1 << 20)
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRun"), "cat"], input=given, capture_output=True, timeout=60,
            env=self.cluster.environment("alice"), cwd=self.cluster.work, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, len(done.stdout), done.stdout == given), (0, len(given), True), done.stderr)

    def test_a_tunnel_that_is_killed_is_dug_again_and_no_job_is_lost_or_doubled(self) -> None:
        cluster = self.cluster
        running = cluster.submit_ledger("alice", 1, seconds=8)
        short = cluster.submit_ledger("alice", 1, seconds=1)
        cluster.wait(running + short, states=("running",))
        before, server = self.way("alice"), cluster.pid("tmms:alice:n1")
        (tunnel,) = self.tunnels("alice")
        processes.kill(tunnel)
        ids = [*running, *short, *cluster.submit_ledger("alice", 4)]
        cluster.wait(ids, 40)
        cluster.check(ids)
        self.assertNotIn(tunnel, self.tunnels("alice"))
        self.assertNotEqual(self.way("alice"), before)
        self.assertEqual(cluster.pid("tmms:alice:n1"), server, "the server there is the same")

    def test_an_sshd_that_is_away_for_a_while_costs_nothing(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=4)
        cluster.wait(ids, states=("running",))
        self.sshd.end()
        for tunnel in self.tunnels("alice"):
            processes.kill(tunnel)
        wait_for(lambda: cluster.job("alice", ids[0])["state"] == "unreachable", "the job to be out of reach")
        wait_for(lambda: "ssh.unreachable" in self.host()["reason"], "the reason of the host")
        self.sshd.start()
        ids += cluster.submit_ledger("alice", 2)
        cluster.wait(ids, 60)
        cluster.check(ids)

    def test_a_tunnel_ends_with_its_server_and_the_next_server_digs_its_own(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=5)
        cluster.wait(ids, states=("running",))
        (tunnel,) = self.tunnels("alice")
        cluster.kill("tms:alice", signal.SIGKILL)
        wait_for(lambda: not processes.is_alive(tunnel), "the end of the tunnel")
        self.start_tms("alice")
        cluster.wait(ids, 40)
        cluster.check(ids)
        self.assertEqual(len(self.tunnels("alice")), 1)


class RefusedTests(TunnelCase):
    def setUp(self) -> None:
        lines = ("AllowTcpForwarding no",)
        self.patch(Sshd, "__init__", _with(Sshd.__init__, lines))
        super().setUp()

    def test_an_sshd_that_forwards_nothing_is_named_with_what_to_do(self) -> None:
        ids = self.cluster.submit_ledger("alice", 1)
        said = wait_for(lambda: (view := self.host())["reason"].count("ssh.tunnel") and view, "the reason", 30)
        self.assertIn("AllowTcpForwarding", said["reason"])
        self.assertEqual(self.cluster.job("alice", ids[0])["state"], "pending")


class ConchTests(TunnelCase):
    table: Mapping[str, object] = {"cores": 2, "launcher": "conch"}

    def test_conch_digs_none_and_says_who_does(self) -> None:
        self.cluster.submit_ledger("alice", 1)
        said = wait_for(lambda: (view := self.host())["reason"].count("tunnel") and view, "the reason", 30)
        self.assertTrue(re.search("launcher=openssh", said["reason"]), said)


class InfoServerTests(TunnelCase):
    table: Mapping[str, object] = {"cores": 2, "infoserver": True}

    def test_infoserver_comes_back_through_a_tunnel_and_again_when_that_is_killed(self) -> None:
        self.info_up()
        server = self.cluster.pid("infoserver:n1")
        self.assertTrue(server)
        for pid, line in processes.marked(self.cluster.folder).items():
            if line.startswith("ssh -M -S tunnel-") and os.readlink(f"/proc/{pid}/cwd") == self.cluster.state:
                processes.kill(pid)
                break
        else:
            self.fail("no tunnel of the dispatcher")
        wait_for(lambda: self.host()["info"]["state"] != "up", "the loss to be noticed")
        self.info_up()
        self.assertEqual(self.cluster.pid("infoserver:n1"), server, "it is the same")

    def info_up(self) -> None:
        """Wait until the InfoServer reports."""
        wait_for(lambda: self.host()["load"] is not None, f"a report; {self.cluster.logs()}", 40, 0.2)
        self.assertEqual(self.host()["info"]["state"], "up")


def _with(begin: Any, lines: tuple[str, ...]) -> Any:
    return lambda self: begin(self, lines)
