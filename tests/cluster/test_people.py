"""Three users on four hosts: everybody's jobs are their own, and nobody reads what is somebody else's."""

from __future__ import annotations

import os
import time

from tests.cluster import accounts
from tests.cluster.accounts import BASE, DISPATCHER, USERS
from tests.cluster.case import SiteCase
from tests.cluster.site import BOB, CID, HOSTS, QUIET, refusal
from tests.support.processes import wait_for

CUT_OFF_SECONDS = 5.0


class UserTests(SiteCase):
    hosts = QUIET

    def test_jobs_of_three_users_run_on_four_hosts_as_their_users(self) -> None:
        site = self.site
        ids = {
            (user, host): site.submit(user, "--host", host, "id -un; hostname; touch made-by-$TM_JOB_ID; sleep 3")[0]
            for user in USERS for host in HOSTS
        }  # fmt: skip
        site.wait(ids.values(), states=["running", "completed"])
        for (user, host), number in ids.items():
            site.wait([number])
            self.assertEqual(site.output(number).split(), [user, host])
            for path in (site.job(number)["stdout"], f"{accounts.home(user)}/made-by-{number}"):
                self.assertEqual(os.stat(site.bench.path(path)).st_uid, accounts.NUMBER[user])
        for host in HOSTS:
            ours = [one for one in self.machine(host).processes() if "taskmanager" in one.command]
            self.assertEqual({one.uid for one in ours} & {accounts.NUMBER[user] for user in USERS},
                             {accounts.NUMBER[user] for user in USERS})  # fmt: skip

    def test_nobody_reads_what_is_somebody_elses(self) -> None:
        site = self.site
        number = site.submit(BOB, "--host", "n1", "--output", "secret", "echo told; touch /tmp/x; sleep 1")[0]
        site.wait([number])
        home = accounts.home(BOB)
        spool = f"/var/tmp/taskmanager-{accounts.NUMBER[BOB]}"
        private = [f"{home}/secret", f"{home}/.taskManager/{BOB}.key", spool, f"{spool}/bench/hosts/n1/orders.log"]
        for other in (DISPATCHER, CID):
            for path in private:
                said = self.machine("n1").exec_as(other, ["ls", path] if path == spool else ["cat", path])
                self.assertIn("Permission denied", said.stderr, f"{other} {path}")
            for command in ("ls -l /proc/[0-9]*/fd", "cat /proc/[0-9]*/environ"):
                shown = self.machine("n1").exec_as(other, ["sh", "-c", command]).stdout
                self.assertNotIn(home, shown)
        self.assertEqual(refusal(lambda: site.values("jobinfo", str(number), CID)).word, "job.unknown")
        self.assertEqual(site.output(number), "told\n")

    def test_a_user_who_is_removed_is_cut_off_at_once_and_nobody_else(self) -> None:
        site = self.site
        kept = site.submit_ledger(CID, 1, 6, "n1")
        gone = site.submit_ledger(BOB, 1, 600, "n1")
        site.wait([*kept, *gone], states=["running"])
        open_talk = site.talk(BOB)
        self.addCleanup(open_talk.close)
        begun = time.monotonic()
        site.said(DISPATCHER, "tm", "users", "remove", BOB)
        self.assertEqual(refusal(lambda: site.talk(BOB)).word, "auth.unknown")
        wait_for(lambda: open_talk.socket.recv(1 << 16) == b"", "the end of the open conversation", CUT_OFF_SECONDS)
        said = self.machine("td").exec_as(BOB, ["hRunJob", "-q", "true"])
        self.assertEqual(said.returncode, 77)
        self.assertIn("registered here", said.stderr)
        self.assertLess(time.monotonic() - begun, CUT_OFF_SECONDS)
        site.wait(kept)
        site.check(kept)
        site.said(DISPATCHER, "tm", "users", "add", BOB, f"{BASE}/exchange/{BOB}.crt")
        more = site.submit_ledger(BOB, 1, 0, "n2")
        site.wait(more)
        site.check(more)
