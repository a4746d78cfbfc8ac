"""Dispatchers that come twice, wake up late, or begin with an old store; daemons that stand still; parts of an older
version: no job is started twice, and whoever looks is told why nothing starts.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.faults.record import count
from tests.support.cluster import ROOT, Cluster, DaemonError, View
from tests.support.cutting_proxy import CuttingProxy
from tests.support.installation import free_port
from tests.support.processes import wait_for
from tests.support.talk import Talk

WHOLE = "import tm.tap.dispatcher, tm.tap.user_server, tm.tap.host_server, tm.keeper.holder"


class HistoryCase(SynchronousTestCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"launcher": "local", "cores": 2}}

    def setUp(self) -> None:
        self.cluster = Cluster(hosts=self.hosts)
        self.addCleanup(self.cluster.stop)

    def starts_not(self, *options: str) -> str:
        """Return what a dispatcher says that does not start; fail when it does."""
        return self.assertRaises(DaemonError, self.cluster.start_dispatcher, *options).said

    def host(self, port: int, name: str = "n1") -> View:
        """Return what the dispatcher at *port* says of a host."""
        with Talk.tls(port, self.cluster.pair("alice")) as talk:
            return talk.values("hostinfo", name)[0]

    def assert_started_once(self) -> None:
        """Fail if any job was started more than once."""
        starts = Counter(line.job for line in self.cluster.ledger() if line.what == "start")
        self.assertEqual(set(starts.values()), {1}, starts)


class TwoDispatchersTests(HistoryCase):
    def test_a_second_one_on_the_same_store_is_refused_at_once(self) -> None:
        cluster = self.cluster
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", 1, seconds=0.5)
        for _ in range(3):
            self.assertIn("store.locked", self.starts_not("-p", str(free_port())))
        cluster.wait(ids)
        cluster.check(ids)
        count(20, 3)

    def test_one_that_was_stopped_and_wakes_beside_its_successor_starts_nothing(self) -> None:
        cluster = self.cluster
        first, second = free_port(), free_port()
        now = [first]
        listener = socket.create_server(("127.0.0.1", cluster.port))
        with CuttingProxy(listener, lambda: socket.create_connection(("127.0.0.1", now[0]), 5)) as proxy:
            cluster.start_dispatcher("-p", str(first), "--init")
            ids = cluster.submit_ledger("alice", 2, seconds=1.5)
            waiting = cluster.submit_ledger("alice", 1)
            cluster.wait(ids, states=("running",))
            asleep = cluster.kill("dispatcher", signal.SIGSTOP)
            cluster.state = shutil.copytree(cluster.state, cluster.state + ".copy")
            now[0] = second
            proxy.cut()
            cluster.start_dispatcher("-p", str(second))
            ids += waiting + cluster.submit_ledger("alice", 2)
            cluster.wait(ids)
            cluster.check(ids)
            os.kill(asleep, signal.SIGCONT)
            now[0] = first
            proxy.cut()
            stale = lambda: (shown := self.host(first))["servers"] and shown["servers"][0]["link"] == "stale"  # noqa: E731
            wait_for(stale, "the old dispatcher to be refused")
            self.assertIn("store.stale", self.host(first)["reason"])
            self.assertIn("seen epoch 2", self.host(first)["reason"])
            with Talk.tls(first, cluster.pair("alice")) as talk:
                self.assertEqual(len(talk.values("lsjobs")), 3, "it knows what there was when it fell asleep")
            os.kill(asleep, signal.SIGKILL)
            now[0] = second
            proxy.cut()
            ids += cluster.submit_ledger("alice", 2)
            cluster.wait(ids)
            cluster.check(ids)
        count(15, 1)


class OldStoreTests(HistoryCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 1}, "n2": {"launcher": "local", "cores": 1},
        "n3": {"launcher": "local", "cores": 1},
    }  # fmt: skip

    def test_with_a_backup_put_back_nothing_starts_again_also_where_nothing_has_happened_since(self) -> None:
        cluster = self.cluster
        cluster.start_dispatcher()
        known = cluster.submit_ledger("alice", 2, seconds=0.2)
        cluster.wait(known)
        short = cluster.submit_ledger("alice", 1, seconds=2.5, hosts=["n1"])
        let_go = os.path.join(cluster.folder, "let-go")
        long = cluster.submit_ledger("alice", 1, seconds=let_go, hosts=["n2"])
        waiting = cluster.submit_ledger("alice", 1, hosts=["n1"])
        cluster.wait(short + long, states=("running",))
        cluster.end_dispatcher()
        backup = shutil.copytree(cluster.state, cluster.state + ".backup")
        cluster.start_dispatcher()
        cluster.wait(short + waiting)
        cluster.check(known + short + waiting)
        cluster.end_dispatcher()
        shutil.rmtree(cluster.state)
        shutil.copytree(backup, cluster.state)
        cluster.start_dispatcher()
        wait_for(lambda: self.host(cluster.port)["servers"][0]["link"] == "stale", "n1 to refuse the old copy")
        self.assertIn("looks like an old copy of the store", self.host(cluster.port)["reason"])
        Path(let_go).touch()  # n2 may refuse, too: it says anew what runs whenever a dispatcher has come back
        wait_for(lambda: (long[0], "end") in {(line.job, line.what) for line in cluster.ledger()}, "the end on n2")
        new = cluster.submit_ledger("bob", 1, hosts=["n3"])
        cluster.wait(new, user="bob")
        wait_for(lambda: "auth.replay" in self.reason(waiting[0]) or "old copy" in self.reason(waiting[0]), "a reason")
        self.assert_started_once()
        self.assertEqual(len(cluster.ledger()), 2 * len(known + short + long + waiting + new))
        count(19, 1)

    def reason(self, number: int) -> str:
        """Return why a job of alice's is as it is."""
        return str(self.cluster.job("alice", number)["reason"])

    def test_a_store_that_is_away_is_not_an_empty_one(self) -> None:
        cluster = self.cluster
        cluster.start_dispatcher()
        ids = cluster.submit_ledger("alice", 1)
        cluster.wait(ids)
        cluster.end_dispatcher()
        for away in (cluster.state, os.path.join(cluster.state, "TaskDispatcher.sqlite")):
            os.rename(away, away + ".away")
            said = self.starts_not("-p", str(cluster.port))
            self.assertIn("store.missing", said)
            self.assertIn("--init", said)
            shutil.rmtree(away, ignore_errors=True)
            os.rename(away + ".away", away)
        cluster.start_dispatcher()
        cluster.check(ids)
        count(25, 2)


