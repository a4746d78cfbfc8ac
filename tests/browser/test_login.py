"""Logging in: a link that works once, who is let in, and who is out."""

from __future__ import annotations

import http.client
import json

from tests.support.browser import BrowserCase
from tests.support.processes import wait_for


class LoginTests(BrowserCase):
    def test_a_link_works_once_and_says_so_the_second_time(self) -> None:
        self.permitted = ["403", "401"]
        link = self.cluster.link("alice")
        page = self.context().new_page()
        page.goto(link)
        page.reload()
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("navigation", name="Pages").wait_for()
        self.assertIn("alice", page.locator(".session").inner_text())
        other = self.context().new_page()
        other.goto(link)
        other.get_by_role("button", name="Log in").click()
        other.get_by_role("alert").wait_for()
        self.assertIn("hRunJob --web", other.get_by_role("alert").inner_text())
        other.goto("/jobs")
        self.assertIn("hRunJob --web", other.get_by_role("main").inner_text())

    def test_who_logs_out_is_out(self) -> None:
        self.permitted = ["401"]
        page = self.log_in()
        page.get_by_role("button", name="Log out").click()
        page.locator("pre.command").first.wait_for()
        page.goto("/jobs")
        self.assertIn("hRunJob --web", page.get_by_role("main").inner_text())

    def test_the_cookie_is_hidden_from_scripts_and_from_other_sites(self) -> None:
        page = self.log_in()
        (cookie,) = page.context.cookies()
        self.assertTrue(cookie["httpOnly"])
        self.assertEqual(cookie["sameSite"], "Strict")
        self.assertEqual(page.evaluate("document.cookie"), "")

    def test_a_foreign_host_and_a_foreign_origin_are_refused(self) -> None:
        page = self.log_in()
        (cookie,) = page.context.cookies()
        headers = {"Cookie": f"{cookie['name']}={cookie['value']}"}
        self.assertEqual(self._status("GET", {**headers, "Host": "evil.test"}), 421)
        form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        self.assertEqual(self._status("POST", {**form, "Origin": "http://evil.test"}, "/logout"), 403)
        self.assertEqual(self._status("POST", form, "/logout"), 403)
        self.assertEqual(self._status("GET", headers), 200)

    def _status(self, method: str, headers: dict[str, str], path: str = "/") -> int:
        link = http.client.HTTPConnection("127.0.0.1", self.cluster.web_port, timeout=10)
        try:
            link.request(method, path, headers=headers)
            return link.getresponse().status
        finally:
            link.close()

    def test_a_user_who_is_removed_is_out_within_five_seconds(self) -> None:
        self.permitted = ["401", "403"]
        page = self.log_in("bob")
        self.cluster.ask("alice", "removeuser", "bob")

        def is_out() -> bool:
            page.goto("/")
            return "hRunJob --web" in page.get_by_role("main").inner_text()

        wait_for(is_out, "bob is out", seconds=5.0, pause=0.2)

    def test_a_session_that_was_ended_elsewhere_is_over(self) -> None:
        self.permitted = ["401"]
        page = self.log_in()
        sessions = [json.loads(line) for line in self.cluster.ask("alice", "lssessions", as_json=True)]
        for one in sessions:
            self.cluster.ask("alice", "endsession", str(one["id"]))

        def is_out() -> bool:
            page.goto("/")
            return "hRunJob --web" in page.get_by_role("main").inner_text()

        wait_for(is_out, "the session is over", seconds=5.0, pause=0.2)
