"""A logout that ends everything of its login: daemons and jobs outlive it in scopes of a real user manager.

The login and the manager are played in namespaces of this test's own; no system-wide systemd needs to run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import processes
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for

SYSTEMD = "/lib/systemd/systemd"
GROUPS = [Path(path) for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")]
RUNTIME = "/run/user/0"
STAGE = "from tests.endtoend.test_logout import play; play({!r}, {!r})"
SECONDS = 120


def trees() -> list[Path]:
    """Return the tops of the control groups that systemd uses here."""
    return [path for path in GROUPS if (path / "cgroup.procs").exists()]


def obstacle() -> str:
    """Return why it cannot be tried here; empty when it can."""
    needed = ("unshare", "mount", "systemd-run")
    if os.getuid() != 0 or not all(map(shutil.which, needed)) or not os.path.exists(SYSTEMD):
        return "needs root and systemd"
    if not trees() or not all(os.access(path, os.W_OK) for path in trees()):
        return "needs control groups that can be written"
    probe = trees()[0] / f"tm-probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"needs control groups that can be written: {error.strerror}"
    return ""


class LogoutTests(SynchronousTestCase):
    skip = obstacle() or None

    def played(self, part: str) -> list[str]:
        """Return the lines that are said on the stage in this *part* of the play."""
        top = f"tm-test-{os.getpid()}"
        self.addCleanup(self.remove, top)
        apart = ["unshare", "-m", "-p", "-f", "--kill-child", "--propagation", "private", "--mount-proc"]
        done = subprocess.run(
            [*apart, sys.executable, "-c", STAGE.format(top, part)], cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT},
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def remove(self, top: str) -> None:
        """Remove the control groups."""
        for tree in trees():
            for folder, _, _ in os.walk(tree / top, topdown=False):
                wait_for(lambda folder=folder: _removed(folder), f"{folder} to be empty")

    def test_where_the_manager_lingers_everything_outlives_it_and_says_so(self) -> None:
        self.assertEqual(self.played("logout"), ["user scope, lingering", "the job has ended well"])

    def test_a_server_that_is_installed_as_a_unit_is_started_and_started_again_when_it_is_killed(self) -> None:
        said = self.played("service")
        self.assertIn("comes back by the user unit taskmanager-tms-test.service, lingering", said[0])
        self.assertIn("comes back by user unit; running (pid", said[1])
        self.assertEqual(said[2:], ["user scope, lingering", "the job has ended well"])

    def test_jobs_have_control_groups_in_the_scope_that_the_manager_hands_over(self) -> None:
        rung, groups, cause, left = self.played("limits")
        self.assertIn("ended by cgroup", rung)
        self.assertEqual((groups, cause, left), ("1 group", "memory", "0 groups"))


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


# -- on the stage ---------------------------------------------------------------------------------------------------


def play(top: str, part: str) -> None:
    """Be a login that starts a cluster and a job, and what comes after its end."""
    for folder in ("/run", "/var/lib/systemd"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    for folder in ("/run/systemd/system", RUNTIME, "/var/lib/systemd/linger"):
        os.makedirs(folder, mode=0o700)
    Path("/var/lib/systemd/linger/root").touch()
    with Cluster() as cluster:
        _start_manager(top, cluster.directory("alice"))
        plays = {"logout": _play_logout, "service": _play_service, "limits": _play_limits}
        plays[part](cluster, _group(top, "session-4.scope"))


def _start_manager(top: str, home: str) -> None:
    _enter(_group(top, "user@0.service"))
    null = subprocess.DEVNULL
    subprocess.Popen(
        [SYSTEMD, "--user", "--unit=basic.target"], env={**os.environ, "XDG_RUNTIME_DIR": RUNTIME, "HOME": home},
        stdin=null, stdout=null, stderr=null,
    )  # fmt: skip
    wait_for(lambda: os.path.exists(f"{RUNTIME}/systemd/private"), "the user manager")


def _play_logout(cluster: Cluster, login: list[Path]) -> None:
    _enter(login)
    cluster.start_dispatcher()
    ids = cluster.submit_ledger("alice", 1, seconds=3)
    cluster.wait(ids, states=("running",))
    left = subprocess.Popen(["sleep", "600"])
    _enter(trees())
    _log_out(login, left)
    _show(cluster, ids)
    assert not _members(login)


def _play_service(cluster: Cluster, login: list[Path]) -> None:
    _enter(login)
    cluster.start_dispatcher()
    for verb in ("install", "status"):
        command = [sys.executable, os.path.join(ROOT, "bin", "tm"), "service", verb, "tms"]
        done = subprocess.run(command, env=cluster.environment("alice"), capture_output=True, text=True, check=False)
        print(done.stdout.strip() or done.stderr, flush=True)
        wait_for(lambda: cluster.pid("tms:alice"), "the server that the unit starts")
    first = cluster.kill("tms:alice")
    wait_for(lambda: cluster.pid("tms:alice") not in (0, first), "another one", 30)
    ids = cluster.submit_ledger("alice", 1, seconds=8)
    cluster.wait(ids, states=("running",))
    cluster.kill("tms:alice")
    _show(cluster, ids)


def _play_limits(cluster: Cluster, login: list[Path]) -> None:
    _enter(login)
    cluster.start_dispatcher()
    go = Path(cluster.work, "go")
    hog = f"while [ ! -e {go} ]; do sleep 0.05; done; exec {sys.executable} -c 'x = bytearray(400 << 20); input()'"
    ids = cluster.submit("alice", hog, memory=100 << 20)
    cluster.wait(ids, states=("running",))
    print(json.loads(cluster.ask("alice", "jobinfo", str(ids[0]), True)[0])["rung"], flush=True)
    tops = [group.parents[2] for group in login]
    print(f"{_groups(tops)} group", flush=True)
    go.touch()
    (job,) = cluster.wait(ids)
    print(job["cause"], flush=True)
    wait_for(lambda: not _groups(tops), "the group to be removed")
    print(f"{_groups(tops)} groups", flush=True)


def _groups(tops: list[Path]) -> int:
    """Return how many groups of jobs there are below *tops*."""
    return sum(name.startswith("tm-job-") for top in tops for _, names, _ in os.walk(top) for name in names)


def _show(cluster: Cluster, ids: list[int]) -> None:
    with cluster.dispatcher("alice") as alice:
        wait_for(lambda: alice.values("hostinfo", "n1")[0]["servers"][0]["link"] == "up", "the host", 30)
        print(alice.values("hostinfo", "n1")[0]["servers"][0]["survives"], flush=True)
    cluster.forget_talk("alice")
    cluster.wait(ids)
    cluster.check(ids)
    print("the job has ended well", flush=True)


def _group(top: str, name: str) -> list[Path]:
    made = [tree / top / "user.slice/user-0.slice" / name for tree in trees()]
    for group in made:
        group.mkdir(parents=True)
    return made


def _enter(groups: list[Path]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text("0")


def _members(groups: list[Path]) -> list[int]:
    return [int(line) for group in groups for line in (group / "cgroup.procs").read_text().split() if line != "0"]


def _log_out(login: list[Path], left: subprocess.Popen[bytes]) -> None:
    """Do as logind does: end all that is left of the login."""
    assert left.pid in _members(login)
    for pid in set(_members(login)):
        processes.kill(pid, signal.SIGTERM)
    left.wait(10)
