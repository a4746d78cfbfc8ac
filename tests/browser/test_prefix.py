"""Below a prefix, behind a reverse proxy."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.browser import BrowserCase
from tests.support.cluster import ROOT
from tests.support.installation import free_port
from tests.support.processes import wait_for


class PrefixTests(BrowserCase):
    def setUp(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/tm/"
        self.web_options = ("--url", self.url)
        super().setUp()
        script = os.path.join(ROOT, "tests", "support", "reverse_proxy.py")
        proxy = subprocess.Popen(
            [sys.executable, script, str(self.port), str(self.cluster.web_port), "tm"], cwd=self.cluster.folder,
            stderr=subprocess.DEVNULL,  # it complains of browsers that leave
        )  # fmt: skip
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.kill)
        self.cluster.url = self.url

    def test_pages_forms_and_streams_work_there(self) -> None:
        self.permitted = ["401"]
        page = self.context().new_page()
        link = self.cluster.link("alice")
        self.assertTrue(link.startswith(self.url), link)
        wait_for(lambda: self._opens(page, link), "the proxy listens")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="Jobs", exact=True).click()
        page.wait_for_url(self.url + "jobs")
        (job,) = self.cluster.submit("alice", "exec sleep 300", name="below")
        page.get_by_role("row").filter(has_text="below").wait_for()
        page.goto(f"{self.url}jobs/{job}")
        page.get_by_role("button", name="Log out").click()
        page.locator("pre.command").first.wait_for()
        self.assertEqual([cookie for cookie in page.context.cookies() if cookie["path"] != "/tm/"], [])

    def _opens(self, page: object, link: str) -> bool:
        from playwright.sync_api import Error

        try:
            page.goto(link)  # type: ignore[attr-defined]  # Playwright's page
        except Error:
            return False
        return True
