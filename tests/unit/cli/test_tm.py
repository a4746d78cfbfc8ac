"""The command ``tm`` as people use it: what it makes, what it says, how it ends."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.identities import Identity
from tm import config, places
from tm.cli.main import run
from tm.edge import tls
from tm.edge.keys import fingerprint, load_certificate, load_key, load_pair, load_pins
from tm.errors import ConfigError, RefusedError


class TmTestCase(SynchronousTestCase):
    """A cluster's folder and a user's own, both still empty."""

    def setUp(self) -> None:
        self.base = os.path.abspath(self.mktemp())
        self.etc = os.path.join(self.base, "etc")
        self.own = os.path.join(self.base, "own")
        self.environ = {"TM_ETC": self.etc, "TM_USER_DIRECTORY": self.own, "TM_USER": "carol"}
        self.certs = os.path.join(self.etc, "certs")

    def tm(self, *words: str, status: int = 0) -> str:
        """Return what ``tm WORDS…`` prints, having checked how it ends."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                ended = run(words, self.environ)
            except SystemExit as end:
                ended = int(str(end.code))
        self.assertEqual(ended, status, err.getvalue())
        return out.getvalue() + err.getvalue()

    def refused(self, *words: str) -> str:
        """Return the one sentence with which ``tm WORDS…`` fails."""
        said = self.tm(*words, status=78)
        self.assertTrue(said.startswith("tm: "), said)
        self.assertEqual(said.count("\n"), 1, said)
        return said

    def file(self, name: str) -> str:
        return os.path.join(self.certs, name)

    def setup_cluster(self) -> str:
        return self.tm("setup", "--cluster", "physics", "--host", "n1.lab", "--port", "2000")


class CreateTests(TmTestCase):
    def test_a_user_gets_four_files_and_the_dispatcher_its_own(self) -> None:
        self.tm("cert", "create", "alice", "alice@example.org")
        made = {"alice.key", "alice.csr", "alice.crt", "ca_certs.alice.crt"}
        self.assertEqual(set(os.listdir(self.certs)), made | {"taskdispatcher.key", "taskdispatcher.crt"})
        for name in ("alice", "taskdispatcher"):
            load_pair(self.file(name + ".key"), self.file(name + ".crt"))
            self.assertEqual(os.stat(self.file(name + ".key")).st_mode & 0o777, 0o600)
        own = {fingerprint(load_certificate(self.file(name + ".crt"))) for name in ("alice", "taskdispatcher")}
        self.assertEqual(load_pins(self.file("ca_certs.alice.crt")), own)

    def test_what_it_prints_registers_when_it_is_added(self) -> None:
        self.setup_cluster()
        said = self.tm("cert", "create", "alice", "alice@example.org")
        table = "".join(line[2:] for line in said.splitlines(keepends=True) if line.startswith(("  [", "  c", "  e")))
        table = "\n".join(line for line in table.splitlines() if not line.startswith("certificate "))
        with open(os.path.join(self.etc, "users"), "a") as file:
            file.write(table + "\n")
        self.assertIn("alice", config.load(self.etc).users)

    def test_registering_makes_the_user_known_at_once(self) -> None:
        self.setup_cluster()
        self.tm("cert", "create", "alice", "alice@example.org", "--register")
        users = config.load(self.etc).users
        peer = tls.describe(load_certificate(self.file("alice.crt")))
        self.assertEqual(tls.check_peer(peer, users, datetime.datetime.now().timestamp()), "alice")
        self.assertEqual(users.by_name["alice"].email, "alice@example.org")

    def test_nothing_is_overwritten_and_a_failure_leaves_nothing_half_made(self) -> None:
        os.makedirs(self.certs)
        with open(self.file("alice.crt"), "w") as file:
            file.write("precious")
        self.assertIn("alice.crt: exists", self.refused("cert", "create", "alice", "alice@example.org"))
        self.assertNotIn("alice.key", os.listdir(self.certs))
        with open(self.file("alice.crt")) as file:
            self.assertEqual(file.read(), "precious")

    def test_the_dispatchers_key_stays_for_the_second_user(self) -> None:
        self.tm("cert", "create", "alice", "alice@example.org")
        before = load_key(self.file("taskdispatcher.key"))
        self.tm("cert", "create", "bob", "bob@example.org")
        after = load_key(self.file("taskdispatcher.key"))
        self.assertEqual(before.public_key(), after.public_key())

    def test_names_and_addresses_are_checked(self) -> None:
        for user, email in (
            ("../alice", "a@b.c"),
            ("-a", "a@b.c"),
            ("taskdispatcher", "a@b.c"),
            ("alice", "nowhere"),
            ("alice", 'a"]\n[x@b.c'),
        ):
            words = ["cert", "create", "--", user, email]
            self.tm(*words, status=78)
        self.assertFalse(os.path.exists(self.certs))

    def test_a_folder_that_cannot_be_written_is_a_sentence(self) -> None:
        os.makedirs(self.base)
        with open(self.etc, "w"):
            pass
        self.assertIn(self.etc, self.refused("cert", "create", "alice", "a@b.c"))


