"""People administered with ``tm users`` and ``tm groups`` while the cluster runs, and what users notice of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.chain import ChainCase
from tests.support.identities import Identity
from tests.support.processes import wait_for
from tests.support.talk import HungUpError, Refused, Talk
from tm.edge.keys import load_pins
from tm.places import find_program, find_root


class AdministrationTests(ChainCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster.write_etc("groups", '# ours\n[groups.admins]\nmembers = ["alice"]\nrights = ["all"]\n')
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("reload")
        self.others = os.path.join(self.cluster.folder, "others")
        os.makedirs(self.others)

    def tm(self, *words: str, user: str = "alice", status: int = 0) -> str:
        """Return what ``tm WORDS…`` prints, said by *user*."""
        program = find_program("tm", find_root(), sys.executable)
        done = subprocess.run(
            [sys.executable, program, *words], env=self.cluster.environment(user), capture_output=True, text=True,
            timeout=60, cwd=self.others,
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def text(self, name: str) -> str:
        return Path(self.cluster.etc, name).read_text()

    def talk(self, identity: Identity) -> Talk:
        """Return a connection of *identity* to the dispatcher."""
        return Talk.tls(self.cluster.port, (identity.certificate, identity.key))

    def test_a_user_is_registered_grouped_and_removed(self) -> None:
        carol = Identity(self.others, "carol", "carol")
        self.tm("groups", "add", "physics", "--member", "bob", "--limit", "queued=2", "--limit", "memory=1G")
        said = self.tm("users", "add", "carol", carol.certificate, "--email", "c@example.org", "--group", "physics")
        self.assertIn("carol is a user now", said)
        trusted = load_pins(os.path.join(self.others, "ca_certs.carol.crt"))
        ours = load_pins(os.path.join(self.cluster.directory("alice"), "ca_certs.alice.crt"))
        self.assertEqual((len(trusted), carol.fingerprint in trusted, len(trusted & ours)), (2, True, 1))
        with self.talk(carol) as talk:
            (me,) = talk.values("whoami")
            self.assertEqual((me["user"], me["groups"]), ("carol", ["physics"]))
            self.assertEqual([one["limit"] for one in me["limits"]], [1 << 30, 2])
            self.tm("users", "remove", "carol")
            began = time.monotonic()
            self.assertRaises(HungUpError, talk.next)
            self.assertLess(time.monotonic() - began, 5)
        self.assertRaises(Refused, self.talk, carol)
        self.assertTrue(self.text("groups").startswith("# ours\n[groups.admins]"))
        self.assertNotIn("carol", self.text("users") + self.text("groups"))

    def test_what_is_listed_and_shown(self) -> None:
        self.tm("groups", "add", "physics", "--member", "bob", "--right", "verb:canceljob", "--shares", "40")
        self.assertIn("physics", self.tm("groups", "list"))
        shown = json.loads(self.tm("groups", "show", "physics", "--json"))
        self.assertEqual((shown["members"], shown["rights"], shown["shares"]), (["bob"], ["verb:canceljob"], 40))
        self.assertIn("rights       verb:canceljob", self.tm("groups", "show", "physics"))
        names = [json.loads(line)["name"] for line in self.tm("users", "list", "--json").splitlines()]
        self.assertEqual(names, ["alice", "bob"])
        self.assertIn("certs/bob.crt", self.tm("users", "show", "bob"))
        self.assertIn("no user 'dave'", self.tm("users", "show", "dave", status=1))
        self.tm("users", "list", user="bob", status=77)
        self.assertIn("tm users add bob bob.crt", self.tm("users", "--help"))

    def test_a_right_is_used_as_soon_as_it_is_given_and_no_longer_than_it_is_had(self) -> None:
        job = self.cluster.submit("alice", "exec sleep 1000")[0]
        self.cluster.wait([job], states=("running",))
        with self.cluster.dispatcher("bob") as bob:
            self.assertEqual(bob.refusal("canceljob", str(job)).word, "job.unknown")
            self.tm("groups", "add", "helpers", "--member", "bob", "--right", "verb:canceljob")
            self.assertEqual(bob.refusal("jobinfo", str(job)).word, "job.unknown")
            bob.ask("canceljob", str(job))
            self.cluster.wait([job], states=("cancelled",))
            self.tm("groups", "change", "helpers", "--take", "verb:canceljob")
            self.assertEqual(bob.refusal("canceljob", "1").word, "job.unknown")

    def test_limits_hold_back_what_is_too_much_and_say_so(self) -> None:
        self.tm("groups", "add", "everybody", "--member", "*", "--user-limit", "running=1", "--limit", "queued=3")
        first = self.cluster.submit("alice", "exec sleep 1000")[0]
        self.cluster.wait([first], states=("running",))
        second = self.cluster.submit("alice", "true")[0]
        waits = self.cluster.job("alice", second)
        self.assertEqual(waits["state"], "pending")
        self.assertIn("each member of group everybody may have 1 job running at once (1 now)", waits["reason"])
        with self.assertRaises(Refused) as caught:
            self.cluster.submit("alice", *["true"] * 3)
        self.assertEqual(caught.exception.word, "limit.jobs")
        self.assertIn("group everybody together may have 3 jobs waiting (1 now), 3 more", caught.exception.text)
        self.cluster.wait(self.cluster.submit("bob", "true"), user="bob")
        self.tm("groups", "change", "everybody", "--user-limit", "running=2")
        self.cluster.wait([second])

    def test_a_certificate_takes_the_place_of_another_and_the_old_one_is_cut(self) -> None:
        fresh = Identity(self.others, "bob", "bob", days=900)
        self.tm("users", "change", "bob", "--add", fresh.certificate)
        (old,) = [
            one["fingerprint"] for one in json.loads(self.tm("users", "show", "bob", "--json"))["certificates"]
            if one["fingerprint"] != fresh.fingerprint
        ]  # fmt: skip
        with self.cluster.dispatcher("bob") as before, self.talk(fresh) as after:
            self.assertEqual([talk.values("whoami")[0]["user"] for talk in (before, after)], ["bob", "bob"])
            self.tm("users", "change", "bob", "--drop", old[:16])
            self.assertRaises(HungUpError, before.next)
            self.assertTrue(after.ask("version").ok)
        with self.assertRaises(Refused) as caught:
            self.cluster.dispatcher("bob")
        self.assertEqual(caught.exception.word, "auth.forged")

    def test_a_private_key_does_not_leave_the_machine(self) -> None:
        carol = Identity(self.others, "carol", "carol")
        both = os.path.join(self.others, "both.crt")
        Path(both).write_text(Path(carol.certificate).read_text() + Path(carol.key).read_text())
        self.assertIn("holds a private key", self.tm("users", "add", "carol", both, status=78))

    def test_a_removed_users_running_job_finishes_and_its_end_is_known(self) -> None:
        cluster = self.cluster
        running, waiting = cluster.submit("bob", "while [ ! -e go ]; do sleep 0.05; done; exit 7", "true", cores=2)
        cluster.wait([running], user="bob", states=("running",))
        with cluster.dispatcher("bob") as bob:
            self.tm("users", "remove", "bob")
            self.assertRaises(HungUpError, bob.next)
        cancelled = cluster.job("alice", waiting)
        self.assertEqual(
            (cancelled["state"], cancelled["reason"]), ("cancelled", "bob is no longer a user (removed by alice)")
        )
        self.assertEqual(cluster.job("alice", running)["state"], "running")
        with self.assertRaises(Refused) as caught:
            cluster.dispatcher("bob")
        self.assertEqual(caught.exception.word, "auth.unknown")
        Path(cluster.work, "go").touch()
        wait_for(lambda: cluster.job("alice", running)["state"] == "failed", "the end of the running job")
        self.assertEqual(cluster.job("alice", running)["exit_code"], 7)

    def test_a_removed_users_running_job_is_cancelled_where_that_is_the_policy(self) -> None:
        cluster = self.cluster
        cluster.write_etc("users", self.text("users") + '\n[removed]\njobs = "cancel"\n')
        running = cluster.submit("bob", "exec sleep 1000")[0]
        cluster.wait([running], user="bob", states=("running",))
        users = self.text("users")
        start = users.index("[users.bob]")
        cluster.write_etc("users", users[:start] + users[users.index("[removed]") :])
        with cluster.dispatcher("alice") as alice:
            alice.ask("reload")
        wait_for(lambda: cluster.job("alice", running)["state"] == "cancelled", "the end of the running job", 5)
