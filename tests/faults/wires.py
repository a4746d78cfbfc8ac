"""The cables of a bench's machines: cut, dead in one direction, or loose, and how soon all is known afterwards.

Nobody is told of any of it: packets are lost in silence, as they are where a switch dies.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

from tests.cluster.machine import Machine
from tests.cluster.namespace import checked
from tests.cluster.site import Site

TOLD_SECONDS = 60.0
MOST_TRIES = 1.0  # logins a second, on average


class Wires:
    """What can happen to the cables of *site*; each fault is undone by `heal`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.faults: dict[str, Callable[[Machine], None]] = {
            "cut": Machine.cut, "mute": self.mute, "deaf": self.deafen, "loose": self.shake,
        }  # fmt: skip
        self._heal: list[Callable[[], object]] = []

    def fail(self, kind: str, host: str) -> None:
        """Let the cable of *host* fail; *kind* is one of `faults`."""
        machine = self.site.bench[host]
        self.faults[kind](machine)
        if kind == "cut":
            self._heal.append(machine.heal)

    def mute(self, machine: Machine) -> None:
        """Lose all that *machine* says; it hears everything."""
        self._lose([*machine.space.enter("net"), "tc", "qdisc"], "eth0")

    def deafen(self, machine: Machine) -> None:
        """Lose all that is said to *machine*."""
        self._lose([*self.site.bench.ground.enter("net"), "tc", "qdisc"], f"link-{machine.name}")

    def _lose(self, tc: list[str], card: str) -> None:
        checked([*tc, "add", "dev", card, "root", "blackhole"])
        self._heal.append(lambda: checked([*tc, "del", "dev", card, "root"]))

    def shake(self, machine: Machine, times: int = 10, pause: float = 0.1) -> None:
        """Let the cable be out and in again, *times* times."""
        for _ in range(times):
            for state in ("down", "up"):
                self.site.bench.ip(f"link set link-{machine.name} {state}")
                time.sleep(pause)

    def heal(self) -> None:
        """Let all cables be sound."""
        while self._heal:
            self._heal.pop()()

    def tries(self, host: str) -> int:
        """Return how many connections the sshd of *host* has taken."""
        return len(
            re.findall(r"Accepted |Connection (?:closed|reset) by .*\[preauth\]", self.site.bench[host].sshd_log())
        )

    def catch_up(self, ids: list[int]) -> float:
        """Make the cables sound; return how many seconds later *ids*, which are over by then, are known to be."""
        self.heal()
        begun = time.monotonic()
        self.site.wait(ids, TOLD_SECONDS)
        return time.monotonic() - begun


def a_while(chance: random.Random, longest: float) -> float:
    """Return seconds between 0.05 and *longest*, short ones as likely as long ones of another order of magnitude."""
    return 0.05 * (longest / 0.05) ** chance.random()
