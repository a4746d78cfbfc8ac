"""``tm hosts check``, ``tm hosts add`` and ``tm doctor`` between several machines."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.case import SiteCase
from tests.cluster.namespace import checked
from tests.cluster.site import ANN, DISPATCHER, PORT
from tests.support.processes import wait_for


class CheckTests(SiteCase):
    def tm(self, user: str, *words: str) -> tuple[int, str]:
        """Run ``tm`` on the dispatcher's machine; return exit status and what it said."""
        done = self.machine("td").exec_as(user, ["tm", *words], seconds=180)
        return done.returncode, done.stdout + done.stderr

    def findings(self, user: str, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return exit status, and what was found of each host, by topic."""
        status, said = self.tm(user, *words, "--json")
        shown = [json.loads(line) for line in said.splitlines()]
        return status, {one["host"]: {found["topic"]: found for found in one["findings"]} for one in shown}

    def block(self, name: str) -> None:
        """Let nothing from the machine *name* to the dispatcher's port."""
        enter = self.machine(name).space.enter("net")
        checked([*enter, "ip", *f"rule add ipproto tcp dport {PORT} prohibit".split()])

    def test_a_machine_that_is_well_one_that_is_off_and_one_whose_way_back_is_blocked(self) -> None:
        self.machine("n2").power_off()
        self.block("n3")
        status, found = self.findings(ANN, "hosts", "check", "n1", "n2", "n3")
        self.assertEqual(status, 1)
        self.assertEqual({one["level"] for topic, one in found["n1"].items() if topic != "disk"}, {"good"}, found["n1"])
        self.assertEqual(found["n1"]["home"]["short"], "same")
        self.assertEqual((found["n2"]["ssh"]["level"], found["n2"]["ssh"]["short"]), ("bad", "unreachable"))
        self.assertEqual((found["n3"]["ssh"]["level"], found["n3"]["way"]["level"]), ("good", "bad"), found["n3"])
        self.assertIn("tm hosts change n3 tunnel=true", found["n3"]["way"]["remedy"])

    def test_a_machine_is_added_while_everything_runs_and_the_doctor_finds_it_well(self) -> None:
        site = self.site
        wait_for(lambda: site.host("n3")["info"]["state"] == "up", "the InfoServer of n3", 60, 0.2)
        self.assertEqual(self.tm(DISPATCHER, "hosts", "remove", "n3")[0], 0)
        running = site.submit_ledger(ANN, 2, 3, "n1")
        status, said = self.tm(DISPATCHER, "hosts", "add", "n3", "--set", "cores=2")
        self.assertEqual((status, said.splitlines()[-1]), (0, "n3 ready, 2 cores"), said)
        self.assertEqual(site.host("n3")["info"]["state"], "up")
        more = site.submit_ledger(ANN, 1, 0, "n3")
        site.wait([*running, *more])
        site.check([*running, *more])
        status, said = self.tm(ANN, "doctor")
        self.assertEqual(status, 0, said)
        self.assertIn("4 hosts asked", said)
