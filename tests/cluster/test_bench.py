"""The bench itself: machines are machines, and nothing of them outlives who made them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.accounts import USERS
from tests.cluster.bench import Bench
from tests.cluster.case import WHY_NOT
from tests.support import checkout, processes

ANN = USERS[0]
HOLDER = """
import sys
from tests.cluster.bench import Bench
bench = Bench(["n1"])
bench["n1"].spawn_as("tmann", ["sleep", "600"])
print(bench.ground.pid, bench["n1"].space.pid, flush=True)
sys.stdin.read()
"""


class BenchTests(SynchronousTestCase):
    skip = WHY_NOT or None

    def test_machines_have_names_addresses_accounts_and_files_of_their_own(self) -> None:
        with Bench(["n1", "n2"]) as bench:
            shown = bench["n1"].exec_as(ANN, ["ssh", "n2", "hostname; whoami; cat /proc/sys/kernel/random/boot_id"])
            name, user, boot = shown.stdout.split()
            self.assertEqual((name, user), ("n2", ANN))
            own = bench["n1"].exec_as(ANN, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()
            self.assertEqual(len({own, boot, Path("/proc/sys/kernel/random/boot_id").read_text().strip()}), 3)
            bench["n1"].exec_as(ANN, ["touch", "/var/tmp/here", "at-home"])
            self.assertFalse(os.path.exists(bench["n2"].path("/var/tmp/here")))
            self.assertTrue(os.path.exists(bench["n2"].path(f"/run/tm-bench/home/{ANN}/at-home")))
            seen = [process.command for process in bench["n2"].processes()]
            self.assertEqual([line for line in seen if "[listener]" not in line], [])

    def test_no_file_is_mounted_that_somebody_outside_could_replace(self) -> None:
        with Bench(["n1"]) as bench:
            shown = Path(f"/proc/{bench['n1'].space.pid}/mounts").read_text().splitlines()
            self.assertEqual([line for line in shown if line.split()[1].startswith("/etc/")], [])
            self.assertEqual(bench["n1"].exec_as(ANN, ["id", "-un"]).stdout, ANN + "\n")

    def test_a_cut_is_silent_and_heals(self) -> None:
        with Bench(["n1", "n2"]) as bench:
            ask = ["ssh", "-o", "ConnectTimeout={}", "n2", "hostname"]
            bench["n2"].cut()
            self.assertIn("timed out", bench["n1"].exec_as(ANN, [word.format(1) for word in ask]).stderr)
            bench["n2"].heal()
            done = bench["n1"].exec_as(ANN, [word.format(20) for word in ask])
            self.assertEqual(done.stdout, "n2\n", done.stderr)

    def test_a_reboot_ends_all_processes_and_keeps_the_disk(self) -> None:
        with Bench(["n1", "n2"]) as bench:
            machine = bench["n2"]
            sleeper = machine.spawn_as(ANN, ["sleep", "600"])
            machine.exec_as(ANN, ["touch", "/var/tmp/kept", "/tmp/lost"])
            boot = Path(machine.path("/proc/sys/kernel/random/boot_id")).read_text()
            machine.reboot()
            sleeper.wait(10)
            self.assertFalse(os.path.exists(machine.path("/tmp/lost")))
            self.assertTrue(os.path.exists(machine.path("/var/tmp/kept")))
            self.assertNotEqual(Path(machine.path("/proc/sys/kernel/random/boot_id")).read_text(), boot)
            self.assertEqual(bench["n1"].exec_as(ANN, ["ssh", "n2", "hostname"]).stdout, "n2\n")
            machine.reboot(new_disk=True)
            self.assertFalse(os.path.exists(machine.path("/var/tmp/kept")))

    def test_nothing_is_left_when_the_tests_are_killed(self) -> None:
        mounts = Path("/proc/self/mounts").read_text()
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER], cwd=checkout.find_root(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": checkout.find_root()},
        )  # fmt: skip
        assert holder.stdout is not None and holder.stdin is not None
        try:
            pids = [int(word) for word in holder.stdout.readline().split()]
            self.assertEqual(len(pids), 2)
            holder.send_signal(signal.SIGKILL)
            for pid in pids:
                processes.wait_for(lambda pid=pid: not processes.is_alive(pid), f"the end of {pid}")
        finally:
            holder.kill()
            holder.wait()
            holder.stdin.close()
            holder.stdout.close()
        self.assertEqual(Path("/proc/self/mounts").read_text(), mounts)
        self.assertFalse(os.path.exists("/run/tm-bench"))