class RequestTests(TmTestCase):
    def test_a_key_is_made_at_home_and_the_certificate_accepted_by_the_administrator(self) -> None:
        self.setup_cluster()
        self.tm("cert", "request", "carol", "carol@example.org")
        self.assertEqual(os.stat(self.own).st_mode & 0o777, 0o700)
        handed_over = os.path.join(self.own, "carol.crt")
        self.tm("cert", "accept", handed_over)
        user = config.load(self.etc).users.by_name["carol"]
        self.assertEqual(user.fingerprints, (fingerprint(load_certificate(handed_over)),))
        self.assertEqual(user.email, "carol@example.org")
        self.assertEqual(len(load_pins(self.file("ca_certs.carol.crt"))), 2)
        self.assertNotIn("carol.key", os.listdir(self.certs))

    def test_accepting_twice_changes_nothing(self) -> None:
        self.setup_cluster()
        self.tm("cert", "request")
        self.tm("cert", "accept", os.path.join(self.own, "carol.crt"))
        before = config.load(self.etc)
        self.tm("cert", "accept", os.path.join(self.own, "carol.crt"))
        self.assertEqual(config.load(self.etc), before)

    def test_a_second_certificate_in_a_users_name_needs_a_word(self) -> None:
        self.setup_cluster()
        self.tm("cert", "create", "carol", "carol@example.org", "--register")
        self.tm("cert", "request")
        path = os.path.join(self.own, "carol.crt")
        self.assertIn("--another", self.refused("cert", "accept", path))
        self.assertEqual(len(config.load(self.etc).users.fingerprints_of("carol")), 1)
        self.tm("cert", "accept", path, "--another")
        self.assertEqual(len(config.load(self.etc).users.fingerprints_of("carol")), 2)

    def test_ones_own_key_is_never_overwritten(self) -> None:
        self.tm("cert", "request")
        before = load_key(os.path.join(self.own, "carol.key")).public_key()
        self.assertIn("carol.key: exists", self.refused("cert", "request"))
        self.assertEqual(load_key(os.path.join(self.own, "carol.key")).public_key(), before)

    def test_what_is_no_good_certificate_is_not_accepted(self) -> None:
        self.setup_cluster()
        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=90)
        os.makedirs(self.own)
        old = Identity(self.own, "old", "carol", long_ago, 30)
        self.assertIn("expired", self.refused("cert", "accept", old.certificate))
        for server in ("taskdispatcher", "taskweb"):
            false = Identity(self.own, "false " + server, server)
            self.assertIn("cannot name a user", self.refused("cert", "accept", false.certificate))
        self.assertIn("PEM", self.refused("cert", "accept", old.key))
        self.assertIn("No such file", self.refused("cert", "accept", os.path.join(self.own, "none")))
        self.assertEqual(config.load(self.etc).users.by_name, {})


