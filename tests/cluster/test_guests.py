"""Good guests: people outside TaskManager who need a host have it within seconds, and nothing is lost by that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from tests.cluster.case import SiteCase
from tests.cluster.site import ANN, BOB
from tests.support.processes import wait_for

REACTION_SECONDS = 5.0
AGAIN_SECONDS = 40.0


class GuestTests(SiteCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"cores": 2, "policy": "suspend", "console_idle": 5},
        "n2": {"cores": 2, "policy": "give-way", "console_idle": 5},
        "n3": {"cores": 2, "policy": "ignore"},
    }

    def setUp(self) -> None:
        super().setUp()
        for host in self.hosts:
            wait_for(lambda host=host: self.site.host(host)["info"]["state"] == "up", f"InfoServer of {host}", 30, 0.1)

    def test_whoever_comes_to_the_console_has_the_machine_and_no_job_is_lost_by_that(self) -> None:
        """n1: both jobs stand still and go on; n2: one may be repeated, gives way and begins anew."""
        site = self.site
        still = site.submit_ledger(ANN, 2, 4, "n1")
        once = site.submit_ledger(BOB, 1, 3, "n2")
        repeatable = site.submit(ANN, "--requeue", "--host", "n2", "[ $TM_ATTEMPT != 1 ] || sleep 600")
        site.wait([*still, *once, *repeatable], states=["running"])
        for host in ("n1", "n2"):
            self.machine(host).touch_console()
        self.within_seconds(lambda: self.states([*still, *once]) == {"suspended"}, "three jobs to be suspended")
        self.within_seconds(lambda: self.states(repeatable) == {"pending"}, "one job to give way")
        stopped = [one for one in self.machine("n1").processes() if "ledger.py" in one.command]
        self.assertEqual({one.state for one in stopped}, {"T"})
        waiting = site.submit_ledger(BOB, 1, 0, "n1")
        self.assertIn("tmzoe is at the console", site.host("n1")["reason"])
        for host in ("n1", "n2"):
            self.machine(host).leave_console()
        ended = site.wait([*repeatable, *still, *once, *waiting], AGAIN_SECONDS)
        self.assertEqual((ended[0]["state"], ended[0]["attempt"]), ("completed", 2))
        site.check([*still, *once, *waiting])

    def test_foreign_load_on_one_host_takes_cores_there_and_nowhere_else(self) -> None:
        site = self.site
        ids = {host: site.submit_ledger(ANN, 2, 20, host) for host in self.hosts}
        site.wait([number for some in ids.values() for number in some], states=["running"])
        self.machine("n1").load(1)
        self.within_seconds(lambda: "suspended" in self.states(ids["n1"]), "a job to be suspended")
        shown = site.host("n1")
        self.assertIn("tmzoe", shown["reason"])
        self.assertLess(shown["offered_cores"], 2)
        self.assertEqual(self.states([*ids["n2"], *ids["n3"]]) - {"completed"}, {"running"})
        self.machine("n1").calm()
        everything = [number for some in ids.values() for number in some]
        site.wait(everything, 20 + AGAIN_SECONDS)
        site.check(everything)

    def states(self, ids: list[int]) -> set[str]:
        """Return the states of jobs."""
        return {self.view(number)["state"] for number in ids}

    def within_seconds(self, condition: Callable[[], object], what: str) -> None:
        """Fail unless *condition* holds in time."""
        begun = time.monotonic()
        wait_for(condition, f"{what}; {self.site.logs()}", 20, 0.05)
        self.assertLess(time.monotonic() - begun, REACTION_SECONDS, what)
