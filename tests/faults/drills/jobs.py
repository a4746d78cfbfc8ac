"""Jobs that misbehave, made up anew at each call: whatever they do, what is told of them is true, nothing of them is
left, and others are served."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.crowd import HARD
from tests.faults.drills import Bench, Outcome, drill
from tests.faults.test_bad_jobs import FORGER, GRAVES, PYTHON, RABBITS, zombies
from tests.support.cluster import ROOT, Cluster
from tests.support.peak import MEBIBYTE, Growth
from tests.support.processes import is_alive, kill, processes_of, wait_for

HOSTS = {"n1": {"launcher": "local", "cores": 8}}
SERVERS = ("dispatcher", "tms:alice", "tmms:alice:n1", "keeper:alice:n1")
STOPS_NOBODY = {17, 18, 19, 20, 21, 22, 23, 28, 32, 33}
"""Signals that do not end a job: ignored ones, those that stop, and two that belong to the C library."""


@contextmanager
def working(bench: Bench, *users: str) -> Iterator[Cluster]:
    """Give a cluster whose servers have all done something."""
    with bench.cluster(users or ("alice",), HOSTS) as cluster:
        cluster.start_dispatcher()
        for user in cluster.users:
            cluster.wait(cluster.submit(user, "true"), user=user)
        yield cluster


def ended(cluster: Cluster, ids: list[int], seconds: float = 120.0) -> dict[int, dict[str, Any]]:
    """Return the views of the jobs *ids*, more than one page of them, once all have ended."""
    with cluster.dispatcher("alice") as alice:
        wait_for(lambda: alice.values("countjobs", "state=active")[0]["total"] == 0, "their end", seconds, 0.2)
    views: dict[int, dict[str, Any]] = {}
    while len(views) < len(ids):
        page = cluster.jobs("alice", f"after={max(views, default=ids[0] - 1)}")
        if not page:
            raise AssertionError(f"{len(ids) - len(views)} jobs are not listed")
        views.update(page)
    return views


def wait_until_gone(cluster: Cluster, ids: list[int], seconds: float) -> None:
    """Wait until nothing of the jobs *ids* lives."""
    folder = cluster.folder
    wait_for(lambda: not any(processes_of(folder, job) for job in ids), f"nothing lives of jobs {ids}", seconds)


@drill("endings", rows=(32,))
def try_endings(bench: Bench, chance: random.Random) -> Outcome:
    """End in all ways, in any order, many at once."""
    trials, wrong = 0, []
    numbers = [number for number in range(1, signal.NSIG) if number not in STOPS_NOBODY]
    with working(bench) as cluster:
        while bench.left() > 5 or not trials:
            ways: list[tuple[int | None, int | None]] = [(code, None) for code in range(256)]
            ways += [(None, number) for number in numbers]
            chance.shuffle(ways)
            ids = cluster.submit(
                "alice", *[f"exit {code}" if number is None else f"kill -{number} $$" for code, number in ways]
            )
            views = ended(cluster, ids)
            found = [(views[number]["exit_code"], views[number]["signal"]) for number in ids]
            wrong += [f"{way} is told as {was}" for way, was in zip(ways, found, strict=True) if way != was]
            trials += len(ways)
    return Outcome(trials, tuple(wrong))


@drill("fork-bomb", rows=(33,))
def fork(bench: Bench, chance: random.Random) -> Outcome:
    """Let alice's job become many, while bob's are waited for; then cancel it, or let its limit end it."""
    trials, wrong, slowest = 0, [], 0.0
    with working(bench, "alice", "bob") as cluster:
        while bench.left() > 0:
            limited = chance.random() < 0.5
            command = (
                [*PYTHON, BOMB, chance.choice("01")] if limited else [*PYTHON, RABBITS, str(chance.randint(1, 12))]
            )
            asked: dict[str, Any] = {"processes": chance.randint(20, 100)} if limited else {}
            (number,) = cluster.submit("alice", command, **asked)
            if not limited:
                cluster.wait([number], states=("running",))
            begun = time.monotonic()
            cluster.wait(cluster.submit("bob", "true"), 30, "bob")
            slowest = max(slowest, time.monotonic() - begun)
            if not limited:
                cluster.ask("alice", "canceljob", str(number))
            begun = time.monotonic()
            (job,) = cluster.wait([number], 60)
            if job["cause"] != ("processes" if limited else "cancelled"):
                wrong.append(f"it ended because of {job['cause']}: {job['reason']}")
            wait_until_gone(cluster, [number], 60)
            if time.monotonic() - begun > 30:
                wrong.append(f"it was over after {time.monotonic() - begun:.1f} s")
            trials += 1
    return Outcome(trials, tuple(wrong), {"longest wait of another": round(slowest, 2)})


BOMB = """import os, sys, time
for _ in range(9):
    if os.fork() == 0 and int(sys.argv[1]):
        os.setsid()
