"""A real Chromium, and a cluster with a web interface for it to look at.

Playwright is a program of its own that is waited for: tests are synchronous, the daemons are processes.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.cluster import ROOT, Cluster
from tests.support.installation import HOSTS, free_port
from tests.support.processes import wait_for

SECONDS = 15_000
"""The bound of every wait in a page, in milliseconds."""
_running: list[Any] = []


def chromium() -> Any:
    """Return the browser, started once for all tests. Raises `SkipTest` where it is not installed."""
    if _running:
        return _running[0]
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SkipTest("Chromium is not installed (Debian: apt install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SkipTest("Playwright is not installed (the extra 'browser')") from None
    playwright = sync_playwright().start()
    sandbox = os.getuid() != 0
    browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=sandbox)
    _running.append(browser)

    def end() -> None:
        browser.close()
        playwright.stop()

    atexit.register(end)
    return browser


class WebCluster(Cluster):
    """A cluster with a web interface; *url* is where it is."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.web_port = free_port()
        self.url = f"http://127.0.0.1:{self.web_port}/"

    def start_web(self, *options: str) -> None:
        """Start the web interface and wait until it has joined the dispatcher."""
        program = os.path.join(ROOT, "bin", "TaskWeb")
        self.launch(
            [sys.executable, program, "--etc", self.etc, "--state", self.state, "-p", str(self.web_port), *options],
            self.users[0],
        )
        self.wait_link()

    def wait_link(self) -> None:
        """Wait until the dispatcher gives links to the web interface."""
        wait_for(lambda: self.link(self.users[0]), "the web interface joins the dispatcher; " + self.logs())

    def link(self, user: str, may: str = "act") -> str:
        """Return a link that logs *user* in once; empty where there is none to be had yet."""
        from tests.support.talk import Refused

        try:
            (line,) = self.ask(user, "weblogin", f'{{"may":"{may}"}}', as_json=True)
        except Refused:
            return ""
        return str(json.loads(line)["url"])


class BrowserCase(SynchronousTestCase):
    """Gives each test a `cluster` with its web interface, and pages of users who have logged in.

    What a page complains of on its console, and what it asks elsewhere, fails the test.
    """

    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = HOSTS
    web_options: ClassVar[tuple[str, ...]] = ()

    def setUp(self) -> None:
        self.browser = chromium()
        self.complaints: list[str] = []
        self.permitted: list[str] = []
        self.cluster = WebCluster(hosts=self.hosts)
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.cluster.start_web(*self.web_options)

    def tearDown(self) -> None:
        left = [text for text in self.complaints if not any(part in text for part in self.permitted)]
        self.assertEqual(left, [], self._why())

    def _why(self) -> str:
        """Return what the web server had to say of it."""
        log = os.path.join(self.cluster.state, "TaskWebError.log")
        if not os.path.exists(log):
            return ""
        with open(log, encoding="utf-8") as file:
            return "".join(str(json.loads(line).get("traceback", line)) for line in file)[-3000:]

    def context(self, **options: Any) -> Any:
        """Return a browser of its own: other cookies, nothing kept."""
        context = self.browser.new_context(base_url=self.cluster.url, **options)
        context.set_default_timeout(SECONDS)
        self.addCleanup(context.close)
        context.on("page", self._watch)
        return context

    def _watch(self, page: Any) -> None:
        page.on("console", lambda said: said.type == "error" and self.complaints.append(f"{page.url}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.cluster.url, "data:", "blob:")):
            self.complaints.append(f"asks elsewhere: {url}")

    def log_in(self, user: str = "alice", may: str = "act", **options: Any) -> Any:
        """Return a page of *user* that shows the overview."""
        page = self.context(**options).new_page()
        page.goto(self.cluster.link(user, may))
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: "/login" not in url)
        return page
