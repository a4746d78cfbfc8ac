"""Jobs that misbehave: whatever one does to its servers, its files, or its signals, others are served and the truth is
told.

All users of a test cluster are one account, so that a job could do to bob's files what it does to alice's; it does not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.faults.record import count
from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.peak import MEBIBYTE, Growth
from tests.support.processes import is_alive, processes_of, wait_for

PYTHON = [sys.executable, "-I", "-S", "-c"]

RABBITS = """import os, sys, time
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        break
else:
    time.sleep(1000)
os.setsid()
end = time.time() + 120
while time.time() < end:
    if os.fork():
        os._exit(0)
    os.setsid()
"""
"""Becomes chains of processes, each of which lives for a moment and leaves another in a session of its own: as many at
any time as it is told, never more, and none of them there for long. Chains that nobody ends die out in two minutes."""

FORGER = """import json, os, signal, sys
open("once-" + os.environ["TM_JOB_ID"], "x")
spool, victims = sys.argv[1], json.loads(sys.argv[2])
mine = [int(os.environ["TM_JOB_ID"]), int(os.environ["TM_ATTEMPT"])]
pids = [int(open(os.path.join(spool, name)).read()) for name in ("keeper-1.pid", "tmms.pid")]
lines = []
for job, attempt in [mine, *victims, [10**9, 1]]:
    told = {"job": job, "attempt": attempt, "what": "ended", "at": 1.0, "pid": 1, "started_at": 1.0, "signal": None}
    lines.append(["e", {**told, "exit_code": 0}])
    lines.append(["s", job, attempt, 1, 1, 1.0])
    lines.append(["e", {**told, "exit_code": 0, "attempt": attempt + 1}])
    lines.append(["e", {**told, "exit_code": 10**30, "at": -1}])
    if job == mine[0]:
        lines.append(["e", {**told, "exit_code": 0, "what": "odd"}])
lines += [["e", {"job": "x", "attempt": None}], ["s", "x", {}, "pid", None, []], ["i"], 7, {"a": 1}]
text = "".join(json.dumps(line) + "\\n" for line in lines) + "\\0\\xff no record\\n[\\n"
with open(os.path.join(spool, "keeper-1.log"), "a") as file:
    file.write(text)
facts = [line[1] for line in lines if isinstance(line, list) and line[0] == "e"]
with open(os.path.join(spool, "orders.log"), "a") as file:
    file.write("".join("f" + json.dumps(fact) + "\\n" for fact in facts) + "f{\\nq\\n\\nc{}\\nd[[1]]\\n")
for pid in pids:
    os.kill(pid, signal.SIGKILL)
"""
"""Is a job that writes endings into what its servers remember, its own and those of *victims*, and nonsense too, and
kills the servers."""

GRAVES = """import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(1000):
    if os.fork() == 0:
        os._exit(0)
open("ready", "w").close()
while True:
    os.kill(os.getpid(), signal.SIGSTOP)
"""
"""Ignores TERM, has a thousand dead children that it does not look after, and stops itself whenever it goes on."""


def zombies(folder: str) -> list[str]:
    """Return the dead processes that nobody has looked after whose parent works in *folder*."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, parent = Path("/proc", name, "stat").read_text().rpartition(") ")[2].split()[:2]
                if state == "Z" and folder in os.readlink(f"/proc/{parent}/cwd"):
                    found.append(name)
            except OSError:
                continue
    return found


class BadJobTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 4}}

    def begin(self, *commands: str | list[str], user: str = "alice", **more: Any) -> list[int]:
        """Return the numbers of jobs that run."""
        ids = self.cluster.submit(user, *commands, **more)
        self.cluster.wait(ids, user=user, states=("running",))
        return ids

    def quick(self, user: str = "bob", seconds: float = 10.0) -> float:
        """Return within how many seconds another's job is done, which must not be more than *seconds*."""
        begun = time.monotonic()
        (job,) = self.cluster.wait(self.cluster.submit(user, "exit 5"), seconds, user)
        self.assertEqual(job["exit_code"], 5)
        return time.monotonic() - begun

    def test_processes_that_live_for_a_moment_each_keep_nobody_from_working_and_are_ended(self) -> None:
        cluster = self.cluster
        self.quick()
        (number,) = self.begin([*PYTHON, RABBITS, "4"])
        seconds = max(self.quick() for _ in range(3))
        cluster.ask("alice", "canceljob", str(number))
        (job,) = cluster.wait([number])
        self.assertEqual((job["state"], job["signal"]), ("cancelled", signal.SIGTERM))
        wait_for(lambda: not processes_of(self.cluster.folder, number), "the end of all of it", 30)
        count(33, 1, others_seconds=round(seconds, 3))

    def test_a_job_that_kills_its_servers_and_forges_endings_harms_its_own_user_alone(self) -> None:
        cluster = self.cluster
        (hers,) = self.begin("sleep 3; exit 7")
        (his,) = self.begin("sleep 3; exit 9", user="bob")
        before = {name: cluster.pid(name) for name in ("dispatcher", "tms:bob", "tmms:bob:n1", "keeper:bob:n1")}
        victims = json.dumps([[hers, 1], [his, 1]])
        (forger,) = cluster.submit("alice", [*PYTHON, FORGER, cluster.spool("alice"), victims])
        (job,) = cluster.wait([his], user="bob")
        self.assertEqual((job["state"], job["exit_code"]), ("failed", 9))
        self.assertEqual(before, {name: cluster.pid(name) for name in before})
        for one in cluster.wait([hers, forger]):
            self.assertIn(one["state"], ("completed", "failed", "lost"), one)
        self.assertEqual(set(cluster.jobs("alice", "user=all")), {hers, his, forger})
        more = cluster.submit_ledger("alice", 3)
        cluster.wait(more)
        cluster.check(more)
        self.quick()
        count(35, 1)

    def test_who_ignores_term_stops_himself_and_has_a_thousand_zombies_is_dead_soon(self) -> None:
        cluster = self.cluster
        (number,) = self.begin([*PYTHON, GRAVES])
        wait_for(lambda: Path(cluster.work, "ready").exists(), "its dead children")
        self.assertEqual(len(zombies(cluster.work)), 1000)
        begun = time.monotonic()
        cluster.ask("alice", "canceljob", str(number))
        (job,) = cluster.wait([number])
        seconds = time.monotonic() - begun
        self.assertEqual((job["state"], job["signal"]), ("cancelled", signal.SIGKILL))
        wait_for(lambda: not zombies(cluster.folder), "nobody is left dead")
        self.assertEqual(processes_of(self.cluster.folder, number), [])
        self.assertLess(seconds, 15)
        count(37, 1, seconds=round(seconds, 1))

    def test_who_deletes_his_folder_and_his_output_has_ended_as_he_did(self) -> None:
        cluster = self.cluster
        folder = Path(cluster.work, "own")
        folder.mkdir()
        inside, outside = "echo said; rm -rf ../own; exit 3", f"echo said; rm {cluster.work}/out; cd /; exit 4"
        ids = cluster.submit("alice", inside, cwd=str(folder), stdout="out")
        ids += cluster.submit("alice", outside, stdout="out")
        self.assertEqual([job["exit_code"] for job in cluster.wait(ids)], [3, 4])
        self.assertFalse(folder.exists())
        for number, code in zip(ids, (3, 4), strict=True):
            status, _, said = self.client("hRunJob", "-f", str(number))
            self.assertEqual(status, code, said)
            self.assertRegex(said, f"the output of job {number} is in .*/out on n1; .*, or was removed")
        self.quick("alice")
        count(38, 2)

    def client(self, name: str, *words: str) -> tuple[int, str, str]:
        """Return exit status, stdout and stderr of a client of alice's."""
        ended = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", name), *words], env=self.cluster.environment("alice"),
            cwd=self.cluster.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr

    def test_a_command_that_runs_now_ends_though_what_it_left_holds_its_output(self) -> None:
        left = "(setsid sh -c 'echo $$ > pid; exec sleep 1000' &); while [ ! -s pid ]; do sleep 0.01; done; echo done"
        status, out, said = self.client("hRun", left + "; exit 3")
        self.assertEqual((status, out), (3, "done\n"), said)
        self.assertRegex(said, r"it left sleep \(pid \d+\) running, ended with it")
        pid = int(Path(self.cluster.work, "pid").read_text())
        wait_for(lambda: not is_alive(pid), "the end of what it left")
        count(34, 1)

    def test_output_without_end_and_without_a_line_is_no_burden_and_is_cut_where_it_is_bounded(self) -> None:
        cluster = self.cluster
        self.quick("alice")
        names = ("dispatcher", "tms:alice", "tmms:alice:n1", "keeper:alice:n1")
        growth = Growth({name: cluster.pid(name) for name in names})
        endless, binary = "exec tr '\\0' x < /dev/zero", "head -c 64000000 /dev/urandom"
        bounded, free = cluster.submit("alice", endless, binary, stdout="%j", output_limit=1 << 28)
        one, other = cluster.wait([bounded, free])
        self.assertEqual((one["state"], one["cause"]), ("output_limit", "output"))
        self.assertRegex(one["reason"], rf"{bounded} grew to \d+M")
        self.assertEqual((other["exit_code"], Path(cluster.work, str(free)).stat().st_size), (0, 64_000_000))
        self.assertLess(growth.most(), 8 * MEBIBYTE, growth.bytes())
        count(36, 2, grown=growth.bytes())

    def test_a_burst_of_jobs_that_end_at_once_loses_none_of_them(self) -> None:
        cluster = self.cluster
        self.quick("alice")
        names = ("dispatcher", "tms:alice", "tmms:alice:n1", "keeper:alice:n1")
        growth = Growth({name: cluster.pid(name) for name in names})
        ids = cluster.submit("alice", *[f"exit {number % 256}" for number in range(1000)])
        with cluster.dispatcher("alice") as alice:
            wait_for(lambda: alice.values("countjobs", "state=active")[0]["total"] == 0, "their end", 60, 0.1)
        ended = cluster.jobs("alice", f"after={ids[0] - 1}")
        self.assertEqual([ended[number]["exit_code"] for number in ids], [number % 256 for number in range(1000)])
        self.assertEqual(zombies(cluster.folder), [])
        self.assertLess(growth.most(), 32 * MEBIBYTE, growth.bytes())
        count(41, 1000, grown=growth.bytes())
