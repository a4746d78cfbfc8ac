"""What becomes of a cluster on disks that are full, fail, lose their power, hang or go away: plays for the stage.

Each says ``{"trials": N}`` and fails by raising. The dispatcher's state, a user's spools or a home is on the disk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults import disks
from tests.faults.disks import Disk
from tests.faults.stage import say
from tests.support.brain import order
from tests.support.cluster import Cluster, DaemonError
from tests.support.processes import kill, marked, wait_for
from tests.support.talk import Refused
from tm.errors import StoreError
from tm.model.effects import Records
from tm.model.job import new_job
from tm.store import schema
from tm.store.sqlite import SqliteStore

ANSWER_SECONDS = 1.0
UNREACHED = {"net.lost", "net.dispatcher"}  # what a user's server says, with the reason that it was told

FolderOf = Callable[[Cluster], str]


def state_of(cluster: Cluster) -> str:
    """Return the folder of the dispatcher's state."""
    return cluster.state


def servers_of(cluster: Cluster) -> str:
    """Return the folder of alice's servers, with her spools."""
    return cluster.local("alice")


def home_of(cluster: Cluster) -> str:
    """Return alice's home."""
    return cluster.directory("alice")


@contextmanager
def in_memory(of: FolderOf, size: str, inodes: int = 0) -> Iterator[Cluster]:
    """Give a cluster, nothing of which runs, that has a small disk at a folder of its own."""
    with Cluster() as cluster:
        os.makedirs(of(cluster), mode=0o700, exist_ok=True)
        disks.small(of(cluster), size, inodes)
        try:
            yield cluster
        finally:
            end_all(cluster)
            disks.unmount(of(cluster))


@contextmanager
def on_disk(of: FolderOf) -> Iterator[tuple[Cluster, Disk]]:
    """Give a cluster, nothing of which runs, that has a disk with all there was at a folder of its own."""
    with Cluster() as cluster:
        target = of(cluster)
        os.makedirs(target, mode=0o700, exist_ok=True)
        kept = shutil.copytree(target, os.path.join(cluster.folder, "kept"))
        disk = Disk(os.path.join(cluster.folder, "image"), target)
        shutil.copytree(kept, target, dirs_exist_ok=True)
        os.sync()
        try:
            yield cluster, disk
        finally:
            end_all(cluster)
            if os.path.ismount(target):
                disk.unmount()


def end_all(cluster: Cluster) -> None:
    """Kill everything of the cluster at once, as the loss of a machine's power does."""
    for user in cluster.users:
        cluster.forget_talk(user)
    for _ in range(3):
        for pid in marked(cluster.folder):
            kill(pid)


def expect(condition: object, what: str) -> None:
    """Fail with *what* unless *condition* holds."""
    if not condition:
        raise AssertionError(what)


def wish(token: str) -> str:
    """Return a submission of one job."""
    return json.dumps({"token": token, "common": {"cwd": "/"}, "jobs": [{"command": "true"}]})


def refused(cluster: Cluster, times: int, words: set[str], text: str) -> None:
    """Fail unless *times* submissions are refused with one of *words*, one of them, at last, saying *text*.

    A few more may be accepted before: there may be room for them.
    """
    heard: list[str] = []
    for _ in range(200):
        try:
            cluster.tms("alice").ask("submit", wish(uuid.uuid4().hex))
        except Refused as refusal:
            expect(refusal.word in words, f"refused with {refusal}")
            heard.append(str(refusal))
            if len(heard) >= times and text in heard[-1]:
                return
        else:
            expect(not heard, f"accepted after {heard}")
        expect(len(heard) < times + 5, f"nobody says {text!r}: {heard}")
    raise AssertionError(f"accepted although that cannot be: {heard}")


def answers_at_once(cluster: Cluster, user: str) -> None:
    """Fail unless the dispatcher lists its jobs within a second."""
    begun = time.monotonic()
    with cluster.dispatcher(user) as talk:
        talk.values("lsjobs")
    taken = time.monotonic() - begun
    expect(taken < ANSWER_SECONDS, f"the dispatcher took {taken:.2f} s to answer {user}")


def ended(cluster: Cluster, count: int) -> None:
    """Wait until so many jobs say that they come to their end."""
    over = lambda: len([line for line in cluster.ledger() if line.what == "end"]) >= count  # noqa: E731
    wait_for(over, f"the end of {count} jobs")


# -- full -----------------------------------------------------------------------------------------------------------


