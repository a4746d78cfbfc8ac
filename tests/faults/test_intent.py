"""Users with bad intent: what one of them says, sends, names or leaves lying about gives them nothing of anybody else.

What needs two accounts is skipped unless root runs it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.endtoend.test_ssh import SshCase
from tests.faults.record import count
from tests.faults.swapping import SWAPPER, race
from tests.support.chain import ChainCase
from tests.support.daemons import NotedPeer, refusal
from tests.support.false_dispatcher import FalseDispatcher
from tests.support.people import PeopleCase
from tests.support.permissions import LINES
from tests.support.processes import marked
from tests.unit.daemon.test_permissions import PermissionCase
from tm.edge.launch_openssh import OpenSSHLauncher
from tm.errors import LaunchError
from tm.places import find_root
from tm.ports import Target
from tm.wire.message import Reply
from tm.wire.verbs import DISPATCHER

BREAKS = (
    "\r", "\n", "\0", "\r\n", ":", "%0a", "%0A", "%0d%0a", "%00", "%3a", "%250a", "\n.\n", "\x1b[2J", "\u2028", "\x85",
)  # fmt: skip
"""What could end a line, a field or a reply, or be taken for that by somebody who decodes twice."""

NAMES = (
    "../x", "../../etc/users", "/etc/passwd", "..", ".", "", "a/b", "./a", "a\0b", "a\nb", "-oProxyCommand=x", "-x",
    "$(id)", "`id`", ";id", "a b", "*", "~root", "\u202e", "x" * 65, "%2e%2e", "a\\b", "users", "CON/", "\u0430lice/..",
)  # fmt: skip


class HiddenTests(PermissionCase):
    def test_what_is_somebody_elses_sounds_like_what_is_not_there_whoever_asks_however(self) -> None:
        walker = self.attached("walker")
        tried = 0
        for verb, line in LINES.items():
            for mark, others, absent in (("JOB", "2", "99"), ("ARRAY", "4", "98")):
                for json_too in ("", ".json"):
                    if mark not in line:
                        continue
                    words, rest = line.split(":", 1)
                    said = [self.told(walker, f"{words}{json_too}:{rest.replace(mark, n)}") for n in (others, absent)]
                    texts = [str(one).replace(n, "N") for one, n in zip(said, (others, absent), strict=True)]
                    self.assertEqual(texts[0], texts[1], verb)
                    self.assertNotIn("None", texts[0].split(" ", 1)[0], verb)
                    tried += 1
        self.assertGreater(tried, 25)
        count(53, tried)

    def told(self, peer: NotedPeer, line: str) -> str:
        answer = self.say(peer, line).addErrback(refusal)
        self.settle()
        reply: Reply = self.successResultOf(answer)
        return f"{reply.word} {reply.text} {list(reply.body)}"


class InjectionTests(ChainCase):
    def test_no_field_of_a_request_becomes_a_second_one_at_the_dispatcher(self) -> None:
        """A user's server passes on what it is told; nothing in it may be a request of its own there."""
        cluster = self.cluster
        cluster.end_dispatcher()
        with FalseDispatcher(cluster.port, os.path.join(cluster.etc, "certs")) as false:
            cluster.start_tms("alice")
            alice = cluster.tms("alice")
            said = 0
            for line in self.lines():
                alice.send(line + b"\nversion\n")
                self.assertNotEqual(alice.reply().word, "internal.error", line)
                self.assertTrue(alice.reply().body[0].startswith("TMS "), line)
                said += 1
            verbs = [request.verb for request in false.said]
        self.assertNotIn("shutdown", verbs)
        self.assertLessEqual(len([verb for verb in verbs if verb not in ("attach", "hostnews")]), said)
        self.assertGreater(said, 400)
        count(55, said)

    def lines(self) -> Iterator[bytes]:
        relayed = sorted(set(DISPATCHER) - {"attach", "hello", "report", "hostnews", "weblogin", "shutdown", "version"})
        for verb in relayed:
            for mark in BREAKS:
                if "\n" in mark:
                    mark = mark.replace("\n", "\x0b")  # a true end of a line begins what the user may say anyway
                yield f"{verb}:1{mark}shutdown".encode()
                yield f"{verb}{mark}shutdown:x".encode()
        for mark in BREAKS:
            common = {"cwd": f"/{mark}shutdown", "name": mark + "shutdown"}
            wish = {"token": f"t{mark}", "common": common, "jobs": [{"command": f"a{mark}shutdown"}]}
            yield f"submit:{json.dumps(wish)}".encode()
            yield f"rerun:{json.dumps({'token': mark + 'shutdown', 'ids': mark + 'shutdown'})}".encode()
            yield f"addtoken:{json.dumps({'name': mark + 'shutdown'})}".encode()


