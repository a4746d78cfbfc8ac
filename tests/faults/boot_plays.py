"""A host that boots again: everything of it is killed at once, and the kernel names another boot."""

from __future__ import annotations

import os
import random
import time
import uuid
from pathlib import Path

from tests.faults.disks import run
from tests.faults.stage import say
from tests.support.cluster import Cluster
from tests.support.processes import kill, marked, wait_for

BOOT_ID = "/proc/sys/kernel/random/boot_id"
TOLD_SECONDS = 60.0


def play_reboot(chance: random.Random) -> None:
    """What ran there is lost and not run again, but for what may be: that is begun once more."""
    with Cluster(hosts={"n1": {"launcher": "local", "cores": 4}}) as cluster:
        boot = Path(cluster.folder, "boot_id")
        boot.write_text(f"{uuid.uuid4()}\n")
        run("mount", "--no-mtab", "--bind", str(boot), BOOT_ID)
        cluster.start_dispatcher()
        once = cluster.submit_ledger("alice", 2, seconds=600)
        mark = os.path.join(cluster.work, "begun")
        script = f"[ ! -e {mark} ] || exit 7; touch {mark}; sleep 600"
        repeatable = cluster.submit("alice", script, requeue=True)
        cluster.wait([*once, *repeatable], states=("running",))
        wait_for(lambda: os.path.exists(mark), "the first start")
        spared = cluster.pid("dispatcher")
        cluster.forget_talk("alice")
        for _ in range(3):
            for pid in marked(cluster.folder):
                if pid != spared:
                    kill(pid)
        boot.write_text(f"{uuid.uuid4()}\n")
        begun = time.monotonic()
        lost = cluster.wait(once, TOLD_SECONDS)
        seconds = time.monotonic() - begun
        for job in lost:
            if job["state"] != "lost" or "was restarted" not in job["reason"]:
                raise AssertionError(f"job {job['id']} is {job['state']}: {job['reason']}")
        (again,) = cluster.wait(repeatable, TOLD_SECONDS)
        if (again["exit_code"], again["attempt"]) != (7, 2):
            raise AssertionError(f"what may be repeated is {again}")
        after = cluster.submit_ledger("alice", 2)
        cluster.wait(after)
        cluster.check(after)
        if len([line for line in cluster.ledger() if line.what == "start"]) != 4:
            raise AssertionError(f"started: {cluster.ledger()}")
        say(trials=1, seconds=round(seconds, 1))
