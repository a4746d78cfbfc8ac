"""Pages that stay true by themselves, in a real browser, before a server that does what each test says."""

from __future__ import annotations

import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.browser import SECONDS, chromium
from tests.support.live_server import LiveServer
from tests.support.processes import wait_for

NO_LOCKS = "delete Navigator.prototype.locks"
NO_STORAGE = """for (const name of ["localStorage", "sessionStorage", "indexedDB"])
  Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError") } })"""
OLD = '<p id="text" data-live="jobs">old</p>'
NEW = '<p id="text" data-live="jobs">new</p>'
JOB = {"topic": "jobs", "id": 17, "user": "alice", "state": "running", "host": "n1"}


class LiveCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.browser = chromium()
        self.complaints: list[str] = []
        self.permitted: list[str] = []
        self.server = LiveServer()
        self.addCleanup(lambda: self.server.stop())
        self.server.tell(html=OLD)

    def tearDown(self) -> None:
        left = [text for text in self.complaints if not any(part in text for part in self.permitted)]
        self.assertEqual(left, [])

    def context(self, *scripts: str) -> Any:
        context = self.browser.new_context(base_url=self.server.url, timezone_id="Asia/Tokyo")
        context.set_default_timeout(SECONDS)
        self.addCleanup(context.close)
        context.add_cookies([self.server.cookie])
        for script in scripts:
            context.add_init_script(script)
        return context

    def open(self, context: Any = None, name: str = "a") -> Any:
        page = (context or self.context()).new_page()
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"/page/{name}")
        return page

    def streams(self, count: int) -> None:
        wait_for(lambda: self.server.counts()["streams"] == count, f"{count} streams")

    def change(self, html: str, event: dict[str, Any] | None = None) -> float:
        self.server.tell(html=html)
        self.server.tell(event=event or JOB)
        return time.monotonic()

    def shows(self, page: Any, text: str, place: str = "#text") -> None:
        page.locator(place, has_text=text).wait_for()