class NameTests(PeopleCase):
    def test_no_name_leads_out_of_the_folder(self) -> None:
        carol = self.pem(self.identity("carol"))
        tried = 0
        before = self.everything()
        for name in NAMES:
            for verb, argument in (
                ("adduser", {"name": name, "certificate": carol}),
                ("addgroup", {"name": name, "members": ["alice"]}),
                ("addhost", {"name": name}),
                ("addhost", {"name": "n9", "set": {"address": name}}),
            ):
                if name == "users" and verb in ("addgroup", "addhost", "adduser"):
                    continue  # a good name, and no path
                reply = self.ask("root", verb, argument)
                self.assertFalse(reply.ok, (verb, name))
                self.assertNotEqual(reply.word, "internal.error", (verb, name))
                self.assertNotRegex(reply.encode().decode(), "[\x00-\x09\x0b-\x1f\x7f-\x9f]", (verb, name))
                tried += 1
        self.assertEqual(self.everything(), before)
        count(56, tried)
        count(57, tried)

    def everything(self) -> dict[str, bytes]:
        """Return all files around ``etc``."""
        found = sorted(Path(self.folder).parent.rglob("*"))
        return {str(path): path.read_bytes() for path in found if path.is_file() and "log" not in path.name}


class LaunchTests(SynchronousTestCase):
    def test_what_a_dispatcher_names_is_no_option_and_no_word_of_a_shell(self) -> None:
        launcher = OpenSSHLauncher(None, {"HOME": "/nonexistent"})
        words = ["TMMS", "$(id)", "; id", "`id`", "a\nb", "-oProxyCommand=x"]
        argv = launcher.command_line(Target("n1", "n1.lab", words))
        self.assertEqual((argv.index("--"), argv[-2]), (len(argv) - 3, "n1.lab"))
        shown = subprocess.run(["sh", "-c", f"printf '%s\\n' {argv[-1]}"], capture_output=True, text=True, check=True)
        self.assertEqual(shown.stdout, "\n".join([*words, ""]))
        evil: list[tuple[str, dict[str, object]]] = [
            (name, {}) for name in ("-oProxyCommand=x", "--", "-W", "n1 -oProxyCommand=x", "n1;id", "")
        ]
        options = [("user", "-oProxyCommand=x"), ("port", -1), ("identity", "-x"), ("config", "../x")]
        for address, more in [*evil, *(("n1", {key: value}) for key, value in options)]:
            with self.assertRaises(LaunchError) as caught:
                launcher.command_line(Target("n1", address, words, more))
            self.assertEqual(caught.exception.word, "config.host", (address, more))
        count(57, len(words) + len(evil) + len(options))


class UnknownHostTests(SshCase):
    def test_a_host_whose_key_nobody_knows_is_refused_and_its_key_not_taken(self) -> None:
        known = Path(self.sshd.known_hosts)
        lines = known.read_text()
        known.write_text("")
        ids = self.assert_waits_with("ssh.hostkey")
        self.assertEqual(known.read_text(), "")
        self.assert_runs_when(lambda: known.write_text(lines), ids)
        count(65, 2)


