"""Pages of a real cluster stay true: while jobs come and go, and while the daemons behind them do."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from tests.support.browser import BrowserCase


class StayingTrueTests(BrowserCase):
    def streams(self, page: Any) -> list[str]:
        """Return, growing, the streams that *page* asks for."""
        asked: list[str] = []
        page.on("request", lambda request: "/events?" in request.url and asked.append(request.url))
        return asked

    def begin(self, name: str) -> int:
        """Submit a job that runs until the file *name* is there."""
        (job,) = self.cluster.submit("alice", f"while [ ! -e {name} ]; do sleep 0.02; done", name=name)
        return job

    def end(self, name: str) -> None:
        with open(os.path.join(self.cluster.work, name), "w", encoding="ascii"):
            pass

    def test_jobs_appear_and_move_within_a_second(self) -> None:
        warm = self.begin("warm")
        self.cluster.wait([warm], states=("running",))
        page = self.log_in()
        page.goto("/jobs?state=running")
        page.wait_for_timeout(1500)
        took: list[float] = []
        for number in range(3):
            self.begin(f"job{number}")
            began = time.monotonic()
            row = page.get_by_role("row").filter(has_text=f"job{number}")
            row.wait_for()
            took.append(time.monotonic() - began)
            page.wait_for_timeout(1200)
            self.end(f"job{number}")
            began = time.monotonic()
            row.wait_for(state="detached")
            took.append(time.monotonic() - began)
            page.wait_for_timeout(1200)
        self.end("warm")
        self.assertLess(sorted(took)[len(took) // 2], 1.0, took)

    def test_seven_tabs_share_one_stream_and_another_takes_over(self) -> None:
        first = self.log_in()
        first.wait_for_timeout(1000)
        pages = [first, *(first.context.new_page() for _ in range(6))]
        counted = [self.streams(page) for page in pages]
        for page in pages:
            page.goto("/jobs?state=running")
        self.begin("wanderer")
        for page in pages:
            page.bring_to_front()
            page.get_by_role("row").filter(has_text="wanderer").wait_for()
        self.assertEqual([len(one) for one in counted], [1] + [0] * 6)
        first.close()
        self.end("wanderer")
        for page in pages[1:]:
            page.bring_to_front()
            page.get_by_role("row").filter(has_text="wanderer").wait_for(state="detached")
        self.assertEqual(sum(len(one) for one in counted[1:]), 1)

    def test_hosts_and_the_log_tell_what_an_administrator_does(self) -> None:
        host = next(iter(self.hosts))
        hosts = self.log_in()
        hosts.goto("/hosts?view=table")
        log = hosts.context.new_page()
        log.goto("/dispatcher/log")
        hosts.bring_to_front()
        row = hosts.get_by_role("row").filter(has_text=host)
        row.wait_for()
        hosts.wait_for_timeout(1200)
        began = time.monotonic()
        self.cluster.ask("alice", "deactivatehost", f"{host}:a new fan")
        row.filter(has_text="a new fan").wait_for()
        self.assertLess(time.monotonic() - began, 3.0)
        changes = hosts.context.new_page()
        changes.goto("/admin/groups")
        self.cluster.ask("alice", "addgroup", '{"name":"fans"}')
        changes.get_by_role("row").filter(has_text="fans").wait_for()
        log.bring_to_front()
        self.cluster.ask("alice", "reload")
        log.locator("#log").get_by_text("read etc/ again").first.wait_for()

    def test_pages_recover_by_themselves_when_the_dispatcher_was_killed(self) -> None:
        self.permitted = ["Failed to load resource"]
        job = self.begin("through")
        self.cluster.wait([job], states=("running",))
        page = self.log_in()
        page.goto("/jobs?state=running")
        loads: list[str] = []
        page.on("load", lambda: loads.append(page.url))
        page.get_by_role("row").filter(has_text="through").wait_for()
        page.wait_for_timeout(1000)
        self.cluster.kill("dispatcher")
        page.locator("#stale").wait_for()
        self.assertRegex(page.locator("#stale").inner_text(), r"since \d\d:\d\d:\d\d")
        self.assertTrue(page.get_by_role("row").filter(has_text="through").is_visible())
        self.cluster.start_dispatcher()
        page.locator("#stale").wait_for(state="hidden")
        self.end("through")
        page.get_by_role("row").filter(has_text="through").wait_for(state="detached")
        self.assertEqual(loads, [])

    def test_output_goes_on_as_soon_as_the_dispatcher_is_back(self) -> None:
        self.permitted = ["Failed to load resource"]
        (job,) = self.cluster.submit("alice", "for n in $(seq 300); do echo line $n; sleep 0.2; done", stdout="long")
        self.cluster.wait([job], states=("running",))
        page = self.log_in()
        page.goto(f"/jobs/{job}")
        output = page.locator("[data-stream=stdout] pre")
        output.filter(has_text="line 3").wait_for()
        self.cluster.kill("dispatcher")
        stale = page.locator("#stale")
        stale.filter(has_text="the TaskDispatcher is not reached: ").wait_for()
        page.locator("[data-fault]").wait_for()
        self.cluster.start_dispatcher()
        stale.wait_for(state="hidden")
        last = int(output.inner_text().split()[-1])
        output.filter(has_text=f"line {last + 3}\n").wait_for()
        page.locator("[data-fault]").wait_for(state="hidden")

    def test_a_session_ended_elsewhere_leads_to_the_login_page(self) -> None:
        self.permitted = ["401"]
        page = self.log_in()
        page.goto("/jobs")
        page.wait_for_timeout(500)
        for line in self.cluster.ask("alice", "lssessions", as_json=True):
            self.cluster.ask("alice", "endsession", str(json.loads(line)["id"]))
        page.wait_for_url(lambda url: "/login" in url)
