"""Hosts and plots in a real browser: drawn under the strict policy, read by keyboard, taken away as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.support.browser import BrowserCase
from tests.support.processes import wait_for

PNG = b"\x89PNG\r\n\x1a\n"


class PlotTests(BrowserCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 2, "infoserver": True, "policy": "ignore"},
        "n2": {"launcher": "local", "cores": 1, "active": False},
    }

    def drawn(self, page: Any) -> Any:
        """Return the first plot of *page* once it is drawn."""
        figure = page.locator("figure.plot").first
        figure.scroll_into_view_if_needed()
        figure.locator(".plot-area canvas").wait_for()
        return figure

    def test_the_overview_draws_the_last_day(self) -> None:
        page = self.log_in()
        wait_for(lambda: self._told(page, "/plots/cluster/jobs/24h"), "the board knows the jobs")
        page.goto("/")
        figure = self.drawn(page)
        self.assertIn("running", figure.locator(".plot-legend").inner_text())
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            figure.locator(".plot-area canvas").wait_for()

    def _told(self, page: Any, path: str) -> bool:
        told = page.request.get(path)
        return bool(told.ok and any(value is not None for one in told.json()["series"] for _, value in one["points"]))

    def test_a_host_tells_its_history_by_keyboard_picture_and_table(self) -> None:
        page = self.log_in()
        wait_for(lambda: self._told(page, "/plots/hosts/n1/load/1h"), "the InfoServer of n1 tells its load")
        page.goto("/hosts/n1")
        figure = self.drawn(page)
        figure.locator(".plot-area").focus()
        page.keyboard.press("Home")
        self.assertRegex(figure.locator(".plot-readout").inner_text(), r"^\d{4}-\d\d-\d\d \d\d:\d\d: load [0-9.]+")
        page.keyboard.press("Escape")
        self.assertIn("the last values", figure.locator(".plot-readout").inner_text())
        with page.expect_download() as found:
            figure.get_by_role("button", name="Save as picture").click()
        self.assertEqual(found.value.suggested_filename, "n1-Load-the-last-hour.png")
        self.assertEqual(Path(found.value.path()).read_bytes()[:8], PNG)
        figure.locator("summary").click()
        figure.locator("details td.number").first.wait_for()

    def test_without_scripts_the_table_is_a_page(self) -> None:
        page = self.log_in(java_script_enabled=False)
        wait_for(lambda: self._told(page, "/plots/hosts/n1/load/1h"), "the InfoServer of n1 tells its load")
        page.goto("/hosts/n1")
        page.locator("figure.plot summary").first.click()
        page.get_by_role("link", name="The values of this plot").first.click()
        self.assertRegex(page.locator("td.number").first.inner_text(), r"[0-9.]+")

    def test_processes_come_anew_by_themselves(self) -> None:
        page = self.log_in()
        (job,) = self.cluster.submit("alice", "exec sleep 300", name="long")
        self.cluster.wait([job], states=("running",))
        page.goto("/hosts/n1/processes")
        page.get_by_role("link", name=str(job), exact=True).first.wait_for()
        self.cluster.ask("alice", "canceljob", str(job))
        page.get_by_role("link", name=str(job), exact=True).first.wait_for(state="detached")

    def test_a_host_is_drained_with_a_reason_and_let_in_again(self) -> None:
        page = self.log_in()
        page.goto("/hosts/n1")
        page.get_by_role("link", name="Run it empty …").click()
        page.get_by_label("Why").fill("a new <disk>")
        page.get_by_role("button", name="Run it empty").click()
        page.get_by_text("a new <disk>").first.wait_for()
        self.assertIn("a new <disk>", page.locator("#events").inner_text())
        page.get_by_role("link", name="Let jobs start …").click()
        page.get_by_role("button", name="Let jobs start").click()
        page.locator("#host .badge-up").first.wait_for()
