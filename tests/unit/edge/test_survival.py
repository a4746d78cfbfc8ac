"""The step into a scope, and what a machine starts after its boot, with programs that note what is asked of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tm.edge import survival
from tm.edge.revival import Machine
from tm.errors import TaskManagerError
from tm.model.revival import Found, Service, cron_line, unit_text
from tm.places import find_root

SESSION = "0::/user.slice/user-{0}.slice/session-4.scope\n"
TMS = Service("tms-physics", "the server of alice", ["/usr/bin/python3", "/opt/tm/bin/TMS"], [], {}, "server1")

ENTERING = """
import os, sys
from tm.edge import survival
survival.enter_scope(survival.own_command(), os.environ, sys.argv[1])
print("scoped" if survival.SCOPED in os.environ else "as before")
"""
CRONTAB = """#!/bin/sh
file={folder}/crontab.text
[ -e {folder}/forbidden ] && {{ echo "You (me) are not allowed to use this program (crontab)" >&2; exit 1; }}
case $1 in
  -l) [ -e $file ] || {{ echo "no crontab for me" >&2; exit 1; }}; cat $file;;
  -) cat > $file;;
esac
"""
SYSTEMD_RUN = """#!/bin/sh
echo "$@" >> {folder}/asked
[ -e {folder}/broken ] && exit 1
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
NOTING = """#!/bin/sh
echo "{name} $@" >> {folder}/asked
[ ! -e {folder}/no-{name} ]
"""


class FakeMachine(SynchronousTestCase):
    """A folder with programs of its own; `environ` finds them, `root` has what else is looked at."""

    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        self.folder = os.path.join(self.root, "bin")
        os.makedirs(self.folder)
        self.environ = {"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": os.path.join(self.root, "home")}
        self.put("proc/self/cgroup", SESSION.format(os.getuid()))

    def put(self, path: str, text: str = "") -> str:
        """Write a file below the root."""
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        Path(full).write_text(text)
        return full

    def program(self, name: str, text: str) -> None:
        """Have a program called *name*."""
        os.chmod(self.put(f"bin/{name}", text.format(folder=self.folder, name=name)), 0o755)

    def asked(self) -> list[str]:
        """Return what the programs were asked."""
        path = Path(self.folder, "asked")
        return path.read_text().splitlines() if path.exists() else []

    def manager(self, lingering: bool) -> None:
        """Have a user manager that answers."""
        self.put(f"run/user/{os.getuid()}/systemd/private")
        if lingering:
            self.put(f"var/lib/systemd/linger/{survival.account()}")


class ScopeTests(FakeMachine):
    def enter(self) -> str:
        """Return what a process says that has tried to enter a scope."""
        done = subprocess.run(
            [sys.executable, "-c", ENTERING, self.root], env={**self.environ, "PYTHONPATH": find_root()},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def test_a_lingering_manager_gets_the_daemon(self) -> None:
        self.manager(lingering=True)
        self.program("systemd-run", SYSTEMD_RUN)
        self.assertEqual(self.enter(), "scoped")
        self.assertEqual(sum(line.startswith("--user --scope") for line in self.asked()), 2)

    def test_a_manager_that_fails_leaves_it_where_it_is(self) -> None:
        self.manager(lingering=True)
        self.program("systemd-run", SYSTEMD_RUN)
        self.put("bin/broken")
        self.assertEqual(self.enter(), "as before")

    def test_without_lingering_it_depends_on_what_a_logout_ends(self) -> None:
        self.manager(lingering=False)
        self.program("systemd-run", SYSTEMD_RUN)
        for said, then in (("b false", "as before"), ("b true", "scoped")):
            self.program("busctl", f"#!/bin/sh\necho {said}\n")
            self.assertEqual(self.enter(), then)

    def test_nothing_is_run_where_there_is_no_systemd(self) -> None:
        self.program("systemd-run", SYSTEMD_RUN)
        self.put("proc/self/cgroup", "0::/\n")
        self.assertEqual(self.enter(), "as before")
        self.assertEqual(self.asked(), [])


class RevivalTests(FakeMachine):
    def machine(self) -> Machine:
        """Return the machine."""
        return Machine(self.environ, self.root)

    def test_a_machine_without_anything_permits_nothing_and_says_why(self) -> None:
        self.environ["PATH"] = self.folder
        self.assertEqual(self.machine().find(), Found(False, False, False, "there is no crontab"))

    def test_a_line_comes_into_the_crontab_and_goes_again_and_all_else_stays(self) -> None:
        self.program("crontab", CRONTAB)
        path, before = self.put("bin/crontab.text"), b"# mine\n5 * * * * caf\xe9\n"
        Path(path).write_bytes(before)
        machine = self.machine()
        machine.install_line(TMS)
        machine.install_line(TMS)
        self.assertEqual(machine.cron_line(TMS), cron_line(TMS))
        self.assertEqual(Path(path).read_bytes(), before + cron_line(TMS).encode() + b"\n")
        self.assertTrue(machine.remove_line(TMS))
        self.assertEqual(Path(path).read_bytes(), before)
        self.assertFalse(machine.remove_line(TMS))

    def test_no_crontab_yet_is_an_empty_one_and_a_forbidden_one_is_none(self) -> None:
        self.program("crontab", CRONTAB)
        self.assertTrue(self.machine().find().crontab)
        self.put("bin/forbidden")
        found = self.machine().find()
        self.assertFalse(found.crontab)
        self.assertIn("not allowed", found.refusal)
        self.assertRaises(TaskManagerError, self.machine().install_line, TMS)

    def test_a_unit_is_written_enabled_and_removed(self) -> None:
        self.program("systemctl", NOTING)
        machine = self.machine()
        machine.install_unit(TMS, start=True)
        self.assertEqual(machine.unit(TMS), unit_text(TMS))
        asked = [line.removeprefix("systemctl --user ") for line in self.asked()]
        self.assertEqual(asked, ["daemon-reload", f"enable {TMS.unit}", f"start {TMS.unit}"])
        self.assertTrue(machine.remove_unit(TMS))
        self.assertFalse(machine.remove_unit(TMS))
        self.assertEqual(machine.unit(TMS), "")

    def test_lingering_is_asked_for_once_and_a_refusal_counts(self) -> None:
        self.program("loginctl", NOTING)
        self.assertTrue(self.machine().linger())
        self.put("bin/no-loginctl")
        self.assertFalse(self.machine().linger())
        self.manager(lingering=True)
        self.assertTrue(self.machine().linger())
        self.assertEqual(len(self.asked()), 2)
