"""A peer's private folder: what is started in it, and what is left of that."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.peers import folder
from benchmarks.peers.folder import Folder
from tests.support import processes


class FolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Folder("test")
        self.addCleanup(self.folder.stop)

    def test_stopping_ends_what_daemons_left_behind_and_removes_the_folder(self) -> None:
        script = "setsid sh -c 'sleep 3600 & sleep 3600' & echo up >up; wait"
        daemon = self.folder.start(["/bin/sh", "-c", script], "daemon.log")
        self.folder.wait_for(lambda: self.folder.read("up") != "", "the daemon", 20.0, daemon)
        self.folder.stop()
        self.assertEqual(processes.marked(self.folder.folder), {})
        self.assertFalse(os.path.exists(self.folder.folder))

    def test_a_daemon_that_has_ended_is_not_waited_for(self) -> None:
        daemon = self.folder.start(["/bin/sh", "-c", "echo no socket; exit 3"], "daemon.log")
        told = self.assertRaises(SystemExit, self.folder.wait_for, lambda: False, "the daemon", 60.0, daemon)
        self.assertIn("it ended with 3", str(told))
        self.assertIn("no socket", str(told))

    def test_the_variables_of_whoever_measures_do_not_lead_elsewhere(self) -> None:
        self.patch(os, "environ", {**os.environ, "SLURM_CONF": "/etc/slurm/slurm.conf"})
        self.assertNotIn("SLURM_CONF", self.folder.run(["env"]))

    def test_a_command_that_fails_is_told_with_what_it_said(self) -> None:
        told = self.assertRaises(SystemExit, self.folder.run, ["/bin/sh", "-c", "echo not so; exit 5"])
        self.assertIn("ended with 5: not so", str(told))

    def test_a_command_is_repeated_by_several_clients_and_each_time_counts(self) -> None:
        words = self.folder.repeat(["/bin/sh", "-c", 'echo "$TM_NUMBER"'], 7, clients=3)
        self.assertEqual(sorted(words), ["1", "1", "1", "2", "2", "2", "3"])

    def test_a_repetition_ends_with_the_first_that_fails(self) -> None:
        script = '[ "$TM_NUMBER" -gt 3 ] || { echo refused >&2; exit 1; }; echo x >>ran'
        told = self.assertRaises(SystemExit, self.folder.repeat, ["/bin/sh", "-c", script], 5)
        self.assertIn("refused", str(told))
        self.assertEqual(self.folder.read("ran"), "x\nx\n")


class NeedsTests(SynchronousTestCase):
    def test_what_is_missing_is_named_with_the_command_that_gets_it(self) -> None:
        told = folder.needs(["sh", "no-such-program"], "some-package", root=False)
        self.assertEqual(told, "needs no-such-program: apt-get install --no-install-recommends some-package")

    def test_what_is_there_is_not_missing(self) -> None:
        self.assertEqual(folder.needs(["sh", "/bin/true"], "some-package", root=False), "")

    def test_ports_are_free_and_differ(self) -> None:
        ports = folder.free_ports(3)
        self.assertEqual(len(set(ports)), 3)
        self.assertFalse(any(folder.is_open(port) for port in ports))

    def test_a_package_that_is_not_installed_has_no_version(self) -> None:
        self.assertEqual(folder.version("no-such-package"), "")