def play_dispatcher_full(chance: random.Random) -> None:
    """Nothing false is accepted, what runs goes on, the queue can be read, and with room all goes on by itself."""
    with in_memory(state_of, "4m") as cluster:
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", 2, seconds=1.0)
        cluster.wait(ids, states=("running",))
        pid = cluster.pid("dispatcher")
        filler = disks.fill(cluster.state)
        refused(cluster, 2, {"store.full", *UNREACHED}, "no space for")
        answers_at_once(cluster, "bob")
        ended(cluster, 2)
        os.unlink(filler)
        again = wish(uuid.uuid4().hex)
        numbers = {int(cluster.ask("alice", "submit", again)[0]) for _ in range(2)}
        expect(len(numbers) == 1, f"one token gave {numbers}")
        ids += cluster.submit_ledger("alice", 2)
        cluster.wait([*ids, *numbers])
        cluster.check(ids)
        expect(cluster.pid("dispatcher") == pid, "the dispatcher was started anew")
        say(trials=2)


def play_no_inodes(chance: random.Random) -> None:
    """A disk that takes no more files does not keep a dispatcher from working that has its own; a new one says why."""
    with in_memory(state_of, "16m", 64) as cluster:
        cluster.start_dispatcher()
        fillers = disks.empty_files(cluster.state)
        ids = cluster.submit_ledger("alice", 2)
        cluster.wait(ids)
        cluster.check(ids)
        cluster.end_dispatcher()
        said = starts_not(cluster)
        expect("space" in said and cluster.state in said, f"it says {said!r}")
        for path in fillers:
            os.unlink(path)
        cluster.start_dispatcher()
        cluster.check(ids)
        say(trials=2)


def starts_not(cluster: Cluster) -> str:
    """Return what a dispatcher says that cannot start; fail when it does."""
    try:
        cluster.start_dispatcher()
    except DaemonError as error:
        return error.said
    raise AssertionError("the dispatcher started")


def play_spool_full(chance: random.Random) -> None:
    """Jobs end when the disk of their spool is full: their endings arrive, though one of the servers is killed."""
    with in_memory(servers_of, "4m") as cluster:
        cluster.start_dispatcher()
        ids: list[int] = []
        for victim in ("", "keeper:alice:n1", "tmms:alice:n1"):
            new = cluster.submit_ledger("alice", 2, seconds=1.0)
            cluster.wait(new, states=("running",))
            filler = disks.fill(servers_of(cluster))
            ids += new
            ended(cluster, len(ids))
            if victim:
                cluster.kill(victim)
            else:
                cluster.wait(new)
            os.unlink(filler)
            cluster.wait(ids)
            cluster.check(ids)
        say(trials=3)


# -- failing --------------------------------------------------------------------------------------------------------


def play_dispatcher_disk_fails(chance: random.Random) -> None:
    """Every access fails with EIO: nothing is accepted; with the disk back and a new dispatcher all is as promised."""
    with on_disk(state_of) as (cluster, disk):
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", 2, seconds=1.0)
        cluster.wait(ids, states=("running",))
        pid = cluster.pid("dispatcher")
        disk.fail()
        refused(cluster, 2, {"store.io", "store.corrupt", *UNREACHED}, "look at the disk")
        ended(cluster, 2)
        kill(pid)
        said = starts_not(cluster)
        expect(cluster.state in said, f"it says {said!r}")
        disk.unmount()
        disk.mount()
        cluster.start_dispatcher()
        ids += cluster.submit_ledger("alice", 2)
        cluster.wait(ids)
        cluster.check(ids)
        say(trials=4)


def play_read_only(chance: random.Random) -> None:
    """On a disk that is mounted read-only no dispatcher starts, it says where, and later all is there."""
    with on_disk(state_of) as (cluster, disk):
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", 2)
        cluster.wait(ids)
        cluster.end_dispatcher()
        disk.unmount()
        disk.mount("ro")
        said = starts_not(cluster)
        expect("ead-only" in said and cluster.state in said, f"it says {said!r}")
        disk.unmount()
        disk.mount()
        cluster.start_dispatcher()
        cluster.check(ids)
        say(trials=1)


# -- without power --------------------------------------------------------------------------------------------------


def play_dispatcher_power(chance: random.Random, rounds: int = 1) -> None:
    """The dispatcher's machine loses its power at random moments: what it accepted it has."""
    with on_disk(state_of) as (cluster, disk):
        cluster.start_dispatcher()
        accepted: list[int] = []
        for _ in range(rounds):
            accepted += _submitting(cluster, chance)
            pid = cluster.pid("dispatcher")
            disk.fail()
            kill(pid)
            disk.unmount()
            disk.mount()
            cluster.start_dispatcher()
            cluster.wait(accepted, 60)
            cluster.check(accepted)
        say(trials=rounds)


def _submitting(cluster: Cluster, chance: random.Random) -> list[int]:
    """Submit for a random while; return what was accepted."""
    accepted = []
    until = time.monotonic() + chance.uniform(0.05, 1.0)
    while time.monotonic() < until:
        accepted += cluster.submit_ledger("alice", chance.randrange(1, 4), seconds=chance.choice((None, 0.2)))
    return accepted


