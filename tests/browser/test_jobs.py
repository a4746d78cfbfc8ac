"""Jobs on the pages as people use them: submitted in a terminal or on a page, watched, followed, ended, run again."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.support.browser import BrowserCase
from tests.support.cluster import ROOT


class JobTests(BrowserCase):
    def terminal(self, *words: str) -> str:
        """Return what alice's ``hRunJob WORDS…`` prints in a terminal."""
        ended = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRunJob"), *words], env=self.cluster.environment("alice"),
            cwd=self.cluster.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return ended.stdout

    def test_a_job_of_a_terminal_appears_and_moves_when_it_ends(self) -> None:
        page = self.log_in()
        page.goto("/jobs?state=running")
        finished = page.context.new_page()
        finished.goto("/jobs/finished")
        self.terminal("-n", "wanderer", f"while [ ! -e {self.cluster.folder}/over ]; do sleep 0.05; done")
        row = page.get_by_role("row").filter(has_text="wanderer")
        row.wait_for()
        with open(os.path.join(self.cluster.folder, "over"), "w", encoding="ascii"):
            pass
        page.bring_to_front()
        row.wait_for(state="detached")
        finished.bring_to_front()
        finished.get_by_role("row").filter(has_text="wanderer").wait_for()

    def test_output_is_followed_as_it_is_written(self) -> None:
        page = self.log_in()
        script = "echo 'first <b>line</b>'; while [ ! -e over ]; do sleep 0.05; done; printf '\\033[31mlast line\\n'"
        (job,) = self.cluster.submit("alice", script, stdout="o.txt")
        self.cluster.wait([job], states=("running",))
        page.goto(f"/jobs/{job}")
        page.locator("pre.output").get_by_text("first <b>line</b>").wait_for()
        with open(os.path.join(self.cluster.work, "over"), "w", encoding="ascii"):
            pass
        page.locator("pre.output").get_by_text("last line").wait_for()
        self.assertEqual(page.locator("pre.output").inner_text().strip(), "first <b>line</b>\nlast line")

    def test_a_job_is_cancelled_from_its_page(self) -> None:
        page = self.log_in()
        (job,) = self.cluster.submit("alice", "exec sleep 300")
        self.cluster.wait([job], states=("running",))
        page.goto(f"/jobs/{job}")
        page.locator("button.danger").first.click()
        page.locator("p.actions button").click()
        (view,) = self.cluster.wait([job])
        self.assertEqual((view["state"], view["user"]), ("cancelled", "alice"))

    def test_many_are_cancelled_after_their_count_was_shown(self) -> None:
        page = self.log_in()
        ids = self.cluster.submit("alice", *["exec sleep 300"] * 5, name="many")
        self.cluster.submit("bob", "exec sleep 300", name="not mine")
        page.goto("/jobs?name=many")
        for job in ids[:3]:
            row = page.get_by_role("row").filter(has=page.get_by_role("link", name=str(job), exact=True))
            row.get_by_role("checkbox").check()
        page.get_by_label("Do").select_option("cancel")
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="3 jobs").click()
        views = self.cluster.wait(ids[:3])
        self.assertEqual({view["state"] for view in views}, {"cancelled"})
        self.assertNotEqual({self.cluster.job("alice", job)["state"] for job in ids[3:]}, {"cancelled"})

    def test_a_session_that_may_submit_submits_and_others_say_how(self) -> None:
        page = self.log_in(may="act")
        page.goto("/submit")
        page.get_by_label("Command").fill("echo from the page > page.txt")
        self.assertIn("hRunJob --web submit", page.get_by_role("main").inner_text())
        page = self.log_in(may="submit")
        page.goto("/submit")
        page.get_by_label("Command").fill("echo from the page > page.txt")
        page.get_by_label("Working folder").fill(self.cluster.work)
        page.get_by_label("Cores").fill("2")
        page.get_by_text("n1").first.wait_for()  # the hosts that would fit
        page.get_by_role("button", name=re.compile("^Submit")).click()
        page.wait_for_url(re.compile(r"/jobs/\d+"))
        job = int(re.findall(r"/jobs/(\d+)", page.url)[0])
        (view,) = self.cluster.wait([job])
        self.assertEqual((view["state"], view["cores"]), ("completed", 2))
        with open(os.path.join(self.cluster.work, "page.txt"), encoding="ascii") as file:
            self.assertEqual(file.read(), "from the page\n")

    def test_a_form_comes_back_with_what_was_typed_and_the_fault_beside_its_field(self) -> None:
        self.permitted = ["400"]
        page = self.log_in(may="submit")
        page.goto("/submit")
        page.get_by_label("Command").fill("true")
        page.get_by_label("Memory").first.fill("lots")
        page.get_by_role("button", name=re.compile("^Submit")).click()
        page.locator(".fault").first.wait_for()
        self.assertEqual(page.get_by_label("Memory").first.input_value(), "lots")
        self.assertEqual(page.get_by_label("Command").input_value(), "true")
