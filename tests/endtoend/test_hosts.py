"""A group runs its hosts from the command line while jobs wait and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for
from tests.support.talk import Refused

LOCAL = {"launcher": "local", "infoserver": False}


class HostsCase(ChainCase):
    """A cluster of one host with one core; alice and carol administer it, bob does not."""

    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {**LOCAL, "cores": 1}}

    def setUp(self) -> None:
        self.cluster = Cluster(users=("alice", "bob", "carol"), hosts=self.hosts)
        self.addCleanup(self.cluster.stop)
        self.cluster.write_etc("groups", (
            '[groups.admins]\nmembers = ["alice", "carol"]\nrights = ["hosts", "jobs", "reload", "audit", "shutdown"]\n'
        ))  # fmt: skip
        text = "# ours\n\n" + self.file().replace("[hosts.n1]", "# the only one\n[hosts.n1]   # local")
        self.cluster.write_etc("ComputerCluster.config", text)
        self.cluster.start_dispatcher()

    def file(self) -> str:
        return Path(self.cluster.etc, "ComputerCluster.config").read_text()

    def tm(self, user: str, *words: str, status: int = 0) -> str:
        """Return what ``tm hosts WORDS…`` of *user* prints, having checked how it ends."""
        ended = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "tm"), "hosts", *words], env=self.cluster.environment(user),
            cwd=self.cluster.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)
        return ended.stdout + ended.stderr

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.tm("alice", "audit", "--json").splitlines()]

    def state(self, job: int) -> tuple[str, str]:
        view = json.loads(self.cluster.ask("alice", "jobinfo", str(job), True)[0])
        return view["state"], view["host"]

    def busy_host(self) -> int:
        """Fill n1 with a job that runs until it is cancelled; return its number."""
        (job,) = self.cluster.submit("alice", "exec sleep 300")
        wait_for(lambda: self.state(job) == ("running", "n1"), "the first job to run")
        return job


class WaitingJobsTests(HostsCase):
    def test_jobs_that_wait_start_on_a_host_that_is_added(self) -> None:
        blocker = self.busy_host()
        waiting = self.cluster.submit("alice", *["echo $TM_JOB_ID"] * 5)
        with self.cluster.dispatcher("alice") as alice:
            said = alice.ask("addhost", json.dumps({"name": "n2", "cores": 2, **LOCAL})).text
        self.assertEqual(said, "n2 is added; recorded as 1")
        views = self.cluster.wait(waiting)
        self.assertEqual([(view["state"], view["host"]) for view in views], [("completed", "n2")] * 5)
        self.assertTrue(self.file().endswith('[hosts.n2]\ncores = 2\nlauncher = "local"\ninfoserver = false\n'))
        said = self.tm("alice", "remove", "n1", status=75)
        self.assertIn("1 job is on n1 (alice 1)", said)
        self.cluster.ask("alice", "canceljob", str(blocker))
        self.cluster.wait([blocker])
        self.assertEqual(self.tm("alice", "remove", "n1"), "n1 is removed; recorded as 2\n")
        self.assertNotIn("the only one", self.file())

    def test_cores_change_while_jobs_run_and_the_change_is_undone(self) -> None:
        self.busy_host()
        (second,) = self.cluster.submit("alice", "exec sleep 300")
        before = self.file()
        said = self.tm("alice", "change", "n1", "cores=2", "features+=gpu", "memory=64G")
        rows = [line.split() for line in said.splitlines()]
        self.assertEqual(rows[:2], [["n1", "BEFORE", "AFTER"], ["cores", "1", "2"]])
        self.assertIn(["features", "-", "gpu"], rows)
        self.assertIn("'tm hosts undo 1' takes it back", said)
        wait_for(lambda: self.state(second) == ("running", "n1"), "the second job to run beside the first")
        self.assertIn("[hosts.n1]   # local", self.file())
        self.assertEqual(self.tm("alice", "undo", "1"), (
            "host n1: cores 2 → 1; features gpu → (not said); memory 64G → (not said); recorded as 2\n"
        ))  # fmt: skip
        self.assertEqual(self.file(), before)
        (third,) = self.cluster.submit("alice", "true")
        self.assertIn(self.state(third)[0], ("pending",))
        self.assertEqual(self.state(second), ("running", "n1"))

    def test_a_drained_host_takes_nothing_until_it_is_activated(self) -> None:
        self.assertIn("draining: a new disk", self.tm("alice", "drain", "n1", "--by", "2h", "--reason", "a new disk"))
        (job,) = self.cluster.submit("alice", "true")
        shown = self.tm("bob", "list")
        self.assertIn("a new disk", shown)
        self.cluster.kill("dispatcher")
        self.cluster.start_dispatcher()
        self.assertEqual(self.state(job)[0], "pending")
        self.assertEqual(self.tm("alice", "activate", "n1"), "n1 is active\n")
        self.assertEqual(self.cluster.wait([job])[0]["state"], "completed")


class PeopleTests(HostsCase):
    def test_two_people_change_one_thing(self) -> None:
        with self.cluster.dispatcher("alice") as alice, self.cluster.dispatcher("carol") as carol:
            line = json.dumps({"name": "n1", "set": {"cores": 4}, "was": {"cores": 1}})
            alice.ask("changehost", line)
            refused = self.assertRaises(Refused, carol.ask, "changehost", line.replace("4", "8"))
            self.assertEqual(refused.word, "conflict.changed")
            self.assertIn("cores 1 → 4", refused.text)
        self.assertEqual([(one["user"], one["after"]["cores"]) for one in self.records()], [("alice", 4)])

    def test_who_has_not_the_right_changes_nothing(self) -> None:
        before = self.file()
        for words in (("change", "n1", "cores=2"), ("remove", "n1"), ("deactivate", "n1"), ("drain", "n1"),
                      ("lost", "n1"), ("leave", "n1"), ("audit",), ("undo", "1")):  # fmt: skip
            said = self.tm("bob", *words, status=77)
            self.assertRegex(said, r"^tm: '\w+'.* needs the right '(hosts|audit)' in etc/groups", words)
        self.assertEqual((self.file(), self.records()), (before, []))

    def test_the_owner_of_a_machine_has_it_left(self) -> None:
        self.tm("alice", "change", "n1", "owners=bob")
        self.assertIn("n1 is left to bob until", self.tm("bob", "leave", "n1", "--for", "1h"))
        (job,) = self.cluster.submit("alice", "true")
        self.assertIn("0/1", self.tm("alice", "list"))
        self.assertEqual(self.state(job)[0], "pending")
        self.assertEqual(self.tm("bob", "return", "n1"), "jobs may use n1 again\n")
        self.assertEqual(self.cluster.wait([job])[0]["state"], "completed")

    def test_what_is_wrong_is_said_in_a_sentence_with_the_documented_status(self) -> None:
        for words, status, part in (
            (("info", "n9"), 1, "there is no host 'n9'"),
            (("change", "n1", "cores=none"), 78, "expected a number of cores"),
            (("change", "n1", "colour=red"), 78, "'colour' is not known here"),
            (("change", "n1", "cores"), 2, "expected KEY=VALUE"),
            (("undo", "99"), 1, "no record 99"),
            (("drain", "n1", "--by", "soon"), 2, "no duration"),
            (("leave", "n1", "--for", "3"), 2, "3h or 3d"),
            (("activate", "n1", "nix", "nox"), 1, "no host 'nix' and no 'nox'"),
            (("list", "--state", "ill"), 2, "no state of a host"),
        ):
            said = self.tm("alice", *words, status=status)
            self.assertIn(part, said)
            self.assertTrue(said.startswith("tm: "), said)
        self.assertEqual(self.records(), [])
        said = self.tm("alice", "info", "n9", "--json", status=1)
        self.assertEqual(json.loads(said.splitlines()[0])["error"]["code"], "host.unknown")


class FileTests(HostsCase):
    def test_a_file_edited_by_hand_counts_at_the_reload_and_is_recorded(self) -> None:
        before = self.file()
        self.cluster.write_etc("ComputerCluster.config", before.replace("cores = 1", "cores = 3"))
        with self.cluster.dispatcher("alice") as alice:
            self.assertIn("1 hosts", alice.ask("reload").text)
        self.assertIn("3", self.tm("bob", "info", "n1", "--json"))
        (record,) = self.records()
        self.assertEqual((record["user"], record["verb"], record["name"]), ("alice", "reload", "n1"))
        self.assertEqual((record["before"]["cores"], record["after"]["cores"]), (1, 3))
        self.tm("carol", "undo", "1")
        self.assertEqual(self.file(), before)

    def test_a_file_edited_while_the_dispatcher_was_away_is_recorded_at_its_start(self) -> None:
        self.cluster.end_dispatcher()
        self.cluster.write_etc("ComputerCluster.config", self.file().replace("cores = 1", "cores = 3"))
        self.cluster.start_dispatcher()
        (record,) = self.records()
        self.assertEqual((record["user"], record["verb"], record["name"]), ("(while away)", "reload", "n1"))
        self.assertEqual((record["before"]["cores"], record["after"]["cores"]), (1, 3))

    def test_a_faulty_file_changes_nothing_and_is_named_with_its_line(self) -> None:
        before = self.file()
        self.cluster.write_etc("ComputerCluster.config", before.replace("cores = 1", "cores = 0"))
        with self.cluster.dispatcher("alice") as alice:
            refused = self.assertRaises(Refused, alice.ask, "reload")
        self.assertEqual(refused.word, "config.invalid")
        self.assertIn("ComputerCluster.config:7: expected a number of cores", refused.text)
        self.assertIn("ComputerCluster.config:7", self.tm("alice", "change", "n1", "memory=1G", status=78))
        self.assertEqual(json.loads(self.tm("alice", "info", "n1", "--json"))["cores"], 1)

    def test_what_was_answered_is_recorded_whatever_dies_then(self) -> None:
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("changehost", '{"name":"n1","set":{"cores":2}}')
            alice.ask("deactivatehost", "n1:a new fan")
            self.cluster.kill("dispatcher")
        self.cluster.start_dispatcher()
        self.assertEqual(
            [(one["id"], one["verb"], one["reason"]) for one in self.records()],
            [(1, "changehost", ""), (2, "deactivatehost", "a new fan")],
        )
        self.assertIn("a new fan", self.tm("bob", "list"))
        shown = self.tm("alice", "audit", "n1")
        self.assertIn("cores 1 → 2", shown)
        self.assertEqual(self.tm("alice", "undo", "2").split(";")[0], "host n1: active false → (not said)")
