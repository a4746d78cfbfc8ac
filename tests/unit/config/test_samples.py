"""The sample files of ``etc`` are what the programs read."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from tests.support.identities import Identity
from tm import config, places

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
        self.assertEqual([host.name for host in found.hosts], ["n1", "n2", "gateway"])

    def test_the_dispatchers_sample_is_read(self) -> None:
        info = places.read_info(os.path.join(SAMPLES, "TaskDispatcher.info.sample"))
        self.assertEqual(info, {"cluster": "physics", "host": "server1.example.org", "port": "10101"})
