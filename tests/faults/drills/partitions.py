"""Machines that are not reached, in every way and phase, under load; and links that are dead in one direction."""

from __future__ import annotations

import random
import time

from tests.cluster.bench import obstacle
from tests.cluster.site import ANN, BOB, Site
from tests.faults.drills import Bench, Outcome, drill
from tests.faults.wires import MOST_TRIES, Wires, a_while
from tests.support import ledger

HOSTS: dict[str, dict[str, object]] = {
    "n1": {"cores": 4, "infoserver": False}, "n2": {"cores": 4, "infoserver": False, "launcher": "conch"},
}  # fmt: skip
LONGEST = 30.0
JOB_SECONDS = 1.5
NOTICED_SECONDS = 95.0
CATCH_UP = 60.0


def _judge(site: Site, accepted: list[int]) -> tuple[str, ...]:
    return tuple(ledger.complaints(site.ledger(), accepted, site.jobs(), False))


@drill("partitions", rows=(10, 11, 12), root=True, lacking=obstacle)
def partition(bench: Bench, chance: random.Random) -> Outcome:
    """Let cables fail at random moments of jobs' lives, for random whiles, while jobs come for both hosts."""
    with Site(HOSTS) as site:
        wires, accepted, took, tries = Wires(site), list[int](), list[float](), 0
        wrong: list[str] = []
        accepted += site.submit_ledger(ANN, 1, 0, "n1") + site.submit_ledger(BOB, 1, 0, "n2")
        site.wait(accepted)
        while bench.left() > 0:
            new = _submitted(site, chance)
            time.sleep(chance.choice((0.0, 0.05, 0.3, 1.0)) * chance.random())
            kind, host = chance.choice(sorted(wires.faults)), chance.choice(("n1", "n2", "td"))
            before, begun = wires.tries(host), time.monotonic()
            wires.fail(kind, host)
            new += _submitted(site, chance)
            lasting = min(a_while(chance, LONGEST), bench.left())
            time.sleep(max(lasting, JOB_SECONDS) if lasting > 0.5 else lasting)
            took.append(wires.catch_up(new))
            tries = wires.tries(host) - before
            if tries > 3 + MOST_TRIES * (time.monotonic() - begun):
                wrong.append(f"{tries} logins to {host} in {time.monotonic() - begun:.0f} s of {kind}")
            accepted += new
        wrong += _judge(site, accepted)
        took.sort()
        more = {
            "jobs": len(accepted),
            "median catch-up s": round(took[len(took) // 2], 2),
            "longest": round(took[-1], 2),
        }
        return Outcome(len(took), tuple(wrong), more)


def _submitted(site: Site, chance: random.Random) -> list[int]:
    """Submit some jobs of somebody for some host."""
    lasting = chance.choice((0.0, 0.2, JOB_SECONDS))
    return site.submit_ledger(chance.choice((ANN, BOB)), chance.randint(1, 3), lasting, chance.choice(("n1", "n2")))


@drill("one-way", rows=(11, 16), root=True, lacking=obstacle)
def one_way(bench: Bench, chance: random.Random) -> Outcome:
    """Lose all that is said in one direction until that is noticed, within 90 s; then all is well again."""
    with Site({"n1": HOSTS["n1"]}) as site:
        wires = Wires(site)
        ids = site.submit_ledger(ANN, 1, 0, "n1")
        site.wait(ids)
        running = site.submit_ledger(ANN, 2, 20, "n1")
        site.wait(running, states=["running"])
        kind = chance.choice(("mute", "deaf"))
        begun = time.monotonic()
        wires.fail(kind, "n1")
        site.wait(running, NOTICED_SECONDS, ["unreachable"])
        noticed = time.monotonic() - begun
        time.sleep(max(0.0, 21 - noticed))
        seconds = wires.catch_up(running)
        more = {"kind": kind, "noticed after s": round(noticed, 1), "catch-up s": round(seconds, 1)}
        return Outcome(1, _judge(site, [*ids, *running]), more)


@drill("flapping", rows=(12,), root=True, lacking=obstacle)
def flap(bench: Bench, chance: random.Random) -> Outcome:
    """Let a cable be out and in a hundred times while jobs run."""
    with Site({"n1": HOSTS["n1"]}) as site:
        wires = Wires(site)
        ids = site.submit_ledger(ANN, 1, 0, "n1")
        site.wait(ids)
        ids += site.submit_ledger(ANN, 2, 3, "n1")
        before, begun = wires.tries("n1"), time.monotonic()
        for _ in range(10):
            wires.shake(site.bench["n1"], 10, a_while(chance, 0.3))
            ids += site.submit_ledger(ANN, 1, 0.2, "n1")
        site.wait(ids, CATCH_UP)
        passed = time.monotonic() - begun
        tries = wires.tries("n1") - before
        wrong = [f"{tries} logins in {passed:.0f} s"] if tries > 1 + MOST_TRIES * passed else []
        return Outcome(100, (*wrong, *_judge(site, ids)), {"logins": tries, "seconds": round(passed, 1)})
