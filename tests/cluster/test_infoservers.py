"""InfoServers: one on each host, the dispatcher's own, there again when they are killed or their host boots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.cluster import accounts
from tests.cluster.accounts import DISPATCHER
from tests.cluster.case import SiteCase
from tests.cluster.namespace import Process
from tests.cluster.site import ANN
from tests.support.processes import wait_for

REVIVED_SECONDS = 30.0


class InfoServerTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"cores": 2}, "n2": {"cores": 2, "launcher": "conch"}}

    def test_it_is_the_dispatchers_own_and_comes_back_when_it_is_killed(self) -> None:
        for host in self.hosts:
            self.info(host, "up")
            first = self.server(host)
            self.assertEqual(first.uid, accounts.NUMBER[DISPATCHER])
            first.kill()
            another = lambda host=host, first=first: self.found(host) not in (None, first.inner)  # noqa: E731
            wait_for(another, "another one", REVIVED_SECONDS)
            self.info(host, "up")
            shown = self.site.host(host)
            self.assertEqual(shown["state"], "up")
            self.assertTrue(shown["memory_total"])

    def test_it_comes_back_after_a_reboot_and_says_so(self) -> None:
        for host in self.hosts:
            self.info(host, "up")
            self.machine(host).reboot(new_disk=host == "n2")
        for host in self.hosts:
            wait_for(lambda host=host: self.found(host), f"an InfoServer on {host} after its reboot", REVIVED_SECONDS)
            self.info(host, "up")
            self.assertEqual(self.site.host(host)["state"], "up")

    def test_users_ask_it_themselves_and_nobody_needs_an_account_for_it(self) -> None:
        self.info("n1", "up")
        port = str(self.site.host("n1")["info"]["port"])
        told = self.site.said(ANN, "hSend", "n1", port, "load")
        self.assertTrue(told.strip())
        processes = self.site.said(ANN, "hSend", "--json", "n1", port, f"processes:user={DISPATCHER}")
        self.assertIn("TM:daemon", processes)
        boot = Path(self.machine("n1").path("/proc/sys/kernel/random/boot_id")).read_text().strip()
        self.assertIn(boot, self.site.said(ANN, "hSend", "--json", "n1", port, "info"))
        said = self.machine("td").exec_as(accounts.STRANGER, ["hSend", "n1", port, "load"])
        self.assertNotEqual(said.returncode, 0)

    def info(self, host: str, state: str) -> dict[str, Any]:
        """Return how the InfoServer of *host* is once it is in *state*."""
        return wait_for(
            lambda: (shown := self.site.host(host)["info"])["state"] == state and shown,
            f"InfoServer of {host} to be {state}; {self.site.logs()}", REVIVED_SECONDS, 0.1,
        )  # fmt: skip

    def server(self, host: str) -> Process:
        """Return the process of the InfoServer."""
        return next(one for one in self.machine(host).processes() if "bin/InfoServer" in one.command)

    def found(self, host: str) -> int | None:
        """Return the pid there of the InfoServer, None when there is none."""
        return next((one.inner for one in self.machine(host).processes() if "bin/InfoServer" in one.command), None)
