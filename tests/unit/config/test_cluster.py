"""What ``ComputerCluster.config`` says of the cluster as a whole, and every complaint about it."""

from __future__ import annotations

import os

from tests.unit.config.test_config import HOSTS, ConfigTestCase
from tm import config
from tm.config.cluster import MAIL_KEYS, SCHEDULING_KEYS, TABLES
from tm.config.files import HostsFile
from tm.errors import ConfigError
from tm.model.settings import Mail, Scheduling

NAME = "ComputerCluster.config"
CLUSTER = """
[licenses]
ansys = 10   # floating
"comsol.batch" = 0

[scheduling]
half_life = "14d"
age_weight = 3600
reservations = 0
default_time = "8h"
processes = 512
archive_months = 12

[mail]
host = "mail.example.org"
port = 587
sender = "tm@example.org"
"""


class ClusterTests(ConfigTestCase):
    def load(self, text: str) -> config.Configuration:
        self.write(NAME, HOSTS + text)
        return config.load(self.etc)

    def test_what_is_not_said_is_as_usual(self) -> None:
        found = self.load("")
        self.assertEqual((found.scheduling, found.mail), (Scheduling(), Mail()))

    def test_everything_can_be_said(self) -> None:
        found = self.load(CLUSTER)
        self.assertEqual(
            found.scheduling,
            Scheduling(
                half_life=14 * 86400.0, age_weight=3600.0, reservations=0, default_time=8 * 3600.0, processes=512,
                archive_months=12, licenses={"ansys": 10, "comsol.batch": 0},
            ),
        )  # fmt: skip
        self.assertEqual(found.mail, Mail(host="mail.example.org", port=587, sender="tm@example.org"))
        self.assertEqual(found.tables["licenses"], {"cluster": {"ansys": 10, "comsol.batch": 0}})

    def test_every_setting_has_a_key(self) -> None:
        self.assertEqual({*SCHEDULING_KEYS, "licenses"}, set(Scheduling.__struct_fields__))
        self.assertEqual(set(MAIL_KEYS), set(Mail.__struct_fields__))

    def test_every_complaint_comes_at_once_with_its_line(self) -> None:
        text = CLUSTER.replace("= 10 ", "= -1 ").replace('"14d"', '"soon"').replace("587", "true").replace("3600", "0")
        text = text.replace("processes", "proceses").replace("tm@example.org", "tm at example")
        complaints = self.complaints(NAME, HOSTS + text)
        shown = [complaint.partition(":")[2].partition(": ") for complaint in complaints]
        lines = (HOSTS + text).splitlines()
        self.assertEqual(
            [(lines[int(line) - 1].split(" ")[0], what.split(",")[0]) for line, _, what in shown],
            [
                ("proceses", "'proceses' is not known here; expected 'age_weight'"),
                ("half_life", "expected a time from a minute on"),
                ("age_weight", "expected a time from a second on"),
                ("ansys", "expected a number from 0 to 100"),
                ("port", "expected a port from 1 to 65"),
                ("sender", 'expected an address like sender = "taskmanager@example.org"'),
            ],
        )

    def test_a_table_must_be_one(self) -> None:
        for name in TABLES:
            self.assertEqual(
                [one.partition(": ")[2] for one in self.complaints(NAME, f"{name} = 1\n{HOSTS}")],
                [f"expected a table [{name}]"],
            )

    def test_a_name_is_a_license_or_a_consumable(self) -> None:
        text = HOSTS.replace("[hosts.n1]", "[hosts.n1]\nconsumables = { ansys = 1 }") + CLUSTER
        self.assertIn("'ansys' is a consumable of hosts, too", self.complaints(NAME, text)[0])

    def test_a_license_has_a_name_that_jobs_can_write(self) -> None:
        self.assertIn("is named with letters", self.complaints(NAME, HOSTS + '[licenses]\n"a b" = 1\n')[0])

    def test_words_that_join_features_are_none(self) -> None:
        text = HOSTS.replace("[hosts.n1]", '[hosts.n1]\nfeatures = ["gpu", "Not"]')
        self.assertIn("'Not' joins features in constraints and cannot be one", self.complaints(NAME, text)[0])

    def test_changes_of_hosts_keep_what_the_cluster_has(self) -> None:
        self.write(NAME, HOSTS + CLUSTER)
        HostsFile(self.etc).edit("host", "n3", {"cores": 2})
        found = config.load(self.etc)
        self.assertEqual(found.scheduling.licenses, {"ansys": 10, "comsol.batch": 0})
        with open(os.path.join(self.etc, NAME), encoding="utf-8") as file:
            self.assertIn("ansys = 10   # floating\n", file.read())

    def test_a_host_is_not_given_what_is_a_license(self) -> None:
        self.write(NAME, HOSTS + CLUSTER)
        error = self.assertRaises(ConfigError, HostsFile(self.etc).edit, "host", "n3", {"consumables": {"ansys": 2}})
        self.assertIn("'ansys' is a consumable of hosts, too", error.text)
