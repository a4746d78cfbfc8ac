"""Jobs in a real browser: submitted, followed, acted on, with real servers behind the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.support.browser import BrowserCase


class JobTests(BrowserCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"launcher": "local", "cores": 4, "policy": "ignore"}}

    def run_one(self, command: str, state: str = "running", **common: Any) -> int:
        """Return the id of alice's job *command*, which is in *state*."""
        (number,) = self.cluster.submit("alice", command, **common)
        self.cluster.wait([number], states=(state,))
        return int(number)

    def test_a_job_is_submitted_and_its_output_is_followed_to_the_end(self) -> None:
        page = self.log_in("alice", "submit")
        page.goto("/submit")
        page.fill("[name=command]", "for i in 1 2 3; do echo line $i; sleep 1; done; printf '\\033[31mred\\033[0m' >&2")
        page.fill("[name=cores]", "2")
        page.locator("#fits", has_text="1 host fits now").wait_for()
        self.assertIn("hRunJob --cores=2", page.locator("#fits").inner_text())
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/jobs/*")
        self.assertIn("Accepted job 1.", page.locator(".notice").inner_text())
        page.locator("[data-stream=stdout] pre", has_text="line 3").wait_for()
        page.locator("[data-status]", has_text="The job has ended").wait_for()
        text = page.locator("[data-stream=stdout] pre").inner_text()
        self.assertEqual(text.replace("red", "").split("\n")[:3], ["line 1", "line 2", "line 3"])
        self.assertIn("red", text)
        self.assertNotIn("\x1b", page.content())
        page.locator("#job .badge-completed").wait_for()

    def test_sending_a_form_twice_submits_once(self) -> None:
        page = self.log_in("alice", "submit")
        page.goto("/submit")
        page.fill("[name=command]", "true")
        page.get_by_role("button", name="Submit").dblclick()
        page.wait_for_url("**/jobs/*")
        page.goto("/jobs")
        self.assertEqual(page.locator("tbody tr").count(), 1)

    def test_without_scripts_a_form_comes_back_with_the_fault_and_is_sent_again(self) -> None:
        self.permitted = ["400"]
        page = self.log_in("alice", "submit", java_script_enabled=False)
        page.goto("/submit")
        page.fill("[name=command]", "echo plainly done")
        page.fill("[name=time]", "soon")
        page.get_by_role("button", name="Submit").click()
        self.assertIn("'soon' is no time", page.locator("#fault-time").inner_text())
        page.fill("[name=time]", "5m")
        page.get_by_role("button", name="Check").click()
        self.assertIn("1 host fits now", page.get_by_role("main").inner_text())
        page.get_by_role("button", name="Submit").click()
        self.assertIn("Accepted job 1.", page.locator(".notice").inner_text())
        self.cluster.wait([1])
        page.goto("/jobs/1/output")
        self.assertIn("plainly done", page.get_by_role("main").inner_text())

    def test_all_that_pass_a_filter_are_cancelled_after_they_were_counted(self) -> None:
        keep = self.run_one("sleep 300", name="keep")
        self.cluster.submit("alice", "true", name="gone", dependency=f"afterok:{keep}")
        self.cluster.submit("alice", "true", name="gone", array="0-98", dependency=f"afterok:{keep}")
        page = self.log_in(java_script_enabled=False)
        page.goto("/jobs?name=gone")
        page.check("input[name=scope][value=filter]")
        page.select_option("select[name=act]", "cancel")
        page.get_by_role("button", name="Go on").click()
        self.assertIn("Nothing has been done yet", page.get_by_role("main").inner_text())
        page.locator("button.danger").click()
        self.assertTrue(page.url.startswith(f"{self.cluster.url}jobs?name=gone"))
        self.assertEqual(page.locator("tbody .badge-cancelled").count(), 2)
        page.goto(f"/jobs/{keep}")
        self.assertEqual(page.locator("#job .badge-running").count(), 1)

    def test_a_job_is_suspended_changed_and_run_again_from_its_page(self) -> None:
        number = self.run_one("sleep 300", name="long", time=3600)
        page = self.log_in("alice", "submit")
        page.goto(f"/jobs/{number}")
        page.get_by_role("button", name="Suspend").click()
        page.locator("#job .badge-suspended").first.wait_for()
        page.get_by_role("button", name="Change …").click()
        page.fill("[name=time]", "2h")
        page.get_by_role("button", name="Change: 1 job").click()
        self.assertIn("2 h 00 min", page.get_by_role("main").inner_text())
        page.get_by_role("button", name="Run again …").click()
        page.get_by_role("button", name="Run again: 1 job").click()
        page.wait_for_url(f"**/jobs/{number + 1}?*")

    def test_what_others_do_to_a_job_is_seen_by_itself(self) -> None:
        number = self.run_one("sleep 300")
        page = self.log_in()
        page.goto(f"/jobs/{number}")
        page.locator("#job .badge-running").wait_for()
        self.cluster.ask("alice", "canceljob", str(number))
        page.locator("#job .badge-cancelled").wait_for()

    def test_a_list_is_saved_as_it_is_shown(self) -> None:
        self.run_one("echo '=1+1'; false", "failed", name="=1+1")
        page = self.log_in()
        page.goto("/jobs?state=failed")
        with page.expect_download() as saved:
            page.get_by_role("link", name="CSV").first.click()
        with open(saved.value.path(), encoding="utf-8") as file:
            self.assertIn(",'=1+1,", file.read())
