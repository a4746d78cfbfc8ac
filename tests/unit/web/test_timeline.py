"""What ran where and when, as a drawing and as a table."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.job_views import NOW, job
from tests.support.web import Site
from tm.errors import RefusedError
from tm.web.views import timeline
from tm.wire.message import Reply


def ran(number: int, begin: float, end: float | None, host: str = "n1", **others: Any) -> dict[str, Any]:
    """Return a job that ran from *begin* to *end*, hours from now."""
    def at(hours: float | None) -> str | None:
        return None if hours is None else timeline.shown_time(NOW + 3600 * hours)

    state = "running" if end is None else "completed"
    return job(number, host=host, started_at=at(begin), ended_at=at(end), **{"state": state, **others})


class Drawing(SynchronousTestCase):
    def drawn(self, *jobs: dict[str, Any], **args: str) -> timeline.Drawing:
        return timeline.drawn(list(jobs), timeline.read(args), NOW)

    def test_each_host_has_a_lane_and_bars_in_it_never_cover_each_other(self) -> None:
        drawing = self.drawn(ran(1, -3, -1), ran(2, -2, None), ran(3, -0.5, None), ran(4, -1, -0.9, "n0"))
        self.assertEqual([lane.host for lane in drawing.lanes], ["n0", "n1"])
        rows: dict[int, list[timeline.Bar]] = {}
        for lane in drawing.lanes:
            for bar in lane.bars:
                rows.setdefault(bar.y, []).append(bar)
        for bars in rows.values():
            for first, second in pairwise(bars):
                self.assertLessEqual(first.x + first.wide, second.x + 0.1)
        self.assertEqual(drawing.lanes[1].high, 2 * timeline.LANE)

    def test_what_is_partly_within_is_cut_and_what_is_short_is_seen(self) -> None:
        (lane,) = self.drawn(ran(1, -100, None), ran(2, -1, -0.9999), ran(3, -50, -40)).lanes
        by_id = {bar.id: bar for bar in lane.bars}
        self.assertEqual(set(by_id), {"1", "2"})
        self.assertEqual(by_id["1"].x, timeline.LEFT)
        self.assertEqual(by_id["2"].wide, timeline.LEAST)

    def test_short_jobs_one_after_the_other_need_no_row_each(self) -> None:
        second = 1 / 3600
        short = [ran(number, -2 + number * second, -2 + (number + 1) * second) for number in range(1, 40)]
        short[7]["state"] = "failed"
        (lane,) = self.drawn(ran(50, -1, None), *short).lanes
        self.assertEqual(lane.high, timeline.LANE)
        self.assertLess(len(lane.bars), 5)
        self.assertEqual(sum(bar.count for bar in lane.bars), 40)
        (bad,) = [bar for bar in lane.bars if bar.pattern == "bad"]
        self.assertIn("short jobs", bad.title)
        self.assertIn("1 failed", bad.title)
        assert bad.listed is not None
        self.assertEqual((bad.listed["host"], bad.listed["user"]), ("n1", "alice"))
        for first, following in pairwise(lane.bars):
            self.assertLessEqual(first.x + first.wide, following.x + 0.11)

    def test_now_is_a_line_while_it_is_within(self) -> None:
        self.assertIsNotNone(self.drawn().now)
        self.assertIsNone(self.drawn(until=timeline.shown_time(NOW - 86400)).now)

    def test_states_differ_by_pattern(self) -> None:
        self.assertNotEqual(timeline.PATTERNS["failed"], timeline.PATTERNS["timeout"])
        self.assertEqual(set(timeline.PATTERNS.values()), {name for name, _ in timeline.LEGEND})

    def test_what_is_no_span_and_no_time_is_refused(self) -> None:
        for args in ({"span": "x"}, {"until": "y"}, {"until": "9999-12-31T23:59:59Z"}, {"until": "1970-01-01"}):
            self.assertRaises(RefusedError, timeline.read, args)

    def test_going_back_and_forth_ends_at_now(self) -> None:
        wanted = timeline.read({"span": "1h"})
        back = wanted.moved(-0.5, NOW)
        self.assertEqual(back["until"], timeline.shown_time(NOW + 72 - 1800))
        there = timeline.read({name: str(value) for name, value in back.items() if value})
        self.assertIsNone(there.moved(0.5, NOW)["until"])

    def test_two_thousand_bars_are_drawn_at_once(self) -> None:
        jobs = [ran(number, -5 + number / 1000, None, f"n{number % 20}") for number in range(3000)]
        began = time.monotonic()
        drawing = self.drawn(*jobs)
        self.assertEqual(drawing.count, timeline.MOST_BARS)
        self.assertLess(time.monotonic() - began, 2.0)


class ThePage(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.site.link.replies["lsjobs"] = [ran(1, -3, -1, name="<b>"), ran(2, -2, None), job(5, host=None)]

    def test_draws_and_lists_what_ran(self) -> None:
        got = self.site.get("/timeline")
        self.assertEqual(got.status, 200)
        for text in ('href="/jobs/1"', "&lt;b&gt;", 'href="/hosts/n1"', "now-line", "as a table", "/jobs?overlap="):
            self.assertIn(text, got.body)
        self.assertNotRegex(got.body, r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=")

    def test_asks_for_the_time_the_user_and_the_host(self) -> None:
        self.site.get("/timeline?span=1h&user=all&host=n1")
        (rest,) = [rest for verb, rest in self.site.link.asked if verb == "lsjobs"]
        self.assertEqual(
            rest,
            "user=all:host=n1:overlap=2027-01-15T07%3A01%3A12Z..2027-01-15T08%3A01%3A12Z:order=-started:limit=200",
        )

    def test_jobs_of_others_need_the_right_and_the_page_says_so(self) -> None:
        self.site.link.replies["lsjobs"] = Reply("needs the right 'jobs'", word="perm.denied")
        got = self.site.get("/timeline?user=all")
        self.assertEqual(got.status, 400)
        self.assertIn('id="fault-user"', got.body)

    def test_nothing_at_all_says_what_to_do(self) -> None:
        self.site.link.replies["lsjobs"] = []
        self.assertIn("Look at the last week", self.site.get("/timeline").body)

    def test_fifty_bars_weigh_little(self) -> None:
        self.site.link.replies["lsjobs"] = [ran(number, -5 + number / 100, None, f"n{number}") for number in range(50)]
        self.assertLess(len(self.site.get("/timeline").body.encode()), 60_000)
