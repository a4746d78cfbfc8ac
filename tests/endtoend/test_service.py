"""Life as services: started by twistd, stopped, restarted, started twice, taken over, idle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT, Cluster, DaemonError
from tests.support.installation import free_port
from tests.support.processes import is_alive, marked, wait_for
from tests.support.talk import Refused

TWISTD = os.path.join(os.path.dirname(sys.executable), "twistd")


class TwistdTests(SynchronousTestCase):
    skip = None if os.path.exists(TWISTD) else f"there is no {TWISTD}"

    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)

    def twistd(self, folder: str, *words: str) -> None:
        """Let twistd itself start a plugin in *folder*."""
        path = os.path.join(self.cluster.folder, folder)
        os.makedirs(path)
        self.cluster.launch(["env", f"PYTHONPATH={ROOT}", TWISTD, *words], "alice", path)

    def test_twistd_lists_the_servers(self) -> None:
        environment = {**self.cluster.environment("alice"), "PYTHONPATH": ROOT}
        said = subprocess.run([TWISTD, "--help"], env=environment, capture_output=True, text=True, check=True).stdout
        for name in ("taskdispatcher", "taskmanagerserver", "taskmanagerhost", "infoserver", "taskweb"):
            self.assertIn(f"    {name} ", said)

    def test_twistd_starts_the_servers_and_jobs_run(self) -> None:
        cluster = self.cluster
        errors = os.path.join(cluster.folder, "errors.log")
        self.twistd("one", "taskdispatcher", "-p", str(cluster.port), "-e", errors, "--state", cluster.state, "--init")
        cluster.wait_greeting()
        self.twistd("two", "taskmanagerserver")
        ids = cluster.submit_ledger("alice", 5)
        cluster.wait(ids)
        cluster.check(ids)
        self.assertEqual(Path(errors).read_text(), "")
        port = free_port()
        self.twistd("three", "taskweb", "-p", str(port), "--state", cluster.state)
        wait_for(lambda: self.link(f"http://127.0.0.1:{port}/login/"), "the web interface has joined")
        self.assertEqual(cluster.pid("dispatcher"), int(Path(cluster.folder, "one", "twistd.pid").read_text()))

    def link(self, beginning: str) -> bool:
        """Whether the dispatcher gives links to the web interface that begin so."""
        try:
            (line,) = self.cluster.ask("alice", "weblogin", '{"may":"look"}', as_json=True)
        except Refused:
            return False
        return str(json.loads(line)["url"]).startswith(beginning)


class RestartTests(ChainCase):
    def test_a_restarted_dispatcher_finds_everything_again_and_goes_on_by_itself(self) -> None:
        cluster = self.cluster
        ended = cluster.submit_ledger("alice", 2)
        cluster.wait(ended)
        running = cluster.submit_ledger("alice", 2, seconds=2)
        cluster.wait(running, states=("running",))
        waiting = cluster.submit_ledger("alice", 3)
        before = cluster.jobs("alice")
        epoch = self.epoch()
        cluster.kill("dispatcher", signal.SIGTERM)
        wait_for(lambda: not cluster.pid("dispatcher"), "the end of the dispatcher")
        self.assertFalse(os.path.exists(os.path.join(cluster.state, "TaskDispatcher.pid")))
        cluster.start_dispatcher()
        after = cluster.jobs("alice")
        self.assertEqual({number: after[number] for number in ended}, {number: before[number] for number in ended})
        self.assertEqual(len(after), 7)
        cluster.wait(running + waiting)
        cluster.check(ended + running + waiting)
        self.assertGreater(self.epoch(), epoch)

    def epoch(self) -> int:
        with self.cluster.dispatcher("alice") as alice:
            epoch: int = alice.values("status")[0]["epoch"]
            return epoch

    def test_a_token_gives_the_same_jobs_again_also_after_a_restart(self) -> None:
        cluster = self.cluster
        first = cluster.submit("alice", "true", "false", token="once")
        self.assertEqual(cluster.submit("alice", "true", "false", token="once"), first)
        cluster.end_dispatcher()
        cluster.start_dispatcher()
        self.assertEqual(cluster.submit("alice", "true", "false", token="once"), first)
        self.assertEqual(sorted(cluster.jobs("alice")), first)

    def test_while_the_dispatcher_is_away_jobs_go_on_and_clients_are_told(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=0.5)
        cluster.wait(ids, states=("running",))
        cluster.end_dispatcher()
        alice = cluster.tms("alice")
        wait_for(lambda: alice.values("status")[0]["dispatcher"] != "connected", "alice's server to notice")
        refused = alice.refusal("lsjobs")
        self.assertEqual(refused.word, "net.dispatcher")
        self.assertIn("Jobs that were accepted are kept", refused.text)
        wait_for(lambda: [line for line in cluster.ledger() if line.what == "end"], "the end of the job")
        cluster.start_dispatcher()
        cluster.wait(ids)
        cluster.check(ids)

    def test_shutdown_needs_its_right_and_leaves_running_jobs_alone(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=0.5)
        cluster.wait(ids, states=("running",))
        with cluster.dispatcher("bob") as bob:
            self.assertEqual(bob.refusal("shutdown").word, "perm.denied")
        with cluster.dispatcher("alice") as alice:
            alice.ask("shutdown")
        wait_for(lambda: not cluster.pid("dispatcher"), "the end of the dispatcher")
        cluster.start_dispatcher()
        cluster.wait(ids)
        cluster.check(ids)

    def test_a_hangup_signal_reads_the_configuration_again(self) -> None:
        cluster = self.cluster
        cluster.configure({"n7": {"launcher": "local", "cores": 5}})
        cluster.kill("dispatcher", signal.SIGHUP)
        with cluster.dispatcher("alice") as alice:
            wait_for(lambda: [host["name"] for host in alice.values("lshosts")] == ["n7"], "the new host")


class RefusedStartTests(ChainCase):
    def refused(self, *options: str) -> DaemonError:
        """Return how the start of another dispatcher fails."""
        try:
            self.cluster.start_dispatcher(*options)
        except DaemonError as error:
            return error
        raise AssertionError("it started")

    def test_a_missing_store_is_not_an_empty_one(self) -> None:
        cluster = self.cluster
        ids = cluster.submit("alice", "true")
        cluster.wait(ids)
        cluster.end_dispatcher()
        kept = cluster.state + ".kept"
        os.rename(cluster.state, kept)
        os.makedirs(cluster.state)
        error = self.refused("-p", str(cluster.port))
        self.assertEqual((error.status, "Traceback" in error.said), (75, False))
        self.assertIn("store.missing", error.said)
        self.assertIn("--init", error.said)
        shutil.rmtree(cluster.state)
        os.rename(kept, cluster.state)
        cluster.start_dispatcher()
        self.assertEqual(list(cluster.jobs("alice")), ids)

    def test_a_second_dispatcher_on_the_same_store_says_so_and_leaves(self) -> None:
        cluster = self.cluster
        first = cluster.pid("dispatcher")
        error = self.refused("-p", str(cluster.port + 1 if cluster.port < 65535 else 1024))
        self.assertEqual((error.status, "Traceback" in error.said), (75, False))
        self.assertIn("store.locked", error.said)
        self.assertEqual(cluster.pid("dispatcher"), first)
        cluster.wait(cluster.submit("alice", "true"))

    def test_a_port_in_use_is_named(self) -> None:
        cluster = self.cluster
        cluster.end_dispatcher()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            error = self.refused("-p", str(port))
        self.assertEqual((error.status, "Traceback" in error.said), (69, False))
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", error.said)
        self.assertFalse(cluster.pid("dispatcher"))

    def test_a_damaged_store_is_refused(self) -> None:
        cluster = self.cluster
        cluster.wait(cluster.submit("alice", *["true"] * 50))
        cluster.end_dispatcher()
        path = Path(cluster.state, "TaskDispatcher.sqlite")
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        content = bytearray(path.read_bytes())
        content[4096:8192] = b"\xa5" * 4096
        path.write_bytes(content)
        error = self.refused("-p", str(cluster.port))
        self.assertEqual((error.status, "Traceback" in error.said), (75, False))
        self.assertIn("store.corrupt", error.said)

    def test_a_key_that_others_may_read_is_refused_with_what_to_do(self) -> None:
        cluster = self.cluster
        key = cluster.pair("alice")[1]
        os.chmod(key, 0o644)
        error = self.assertRaises(DaemonError, cluster.start_tms, "alice")
        self.assertEqual((error.status, "Traceback" in error.said), (78, False))
        self.assertIn(f"chmod 600 {key}", error.said)

    def test_a_faulty_configuration_is_refused_with_file_and_line(self) -> None:
        cluster = self.cluster
        cluster.end_dispatcher()
        cluster.write_etc("ComputerCluster.config", "[hosts.n1]\nlauncher = 3\ncores = -1\n")
        error = self.refused("-p", str(cluster.port))
        self.assertEqual((error.status, "Traceback" in error.said), (78, False))
        self.assertIn("ComputerCluster.config:2: ", error.said)
        self.assertIn("ComputerCluster.config:3: ", error.said)


class UserServerTests(ChainCase):
    def test_a_newer_server_takes_over_and_jobs_go_on(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 2, seconds=1)
        cluster.wait(ids, states=("running",))
        older = cluster.pid("tms:alice")
        cluster.forget_talk("alice")
        cluster.start_tms("alice")
        self.assertNotEqual(cluster.pid("tms:alice"), older)
        wait_for(lambda: not is_alive(older), "the end of the older server")
        cluster.wait(ids)
        cluster.check(ids)

    def test_a_dead_server_is_replaced_when_there_are_endings_to_report(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=0.5)
        cluster.wait(ids, states=("running",))
        cluster.forget_talk("alice")
        cluster.kill("tms:alice")
        with cluster.dispatcher("alice") as alice:
            for state in ("unreachable", "failed"):
                wait_for(lambda state=state: alice.values("jobinfo", str(ids[0]))[0]["state"] == state, state, 40)
        cluster.check(ids)

    def test_the_server_on_a_host_leaves_when_idle_and_comes_again(self) -> None:
        cluster = self.cluster
        cluster.more["TM_IDLE_SECONDS"] = "1"
        ids = cluster.submit_ledger("alice", 1)
        cluster.wait(ids)
        wait_for(lambda: not [line for line in marked(cluster.folder).values() if "keeper" in line or "TMMS" in line],
                 "the end of the idle server and its keeper")  # fmt: skip
        ids += cluster.submit_ledger("alice", 1)
        cluster.wait(ids)
        cluster.check(ids)

    def test_a_job_that_comes_as_the_server_on_a_host_leaves_runs_on_the_next_one(self) -> None:
        cluster = self.cluster
        cluster.more["TM_IDLE_SECONDS"] = "0.1"
        ids: list[int] = []
        for number in range(1, 4):
            ids += cluster.submit_ledger("alice", 1)
            cluster.wait(ids)
            wait_for(partial(self.has_left, number), f"the server to leave for the {number}. time", pause=0.001)
        cluster.check(ids)

    def has_left(self, times: int) -> bool:
        """Whether servers on the host have begun to leave that often."""
        return Path(self.cluster.spool("alice"), "tmms.log").read_text().count('"leaving"') >= times

    def test_logs_are_lines_of_json_with_time_level_event_and_what_they_are_about(self) -> None:
        cluster = self.cluster
        cluster.wait(cluster.submit("alice", "true"))
        for path in (
            os.path.join(cluster.state, "TaskDispatcher.log"), os.path.join(cluster.local("alice"), "tms", "tms.log"),
            os.path.join(cluster.spool("alice"), "tmms.log"),
        ):  # fmt: skip
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)
            for line in Path(path).read_text().splitlines():
                self.assertLessEqual({"time", "level", "event", "text"}, set(json.loads(line)))
