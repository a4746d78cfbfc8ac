"""The two ssh launchers, what only one of them can, and what keeps either from a host."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster import accounts
from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB, QUIET
from tests.support.processes import wait_for


class LauncherTests(SiteCase):
    hosts = QUIET

    def test_a_way_through_another_host_is_gone_by_openssh_and_named_by_conch(self) -> None:
        site = self.site
        site.write_own(ANN, ".ssh/config", "Host n1 n2\n  ProxyJump n3\n")
        through, refused = site.submit_ledger(ANN, 1, 0, "n1"), site.submit_ledger(ANN, 1, 0, "n2")
        site.wait(through)
        said = self.reason(refused[0], "ssh.config")
        for words in ("ProxyJump n3", "conch", 'launcher = "openssh"'):
            self.assertIn(words, said)
        logins = re.findall(rf"Accepted publickey for {ANN} from (\S+)", self.machine("n1").sshd_log())
        self.assertEqual(set(logins), {site.bench.address("n3")})
        site.hosts["n2"]["launcher"] = "openssh"
        site.write_hosts()
        site.send("reload")
        site.wait(refused)
        site.check([*through, *refused])

    def test_a_key_that_conch_cannot_use_is_named_with_the_remedy(self) -> None:
        site = self.site
        self.machine("td").exec_as(ANN, ["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", ".ssh/id_ed25519"])
        ids = [site.submit_ledger(ANN, 1, 0, host)[0] for host in ("n1", "n2")]
        self.assertIn("ssh.auth", self.reason(ids[0], "ssh."))
        said = self.reason(ids[1], "ssh.")
        self.assertIn("id_ed25519", said)
        self.assertIn('launcher = "openssh"', said)
        argv = ["ssh-keygen", "-q", "-p", "-P", "a passphrase", "-N", "", "-f", ".ssh/id_ed25519"]
        self.machine("td").exec_as(ANN, argv)
        site.wait(ids)
        site.check(ids)

    def test_a_host_whose_key_was_swapped_is_refused_until_somebody_has_looked(self) -> None:
        site = self.site
        known = Path(site.bench.path(f"{accounts.home(ANN)}/.ssh/known_hosts"))
        before = known.read_text()
        for host in ("n1", "n2"):
            self.machine(host).swap_host_key()
        ids = [site.submit_ledger(ANN, 1, 0, host)[0] for host in ("n1", "n2")]
        for number in ids:
            said = self.reason(number, "ssh.hostkey")
            self.assertIn("log in once by hand", said)
        self.assertEqual(known.read_text(), before)
        elsewhere = site.submit_ledger(ANN, 1, 0, "n3")
        site.wait(elsewhere)
        site.bench.write_known_hosts([ANN])
        site.wait(ids)
        site.check([*ids, *elsewhere])

    def test_a_killed_sshd_stops_no_job_and_only_those_who_were_not_there_yet(self) -> None:
        site = self.site
        there = site.submit_ledger(ANN, 1, 4, "n1") + site.submit_ledger(ANN, 1, 4, "n2")
        site.wait(there, states=["running"])
        for host in ("n1", "n2"):
            self.machine(host).kill_sshd()
        more = site.submit_ledger(ANN, 1, 0, "n1")
        late = [site.submit_ledger(BOB, 1, 0, host)[0] for host in ("n1", "n2")]
        for number in late:
            self.reason(number, "ssh.unreachable")
        site.wait([*there, *more])
        for host in ("n1", "n2"):
            self.machine(host).start_sshd()
        site.wait(late)
        site.check([*there, *more, *late])

    def reason(self, number: int, words: str) -> str:
        """Return why a job waits once that has *words* in it."""
        wait_for(lambda: words in self.view(number)["reason"], f"'{words}' as the reason of job {number}", 40, 0.1)
        said = self.view(number)
        self.assertEqual(said["state"], "pending")
        return said["reason"]
