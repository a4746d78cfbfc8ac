"""Users and groups changed by a program: what people wrote stays, and nothing faulty is ever written."""

from __future__ import annotations

import datetime
import os
import time

from tests.support.identities import Identity
from tests.unit.config.test_config import GROUPS, USERS, ConfigTestCase
from tm import config
from tm.config import people_files
from tm.config.people_files import PeopleFiles
from tm.errors import ConfigError, RefusedError


class PeopleFilesCase(ConfigTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.files = PeopleFiles(self.etc)

    def text(self, name: str) -> str:
        with open(self.path(name), encoding="utf-8", newline="") as file:
            return file.read()

    def pem(self, identity: Identity) -> str:
        with open(identity.certificate, encoding="ascii") as file:
            return file.read()

    def identity(self, name: str, **more: object) -> Identity:
        """Return an identity of somebody whose files are not in ``etc``."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        return Identity(folder, name, name, **more)  # type: ignore[arg-type]  # passed on


class EditionTests(PeopleFilesCase):
    def test_a_change_is_seen_before_it_is_written(self) -> None:
        edition = self.files.read()
        changed = edition.changed([("group", "admins", {"members": ["alice", "bob"], "rights": ["hosts", "jobs"]})])
        self.assertEqual(changed.groups.rights_of("bob"), {"hosts", "jobs"})
        self.assertEqual((edition.groups.rights_of("bob"), self.text("groups")), (frozenset(), GROUPS))
        changed.write()
        self.assertEqual(config.load(self.etc).groups.rights_of("bob"), {"hosts", "jobs"})
        self.assertEqual(self.text("groups"), GROUPS.replace('["alice"]', '["alice", "bob"]'))

    def test_what_is_written_can_be_put_back(self) -> None:
        changed = self.files.read().changed([("user", "bob", None), ("group", "new", {"members": ["alice"]})])
        back = changed.write()
        self.assertNotIn("bob", config.load(self.etc).users)
        back()
        self.assertEqual((self.text("users"), self.text("groups")), (USERS, GROUPS))

    def test_a_file_that_loses_its_last_table_is_not_empty(self) -> None:
        self.write("groups", "[groups.a]\nmembers = ['bob']\n")
        self.files.read().changed([("group", "a", None)]).write()
        self.assertEqual(config.load(self.etc).groups.groups, ())
        self.assertTrue(self.text("groups").startswith("#"))

    def test_what_somebody_edited_meanwhile_is_not_put_back(self) -> None:
        back = self.files.read().changed([("group", "all", None)]).write()
        self.write("groups", GROUPS + "# mine\n")
        self.assertIn("edited meanwhile", self.assertRaises(ConfigError, back).text)
        self.assertIn("# mine", self.text("groups"))

    def test_comments_stay(self) -> None:
        head = "# top\n\n[groups.a] # here\n# why\nmembers = [\n  'alice', # she\n"
        self.write("groups", head + "  'bob',\n]\nshares = 3 # as agreed\n")
        edition = self.files.read()
        table = {**(edition.table("group", "a") or {}), "members": ["alice"], "shares": 4}
        edition.changed([("group", "a", table)]).write()
        self.assertEqual(self.text("groups"), head + "]\nshares = 4 # as agreed\n")

    def test_what_would_be_faulty_is_not_made(self) -> None:
        edition = self.files.read()
        for kind, name, table in (
            ("group", "admins", {"members": ["carol"]}),
            ("group", "admins", {"members": ["alice"], "limits": {"cores": "many"}}),
            ("group", "-x", {"members": []}),
            ("user", "dave", {"certificates": ["certs/alice.crt"]}),
            ("user", "dave", {}),
        ):
            self.assertRaises(ConfigError, edition.changed, [(kind, name, table)])
        error = self.assertRaises(ConfigError, edition.changed, [("user", "alice", None)])
        self.assertIn("'alice' is not in users", error.text)
        self.assertEqual((self.text("users"), self.text("groups")), (USERS, GROUPS))

    def test_a_faulty_file_is_not_built_upon(self) -> None:
        self.write("groups", GROUPS + "[groups.b]\nshares = 'many'\n")
        self.assertIn("groups:7: expected a number of shares", self.assertRaises(ConfigError, self.files.read).text)

    def test_users_come_before_their_groups_and_go_after_them(self) -> None:
        """Whoever reads between the two writes reads something right."""
        order: list[str] = []
        replaced = people_files.replace_file

        def noted(path: str, text: str) -> None:
            order.append(os.path.basename(path))
            replaced(path, text)

        self.patch(people_files, "replace_file", noted)
        Identity(self.path("certs"), "carol", "carol")
        carol = ("user", "carol", {"certificates": ["certs/carol.crt"]})
        self.files.read().changed([carol, ("group", "new", {"members": ["carol"]})]).write()
        self.files.read().changed([("group", "new", None), ("user", "carol", None)]).write()
        self.assertEqual(order, ["users", "groups", "groups", "users"])

    def test_when_the_second_file_cannot_be_written_the_first_is_as_before(self) -> None:
        replaced = people_files.replace_file

        def failing(path: str, text: str) -> None:
            if path.endswith("users"):
                raise ConfigError([f"{path}: cannot be written: No space left on device"], "config.write")
            replaced(path, text)

        self.patch(people_files, "replace_file", failing)
        changed = self.files.read().changed([("group", "all", None), ("user", "bob", None)])
        self.assertEqual(self.assertRaises(ConfigError, changed.write).word, "config.write")
        self.assertEqual((self.text("users"), self.text("groups")), (USERS, GROUPS))


class CertificateTests(PeopleFilesCase):
    def refused(self, text: str, now: float | None = None) -> str:
        error = self.assertRaises(RefusedError, self.files.check_certificate, text, now or time.time())
        self.assertEqual(error.word, "user.certificate")
        return error.text

    def test_a_certificate_is_kept_in_a_file_of_its_own_and_once(self) -> None:
        carol, second = self.identity("carol"), self.identity("carol")
        names = []
        for identity in (carol, second, carol):
            one, text = self.files.check_certificate("said by carol\n" + self.pem(identity), time.time())
            self.assertEqual(one.fingerprint, identity.fingerprint)
            names.append(self.files.keep_certificate("carol", one, text)[0])
        self.assertEqual(names, ["certs/carol.crt", f"certs/carol-{second.fingerprint[:16]}.crt", "certs/carol.crt"])
        self.assertEqual(os.stat(self.path("certs/carol.crt")).st_mode & 0o777, 0o644)
        self.assertNotIn("said", self.text("certs/carol.crt"))

    def test_what_was_written_is_taken_back_and_what_was_there_is_not(self) -> None:
        carol = self.identity("carol")
        one, text = self.files.check_certificate(self.pem(carol), time.time())
        name, back = self.files.keep_certificate("carol", one, text)
        _, none = self.files.keep_certificate("carol", one, text)
        none()
        self.assertTrue(os.path.exists(self.path(name)))
        back()
        self.assertFalse(os.path.exists(self.path(name)))

    def test_a_private_key_is_refused_and_what_to_do_is_said(self) -> None:
        carol = self.identity("carol")
        with open(carol.key, encoding="ascii") as file:
            key = file.read()
        self.assertIn("make a new key", self.refused(self.pem(carol) + key))

    def test_what_is_no_certificate_or_several_is_refused(self) -> None:
        carol = self.pem(self.identity("carol"))
        damaged = carol.replace("A", "B", 3)
        for text in ("", "hello", carol + carol, carol[:200], "\udcff", damaged):
            self.assertIn("expected one certificate in PEM form", self.refused(text))
        self.assertIn("more than 65536 bytes", self.refused(carol + "x" * 70000))

    def test_the_time_of_a_certificate_counts(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        old = self.identity("old", now=now - datetime.timedelta(days=40), days=30)
        self.assertIn("has expired", self.refused(self.pem(old)))
        later = self.identity("later", now=now + datetime.timedelta(days=10))
        self.assertIn("later day", self.refused(self.pem(later)))
