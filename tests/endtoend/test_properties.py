"""What is set of the cluster is changed while everything runs: by command, and on the pages of the web interface."""

from __future__ import annotations

import html
import http.cookiejar
import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.browser import WebCluster
from tests.support.talk import Refused
from tm.places import find_program, find_root

CONFIG = """
[scheduling]
half_life = "7d"   # agreed in May
"""


class PropertyTests(SynchronousTestCase):
    cluster: WebCluster

    def setUp(self) -> None:
        self.cluster = WebCluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.path = Path(self.cluster.etc, "ComputerCluster.config")
        self.path.write_text(self.path.read_text() + CONFIG)
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("reload")

    def tm(self, *words: str, user: str = "alice", status: int = 0) -> str:
        """Return what ``tm WORDS…`` prints, said by *user*."""
        program = find_program("tm", find_root(), sys.executable)
        done = subprocess.run(
            [sys.executable, program, *words], env=self.cluster.environment(user), capture_output=True, text=True,
            timeout=60, cwd=self.cluster.folder,
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def test_they_are_listed_set_counted_undone_and_outlive_the_dispatcher(self) -> None:
        self.assertIn("scheduling.half_life", self.tm("properties"))
        self.assertIn("counts half in their fair share", self.tm("properties", "list", "scheduling.half_life"))
        said = self.tm("properties", "set", "scheduling.half_life=14d", "licenses.ansys=1")
        self.assertIn("scheduling.half_life 7d → 14d", said)
        self.assertIn('half_life = "14d"   # agreed in May', self.path.read_text())
        first = self.cluster.submit("alice", "exec sleep 1000", consumables={"ansys": 1})[0]
        self.cluster.wait([first], states=("running",))
        second = self.cluster.submit("alice", "true", consumables={"ansys": 1})[0]
        self.assertEqual(self.cluster.job("alice", second)["state"], "pending")
        self.tm("properties", "set", "licenses.ansys=2")
        self.cluster.wait([second])
        self.tm("properties", "set", "scheduling.half_life=soon", status=78)
        self.tm("properties", "set", "mail.port=26", user="bob", status=77)
        self.assertIn("expected NAME=VALUE", self.tm("properties", "set", "mail.port", status=2))
        self.tm("properties", "list", "scheduling.colour", status=1)
        self.tm("properties", "set", "mail.port=26")
        self.assertIn("mail.port 26 → 25", self.tm("properties", "unset", "mail.port"))
        (record,) = self.tm("properties", "set", "mail.port=27", "--json").splitlines()
        self.assertEqual(json.loads(record)["after"], {"port": 27})
        self.cluster.kill("dispatcher")
        self.cluster.start_dispatcher()
        self.assertIn("2", self.tm("properties", "list", "licenses.ansys"))
        with self.cluster.dispatcher("alice") as alice:
            records = [one for one in alice.values("audit") if one["kind"] in ("scheduling", "licenses")]
            self.assertEqual([one["verb"] for one in records[-3:]], ["changeproperties"] * 3)
            alice.ask("undo", str(records[-3]["id"]))
        self.assertIn('half_life = "7d"   # agreed in May', self.path.read_text())

    def test_the_second_of_two_people_is_told_and_changes_nothing(self) -> None:
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("changeproperties", '{"set":{"scheduling.processes":64},"was":{"scheduling.processes":4096}}')
            late = {"set": {"scheduling.processes": 128}, "was": {"scheduling.processes": 4096}}
            with self.assertRaises(Refused) as caught:
                alice.ask("changeproperties", json.dumps(late))
            self.assertEqual(caught.exception.word, "conflict.changed")
            config = alice.values("hostinfo", "n1")[0]["config"]
            alice.ask("changehost", '{"name":"n1","set":{"memory":"1G"}}')
            with self.assertRaises(Refused) as caught:
                alice.ask("changehost", json.dumps({"name": "n1", "set": {"memory": "2G"}, "was": {"memory": None}}))
            self.assertEqual(caught.exception.word, "conflict.changed")
            self.assertNotEqual(alice.values("hostinfo", "n1")[0]["config"], config)

    def test_a_page_shows_the_difference_before_it_is_saved(self) -> None:
        self.cluster.start_web()
        person = Browser(self.cluster.url)
        person.log_in(self.cluster.link("alice"))
        form = fields(person.get("dispatcher/properties"))
        shown = person.post("dispatcher/properties", {**form, "p.scheduling.half_life": "21d"})
        self.assertIn("<del>7d</del>", shown)
        self.assertIn('"7d"', self.path.read_text())
        self.assertIn("half_life 7d → 21d", person.post("dispatcher/properties", {**fields(shown), "sure": "1"}))
        self.assertIn('half_life = "21d"   # agreed in May', self.path.read_text())
        stale = person.post("dispatcher/properties", {**form, "p.scheduling.half_life": "1d", "sure": "1"})
        self.assertIn("Somebody else was quicker", stale)
        self.assertIn("process", person.get("dispatcher"))
        shown = person.post("hosts/add", {**fields(person.get("hosts/add")), "name": "n9", "p.launcher": "local"})
        person.post("hosts/add", {**fields(shown), "sure": "1"})
        self.assertIn("[hosts.n9]", self.path.read_text())
        form = fields(person.get("hosts/n9/change"))
        wrong = person.post("hosts/n9/change", {**form, "p.cores": "many", "sure": "1"})
        self.assertIn("expected a number of cores", wrong)


class Browser:
    """A person's browser without a screen."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str, data: bytes | None = None) -> str:
        """Return the page at *path*, whatever its status."""
        headers = {"Origin": self._url.rstrip("/")}
        request = urllib.request.Request(urllib.parse.urljoin(self._url, path), data, headers)
        try:
            with self._opener.open(request, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def post(self, path: str, form: dict[str, str]) -> str:
        """Return what comes back for *form*."""
        return self.get(path, urllib.parse.urlencode(form).encode())

    def log_in(self, link: str) -> None:
        """Redeem a link."""
        page = self.get(link)
        self.post(urllib.parse.urlsplit(link).path, fields(page))


def fields(page: str) -> dict[str, str]:
    """Return the fields of the form in the main part of *page* as they are filled in."""
    main = page.partition("<main")[2]
    found = {}
    for tag in re.findall(r"<input [^>]*>", main):
        name, value = (re.search(rf' {word}="([^"]*)"', tag) for word in ("name", "value"))
        if name is not None:
            found[html.unescape(name.group(1))] = html.unescape(value.group(1)) if value else ""
    return found