class RaceTests(SynchronousTestCase):
    def test_a_swapped_folder_is_not_worked_in(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root can be two accounts")
        rounds = 4000
        made, refused, strays = race(0, rounds)
        self.assertEqual(strays, [])
        self.assertEqual(made + refused, rounds)
        self.assertGreater(min(made, refused), 10)
        for row in (56, 62):
            count(row, rounds, made=made, refused=refused)


LOGS = ("TaskDispatcher.log", "tms.log", "tmms.log", "infoserver.log")
MARKER = "xyzzy7731secret"
EVIL = "\x1b[2J\x1b]0;owned\x07\r\n* {\"topic\":\"jobs\"}\n.\nOK <script>alert(1)</script>\u202e\x9b31m"


class SecretTests(ChainCase):
    def setUp(self) -> None:
        super().setUp()
        self.environment = {"PATH": "/usr/bin:/bin", "SECRET": MARKER}

    def test_another_account_finds_no_secret_of_a_job(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root can be two accounts")
        for folder in (self.cluster.folder, self.cluster.work):
            os.chmod(folder, 0o755)
        ids = self.cluster.submit("alice", "sleep 300", environment=self.environment, stdin=None)
        ids += self.cluster.submit(
            "alice", ["sh", "-e"], script=f"#!/bin/sh\nKEY={MARKER}\nsleep 300\n", environment=self.environment
        )
        self.cluster.wait(ids, states=["running"])
        found = subprocess.run(
            [sys.executable, "-I", "-S", "-c", LOOKS, MARKER, str(SWAPPER), self.cluster.folder], capture_output=True,
            text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        *strange, looked_at = found
        self.assertEqual(strange, [])
        self.assertGreater(int(looked_at), 10)
        for pid in marked(self.cluster.folder):
            words = Path(f"/proc/{pid}/cmdline").read_text()
            if not words.startswith(("sleep", "/bin/sh", "sh")):
                self.assertEqual(resource.prlimit(pid, resource.RLIMIT_CORE)[0], 0, words)
        count(58, int(looked_at))

    def test_no_name_of_a_job_writes_on_terminals_or_into_logs_and_replies(self) -> None:
        ids = self.cluster.submit("alice", "true " + EVIL.replace("\n", " "), name=EVIL[:200], comment=EVIL)
        self.cluster.wait(ids)
        number = str(ids[0])
        for words in (["-s", number], ["-i", number], ["-s", "--all"], ["--why", number], ["--log", number]):
            said = subprocess.run(
                [sys.executable, os.path.join(find_root(), "bin", "hRunJob"), *words],
                env=self.cluster.environment("alice"), capture_output=True, timeout=60, check=False,
            )  # fmt: skip
            shown = (said.stdout + said.stderr).decode()
            for line in shown.splitlines():
                self.assertTrue(line.isprintable() or line.replace("\t", " ").isprintable(), (words, line))
            self.assertNotIn("Traceback", shown)
        with self.cluster.dispatcher("alice") as alice:
            self.assertTrue(alice.ask("jobinfo", number).ok)
            self.assertEqual(alice.values("lsjobs", "state=all")[-1]["name"], EVIL[:200])
            self.assertTrue(alice.ask("version").ok)
        logs = [path for path in Path(self.cluster.folder).rglob("*.log") if path.name in LOGS]
        for path in logs:
            for line in path.read_bytes().decode(errors="replace").splitlines():
                self.assertNotRegex(line, "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", str(path))
        self.assertGreater(len(logs), 1)
        count(59, 8)


LOOKS = """import os, sys
marker, account, top = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3]
os.setgroups([]); os.setresgid(account, account, account); os.setresuid(account, account, account)
looked = 0
def look(path):
    global looked
    try:
        with open(path, "rb") as file:
            looked += 1
            if marker in file.read(1 << 24):
                print(path)
    except OSError:
        pass
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        for kind in ("cmdline", "environ", "comm"):
            look(f"/proc/{name}/{kind}")
for folder, _, names in os.walk(top):
    for name in names:
        look(os.path.join(folder, name))
print(looked)
"""
"""Looks as another account for a word in everything it can open: of all processes, and below a folder."""


class LiarTests(PermissionCase):
    def test_a_server_that_lies_of_its_past_is_alone_cut_off(self) -> None:
        liar, good = self.attached("walker"), self.attached("other")
        chance = random.Random(7)
        lies: list[dict[str, object]] = [
            {"epoch": 2**53}, {"mark": 2**53}, {"acked": 2**53}, {"spool": "other"}, {"epoch": 2**63}, {"mark": -1},
            {"holds": [[2, 1, "running"]] * 1000}, {"holds": [[10**15, 10**15, "final"]]}, {"cores": -1},
            {"cores": 2**52}, {"memory": 2**62}, {"boot": "\x1b[2J"}, {"host": "n2"}, {"survives": EVIL},
        ]  # fmt: skip
        for lie in lies:
            about: dict[str, object] = {"host": "n1", "spool": f"s{chance.random()}", **lie}
            hello = self.hello(**about)
            self.assertNotEqual(self.heard(liar, hello).word, "internal.error", lie)
            job = self.said(good, self.submission(str(lie)[:60], user="other", hosts=["n2"]))
            self.assertTrue(job.ok, (lie, job.text))
        self.assertFalse(self.said(liar, self.hello(host="n1", spool="s", epoch=2**53)).ok)
        fact = {"job": 2, "attempt": 1, "what": "ended", "at": 1000.0, "exit_code": 0}
        for spool in ("other", "walker"):
            self.heard(liar, "report:" + json.dumps({"host": "n2", "spool": spool, "k": 1, "facts": [fact]}))
        self.assertNotIn(self.dispatcher.brain.jobs[2].phase, ("completed", "failed"))
        self.assertTrue(self.said(good, self.hello(host="n2", spool="other", mark=0)).ok)
        count(66, len(lies) + 2)

    def heard(self, peer: NotedPeer, line: str) -> Reply:
        answer = self.say(peer, line).addErrback(refusal)
        self.settle()
        return self.successResultOf(answer)