class StandingStillTests(HistoryCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"launcher": "local", "cores": 3}}

    def test_whoever_of_alice_stands_still_harms_nobody_else_and_goes_on_where_it_was(self) -> None:
        cluster = self.cluster
        cluster.start_dispatcher()
        daemons = ("tms:alice", "tmms:alice:n1", "keeper:alice:n1")
        for daemon in daemons:
            ids = cluster.submit_ledger("alice", 2, seconds=0.3)
            cluster.wait(ids, states=("running",))
            cluster.kill(daemon, signal.SIGSTOP)
            self.see_end(ids)
            cluster.wait(cluster.submit("bob", "true"), user="bob")
            with cluster.dispatcher("alice") as alice:
                states = {view["state"] for view in alice.values("lsjobs") if view["id"] in ids}
            self.assertEqual(states, {"running"}, f"nobody knows better while {daemon} stands still")
            cluster.kill(daemon, signal.SIGCONT)
            cluster.wait(ids)
            cluster.check(ids)
        count(16, len(daemons))

    def see_end(self, ids: list[int]) -> None:
        """Wait until jobs say themselves that they come to their end."""
        ended = lambda: {line.job for line in self.cluster.ledger() if line.what == "end"} >= set(ids)  # noqa: E731
        wait_for(ended, "the end of alice's jobs")


class OlderVersionTests(HistoryCase):
    """The version before this one is the last whose store had another schema, as this checkout's history has it."""

    def older(self) -> str:
        """Return a tree of the version before; skip where there is none."""
        schemas = sorted(os.listdir(os.path.join(ROOT, "tm", "store", "sql")))
        newest = f"tm/store/sql/{schemas[-1]}"
        log = self.git("log", "--diff-filter=A", "--format=%H", "-1", "--", newest).decode().strip()
        folder = os.path.join(self.cluster.folder, "older")
        for before in range(1, 100, 7):
            tree = self.git("archive", f"{log}~{before}") if log else b""
            if not tree:
                raise SkipTest("only a machine with the history of this checkout can start what was before")
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
            subprocess.run(["tar", "-x", "-C", folder], input=tree, check=True)
            if not subprocess.run([sys.executable, "-c", WHOLE], cwd=folder, capture_output=True).returncode:
                return folder
        raise SkipTest("no version before this one is whole")

    def git(self, *words: str) -> bytes:
        """Return what git says; nothing where there is none."""
        try:
            return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, check=False).stdout
        except FileNotFoundError:
            return b""

    def start(self, folder: str, program: str, user: str, *options: str) -> None:
        """Start a daemon of the tree *folder*."""
        self.cluster.launch([sys.executable, os.path.join(folder, "bin", program), *options], user)

    def test_jobs_run_on_while_the_parts_of_a_cluster_are_replaced_one_after_the_other(self) -> None:
        cluster, folder = self.cluster, self.older()
        cluster.write_etc("groups", '[groups.admins]\nmembers = ["alice"]\nrights = ["jobs"]\n')
        self.start(folder, "TaskDispatcher", "alice", "--etc", cluster.etc, "--state", cluster.state, "--init")
        cluster.wait_greeting()
        self.start(folder, "TMS", "alice")
        ids = cluster.submit_ledger("alice", 1)
        cluster.wait(ids)
        rounds = ("dispatcher", "tms:alice", "tmms:alice:n1", "keeper:alice:n1")
        for old in rounds:
            ids += cluster.submit_ledger("alice", 1, seconds=1.5)
            cluster.wait(ids[-1:], states=("running",))
            cluster.kill(old)
            if old == "dispatcher":
                cluster.start_dispatcher()
            ids += cluster.submit_ledger("alice", 1)
            cluster.wait(ids)
            cluster.check(ids)
        count(31, len(rounds))
