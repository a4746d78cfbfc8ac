"""Every page in a real browser, with real jobs behind it: sound, accessible, fit for a phone, light, and safe.

With TM_WRITE_SCREENSHOTS set, the pictures of docs/web.md are made anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.browser import BrowserCase
from tests.support.cluster import ROOT
from tests.support.processes import wait_for

PAGES = (
    "/", "/hosts", "/hosts?view=table", "/hosts/n1", "/hosts/n1/processes", "/hosts/add", "/hosts/n1/change", "/jobs",
    "/jobs/pending", "/jobs/finished", "/jobs/{running}", "/jobs/{failed}", "/jobs/{array}", "/jobs/{waiting}",
    "/submit", "/timeline", "/dispatcher", "/dispatcher/properties", "/dispatcher/log", "/dispatcher/output", "/admin",
    "/admin/users", "/admin/users/bob", "/admin/groups", "/admin/groups/admins", "/admin/shares",
    "/admin/certificates", "/admin/audit", "/sessions",
)  # fmt: skip
MOST_BYTES, MOST_PLOTTED_BYTES = 60_000, 130_000
MARKUP = "<img src=x onerror=alert(1)>\x1b[31m"
PICTURES = os.path.join(ROOT, "docs", "images")


HOSTS: Mapping[str, Mapping[str, object]] = {
    "n1": {"launcher": "local", "cores": 2, "infoserver": True, "policy": "ignore"},
    "n2": {"launcher": "local", "cores": 1, "active": False},
}


def knows_host(page: Any) -> bool:
    """Whether the page of the host shows what its InfoServer has said."""
    page.goto("/hosts/n1")
    return "InfoServer" in page.get_by_role("main").inner_text()


class PageTests(BrowserCase):
    hosts = HOSTS

    def setUp(self) -> None:
        super().setUp()
        submit, cluster = self.cluster.submit, self.cluster
        (failed,) = submit("alice", "echo this goes wrong; exit 3", name=MARKUP.replace("\x1b", ""))
        (array,) = submit("alice", "sleep 0.1", array="0-5", name="sweep")
        cluster.wait([failed, array])
        (running,) = submit("alice", "echo begun; exec sleep 300", name="long", time=3600)
        cluster.wait([running], states=("running",))
        (waiting,) = submit("alice", "true", name="later", cores=2, dependency=f"afterok:{running}")
        submit("bob", "exec sleep 300", name="secret of bob")
        self.ids = {"failed": failed, "array": array, "running": running, "waiting": waiting}

    def paths(self) -> list[str]:
        return [path.format(**self.ids) for path in PAGES]

    def test_every_page_is_sound_and_accessible(self) -> None:
        from axe_playwright_python.sync_playwright import Axe

        page = self.log_in()
        wait_for(lambda: knows_host(page), "the page of the host knows its load")
        axe, violations = Axe(), []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for path in self.paths():
                answer = page.goto(path)
                self.assertEqual((path, answer.status), (path, 200))
                self.assertEqual(page.locator("h1").count(), 1, path)
                for one in axe.run(page).response["violations"]:
                    nodes = [node["html"][:160] for node in one["nodes"][:3]]
                    violations.append(f"{path} ({scheme}): {one['id']}: {one['help']}: {nodes}")
        self.assertEqual(violations, [], "\n".join(violations))

    def test_every_page_fits_a_phone_and_twice_the_size(self) -> None:
        page = self.log_in(viewport={"width": 390, "height": 800})
        for width in (390, 640):
            page.set_viewport_size({"width": width, "height": 800})
            for path in self.paths():
                page.goto(path)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                self.assertLessEqual(wide, 0, f"{path} is {wide} px wider than {width}")

    def test_every_page_is_light(self) -> None:
        context = self.log_in().context
        for path in self.paths():
            page = context.new_page()
            page.context.new_cdp_session(page).send("Network.setCacheDisabled", {"cacheDisabled": True})
            weights: dict[str, int] = {}
            page.on("response", lambda answer, seen=weights: self._weigh(answer, seen))
            page.goto(path, wait_until="load")
            most = MOST_PLOTTED_BYTES if page.locator("figure.plot").count() else MOST_BYTES
            self.assertLess(sum(weights.values()), most, f"{path} weighs {weights}")
            page.close()

    def _weigh(self, answer: Any, seen: dict[str, int]) -> None:
        seen[answer.url] = int(answer.headers.get("content-length", 0))

    def test_every_page_works_without_scripts(self) -> None:
        page = self.log_in(java_script_enabled=False)
        for path in self.paths():
            self.assertEqual((path, page.goto(path).status), (path, 200))
        page.goto(f"/jobs/{self.ids['running']}")
        self.assertIn("begun", page.get_by_role("main").inner_text())

    def test_names_with_markup_are_text(self) -> None:
        page = self.log_in()
        for path in ("/", "/jobs", "/jobs/finished", f"/jobs/{self.ids['failed']}", "/timeline"):
            page.goto(path)
            self.assertEqual(page.locator("img").count(), 0, path)
        page.goto(f"/jobs/{self.ids['failed']}")
        self.assertIn("<img src=x", page.get_by_role("main").inner_text())

    def test_what_is_not_there_is_said_with_the_way_back(self) -> None:
        self.permitted = ["404", "400", "403"]
        page = self.log_in()
        for path, status in (
            ("/nothing", 404), ("/jobs/999999", 404), ("/jobs/x", 400), ("/hosts/none", 404), ("/jobs?state=odd", 400),
            ("/jobs?user=bob", 200), ("/admin/users/nobody", 404), ("/jobs?array=x", 400), ("/timeline?span=odd", 400),
        ):  # fmt: skip
            answer = page.goto(path)
            self.assertEqual((path, answer.status), (path, status))
            self.assertGreater(page.get_by_role("link").count(), 5, path)

    def test_nobody_sees_or_reaches_what_is_not_theirs(self) -> None:
        self.permitted = ["404", "403", "400"]
        page = self.log_in("bob")
        for path in ("/", "/jobs", "/jobs/pending", "/jobs/finished", "/timeline", "/hosts/n1"):
            page.goto(path)
            text = page.content()
            for name in ("sweep", ">long<", "this goes wrong"):
                self.assertNotIn(name, text, path)
        mine = f"/jobs/{self.ids['running']}"
        for path in (mine, f"{mine}/output", f"/jobs/{self.ids['array']}"):
            self.assertIn(page.goto(path).status, (403, 404), path)
        for path in ("/admin/users", "/admin/audit", "/dispatcher/log"):
            self.assertEqual((path, page.goto(path).status), (path, 403))
        page.goto("/jobs?user=all")
        self.assertNotIn("sweep", page.content())


class PictureTests(BrowserCase):
    hosts = HOSTS

    def setUp(self) -> None:
        super().setUp()
        submit, cluster = self.cluster.submit, self.cluster
        (failed,) = submit("alice", "echo no such file; exit 2", name="convert", stdout="convert.out")
        (sweep,) = submit("alice", "sleep 0.2", array="0-19", name="sweep", stdout="sweep-%a.out")
        cluster.wait([failed, sweep])
        steps = "for n in 1 2 3; do echo step $n done; done; exec sleep 300"
        (self.fit,) = submit("alice", steps, name="fit", time=3600, memory=1 << 30, stdout="fit.out")
        cluster.wait([self.fit], states=("running",))
        after = f"afterok:{self.fit}"
        (self.report,) = submit("alice", "make report", name="report", cores=2, dependency=after, stdout="report.out")

    def test_pictures_show_the_pages(self) -> None:
        page = self.log_in(viewport={"width": 1200, "height": 800})
        wait_for(lambda: knows_host(page), "the page of the host knows its load")
        write = bool(os.environ.get("TM_WRITE_SCREENSHOTS"))
        folder = Path(PICTURES if write else self.mktemp())
        folder.mkdir(parents=True, exist_ok=True)
        named = {
            "overview": "/", "hosts": "/hosts", "host": "/hosts/n1", "processes": "/hosts/n1/processes",
            "jobs": "/jobs", "job": f"/jobs/{self.fit}", "waiting": f"/jobs/{self.report}",
            "submit": "/submit", "timeline": "/timeline", "properties": "/dispatcher/properties",
            "log": "/dispatcher/log", "administration": "/admin",
        }  # fmt: skip
        for name, path in named.items():
            page.goto(path, wait_until="load")
            page.screenshot(path=str(folder / f"{name}.png"))
            self.assertGreater((folder / f"{name}.png").stat().st_size, 5000, name)
        page.emulate_media(color_scheme="dark")
        page.goto("/")
        page.screenshot(path=str(folder / "overview-dark.png"))
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto("/jobs")
        page.screenshot(path=str(folder / "jobs-phone.png"))
