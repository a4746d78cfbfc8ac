"""The package, installed by pip in both ways into fresh environments."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
import urllib.error
import urllib.request

from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkout import copy_checkout, make_environment, pip, run
from tests.support.installation import free_port
from tm.cli.here import NAMES, Here
from tm.places import find

PLUGINS = ("taskdispatcher", "taskmanagerserver", "taskmanagerhost", "infoserver", "taskweb")
PROGRAMS = ("hListen", "hRun", "hRunJob", "hSend", "tm", "TaskDispatcher", "TMS", "TMMS", "InfoServer", "TaskWeb")
TWISTD = "from twisted.scripts.twistd import run; run()"


def missing() -> str:
    """Return why nothing can be installed here, if it is so."""
    if importlib.util.find_spec("pip") is None:
        return "this Python has no pip"
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        return "this Python has no setuptools 77 or newer; 'quickstart.py test' installs it"
    return ""


class PackagingTests(SynchronousTestCase):
    """What pip does with the project, and what twistd thinks of it."""

    skip = missing() or None

    def setUp(self) -> None:
        """A copy of the checkout, and an environment."""
        self.folder = tempfile.mkdtemp(prefix="tm-pip-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder)
        self.checkout = copy_checkout(os.path.join(self.folder, "checkout"))
        self.python = make_environment(os.path.join(self.folder, "environment"))

    def install(self, *how: str) -> None:
        """Have pip install the copy."""
        done = pip(self.python, "install", "--no-deps", "--no-index", "--no-build-isolation", *how, self.checkout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def listed(self) -> set[str]:
        """Return the plugins of ours that twistd lists."""
        done = run([self.python, "-c", TWISTD, "--help"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        words = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
        return words & set(PLUGINS)

    def test_an_installation_lists_the_plugins_and_its_programs_start(self) -> None:
        self.assertEqual(self.listed(), set())
        self.install()
        shutil.rmtree(self.checkout)
        self.assertEqual(self.listed(), set(PLUGINS))
        for name in PROGRAMS:
            program = os.path.join(os.path.dirname(self.python), name)
            done = run([program, "--version"] if name != "tm" else [program, "--help"], self.folder)
            self.assertEqual((name, done.returncode, "Traceback" in done.stderr), (name, 0, False), done.stderr)

    def test_an_installation_without_a_checkout_runs_jobs(self) -> None:
        self.install()
        shutil.rmtree(self.checkout)
        told = {
            "TM_ETC": os.path.join(self.folder, "etc"), "TM_USER_DIRECTORY": os.path.join(self.folder, "user"),
            "TM_LOCAL_DIRECTORY": os.path.join(self.folder, "local"), "TM_USER": "alice", "TM_PYTHON": self.python,
        }  # fmt: skip
        programs = os.path.dirname(self.python)

        def good(name: str, *arguments: str) -> None:
            done = run([os.path.join(programs, name), *arguments], self.folder, told)
            self.assertEqual(done.returncode, 0, done.stderr)

        good("tm", "setup", "--cluster", "packed", "--host", "localhost", "--port", str(free_port()))
        good("tm", "cert", "create", "--register", "alice", "alice@example.org")
        os.mkdir(told["TM_USER_DIRECTORY"], 0o700)
        for name in ("alice.key", "alice.crt", "ca_certs.alice.crt"):
            shutil.copy2(os.path.join(told["TM_ETC"], "certs", name), told["TM_USER_DIRECTORY"])
        state = os.path.join(self.folder, "var")
        os.mkdir(state)
        places = find(told)
        self.addCleanup(Here(places, state).stop)
        good("TaskDispatcher", "--init", "--state", state)
        done = run([os.path.join(programs, "hRunJob"), "--wait", "exit 7"], self.folder, told)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertTrue(Here(places, state).wait_for_infoserver())
        here = Here(places, state)
        here.start_web(free_port())
        self.assertEqual([one.name for one in here.daemons()], list(NAMES))
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(here.web_url(), timeout=30)
        self.addCleanup(refused.exception.close)
        self.assertEqual(refused.exception.code, 401)
        self.assertIn(b"hRunJob --web", refused.exception.read())

    def test_the_installed_store_has_its_schema(self) -> None:
        self.install()
        code = "import sys; from tm.store import schema; schema.create(sys.argv[1])"
        done = run([self.python, "-c", code, os.path.join(self.folder, "store.sqlite")], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_editable_installation_lists_the_plugins(self) -> None:
        self.install("--editable")
        self.assertEqual(self.listed(), set(PLUGINS))

    def test_what_is_uninstalled_leaves_twisted_whole(self) -> None:
        for how in ((), ("--editable",)):
            before = run([self.python, "-c", TWISTD, "--help"], self.folder).stdout
            self.install(*how)
            done = pip(self.python, "uninstall", "--yes", "taskmanager")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(run([self.python, "-c", TWISTD, "--help"], self.folder).stdout, before)
            self.assertIn("web", before)