time.sleep(60)
"""
"""Becomes 512 processes, and no more; most of them in sessions of their own if so wished."""

TREE = """import os, signal, sys, time
plan = [int(word) for word in sys.argv[1:]]
def grow(plan):
    if not plan:
        return
    leaves_session, ignores, stops, dies, keeps = (plan[0] >> bit & 1 for bit in range(5))
    if os.fork() == 0:
        if leaves_session:
            os.setsid()
        if ignores:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
        grow(plan[1:])
        for _ in range(20 * dies):
            if os.fork() == 0:
                os._exit(0)
        if not keeps:
            os._exit(0)
        if stops:
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1000)
        os._exit(0)
    grow(plan[2:])
grow(plan[1:])
open("grown", "a").write("x")
if plan[0] < 256:
    sys.exit(plan[0])
time.sleep(1000)
"""
"""Becomes a tree: who in it has a session of its own, ignores TERM, is stopped, has dead children, stays."""


@drill("leftovers", rows=(34, 37))
def leave(bench: Bench, chance: random.Random) -> Outcome:
    """Let jobs grow odd trees and end, or be cancelled; then nothing of them lives and nobody is left dead."""
    trials, wrong = 0, []
    with working(bench) as cluster:
        while bench.left() > 12 or not trials:
            plans = []
            for _ in range(chance.randint(1, 4)):
                code = chance.choice((chance.randrange(256), 999))
                plans.append([code, *(chance.randrange(32) for _ in range(chance.randint(1, 6)))])
            folders = [bench.folder / f"{trials + place}" for place in range(len(plans))]
            ids = []
            for plan, folder in zip(plans, folders, strict=True):
                folder.mkdir()
                ids += cluster.submit("alice", [*PYTHON, TREE, *map(str, plan)], cwd=str(folder))
            lasting = [number for number, plan in zip(ids, plans, strict=True) if plan[0] == 999]
            if lasting:
                cluster.wait(lasting, states=("running",))
                for folder in folders:
                    wait_for((folder / "grown").exists, "a tree")
                begun = time.monotonic()
                cluster.ask("alice", "canceljob", ",".join(map(str, lasting)))
                cluster.wait(lasting, 60)
                if time.monotonic() - begun > 20:
                    wrong.append(f"dead {time.monotonic() - begun:.1f} s after they were cancelled: {plans}")
            for plan, job in zip(plans, cluster.wait(ids, 60), strict=True):
                if job["exit_code"] != (None if plan[0] == 999 else plan[0]):
                    wrong.append(f"{plan} ended with {job['exit_code']}, {job['signal']}: {job['reason']}")
            wait_until_gone(cluster, ids, 30)
            wait_for(lambda: not zombies(cluster.folder), f"nobody is left dead of {plans}", 30)
            trials += len(plans)
        (number,) = cluster.submit("alice", [*PYTHON, GRAVES])
        wait_for(lambda: Path(cluster.work, "ready").exists(), "a thousand dead children")
        cluster.ask("alice", "canceljob", str(number))
        cluster.wait([number], 60)
        wait_for(lambda: not zombies(cluster.folder), "nobody is left dead", 30)
    return Outcome(trials + 1, tuple(wrong))


SPOILER = """import json, os, random, signal, sys
open("once-" + os.environ["TM_JOB_ID"], "x")  # it may have wiped out that it was started
spool, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
for name in ("keeper-1.log", "orders.log"):
    path = os.path.join(spool, name)
    try:
        said = bytearray(open(path, "rb").read())
    except OSError:
        continue
    for _ in range(chance.randint(1, 30)):
        if said:
            said[chance.randrange(len(said))] = chance.choice((0, 34, 48, 57, 91, 93, 10, 255, chance.randrange(256)))
    if chance.random() < 0.3:
        del said[chance.randrange(len(said) + 1):]
    open(path, "wb").write(said)
