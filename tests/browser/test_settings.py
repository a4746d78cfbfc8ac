"""Properties and computers in a real browser: typed, checked, shown as a difference, saved, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.browser import BrowserCase


class SettingsTests(BrowserCase):
    def said(self) -> str:
        """Return what the file of hosts and cluster says."""
        return Path(self.cluster.etc, "ComputerCluster.config").read_text()

    def check(self, page: Any, what: str) -> None:
        """See that the page is accessible and fits a phone."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(page).response["violations"]
        told = [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in found]
        self.assertEqual(told, [], what)
        size = page.viewport_size
        page.set_viewport_size({"width": 390, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        self.assertLessEqual(wide, 0, what)
        page.set_viewport_size(size)

    def test_a_property_is_set_and_taken_back(self) -> None:
        page = self.log_in()
        page.goto("/dispatcher")
        self.check(page, "the dispatcher")
        page.get_by_role("link", name="Change its properties").click()
        self.check(page, "the form")
        page.get_by_label("half_life").fill("21d")
        page.get_by_label("A new license").first.fill("ansys")
        page.get_by_label("and how many of it").first.fill("3")
        page.get_by_role("button", name="Show the difference").click()
        self.assertNotIn("21d", self.said())
        self.check(page, "the difference")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").filter(has_text="half_life 7d → 21d").wait_for()
        self.assertIn('half_life = "21d"', self.said())
        self.assertIn("ansys = 3", self.said())
        page.get_by_role("button", name="Undo record").last.click()
        page.get_by_role("button", name="Take it back").click()
        page.get_by_role("status").filter(has_text="Taken back").wait_for()
        self.assertNotIn("21d", self.said())

    def test_what_is_wrong_stands_beside_its_field_and_the_second_sees_the_first(self) -> None:
        self.permitted = ["400", "409"]
        one, other = self.log_in(), self.log_in()
        for page in (one, other):
            page.goto("/dispatcher/properties")
        other.get_by_label("processes").first.fill("many")
        other.get_by_role("button", name="Show the difference").click()
        other.get_by_role("button", name="Save").click()
        self.check(other, "a fault")
        field = other.get_by_label("processes").first
        self.assertEqual(field.input_value(), "many")
        self.assertIn("expected a number of processes", str(field.evaluate("one => one.parentElement.innerText")))
        one.get_by_label("processes").first.fill("64")
        one.get_by_role("button", name="Show the difference").click()
        one.get_by_role("button", name="Save").click()
        one.get_by_role("status").filter(has_text="4096 → 64").wait_for()
        field.fill("128")
        other.get_by_role("button", name="Show the difference").click()
        other.get_by_role("button", name="Save").click()
        other.get_by_role("heading", name="Somebody else was quicker").wait_for()
        self.check(other, "a conflict")
        self.assertIn("processes = 64", self.said())
        other.get_by_role("button", name="Save mine all the same").click()
        other.get_by_role("status").filter(has_text="64 → 128").wait_for()

    def test_a_computer_is_checked_live_added_and_changed(self) -> None:
        page = self.log_in(may="submit")
        page.goto("/hosts/add")
        self.check(page, "a new computer")
        page.get_by_label("Name").fill("n9")
        page.get_by_label("launcher").select_option("local")
        page.get_by_role("button", name="Check it").click()
        page.get_by_text("Jobs can run there.").or_(page.get_by_text("Something is in the way.")).wait_for(
            timeout=30_000
        )
        self.check(page, "the checks")
        page.get_by_role("button", name="Add it").click()
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").filter(has_text="n9 is added").wait_for()
        self.assertIn("[hosts.n9]", self.said())
        page.get_by_role("link", name="Change", exact=True).click()
        page.get_by_label("cores").first.fill("3")
        page.get_by_role("button", name="Show the difference").click()
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").filter(has_text="→ 3").wait_for()
        self.assertIn("cores = 3", self.said())

    def test_the_checks_are_followed_without_scripts_too(self) -> None:
        page = self.log_in(may="submit", java_script_enabled=False)
        page.goto("/hosts/n1/change")
        page.get_by_role("button", name="Check it").click()
        page.get_by_text("Jobs can run there.").or_(page.get_by_text("Something is in the way.")).wait_for(
            timeout=30_000
        )
