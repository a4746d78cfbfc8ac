"""Hosts behind ssh: jobs run there by both launchers, and a start that fails is seen, waits, and goes on when mended.

Several host names lead to this machine; each has a spool of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cluster import Cluster
from tests.support.processes import wait_for
from tests.support.sshd import Sshd


class SshCase(SynchronousTestCase):
    """A cluster with the hosts ``n1`` (openssh) and ``n2`` (conch) behind a private sshd."""

    skip = Sshd.missing or None

    def setUp(self) -> None:
        self.sshd = Sshd()
        self.addCleanup(self.sshd.stop)
        self.cluster = Cluster(hosts=self.table())
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()

    def table(self, **changes: object) -> dict[str, dict[str, object]]:
        """Return the table of hosts, with *changes* of the options of ssh."""
        options = self.sshd.options(**changes)
        openssh = {**options, "config": self.sshd.config}
        return {
            "n1": {"address": "127.0.0.1", "launcher": "openssh", "cores": 1, "options": openssh},
            "n2": {"address": "127.0.0.1", "launcher": "conch", "cores": 1, "options": options},
        }

    def assert_waits_with(self, *words: str) -> list[int]:
        """Submit a job for each host; see that both wait and say soon why, as the hosts do. Return their ids."""
        cluster = self.cluster
        ids = [cluster.submit_ledger("alice", 1, hosts=[host])[0] for host in ("n1", "n2")]
        for host, number in zip(("n1", "n2"), ids, strict=True):
            said = self.reason_of(number)
            for word in words:
                self.assertIn(word, said)
            shown = self.host(host)
            self.assertIn(shown["state"], ("refused", "down"))
            self.assertIn(said.partition(": ")[2], shown["reason"])
        self.assertEqual({cluster.job("alice", number)["state"] for number in ids}, {"pending"})
        return ids

    def reason_of(self, number: int) -> str:
        """Return why the job waits as soon as that names a failure of ssh."""
        wait_for(lambda: "ssh." in self.cluster.job("alice", number)["reason"], f"the reason why {number} waits", 15)
        reason: str = self.cluster.job("alice", number)["reason"]
        return reason

    def host(self, name: str) -> dict[str, Any]:
        """Return the public view of a host."""
        with self.cluster.dispatcher("alice") as alice:
            return alice.values("hostinfo", name)[0]

    def assert_runs_when(self, mend: Callable[[], object], ids: list[int]) -> None:
        """Mend it and see the jobs run without anybody doing anything."""
        mend()
        self.cluster.wait(ids, 60)
        self.cluster.check(ids)
        shown = [(view["state"], view["vacant"]) for view in map(self.host, ("n1", "n2"))]
        self.assertEqual(shown, [("up", True)] * 2)


class RunningTests(SshCase):
    def test_jobs_run_on_hosts_behind_both_launchers(self) -> None:
        cluster = self.cluster
        ids = [number for host in ("n1", "n2") for number in cluster.submit_ledger("alice", 3, hosts=[host])]
        jobs = cluster.wait(ids)
        self.assertEqual([job["host"] for job in jobs], ["n1"] * 3 + ["n2"] * 3)
        cluster.check(ids)
        for host in ("n1", "n2"):
            self.assertTrue(cluster.pid(f"tmms:alice:{host}"))
            self.assertTrue(os.path.exists(os.path.join(cluster.spool("alice", host), "identity")))

    def test_jobs_outlive_ssh_and_every_server(self) -> None:
        cluster = self.cluster
        ids = [cluster.submit_ledger("alice", 1, seconds=2, hosts=[host])[0] for host in ("n1", "n2")]
        cluster.wait(ids, states=("running",))
        self.sshd.end()
        for daemon in ("tms:alice", "tmms:alice:n1", "tmms:alice:n2", "dispatcher"):
            cluster.kill(daemon)
        self.sshd.start()
        cluster.wait(ids, 60)
        cluster.check(ids)


class FailingTests(SshCase):
    def test_an_sshd_that_is_down(self) -> None:
        self.sshd.end()
        ids = self.assert_waits_with("ssh.unreachable", "refused")
        self.assert_runs_when(self.sshd.start, ids)

    def test_a_host_key_that_has_changed(self) -> None:
        self.sshd.swap_host_keys()
        known = Path(self.sshd.known_hosts)
        before = known.read_text()
        ids = self.assert_waits_with("ssh.hostkey")
        self.assertEqual(known.read_text(), before)
        self.assert_runs_when(lambda: known.write_text(self.sshd.known_hosts_lines()), ids)

    def test_a_key_that_is_not_let_in(self) -> None:
        authorized = Path(self.sshd.folder, "authorized")
        keys = authorized.read_text()
        authorized.write_text("")
        ids = self.assert_waits_with("ssh.auth")
        self.assert_runs_when(lambda: authorized.write_text(keys), ids)

    def test_an_installation_that_is_not_there(self) -> None:
        self.cluster.more["TM_PYTHON"] = "/no/such/python"
        ids = self.assert_waits_with("ssh.command", "/no/such/python")

        def mend() -> None:
            del self.cluster.more["TM_PYTHON"]
            self.cluster.forget_talk("alice")
            self.cluster.start_tms("alice")

        self.assert_runs_when(mend, ids)
