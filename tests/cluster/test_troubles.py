"""What may happen to machines beside cuts and reboots: the dispatcher's crashes, a disk is full, a host is given up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.cluster import accounts
from tests.cluster.accounts import DISPATCHER
from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB, STATE
from tests.support.processes import wait_for

TOLD_SECONDS = 60.0


class TroubleTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"cores": 2}, "n2": {"cores": 2, "launcher": "conch"}}

    def test_the_dispatchers_machine_crashes_and_what_ended_meanwhile_is_told_by_itself(self) -> None:
        site = self.site
        ids = [site.submit_ledger(user, 2, 4, host) for user, host in ((ANN, "n1"), (BOB, "n2"))]
        everything = [number for some in ids for number in some]
        site.wait(everything, states=["running"])
        waiting = site.submit_ledger(ANN, 4, 0, "n1")
        self.machine("td").reboot()
        ended = lambda: {line.job for line in site.ledger() if line.what == "end"} >= set(everything)  # noqa: E731
        wait_for(ended, "the jobs to end without a dispatcher")
        site.start_dispatcher()
        site.wait([*everything, *waiting], TOLD_SECONDS)
        site.check([*everything, *waiting])

    def test_a_full_disk_of_a_host_is_named_and_jobs_run_when_there_is_room(self) -> None:
        site = self.site
        first = site.submit_ledger(ANN, 1, 0, "n1")
        site.wait(first)
        filler = self.machine("n1").path("/var/tmp/filler")
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                pass
        ids = site.submit_ledger(ANN, 2, 0, "n1") + site.submit_ledger(BOB, 1, 0, "n1")
        elsewhere = site.submit_ledger(ANN, 1, 0, "n2")
        site.wait(elsewhere)
        wait_for(lambda: "No space left" in self.view(ids[2])["reason"], "the reason why it waits", 30, 0.1)
        self.assertNotIn("has occurred", self.view(ids[2])["reason"])
        os.unlink(filler)
        site.wait(ids, TOLD_SECONDS)
        site.check([*first, *ids, *elsewhere])

    def test_a_host_that_was_given_up_can_be_used_again_and_what_was_lost_stays_so(self) -> None:
        site = self.site
        lost = site.submit_ledger(ANN, 1, 600, "n2")
        site.wait(lost, states=["running"])
        self.machine("n2").cut()
        site.said(DISPATCHER, "tm", "hosts", "lost", "n2")
        self.assertEqual(self.view(lost[0])["state"], "lost")
        self.assertEqual(site.host("n2")["state"], "down")
        self.machine("n2").heal()
        ours = lambda: [one for one in self.machine("n2").processes() if "ledger.py" in one.command]  # noqa: E731
        wait_for(lambda: not ours(), "the end of what was given up", TOLD_SECONDS, 0.2)
        site.said(DISPATCHER, "tm", "hosts", "activate", "n2")
        more = site.submit_ledger(BOB, 1, 0, "n2") + site.submit_ledger(ANN, 1, 0, "n2")
        site.wait(more)
        site.check(more)
        self.assertEqual(self.view(lost[0])["state"], "lost")

    def test_what_the_dispatcher_keeps_is_its_own_accounts_alone(self) -> None:
        folder = Path(self.machine("td").path(STATE))
        for path in (folder, *folder.iterdir()):
            self.assertEqual(path.stat().st_uid, accounts.NUMBER[DISPATCHER], str(path))
            self.assertEqual(path.stat().st_mode & 0o077, 0, str(path))