class OtherTests(TmTestCase):
    def test_setup_gives_a_configuration_that_loads_and_changes_nothing_the_second_time(self) -> None:
        self.assertIn("--init -p 2000", self.setup_cluster())
        found = config.load(self.etc)
        self.assertEqual([(host.name, host.launcher) for host in found.hosts], [("n1", "local")])
        info = places.read_info(os.path.join(self.etc, "TaskDispatcher.info"))
        self.assertEqual(info, {"cluster": "physics", "host": "n1.lab", "port": "2000"})
        self.assertIn("is there already", self.tm("setup"))
        self.assertIn("says port = 2000", self.refused("setup", "--port", "2001"))
        self.assertEqual(config.load(self.etc), found)

    def test_setup_checks_what_it_is_told(self) -> None:
        for words in (("--cluster", "a b"), ("--port", "0"), ("--host", "-x"), ("--host", "a\nport = 3")):
            self.tm("setup", f"{words[0]}={words[1]}", status=78)
        self.tm("setup", "--port", "many", status=2)

    def test_all_users_certificates_are_gathered_and_the_unregistered_named(self) -> None:
        self.setup_cluster()
        self.tm("cert", "create", "alice", "alice@example.org", "--register")
        self.tm("cert", "create", "bob", "bob@example.org")
        for _ in range(2):
            said = self.tm("cert", "authorized")
        users = {fingerprint(load_certificate(self.file(name + ".crt"))) for name in ("alice", "bob")}
        self.assertEqual(load_pins(self.file("authorized_certs.crt")), users)
        self.assertIn("not let in: bob", said)

    def test_show_says_who_and_which_fingerprint(self) -> None:
        self.tm("cert", "create", "alice", "alice@example.org")
        said = self.tm("cert", "show", self.file("alice.crt"))
        self.assertIn("alice alice@example.org", said)
        self.assertIn(fingerprint(load_certificate(self.file("alice.crt"))), said)
        self.assertEqual(self.tm("cert", "show", self.file("ca_certs.alice.crt")).count("fingerprint"), 2)
        self.assertIn("a request", self.tm("cert", "show", self.file("alice.csr")))
        self.refused("cert", "show", self.file("alice.key"))

    def test_help_begins_with_examples(self) -> None:
        for words in ((), ("cert",), ("cert", "create"), ("setup",)):
            self.assertTrue(self.tm(*words, "--help").startswith("examples:\n  tm "), words)

    def test_a_forged_certificate_has_no_place_in_the_table(self) -> None:
        self.setup_cluster()
        self.tm("cert", "create", "alice", "alice@example.org", "--register")
        forged = Identity(self.base, "forged", "alice").presented
        users = config.load(self.etc).users
        error = self.assertRaises(
            RefusedError, tls.check_peer, tls.describe(forged), users, datetime.datetime.now().timestamp()
        )
        self.assertEqual(error.word, "auth.forged")
        self.assertRaises(ConfigError, load_pair, self.file("alice.key"), os.path.join(self.base, "forged.crt"))


class ScriptTests(TmTestCase):
    def script(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.environ, "TM_PYTHON": sys.executable}
        command = [os.path.join(places.find_root(), name), *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    def test_the_two_scripts_make_a_user_and_gather_the_certificates(self) -> None:
        made = self.script("scripts/createCertificate.sh", "alice", "alice@example.org")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        gathered = self.script("scripts/createAuthorizedCertsFile.sh")
        self.assertEqual((gathered.returncode, gathered.stderr), (0, ""))
        self.assertEqual(len(load_pins(self.file("authorized_certs.crt"))), 1)

    def bare_python(self, named: str) -> subprocess.CompletedProcess[str]:
        """Run ``tm setup`` by a Python without libraries while ``TM_PYTHON`` is *named*."""
        environ = {**os.environ, **self.environ, "TM_PYTHON": named}
        command = [sys.executable, "-S", os.path.join(places.find_root(), "bin", "tm"), "setup"]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    def test_a_python_without_the_libraries_starts_the_one_that_has_them(self) -> None:
        os.makedirs(self.base)
        other = os.path.join(self.base, "python")
        with open(other, "w") as file:
            file.write(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        os.chmod(other, 0o700)
        done = self.bare_python(other)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(os.path.exists(os.path.join(self.etc, "TaskDispatcher.info")))

    def test_where_no_python_has_the_libraries_it_says_what_to_do(self) -> None:
        done = self.bare_python(sys.executable)
        self.assertEqual(done.returncode, 78)
        self.assertIn("pip install", done.stderr)
        done = self.bare_python("/nonexistent/python")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (78, 1), done.stderr)