class WhatIsShown(LiveCase):
    def test_what_changes_is_shown_within_a_second(self) -> None:
        page = self.open()
        self.streams(1)
        took = []
        for number in range(4):
            began = self.change(NEW.replace("new", f"new {number}"))
            self.shows(page, f"new {number}")
            took.append(time.monotonic() - began)
            page.wait_for_timeout(1200)
        self.assertLess(sorted(took)[1], 1.0, took)

    def test_many_events_ask_once_a_second_at_most(self) -> None:
        page = self.open()
        self.streams(1)
        before = self.server.counts()["pages"]["a"]
        began = time.monotonic()
        while time.monotonic() - began < 4:
            self.change(NEW)
            page.wait_for_timeout(20)
        self.assertLessEqual(self.server.counts()["pages"]["a"] - before, 6)

    def test_a_slow_server_is_asked_less_often(self) -> None:
        page = self.open()
        self.streams(1)
        self.server.tell(slow=1.0)
        before = self.server.counts()["pages"]["a"]
        began = time.monotonic()
        while time.monotonic() - began < 7:
            self.change(NEW)
            page.wait_for_timeout(50)
        self.assertLessEqual(self.server.counts()["pages"]["a"] - before, 3)

    def test_events_about_something_else_ask_for_nothing(self) -> None:
        self.server.tell(html='<p id="text" data-live="jobs" data-live-ids="17">old</p>')
        page = self.open()
        self.streams(1)
        before = self.server.counts()["pages"]["a"]
        self.server.tell(event={**JOB, "id": 170})
        self.server.tell(event={"topic": "hosts", "host": "n1"})
        page.wait_for_timeout(1500)
        self.assertEqual(self.server.counts()["pages"]["a"], before)
        self.change('<p id="text" data-live="jobs" data-live-ids="17">new</p>', {**JOB, "id": "17_3"})
        self.shows(page, "new")

    def test_what_is_typed_checked_open_and_focused_stays(self) -> None:
        row = '<tr><td><input type="checkbox" name="job" value="{0}"><td><a href="/jobs/{0}">job {0}</a></tr>'
        form = '<input name="note"><select name="pick"><option>a<option>b</select><textarea name="long"></textarea>'
        html = (
            '<div id="text" data-live="jobs"><p>{text}</p><details><summary>more</summary>{text}</details>'
            f"<form>{form}<table><tbody>" + "{rows}</tbody></table></form></div>"
        )
        rows = [row.format(job) for job in range(15, 18)]
        self.server.tell(html=html.format(text="old", rows="".join(rows)))
        page = self.open()
        page.locator("summary").click()
        page.locator("select").select_option("b")
        page.locator("textarea").fill("long text")
        page.locator("[value='16']").check()
        page.locator("[name=note]").fill("typed")
        page.evaluate("document.querySelector('[name=note]').setSelectionRange(2, 3)")
        self.streams(1)
        self.change(html.format(text="new", rows=row.format(18) + "".join(reversed(rows[1:]))))
        self.shows(page, "new", "#text > p")
        self.assertEqual(page.locator("tr").all_inner_texts(), ["\tjob 18", "\tjob 17", "\tjob 16"])
        self.assertEqual(page.locator(":checked").evaluate_all("all => all.map(one => one.value)"), ["b", "16"])
        self.assertEqual(page.locator("textarea").input_value(), "long text")
        self.assertTrue(page.locator("details").evaluate("one => one.open"))
        focus = page.evaluate("(() => { const at = document.activeElement; return [at.value, at.selectionStart] })()")
        self.assertEqual(focus, ["typed", 2])

    def test_what_vanishes_and_comes_back_is_shown_again(self) -> None:
        page = self.open()
        self.streams(1)
        for text in ("one", "", "two"):
            self.change(f'<p id="text" data-live="jobs">{text}</p>')
            wait_for(lambda text=text: page.locator("#text").inner_text() == text, text or "nothing")

    def test_a_hidden_page_asks_for_nothing_until_it_is_shown(self) -> None:
        page = self.open()
        self.streams(1)
        hide = (
            "Object.defineProperty(document, 'hidden', {{ value: {0}, configurable: true }});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.evaluate(hide.format("true"))
        before = self.server.counts()["pages"]["a"]
        for _ in range(3):
            self.change(NEW)
            page.wait_for_timeout(700)
        self.assertEqual(self.server.counts()["pages"]["a"], before)
        page.evaluate(hide.format("false"))
        self.shows(page, "new")
        self.assertEqual(self.server.counts()["pages"]["a"], before + 1)

    def test_times_are_those_of_the_browser(self) -> None:
        at = '<time datetime="2026-11-22T15:30:00+00:00">2026-11-22 15:30:00 UTC</time>'
        ago = '<time data-age datetime="2026-11-22T15:30:00+00:00">2026-11-22 15:30:00 UTC</time>'
        self.server.tell(html=f'<div id="text" data-live="jobs">{at} {ago}</div>')
        page = self.open()
        self.assertEqual(page.locator("time").first.inner_text(), "2026-11-23 00:30:00")
        self.assertRegex(page.locator("time").last.inner_text(), r"ago|^in ")
        self.streams(1)
        self.change(f'<div id="text" data-live="jobs">{at.replace("15:30", "16:30")} new</div>')
        self.shows(page, "new")
        self.assertEqual(page.locator("time").first.inner_text(), "2026-11-23 01:30:00")


class WhoFollows(LiveCase):
    def test_what_changes_while_a_page_is_on_its_way_is_not_missed(self) -> None:
        context = self.context()
        for tab, (before, after) in enumerate((("old", "new"), ("new", "newer"))):
            self.server.tell(slow=1.0)
            page = context.new_page()
            page.goto("/counts")
            page.evaluate(f"location.href = '{self.server.url}/page/{tab}'")
            wait_for(lambda tab=tab: self.server.counts()["pages"].get(str(tab)), "the page is asked for")
            self.change(OLD.replace("old", after))
            self.server.tell(slow=0.0)
            self.shows(page, before)
            self.shows(page, after)

    def test_seven_tabs_share_one_stream(self) -> None:
        context = self.context()
        pages = [self.open(context, name) for name in "abcdefg"]
        self.streams(1)
        self.change(NEW)
        for page in pages:
            page.bring_to_front()
            self.shows(page, "new")
        self.streams(1)
        pages[0].close()
        self.streams(1)
        self.change(NEW.replace("new", "newer"))
        for page in pages[1:]:
            page.bring_to_front()
            self.shows(page, "newer")

    def test_a_tab_that_hangs_leads_no_more_and_comes_back_as_one_of_the_others(self) -> None:
        context = self.context()
        hangs, other = self.open(context), self.open(context, "b")
        other.close()
        self.streams(1)
        hangs.evaluate("setTimeout(() => { const until = Date.now() + 8000; while (Date.now() < until); }, 100)")
        other = self.open(context, "c")
        self.streams(2)
        self.change(NEW)
        self.shows(other, "new")
        self.streams(1)
        self.shows(hangs, "new")

    def test_without_locks_and_storage_a_page_follows_by_itself(self) -> None:
        context = self.context(NO_LOCKS, NO_STORAGE)
        page = self.open(context)
        self.streams(1)
        self.change(NEW)
        self.shows(page, "new")


class WhatGoesWrong(LiveCase):
    def test_what_is_old_is_said_while_the_dispatcher_is_away(self) -> None:
        page = self.open()
        self.streams(1)
        self.server.tell(down="the TaskDispatcher at n0:1 does not answer")
        self.shows(page, "the TaskDispatcher at n0:1 does not answer", "#stale")
        self.server.tell(html=NEW, up=True)
        self.shows(page, "new")
        page.locator("#stale").wait_for(state="hidden")

    def test_a_page_recovers_when_the_web_server_starts_again(self) -> None:
        self.permitted = ["ERR_", "Failed to load"]
        page = self.open()
        self.streams(1)
        port = self.server.port
        self.server.stop()
        self.shows(page, "does not answer", "#stale")
        self.server = LiveServer(port)
        self.server.tell(html=NEW)
        self.shows(page, "new")
        page.locator("#stale").wait_for(state="hidden")

    def test_a_session_that_is_over_leads_to_the_login_page(self) -> None:
        self.permitted = ["401"]
        page = self.open()
        self.streams(1)
        self.server.tell(over=True)
        page.wait_for_url(lambda url: "/login" in url)

    def test_when_somebody_else_logs_in_a_page_becomes_theirs(self) -> None:
        context = self.context()
        page = self.open(context)
        self.streams(1)
        context.add_cookies([{**self.server.cookie, "value": "bob"}])
        self.change(NEW)
        page.locator(".session", has_text="bob").wait_for()
        self.change(NEW.replace("new", "newer"), {**JOB, "user": "bob"})
        self.shows(page, "newer")

    def test_what_was_typed_is_not_lost_with_the_session(self) -> None:
        self.permitted = ["401"]
        self.server.tell(html=OLD + '<form method="post"><textarea name="script"></textarea></form>')
        page = self.open()
        page.locator("textarea").fill("a long script")
        self.streams(1)
        self.server.tell(over=True)
        self.shows(page, "your session is over", "#stale")
        self.assertEqual(page.locator("textarea").input_value(), "a long script")