for name in ("tmms.pid", "keeper-1.pid"):
    try:
        os.kill(int(open(os.path.join(spool, name)).read()), signal.SIGKILL)
    except (OSError, ValueError):
        continue
"""
"""Spoils at random what its servers remember, and kills them."""


@drill("forgers", rows=(35,))
def forge(bench: Bench, chance: random.Random) -> Outcome:
    """Let alice's job forge or spoil what her servers remember and kill them; bob's jobs and her next ones are well."""
    trials = 0
    wrong: list[str] = []
    while bench.left() > 0:
        with working(bench, "alice", "bob") as cluster:
            (hers,) = cluster.submit("alice", "sleep 1; exit 7")
            (his,) = cluster.submit("bob", "sleep 2; exit 9")
            cluster.wait([hers], states=("running",))
            cluster.wait([his], user="bob", states=("running",))
            before = {name: cluster.pid(name) for name in ("dispatcher", "tms:bob", "tmms:bob:n1", "keeper:bob:n1")}
            victims = json.dumps([[hers, 1], [his, 1], [chance.randrange(1, 1 << 40), 1]])
            said = chance.choice(([FORGER, cluster.spool("alice"), victims],
                                  [SPOILER, cluster.spool("alice"), str(chance.randrange(1 << 32))]))  # fmt: skip
            cluster.submit("alice", [*PYTHON, *said])
            (job,) = cluster.wait([his], 60, "bob")
            if job["exit_code"] != 9:
                wrong.append(f"bob's job ended with {job['exit_code']}: {job['reason']}")
            if before != {name: cluster.pid(name) for name in before}:
                wrong.append("somebody else's daemon is another one")
            more = cluster.submit_ledger("alice", 2)
            cluster.wait(more, 90)
            wrong += bench.judge(cluster, more)
        trials += 1
    return Outcome(trials, tuple(wrong))


@drill("output", rows=(36,))
def pour_out(bench: Bench, chance: random.Random) -> Outcome:
    """Send a gibibyte or two through a command that runs now, with no line end or of any bytes; look at who grows."""
    size = chance.choice((1, 2)) << 30
    kind = chance.choice(("tr '\\0' x < /dev/zero", "cat /dev/urandom", "yes \x1b[2J"))
    with working(bench) as cluster:
        growth = Growth({name: cluster.pid(name) for name in SERVERS})
        begun = time.monotonic()
        with subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "bin", "hRun"), f"{kind} | head -c {size}"],
            env=cluster.environment("alice"), cwd=cluster.work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as client:  # fmt: skip
            assert client.stdout is not None
            heard = 0
            while data := client.stdout.read1(1 << 20):  # type: ignore[attr-defined]  # it is buffered
                heard += len(data)
        seconds = time.monotonic() - begun
        grown = growth.bytes()
    wrong = [f"{name} grew by {size} bytes" for name, size in grown.items() if size > 8 * MEBIBYTE]
    if heard != size:
        wrong.append(f"{heard} of {size} bytes came")
    return Outcome(1, tuple(wrong), {"MiB/s": round(size / seconds / MEBIBYTE), "grown": grown})


@drill("burst", rows=(41,))
def burst(bench: Bench, chance: random.Random) -> Outcome:
    """End 10,000 jobs as fast as they come."""
    count = 10_000
    with working(bench) as cluster:
        growth = Growth({name: cluster.pid(name) for name in SERVERS})
        codes = [chance.choice((0, 0, 0, chance.randrange(256))) for _ in range(count)]
        ids: list[int] = []
        begun = time.monotonic()
        for first in range(0, count, 1000):
            ids += cluster.submit("alice", *["true" if not c else f"exit {c}" for c in codes[first : first + 1000]])
        views = ended(cluster, ids, 300)
        seconds = time.monotonic() - begun
        wrong = [f"job {n} ended with {views[n]['exit_code']}, not {code}" for n, code in zip(ids, codes, strict=True)
                 if views[n]["exit_code"] != code]  # fmt: skip
        wrong += [f"{name} grew by {size >> 20} MiB" for name, size in growth.bytes().items() if size > 100 * MEBIBYTE]
        wrong += [f"process {pid} was left dead" for pid in zombies(cluster.folder)]
        return Outcome(count, tuple(wrong), {"jobs/s": round(count / seconds), "grown": growth.bytes()})


@drill("words", rows=(42,))
def say_anything(bench: Bench, chance: random.Random) -> Outcome:
    """Give jobs arguments of any text and size."""

    def word() -> str:
        if chance.random() < 0.005:
            return chance.choice("xä\u2028\U0001f600") * chance.randrange(9000)
        letters = (chance.choice(HARD) if chance.random() < 0.5 else chr(chance.randrange(1, 0xD800)) for _ in range(9))
        return "".join(letters).replace("\0", "x")[: chance.randrange(9)]

    shows = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        "import os, sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))",
    ]
    trials, wrong = 0, []
    with working(bench) as cluster:
        while bench.left() > 2 or not trials:
            words = [word() for _ in range(chance.randrange(1, 400))]
            cluster.wait(cluster.submit("alice", [*shows, *words], stdout="said"))
            if Path(cluster.work, "said").read_bytes().split(b"\0") != [one.encode() for one in words]:
                wrong.append(f"other words came than {words!r}"[:2000])
            trials += len(words)
    return Outcome(trials, tuple(wrong))


def no_pids() -> str:
    """Return what this machine lacks for choosing the number of the next process."""
    return "" if os.access("/proc/sys/kernel/ns_last_pid", os.W_OK) else "the kernel lets nobody choose a pid"


@drill("pids", rows=(39,), root=True, lacking=no_pids)
def reuse(bench: Bench, chance: random.Random) -> Outcome:
    """While the server on the host stands still let a job die, and somebody else have its pid; then cancel the job."""
    trials, wrong, missed = 0, [], 0
    with working(bench) as cluster:
        while bench.left() > 0:
            (number,) = cluster.submit("alice", "exec sleep 1000")
            cluster.wait([number], states=("running",))
            pid = int(cluster.job("alice", number)["pid"])
            for name in chance.choice((("tmms:alice:n1", "keeper:alice:n1"), ("keeper:alice:n1", "tmms:alice:n1"))):
                cluster.kill(name)  # then nobody can be its parent who would keep its number
            wait_for(lambda: adopted(cluster), "another server on the host", 60)
            cluster.kill("tmms:alice:n1", signal.SIGSTOP)
            kill(pid)
            while os.path.exists(f"/proc/{pid}"):
                time.sleep(0.01)
            innocent = with_pid(pid)
            try:
                cluster.ask("alice", "canceljob", str(number))
                cluster.kill("tmms:alice:n1", signal.SIGCONT)
                (job,) = cluster.wait([number], 60)
                time.sleep(0.5)
                if innocent is None:
                    missed += 1
                else:
                    trials += 1
                    if innocent.poll() is not None:
                        wrong.append(
                            f"process {pid}, which is somebody else's by now, got signal {innocent.returncode}"
                        )
                if job["exit_code"] == 0:
                    wrong.append(f"a job of which nobody knows the code ended with 0: {job['reason']}")
            finally:
                if innocent is not None:
                    innocent.kill()
                    innocent.wait()
    return Outcome(trials, tuple(wrong), {"numbers that somebody else took first": missed})


def adopted(cluster: Cluster) -> bool:
    """Whether a server on the host runs, and is reached."""
    return bool(cluster.pid("tmms:alice:n1")) and cluster.tms("alice").values("status")[0]["hosts"].get("n1") == "up"


def with_pid(pid: int) -> subprocess.Popen[bytes] | None:
    """Return a process that has this number, None when it cannot be had."""
    for _ in range(20):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "1000"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
        if is_alive(pid):
            return None
    return None
