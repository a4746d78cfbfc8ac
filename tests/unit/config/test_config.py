"""``etc`` as it should be, and every complaint about what should not be in it."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.support.identities import Identity
from tm import config
from tm.config.files import HostsFile
from tm.errors import ConfigError
from tm.model.host import Courtesy, HostConfig
from tm.model.rights import RIGHTS, Limits
from tm.ports import Edited, Target

USERS = """\
# who is who
[users.alice]
certificates = ["certs/alice.crt"]
email = "alice@example.org"

[users."bob"]
certificates = [
    "certs/bob.crt",
    "certs/bob2.crt",
]
"""
GROUPS = """\
[groups.admins]
members = ["alice"]
rights = ["hosts", "jobs"]
[groups.all]
members = ["*"]
"""
HOSTS = """\
[defaults]
launcher = "openssh"
memory = "64G"

[hosts.n1]

[hosts.n2]   # the big one
address = "n2.lab"
cores = 64
memory = 1000
active = false  # until the fan is repaired
[hosts.n2.options]
port = 2222
user = "carol"

[hosts.here]
launcher = "local"
"""


class ConfigTestCase(SynchronousTestCase):
    """An ``etc`` whose files are all right, until a test writes another."""

    def setUp(self) -> None:
        self.etc = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.etc, "certs"))
        self.people = {name: Identity(os.path.join(self.etc, "certs"), name, name) for name in ("alice", "bob", "bob2")}
        self.write("users", USERS)
        self.write("groups", GROUPS)
        self.write("ComputerCluster.config", HOSTS)

    def path(self, name: str) -> str:
        return os.path.join(self.etc, name)

    def write(self, name: str, text: str) -> None:
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def complaints(self, name: str = "", text: str = "") -> list[str]:
        """Return the complaints, without the folder, after *text* has been written into the file *name*."""
        if name:
            self.write(name, text)
        error = self.assertRaises(ConfigError, config.load, self.etc)
        self.assertEqual(error.exit_status, 78)
        return [complaint.removeprefix(self.etc + "/") for complaint in error.complaints]


class LoadTests(ConfigTestCase):
    def test_a_good_folder_gives_users_groups_and_hosts(self) -> None:
        found = config.load(self.etc)
        self.assertEqual(found.users.user_of(self.people["alice"].fingerprint), "alice")
        self.assertEqual(found.users.user_of(self.people["bob2"].fingerprint), "bob")
        self.assertEqual(found.users.by_name["alice"].email, "alice@example.org")
        self.assertEqual(found.groups.rights_of("alice"), {"hosts", "jobs"})
        self.assertEqual(found.groups.groups_of("bob"), ("all",))
        self.assertEqual(
            found.hosts,
            (
                HostConfig(name="n1", address="n1", memory=64 * 2**30),
                HostConfig(
                    name="n2",
                    address="n2.lab",
                    cores=64,
                    memory=1000,
                    active=False,
                    options={"port": 2222, "user": "carol"},
                ),
                HostConfig(name="here", address="here", launcher="local", memory=64 * 2**30),
            ),
        )

    def test_all_complaints_come_at_once(self) -> None:
        self.write("users", "[users.alice]\n")
        self.write("ComputerCluster.config", "[hosts.n1]\ncores = 0\n[hosts.n2]\nmemory = 'much'\n")
        files = [complaint.split(":")[0] for complaint in self.complaints()]
        self.assertEqual(files, ["users", "ComputerCluster.config", "ComputerCluster.config"])

    def test_a_missing_file_names_the_remedy(self) -> None:
        os.unlink(self.path("groups"))
        (complaint,) = self.complaints()
        self.assertIn("tm setup", complaint)

    def test_an_empty_file_is_a_damaged_one_and_removes_nobody(self) -> None:
        for name in ("users", "groups", "ComputerCluster.config"):
            with open(self.path(name), encoding="utf-8") as file:
                whole = file.read()
            for text in ("", "\n\n"):
                (complaint,) = [one for one in self.complaints(name, text) if one.startswith(f"{name}:1: the file is")]
                self.assertIn("restore it", complaint)
            self.write(name, whole)

    def test_bad_toml_is_found_by_line(self) -> None:
        (complaint,) = self.complaints("groups", "[groups.a]\nmembers = [\n  'alice' 'bob'\n]\n")
        self.assertTrue(complaint.startswith("groups:3: expected TOML"), complaint)
        (complaint,) = self.complaints("groups", "[groups.a]\nmembers = [\n")
        self.assertTrue(complaint.startswith("groups:"), complaint)

    def test_text_that_is_not_utf_8_is_found_by_line(self) -> None:
        with open(self.path("groups"), "wb") as file:
            file.write(b"# fine\n# \xff\n")
        self.assertEqual(self.complaints(), ["groups:2: expected UTF-8 text"])

    def test_a_file_that_everybody_may_write_is_refused(self) -> None:
        os.chmod(self.path("users"), 0o666)
        (complaint,) = self.complaints()
        self.assertIn("chmod o-w", complaint)

    def test_a_folder_that_everybody_may_write_is_refused(self) -> None:
        os.chmod(self.etc, 0o777)
        error = self.assertRaises(ConfigError, config.load, self.etc)
        self.assertEqual(error.text, f"{self.etc}: everybody may write in it; say 'chmod o-w {self.etc}'")

    def test_a_missing_folder_names_the_remedy(self) -> None:
        error = self.assertRaises(ConfigError, config.load, self.etc + "none")
        self.assertIn("tm setup", error.text)

    def test_a_file_of_somebody_else_is_refused(self) -> None:
        if os.getuid() != 0:
            self.skipTest("only root can give files away")
        os.chown(self.path("users"), 12345, -1)
        (complaint,) = self.complaints()
        self.assertIn("belongs to user number 12345", complaint)


class UsersTests(ConfigTestCase):
    def test_the_same_certificate_twice_is_refused(self) -> None:
        found = self.complaints("users", USERS.replace('"certs/bob.crt"', '"certs/alice.crt"'))
        self.assertEqual(found, ["users:7: expected a certificate of their own; alice has the same"])

    def test_certificates_that_cannot_be_read_are_named(self) -> None:
        (complaint,) = self.complaints("users", "[users.alice]\ncertificates = ['certs/none.crt']\n")
        self.assertEqual(complaint, "users:2: certificate certs/none.crt: No such file or directory")
        self.write("certs/bad.crt", "nonsense")
        (complaint,) = self.complaints("users", "[users.alice]\ncertificates = ['certs/bad.crt']\n")
        self.assertIn("expected one certificate in PEM form", complaint)

    def test_a_private_key_in_the_place_of_a_certificate_is_noticed(self) -> None:
        (complaint,) = self.complaints("users", "[users.alice]\ncertificates = ['certs/alice.key']\n")
        self.assertIn("private key", complaint)

    def test_a_key_that_others_may_read_is_noticed(self) -> None:
        os.chmod(self.people["bob"].key, 0o644)
        (complaint,) = self.complaints()
        self.assertTrue(complaint.startswith("users:7: certificate certs/bob.crt: others may read"), complaint)

    def test_wrong_shapes_are_found_by_line(self) -> None:
        found = self.complaints("users", "[users]\nalice = 3\n[users.-x]\ncertificates = 'a'\nmail = 'b'\n[other]\n")
        self.assertEqual(
            found,
            [
                "users:6: expected [users.NAME] or [removed]",
                "users:2: expected a table [users.alice]",
                "users:3: a user's name has letters, digits, '_', '.' and '-'",
                "users:5: 'mail' is not known here; expected 'certificates', 'email'",
                'users:4: expected a list of strings, like certificates = ["…"]',
            ],
        )

    def test_a_user_without_certificates_line_is_told_how_it_looks(self) -> None:
        found = self.complaints("users", "[users.alice]\nemail = 'nowhere'\n")
        self.assertEqual(
            found,
            [
                'users:1: expected certificates = ["certs/alice.crt"]',
                'users:2: expected an address like "name@example.org"',
            ],
        )


class GroupsTests(ConfigTestCase):
    def test_unknown_members_and_rights_are_refused(self) -> None:
        found = self.complaints("groups", "[groups.a]\nmembers = ['carol']\nrights = ['root']\n")
        self.assertEqual(
            found,
            [
                "groups:2: 'carol' is not in users; expected its users or \"*\"",
                "groups:3: 'root' is no right; expected all, hosts, jobs, users, reload, log, audit, shutdown,"
                " properties or verb:VERB with a verb that needs one of them",
            ],
        )

    def complaint(self, line: str) -> str:
        """Return the one complaint about *line* in the table of a group, which is its second."""
        (found,) = self.complaints("groups", f"[groups.a]\n{line}\n")
        self.assertTrue(found.startswith("groups:2: "), found)
        return found

    def test_rights_limits_and_shares_are_read(self) -> None:
        self.write(
            "groups",
            "[groups.a]\nmembers = ['alice']\nrights = ['verb:canceljob', 'log']\nshares = 40\n"
            "limits = { running = 100, cores = 64, memory = '256G', queued = 0 }\n"
            "[groups.b]\nmembers = ['*']\nrights = ['all']\n[groups.b.user_limits]\nmemory = 1000\n",
        )
        a, b = config.load(self.etc).groups.groups
        self.assertEqual((a.limits, a.user_limits, a.shares), (Limits(100, 64, 256 << 30, 0), Limits(), 40))
        self.assertEqual((a.rights, b.rights), ({"verb:canceljob", "log"}, {"all"}))
        self.assertEqual((b.limits, b.user_limits, b.shares), (Limits(), Limits(memory=1000), 0))
        self.assertEqual(config.load(self.etc).groups.rights_of("bob"), set(RIGHTS))

    def test_every_value_is_checked(self) -> None:
        for line, part in (
            ("rights = ['verb:help']", "'verb:help' is no right"),
            ("rights = ['verb:infojoin']", "'verb:infojoin' is no right"),
            ("rights = ['verb:nothing']", "'verb:nothing' is no right"),
            ("rights = ['infoserver']", "'infoserver' is no right"),
            ("shares = 0", "expected a number of shares from 1"),
            ("shares = true", "expected a number of shares"),
            ("limits = 3", "expected a table like limits = {"),
            ("limits = { running = -1 }", "running: expected a number, 0 or more"),
            ("user_limits = { cores = true }", "cores: expected a number"),
            ("user_limits = { cores = '4' }", "cores: expected a number"),
            ("limits = { memory = 'lots' }", "memory: 'lots' is no size"),
            ("limits = { memory = [] }", 'memory: expected a size like "256G"'),
            ("limits = { jobs = 4 }", "'jobs' is not known here; expected 'cores', 'memory', 'queued', 'running'"),
            ("limit = { }", "'limit' is not known here"),
        ):
            self.assertIn(part, self.complaint(line))

    def test_what_becomes_of_jobs_of_removed_users_is_read(self) -> None:
        self.assertEqual(config.load(self.etc).users.removed_jobs, "finish")
        self.write("users", USERS + "[removed]\njobs = 'cancel'\n")
        self.assertEqual(config.load(self.etc).users.removed_jobs, "cancel")
        for text in ("[removed]\njobs = 'kill'\n", "[removed]\njobs = true\n"):
            (complaint,) = self.complaints("users", text + USERS.replace("# who is who\n", ""))
            self.assertEqual(
                complaint, 'users:2: expected jobs = "finish" or "cancel": what running jobs of a removed user do'
            )

    def test_when_certificates_end_is_known(self) -> None:
        (one,) = config.load(self.etc).users.by_name["alice"].certificates
        self.assertEqual((one.fingerprint, one.file), (self.people["alice"].fingerprint, "certs/alice.crt"))
        self.assertEqual(one.not_after, self.people["alice"].presented.not_valid_after_utc.timestamp())


class HostsTests(ConfigTestCase):
    def complaint(self, line: str) -> str:
        """Return the one complaint about *line* in the table of a host, which is its second."""
        (found,) = self.complaints("ComputerCluster.config", f"[hosts.n1]\n{line}\n")
        self.assertTrue(found.startswith("ComputerCluster.config:2: "), found)
        return found

    def test_an_address_cannot_be_an_option_of_ssh(self) -> None:
        for address in ("-oProxyCommand=x", "n1;reboot", "a b", "", "ü"):
            self.assertIn("expected a host name", self.complaint(f'address = "{address}"'))

    def test_every_value_is_checked(self) -> None:
        for line, part in (
            ("launcher = 'rsh'", "expected one of openssh, local, conch"),
            ("cores = 0", "expected a number of cores"),
            ("cores = true", "expected a number of cores"),
            ("cores = '4'", "expected a number of cores"),
            ("memory = 'lots'", "no size of memory"),
            ("memory = -1", "expected a size"),
            ("memory = true", "expected a size"),
            ("active = 1", "expected true or false"),
            ("options = 3", "expected a table"),
            ("options = { user = '-x' }", "option 'user'"),
            ("options = { port = 0 }", "option 'port'"),
            ("options = { port = '22' }", "option 'port'"),
            ("options = { identity = ['a'] }", "option 'identity'"),
            ("options = { known_hosts = 'here' }", "option 'known_hosts': expected a path"),
            ("options = { proxy = 'x' }", "option 'proxy' is not known"),
            ("colour = 'red'", "'colour' is not known here"),
        ):
            self.assertIn(part, self.complaint(line))

    def test_every_key_of_a_host_is_read(self) -> None:
        self.write(
            "ComputerCluster.config",
            """
            [hosts.n1]
            address = "n1.lab"
            launcher = "conch"
            options = { port = 22 }
            cores = 8
            memory = "1.5G"
            gpus = 0
            features = ["gpu", "old", "gpu"]
            consumables = { matlab = 4 }
            active = false
            policy = "give-way"
            console_idle = 0
            hours = ["mon-fri 20:00-07:00", "sat,sun"]
            users = ["alice", "@physics"]
            owners = ["carol"]
            python = "python3.12"
            root = "~/tm"
            infoserver = false
            info_port = 4000
            tunnel = true
            """,
        )
        self.assertEqual(
            config.load(self.etc).hosts,
            (
                HostConfig(
                    name="n1", address="n1.lab", launcher="conch", options={"port": 22}, cores=8, memory=3 << 29,
                    gpus=0, features=("gpu", "old"), consumables={"matlab": 4}, active=False,
                    policy=Courtesy.GIVE_WAY, console_idle=0.0, hours=("mon-fri 20:00-07:00", "sat,sun"),
                    users=("alice", "@physics"), owners=("carol",), python="python3.12", root="~/tm",
                    infoserver=False, info_port=4000, tunnel=True,
                ),
            ),
        )  # fmt: skip

    def test_every_other_key_is_checked(self) -> None:
        for line, part in (
            ("gpus = -1", "expected a number of GPUs"),
            ("features = 'gpu'", "expected words"),
            ("features = ['a b']", "'a b': expected words"),
            ("consumables = { matlab = -1 }", "'matlab': expected a name and a number"),
            ("consumables = { 'a b' = 1 }", "'a b': expected a name"),
            ("consumables = 4", "expected a table"),
            ("policy = 'kind'", "expected one of ignore, no-new-jobs, nice, suspend, give-way"),
            ("console_idle = -1", "expected seconds"),
            ("console_idle = nan", "expected seconds"),
            ("console_idle = 1e308", "expected seconds"),
            ("console_idle = '5m'", "expected seconds"),
            ("hours = 'sat'", "expected a list"),
            ("hours = ['sat', 'someday']", "'someday': expected days"),
            ("hours = ['mon 25:00-26:00']", "expected two different times"),
            ("users = 'alice'", "expected names of users"),
            ("users = ['@']", "expected names of users"),
            ("owners = ['a b']", "expected names of users"),
            ("python = 'bin/python3'", "python"),
            ("root = 'tm'", "expected a path"),
            ("program = '~/$HOME/tm.pyz'", "program"),
            ("program = '/tm.pyz'\nroot = '/tm'", "not both"),
            ("infoserver = 'no'", "expected true or false"),
            ("info_port = 65536", "expected a port"),
            ("tunnel = 1", "expected true or false"),
            ("group = 'gpu'", "'gpu' is no group of hosts; expected a group, which a table"),
        ):
            self.assertIn(part, self.complaint(line), line)

    def test_a_host_says_more_than_its_group_and_that_more_than_the_defaults(self) -> None:
        self.write(
            "ComputerCluster.config",
            """
            [defaults]
            cores = 1
            memory = 1
            features = ["a"]
            consumables = { x = 1, y = 1 }
            [host_groups.big]
            memory = 2
            features = ["b"]
            consumables = { y = 2, z = 2 }
            [hosts.n1]
            [hosts.n2]
            group = "big"
            [hosts.n3]
            group = "big"
            cores = 3
            features = []
            consumables = { z = 3 }
            """,
        )
        found = [(h.group, h.cores, h.memory, h.features, h.consumables) for h in config.load(self.etc).hosts]
        self.assertEqual(
            found,
            [
                ("", 1, 1, ("a",), {"x": 1, "y": 1}),
                ("big", 1, 2, ("b",), {"x": 1, "y": 2, "z": 2}),
                ("big", 3, 2, (), {"x": 1, "y": 2, "z": 3}),
            ],
        )

    def test_groups_of_hosts_are_complained_of_where_they_stand(self) -> None:
        found = self.complaints(
            "ComputerCluster.config",
            "[host_groups.a]\ncores = 0\naddress = 'x'\n[hosts.n1]\ngroup = 'a'\n[hosts.n2]\ngroup = 3\n[other]\n",
        )
        self.assertEqual(
            [complaint.split(": ")[0] for complaint in found],
            [f"ComputerCluster.config:{line}" for line in (8, 3, 2, 7)],
        )
        self.assertIn("expected one of a", found[-1])

    def test_one_computer_is_not_counted_twice(self) -> None:
        found = self.complaints(
            "ComputerCluster.config", "[hosts.n1]\n[hosts.n2]\naddress = 'N1'\n[hosts.n3]\naddress = 'n3'\n"
        )
        self.assertEqual(found, ["ComputerCluster.config:3: expected an address of its own; n1 has the same, N1"])
        self.write(
            "ComputerCluster.config",
            "[hosts.n1]\n[hosts.n2]\naddress = 'n1'\noptions = { port = 2222 }\n"
            + "".join(f"[hosts.{name}]\nlauncher = 'local'\naddress = 'localhost'\n" for name in "ab"),
        )
        self.assertEqual(len(config.load(self.etc).hosts), 4)

    def test_empty_and_damaged_files_are_named(self) -> None:
        self.write("ComputerCluster.config", "# no hosts yet\n")
        self.assertEqual(config.load(self.etc).hosts, ())
        (complaint,) = self.complaints("ComputerCluster.config", "")
        self.assertTrue(complaint.startswith("ComputerCluster.config:1: the file is empty"), complaint)
        with open(self.path("ComputerCluster.config"), "wb") as file:
            file.write(b"\x00\xff" * 100)
        (complaint,) = self.complaints()
        self.assertEqual(complaint, "ComputerCluster.config:1: expected UTF-8 text")

    def test_what_is_accepted_here_the_launchers_accept_too(self) -> None:
        self.write(
            "ComputerCluster.config",
            '[hosts.n1]\naddress = "::1"\n[hosts.n1.options]\nport = 65535\nuser = "_a.b-c"\n'
            'identity = "~/a b"\nknown_hosts = "/k"\nconfig = "~/c"\n',
        )
        (host,) = config.load(self.etc).hosts
        Target(host.name, host.address, ["true"], host.options)

    def test_a_wrong_default_is_complained_of_once_and_there(self) -> None:
        found = self.complaints("ComputerCluster.config", "[defaults]\ncores = 0\n[hosts.n1]\n[hosts.n2]\n")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("ComputerCluster.config:2: "), found)

    def test_options_of_a_host_stand_over_the_defaults(self) -> None:
        self.write(
            "ComputerCluster.config",
            "[defaults]\noptions = { port = 1, user = 'u' }\n[hosts.n1]\noptions.port = 2\n",
        )
        self.assertEqual(config.load(self.etc).hosts[0].options, {"port": 2, "user": "u"})


class HostsFileTests(ConfigTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.path("ComputerCluster.config")
        self.hosts = HostsFile(self.etc)

    def text(self) -> str:
        with open(self.file, encoding="utf-8", newline="") as file:
            return file.read()

    def edit(self, name: str, **keys: object) -> Edited:
        return self.hosts.edit("host", name, {**(self.hosts.table("host", name) or {}), **keys})

    def test_one_line_changes_and_its_comment_stays(self) -> None:
        edited = self.edit("n2", active=True)
        self.assertEqual(self.text(), HOSTS.replace("active = false", "active = true"))
        self.assertEqual([host.active for host in edited.hosts], [True, True, True])
        self.assertEqual(tuple(edited.hosts), config.load(self.etc).hosts)

    def test_an_edit_is_taken_back_unless_somebody_else_was_faster(self) -> None:
        edited = self.edit("n1", cores=3)
        edited.take_back()
        self.assertEqual(self.text(), HOSTS)
        edited = self.edit("n1", cores=3)
        self.write("ComputerCluster.config", self.text() + "# mine\n")
        self.assertIn("by somebody else", self.assertRaises(ConfigError, edited.take_back).text)
        self.assertTrue(self.text().endswith("# mine\n"))

    def test_what_holds_for_a_host_is_its_own_over_the_defaults(self) -> None:
        self.assertEqual(self.hosts.merged("here"), {"launcher": "local", "memory": "64G"})
        self.assertEqual((self.hosts.merged("n9"), self.hosts.table("host", "n9")), ({}, None))
        self.assertEqual(self.hosts.table("defaults", "hosts"), {"launcher": "openssh", "memory": "64G"})

    def test_what_would_be_wrong_is_not_written(self) -> None:
        for keys, part in (
            ({"cores": 0}, "host n1: cores expected a number of cores"),
            ({"address": "n2.lab", "options": {"port": 2222, "user": "carol"}}, "n1 has the same"),
        ):
            self.assertIn(part, self.assertRaises(ConfigError, self.edit, "n1", **keys).text)
        self.assertEqual(self.text(), HOSTS)
        self.assertRaises(ConfigError, self.hosts.edit, "defaults", "hosts", {"cores": 0})
        self.assertEqual(self.text(), HOSTS)

    def test_mode_and_line_ends_stay_and_nothing_is_left_behind(self) -> None:
        with open(self.file, "w", newline="") as file:
            file.write("[hosts.n1]\r\nactive = true\r\n[hosts.n2]")
        os.chmod(self.file, 0o640)
        before = set(os.listdir(self.etc))
        self.edit("n1", active=False)
        self.edit("n2", active=False)
        self.assertEqual(self.text(), "[hosts.n1]\r\nactive = false\r\n[hosts.n2]\r\nactive = false\r\n")
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o640)
        self.assertEqual(set(os.listdir(self.etc)), before)

    def test_a_link_stays_a_link(self) -> None:
        os.rename(self.file, self.file + ".real")
        os.symlink(self.file + ".real", self.file)
        self.edit("n2", active=True)
        self.assertTrue(os.path.islink(self.file))
        self.assertTrue(config.load(self.etc).hosts[1].active)

    def test_what_cannot_be_edited_safely_is_left_alone(self) -> None:
        for text in ("hosts = { n1 = { active = true } }\n", "[[hosts.n1]]\n", "[hosts.n1\n"):
            self.write("ComputerCluster.config", text)
            self.assertRaises(ConfigError, self.hosts.edit, "host", "n2", {"active": False})
            self.assertEqual(self.text(), text)

    def test_a_missing_or_read_only_place_is_an_error_with_a_sentence(self) -> None:
        os.unlink(self.file)
        error = self.assertRaises(ConfigError, self.hosts.table, "host", "n1")
        self.assertEqual((error.word, "No such file" in error.text), ("config.read", True))

    def test_what_others_write_meanwhile_is_seen(self) -> None:
        self.assertEqual(self.hosts.table("host", "n2"), {**(self.hosts.table("host", "n2") or {}), "cores": 64})
        self.write("ComputerCluster.config", HOSTS.replace("cores = 64", "cores = 65"))
        self.assertEqual((self.hosts.table("host", "n2") or {})["cores"], 65)


class AddCertificateTests(ConfigTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.path("users")
        Identity(self.path("certs"), "carol.x", "carol.x")

    def names(self, user: str) -> int:
        return len(config.load(self.etc).users.fingerprints_of(user))

    def test_a_new_user_is_added_at_the_end(self) -> None:
        self.write("users", USERS.rstrip())
        config.add_certificate(self.file, "carol.x", "certs/carol.x.crt", "c@example.org")
        found = config.load(self.etc).users.by_name["carol.x"]
        self.assertEqual((len(found.fingerprints), found.email), (1, "c@example.org"))
        with open(self.file) as file:
            self.assertTrue(file.read().startswith(USERS))

    def test_a_second_certificate_goes_into_the_list(self) -> None:
        config.add_certificate(self.file, "alice", "certs/carol.x.crt")
        self.assertEqual(self.names("alice"), 2)

    def test_a_list_of_several_lines_is_changed_as_well(self) -> None:
        config.add_certificate(self.file, "bob", "certs/carol.x.crt")
        self.assertEqual(self.names("bob"), 3)

    def test_an_inline_table_is_changed_too_and_what_is_unreadable_is_left_alone(self) -> None:
        self.write("users", '[users]\nalice = { certificates = ["certs/alice.crt"] }\n')
        config.add_certificate(self.file, "alice", "certs/carol.x.crt")
        self.assertEqual(self.names("alice"), 2)
        for text in ("[users.alice\n", "[users.alice]\ncertificates = 3\n"):
            self.write("users", text)
            error = self.assertRaises(ConfigError, config.add_certificate, self.file, "alice", "certs/carol.x.crt")
            self.assertIn("by hand", error.text)
            with open(self.file) as file:
                self.assertEqual(file.read(), text)
