"""People with bad intent, in numbers: replays by a broken-into dispatcher, swapped folders, a flood of jobs."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections import Counter

from tests.faults.drills import Bench, Outcome, drill
from tests.faults.swapping import race
from tests.support.cluster import Cluster
from tests.support.false_dispatcher import FalseDispatcher
from tests.support.processes import wait_for
from tests.support.talk import Refused, Talk

PATIENCE = 20.0
MOST_QUEUED = 20_000


@drill("replays", rows=(60,))
def replays(bench: Bench, chance: random.Random) -> Outcome:
    """Jobs that were truly signed are sent again, as anything and anywhere; TMS is killed now and then."""
    violations: list[str] = []
    sent = refused = 0
    with bench.cluster() as cluster:
        with FalseDispatcher(cluster.port, os.path.join(cluster.etc, "certs")) as false:
            cluster.start_tms("alice")
            ids = cluster.submit_ledger("alice", 40)
            waiting = list(ids)
            while bench.left() > 15:
                number = chance.choice(ids)
                job = number if chance.random() < 0.6 else chance.randrange(1000, 100_000)
                host, attempt = chance.choice(["n1", "n2"]), chance.choice([1, 1, 1, 2, 3])
                if waiting and chance.random() < 0.3:
                    number = job = waiting.pop()
                    attempt = 1
                false.facts.pop(job, None)
                false.orders([(job, *false.order(number))], {}, host, attempt)
                wait_for(lambda job=job: job in false.facts, f"what became of {job}", PATIENCE)  # type: ignore[misc]
                sent += 1
                refused += "auth.replay" in false.facts[job].get("reason", "")
                if chance.random() < 0.3:
                    false.trick(chance.choice(["give_way", "forget", "void", "want"]), number, host)
                if chance.random() < 0.03:
                    cluster.kill("tms:alice")
                    false.forget_hosts()
                    cluster.start_tms("alice")
        starts = Counter(line.job for line in cluster.ledger() if line.what == "start")
        violations += [f"job {job} was started {count} times" for job, count in starts.items() if count > 1]
        if len(starts) + refused > sent:
            violations.append(f"{sent} orders, {len(starts)} starts and {refused} refusals")
    return Outcome(sent, tuple(violations), {"refused": refused, "started": len(starts)})


@drill("swapped-folders", rows=(56, 62), root=True)
def swapped_folders(bench: Bench, chance: random.Random) -> Outcome:
    """Somebody swaps links, folders and files where a user's server makes its own; 100,000 rounds if there is time."""
    made = refused = 0
    strays: list[str] = []
    while bench.left() > 5 and made + refused < 100_000:
        one = race(0, 10_000)
        made, refused = made + one[0], refused + one[1]
        strays += [f"written in a place of somebody else: {path}" for path in one[2][:5]]
    return Outcome(made + refused, tuple(strays), {"made": made, "refused": refused})


@drill("flood-of-jobs", rows=(64,))
def flood_of_jobs(bench: Bench, chance: random.Random) -> Outcome:
    """Alice submits as many jobs as she can, up to a million; Bob submits one now and then and is served as before."""
    limits = f'[groups.all]\nmembers = ["*"]\nuser_limits = {{ queued = {MOST_QUEUED} }}\n'
    with bench.cluster(users=("root", "alice", "bob")) as cluster:
        with open(os.path.join(cluster.etc, "groups"), "a", encoding="utf-8") as file:
            file.write(limits)
        cluster.start_dispatcher()
        bob = cluster.tms("bob")
        alone = sorted(_one(cluster, bob) for _ in range(20))
        flood, refusals, crowded = cluster.tms("alice"), 0, []
        asked = 0
        while bench.left() > 20 and asked < 1_000_000:
            asked += 2000
            try:
                flood.ask("submit", _wish(cluster, ["true"] * 2000, hold=True))
            except Refused as refused:
                if refused.word != "limit.jobs":
                    return Outcome(asked, (f"refused as {refused.word}: {refused.text}",))
                refusals += 1
            crowded.append(_one(cluster, bob))
    violations = [] if refusals or asked < MOST_QUEUED else ["nothing was refused"]
    late = sorted(crowded)[len(crowded) * 99 // 100] if crowded else 0.0
    if late > 2 * alone[-1] + 0.05:
        violations.append(f"bob waited {late:.3f} s for a submission, {alone[-1]:.3f} s when alone")
    more = {"jobs": asked, "refusals": refusals, "seconds_alone": alone[-1], "seconds": late}
    return Outcome(len(crowded), tuple(violations), more)


def _wish(cluster: Cluster, commands: list[str], **more: object) -> str:
    common = {"cwd": cluster.work, "environment": {"PATH": "/usr/bin:/bin"}, **more}
    jobs = [{"command": command} for command in commands]
    return json.dumps({"token": uuid.UUID(int=random.getrandbits(128)).hex, "common": common, "jobs": jobs})


def _one(cluster: Cluster, talk: Talk) -> float:
    begun = time.monotonic()
    talk.ask("submit", _wish(cluster, ["true"]))
    return time.monotonic() - begun
