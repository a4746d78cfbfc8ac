"""The dispatcher and InfoServers: real ones that are killed or let go, and a false one that is the test itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import tm
from tests.faults.record import count
from tests.support.cluster import ROOT, Cluster
from tests.support.identities import Identity
from tests.support.processes import is_alive, wait_for
from tests.support.talk import HungUpError, Refused, Talk
from tm.edge.keys import fingerprint, load_certificate

HOST = {"launcher": "local", "cores": 2, "policy": "ignore", "infoserver": True}
FALSE_PROGRAM = """\
import os
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(root, "starts"), "a") as file:
    file.write("x")
print(open(os.path.join(root, "line")).read())
"""


class LinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(hosts={"n1": HOST})
        self.addCleanup(self.cluster.stop)

    def host(self, name: str = "n1") -> dict[str, Any]:
        """Return how the host is now."""
        with self.cluster.dispatcher("alice") as alice:
            view: dict[str, Any] = alice.values("hostinfo", name)[0]
        return view

    def wait_info(self, state: str, seconds: float = 30.0) -> dict[str, Any]:
        """Return how the host is once its InfoServer is in *state*."""
        return wait_for(
            lambda: (view := self.host())["info"]["state"] == state and view,
            f"InfoServer {state}; {self.cluster.logs()}", seconds, 0.1,
        )  # fmt: skip

    def book(self) -> list[dict[str, Any]]:
        """Return what the dispatcher keeps of InfoServers."""
        path = Path(self.cluster.state, "infoservers.json")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        found: list[dict[str, Any]] = json.loads(path.read_text())
        return found


class RealTests(LinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster.start_dispatcher()
        wait_for(lambda: self.host()["cpu_others"] is not None, "the first report; " + self.cluster.logs(), 30, 0.1)

    def test_what_it_says_of_its_host_is_shown(self) -> None:
        view = self.host()
        self.assertEqual((view["state"], view["reason"], view["info"]["version"]), ("up", "", tm.__version__))
        self.assertGreater(view["memory_total"], view["memory_available"])
        self.assertEqual(len(view["load"]), 3)
        with self.cluster.dispatcher("bob") as bob:
            (columns, line) = bob.ask("lshosts").body
            self.assertEqual(columns.split(), "host state free ours others memory reason".split())
            self.assertRegex(line, r"^n1 +up +2/2 +\d+\.\d +\d+\.\d +[\d.]+[KMGT]$")

    def test_killed_it_comes_back_as_who_it_was(self) -> None:
        before, own = self.cluster.kill("infoserver:n1"), self.book()[0]["fingerprint"]
        wait_for(lambda: self.cluster.pid("infoserver:n1") not in (0, before), "another one", 30)
        self.wait_info("up")
        self.assertEqual(self.book()[0]["fingerprint"], own)
        self.assertEqual(self.book()[0]["pid"], self.cluster.pid("infoserver:n1"))

    def test_it_outlives_the_dispatcher_and_dials_back(self) -> None:
        pid = self.cluster.pid("infoserver:n1")
        self.cluster.end_dispatcher()
        self.cluster.start_dispatcher()
        self.assertEqual(self.host()["state"], "starting")
        self.wait_info("up")
        self.assertEqual(self.cluster.pid("infoserver:n1"), pid)

    def test_stopped_it_is_named_and_jobs_go_on(self) -> None:
        pid = self.cluster.pid("infoserver:n1")
        os.kill(pid, signal.SIGSTOP)
        try:
            view = self.wait_info("bad")
            self.assertIn("silent", view["info"]["reason"])
            self.assertIsNone(view["cpu_others"])
            (job,) = self.cluster.wait(self.cluster.submit("alice", "exit 3"))
            self.assertEqual(job["exit_code"], 3)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.wait_info("up")

    def test_it_leaves_with_its_host(self) -> None:
        pid, own = self.cluster.pid("infoserver:n1"), self.book()[0]["fingerprint"]
        self.cluster.configure({"n2": {**HOST, "infoserver": False}})
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("reload")
            wait_for(lambda: not is_alive(pid), "its end")
            self.assertEqual(alice.refusal("whois", own).word, "auth.unknown")
            self.assertEqual([host["name"] for host in alice.values("lshosts")], ["n2"])
        self.assertEqual(self.book(), [])


class FalseTests(LinkCase):
    """The start command of n1 says the fingerprint of a certificate that the test presents itself."""

    def setUp(self) -> None:
        super().setUp()
        self.root = os.path.join(self.cluster.folder, "false")
        os.mkdir(self.root)
        for name in ("tm", "twisted"):
            os.symlink(os.path.join(ROOT, name), os.path.join(self.root, name))
        shutil.copytree(os.path.join(ROOT, "bin"), os.path.join(self.root, "bin"))
        Path(self.root, "bin", "InfoServer").write_text(FALSE_PROGRAM)
        self.identity = Identity(self.cluster.folder, "liar", "infoserver n1")
        self.says(self.identity.fingerprint)
        self.cluster.configure({"n1": {**HOST, "root": self.root}})
        self.cluster.start_dispatcher()

    def says(self, digest: str, host: str = "n1") -> None:
        """The start command says this."""
        line = {"infoserver": host, "fingerprint": digest, "port": 7, "pid": 1, "boot": "b", "version": "v"}
        Path(self.root, "line").write_text(json.dumps(line))

    def starts(self) -> int:
        try:
            return os.path.getsize(os.path.join(self.root, "starts"))
        except FileNotFoundError:
            return 0

    def joined(self, **more: object) -> Talk:
        """Return the connection of the false InfoServer, once it has taken its place."""
        wait_for(lambda: self.starts() and Path(self.cluster.state, "infoservers.json").exists(), "its start", 30)
        talk = Talk.tls(self.cluster.port, (self.identity.certificate, self.identity.key))
        self.addCleanup(talk.close)
        self.assertIn("user=infoserver@n1", talk.greeting)
        about = {
            "host": "n1", "boot": "b", "version": tm.__version__, "pid": 1, "port": 7, "booted_at": 1.0, "cores": 2,
            "memory": 1 << 33, "fingerprint": self.identity.fingerprint, **more,
        }  # fmt: skip
        people = json.loads(talk.ask("infojoin", json.dumps(about)).text)["people"]
        self.assertEqual(sorted(people.values()), ["alice", "bob"])
        talk.ask("info", self.report())
        return talk

    def report(self, **more: object) -> str:
        return json.dumps({"host": "n1", "at": time.time(), "cpu_others": 0.25, **more})

    def good(self, talk: Talk) -> None:
        """What can be true is taken again."""
        talk.ask("info", self.report())
        view = self.host()
        self.assertEqual((view["state"], view["info"]["state"], view["cpu_others"]), ("up", "up", 0.25))

    def bad(self, reason: str) -> None:
        """It is known as bad, and its host handled by the configuration."""
        view = self.host()
        self.assertEqual((view["state"], view["info"]["state"], view["offered_cores"]), ("up", "bad", 2))
        self.assertIn(reason, view["info"]["reason"])
        self.assertIsNone(view["cpu_others"])

    def test_lies_are_named_and_scheduling_goes_on(self) -> None:
        talk = self.joined()
        self.good(talk)
        lies = {
            self.report(cpu_others=-1): "CPU of others is -1", self.report(cpu_ours=1e308): "CPU of ours is 1e+308",
            self.report(memory_available=1 << 52): "available memory", self.report(host="n2"): "speaks for n2",
            self.report().replace("0.25", "NaN"): "does not fit", "{" * 1000: "does not fit",
            '"' + "x" * 500_000 + '"': "does not fit",
        }  # fmt: skip
        for lie, reason in lies.items():
            self.assertEqual(talk.refusal("info", lie).word, "info.bad")
            self.bad(reason)
            (job,) = self.cluster.wait(self.cluster.submit("alice", "exit 3"))
            self.assertEqual((job["exit_code"], job["host"]), (3, "n1"))
            self.good(talk)
        count(9, len(lies))

    def test_what_is_no_line_of_ours_cuts_it_off_or_is_refused_and_it_may_come_back(self) -> None:
        talk = self.joined()
        talk.send(b"\x00\xff\x80 garbage\nHELP\n:::\n")
        for _ in range(3):
            self.assertTrue((talk.reply().word or "").startswith("proto."))
        self.good(talk)
        talk.send(b"info:" + b"x" * 1_100_000)
        self.assertRaises((HungUpError, OSError), self.hear_for_ever, talk)
        wait_for(lambda: self.host()["info"]["state"] == "starting", "its loss to be seen")
        self.good(self.joined())

    def hear_for_ever(self, talk: Talk) -> None:
        while True:
            talk.reply()

    def test_floods_keep_nobody_else_waiting(self) -> None:
        talk = self.joined()
        talk.send(("info:" + self.report() + "\n").encode() * 3000)
        with self.cluster.dispatcher("alice") as alice:
            for _ in range(20):
                asked = time.monotonic()
                alice.ask("lsjobs")
                self.assertLess(time.monotonic() - asked, 1.0)
        self.bad("reports a second")
        (job,) = self.cluster.wait(self.cluster.submit("alice", "exit 3"))
        self.assertEqual(job["exit_code"], 3)

    def test_it_may_do_nothing_that_a_user_may(self) -> None:
        talk = self.joined()
        for verb, rest in (
            ("lsjobs", None), ("canceljob", "1"), ("shutdown", None), ("activatehost", "n1"), ("reload", None),
            ("attach", "{}"), ("submit", "{}"), ("addhost", '{"name":"n9"}'), ("audit", None), ("lsusers", None),
        ):  # fmt: skip
            refused = talk.refusal(verb, rest)
            self.assertIn(refused.word, ("perm.denied", "job.unknown"), verb)

    def test_a_second_connection_takes_the_place_of_the_first(self) -> None:
        first, second = self.joined(), self.joined()
        self.assertRaises((HungUpError, OSError), self.hear_for_ever, first)
        self.good(second)

    def test_it_hears_of_jobs_and_of_users_who_leave(self) -> None:
        talk = self.joined()
        (number,) = self.cluster.submit("alice", "exec sleep 100")

        def told() -> list[list[Any]]:
            time.sleep(0.5)
            text = talk.ask("info", self.report()).text
            return json.loads(text)["jobs"] if text else []

        ((job, user, pid),) = wait_for(told, "the job to be told")
        self.assertEqual((job, user), (number, "alice"))
        self.assertTrue(is_alive(pid))
        self.cluster.ask("alice", "canceljob", str(number))
        self.cluster.wait([number])
        self.assertEqual(json.loads(talk.ask("info", self.report()).text), {"jobs": []})
        users = Path(self.cluster.etc, "users").read_text()
        self.cluster.write_etc("users", users.partition("[users.bob]")[0])
        self.cluster.ask("alice", "reload")
        event = talk.event(topic="people")
        self.assertEqual(set(event["people"].values()), {"alice"})

    def test_a_certificate_of_a_user_makes_nobody_a_host(self) -> None:
        self.joined().close()
        self.says(fingerprint(load_certificate(self.cluster.pair("bob")[0])))
        view = wait_for(
            lambda: (now := self.host())["info"]["state"] == "failed" and now, "the refusal", 40, 0.1
        )  # fmt: skip
        self.assertIn("somebody else", view["info"]["reason"])
        with self.cluster.dispatcher("bob") as bob:
            self.assertIn("user=bob", bob.greeting)


class NobodyTests(LinkCase):
    def test_whom_nobody_started_is_refused(self) -> None:
        self.cluster.configure({"n1": {**HOST, "infoserver": False}})
        self.cluster.start_dispatcher()
        identity = Identity(self.cluster.folder, "stranger", "infoserver n1")
        with self.assertRaises(Refused) as refused:
            Talk.tls(self.cluster.port, (identity.certificate, identity.key))
        self.assertEqual(refused.exception.word, "auth.unknown")
        self.assertEqual((self.host()["info"]["state"], self.host()["state"]), ("off", "unknown"))