def play_host_power(chance: random.Random, rounds: int = 1) -> None:
    """The host's machine loses its power, too: nothing is run twice, and what its dispatcher was told is true."""
    with on_disk(servers_of) as (cluster, disk):
        cluster.start_dispatcher()
        accepted: list[int] = []
        for _ in range(rounds):
            accepted += _submitting(cluster, chance)
            pid = cluster.pid("dispatcher")
            disk.fail()
            cluster.forget_talk("alice")
            for _ in range(3):
                for other in marked(cluster.folder):
                    if other != pid:
                        kill(other)
            disk.unmount()
            disk.mount()
            cluster.wait(accepted, 60)
            cluster.check(accepted, may_be_lost=True)
        say(trials=rounds)


def play_store_power(chance: random.Random, rounds: int = 15) -> None:
    """A store alone, with commits one after the other when the power fails: all that was acknowledged is there."""
    with tempfile.TemporaryDirectory(prefix="tm-power-", dir="/tmp") as folder:
        disk = Disk(os.path.join(folder, "image"), os.path.join(folder, "disk"))
        path = os.path.join(disk.target, "state", "store.sqlite")
        try:
            schema.create(path)
            known = 0
            for _ in range(rounds):
                told = _commit_until_the_end(disk, path, known, chance.uniform(0.02, 0.2), chance.randint(1, 40))
                disk.unmount()
                disk.mount()
                known = _found(path)
                expect(known >= told, f"{told} were acknowledged, {known} are there")
        finally:
            disk.unmount()
    say(trials=rounds)


def _found(path: str) -> int:
    """Return how many jobs a store has, which must be the first ones."""
    store = SqliteStore(path)
    try:
        found = [job.id for job in store.load().jobs]
    finally:
        store.close()
    expect(found == list(range(1, len(found) + 1)), f"there are gaps: {found}")
    return len(found)


def _commit_until_the_end(disk: Disk, path: str, known: int, seconds: float, batch: int) -> int:
    """Commit jobs until the disk fails, *seconds* from now; return the number of the last one acknowledged before that.

    What is acknowledged while it fails does not count: no machine says anything when its power is gone.
    """
    store = SqliteStore(path)
    told, promised = [known], [known]

    def fail() -> None:
        promised[0] = told[0]
        disk.fail()

    failing = threading.Timer(seconds, fail)
    failing.start()
    try:
        while True:
            first = told[0] + 1
            jobs = [new_job(first + number, order("alice")[0], "signed", 1.0)[0] for number in range(batch)]
            store.commit(store.prepare(Records(new={job.id: job for job in jobs})))
            told[0] += batch
    except StoreError:
        failing.join()
        return promised[0]
    finally:
        store.close()


# -- hanging --------------------------------------------------------------------------------------------------------


def play_home_hangs(chance: random.Random, seconds: float = 2.0) -> None:
    """Whoever writes into alice's home hangs: nobody else does, her server answers, and all is told afterwards."""
    with on_disk(home_of) as (cluster, disk):
        cluster.start_dispatcher()
        home = home_of(cluster)
        bob = cluster.submit("bob", "true")
        running = cluster.submit_ledger("alice", 1, seconds=1.0, cwd=home)
        cluster.wait(running, states=("running",))
        disk.freeze()
        try:
            stuck = cluster.submit_ledger("alice", 1, cwd=home)
            begun = time.monotonic()
            asked = 0
            while time.monotonic() - begun < seconds:
                for user in ("alice", "bob"):
                    answers_at_once(cluster, user)
                bob += cluster.submit("bob", "true")
                cluster.wait(bob, ANSWER_SECONDS * 5, "bob")
                before = time.monotonic()
                cluster.jobs("alice")
                expect(time.monotonic() - before < ANSWER_SECONDS, "alice's server does not answer within a second")
                asked += 1
        finally:
            disk.thaw()
        cluster.wait([*running, *stuck])
        cluster.check([*running, *stuck])
        say(trials=asked)


def play_home_goes_away(chance: random.Random) -> None:
    """Alice's home is gone: the endings of what ran there arrive; what is new is told why; and it comes back."""
    with on_disk(home_of) as (cluster, disk):
        cluster.start_dispatcher()
        home = home_of(cluster)
        folder = os.path.join(home, "project")
        os.mkdir(folder)
        running = cluster.submit_ledger("alice", 2, seconds=1.5, cwd=folder)
        cluster.wait(running, states=("running",))
        disk.vanish()
        (job,) = cluster.wait(cluster.submit("alice", "true", cwd=folder))
        expect(job["state"] == "failed" and folder in job["reason"], f"a job there is {job['state']}: {job['reason']}")
        cluster.wait(running)
        cluster.wait(cluster.submit("bob", "true"), user="bob")
        answers_at_once(cluster, "bob")
        disk.mount()
        more = cluster.submit_ledger("alice", 2, cwd=folder)
        cluster.wait(more)
        cluster.check([*running, *more])
        say(trials=len(running))
