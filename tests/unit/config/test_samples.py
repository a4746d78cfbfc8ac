"""The sample files of ``etc`` are what the programs read."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from tests.support.identities import Identity
from tm import config, places
from tm.config.cluster import MAIL_KEYS, SCHEDULING_KEYS, read_mail, read_scheduling
from tm.config.document import Document
from tm.config.host_keys import KEYS, OPTIONS
from tm.model.host import LAUNCHERS, Courtesy
from tm.model.settings import Mail, Scheduling

SAMPLES = os.path.join(places.find_root(), "etc")


class SampleTests(SynchronousTestCase):
    def test_the_samples_are_a_good_configuration(self) -> None:
        etc = self.mktemp()
        os.makedirs(os.path.join(etc, "certs"))
        for name in ("users", "groups", "ComputerCluster.config"):
            shutil.copyfile(os.path.join(SAMPLES, name + ".sample"), os.path.join(etc, name))
        for name in ("alice", "bob", "bob-2027"):
            Identity(os.path.join(etc, "certs"), name, name)
        found = config.load(etc)
        self.assertEqual(set(found.users.by_name), {"alice", "bob"})
        self.assertEqual(found.groups.groups_of("bob"), ("operators", "physics", "everybody"))
        self.assertEqual([host.name for host in found.hosts], ["n1", "n2", "desk7", "gateway"])
        desk, n2 = found.hosts[2], found.hosts[1]
        self.assertEqual((desk.policy, desk.features, desk.owners), (Courtesy.SUSPEND, ("desktop",), ("carol",)))
        self.assertEqual((n2.consumables, n2.memory, n2.active), ({"matlab": 4}, 256 * 2**30, False))

    def test_the_sample_explains_every_key_of_a_host(self) -> None:
        with open(os.path.join(SAMPLES, "ComputerCluster.config.sample"), encoding="utf-8") as file:
            text = file.read()
        for key in (*KEYS, "address", "group"):
            self.assertRegex(text, rf"(?m)^(?:# )?{key} = |^\[hosts\.\w+\.{key}\]", key)
        for word in (*Courtesy, *LAUNCHERS, *OPTIONS):
            self.assertIn(word, text)

    def test_the_sample_explains_every_setting_of_the_cluster(self) -> None:
        with open(os.path.join(SAMPLES, "ComputerCluster.config.sample"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("\n[licenses]\n", text)
        for key in (*SCHEDULING_KEYS, *MAIL_KEYS):
            self.assertRegex(text, rf"(?m)^(?:# )?{key} = ")

    def test_what_the_sample_says_of_the_cluster_is_as_usual(self) -> None:
        with open(os.path.join(SAMPLES, "ComputerCluster.config.sample"), encoding="utf-8") as file:
            document = Document("sample", (), file.read())
        usual = Scheduling(licenses={"ansys": 10})
        self.assertEqual((read_scheduling(document, ()), read_mail(document)), (usual, Mail()))

    def test_the_dispatchers_sample_is_read(self) -> None:
        info = places.read_info(os.path.join(SAMPLES, "TaskDispatcher.info.sample"))
        self.assertEqual(info, {"cluster": "physics", "host": "server1.example.org", "port": "10101"})
