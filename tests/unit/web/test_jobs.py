"""Lists of jobs: filters, orders, pages, files, and acts on many."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.job_views import NOW, array, job
from tests.support.web import Site
from tm.errors import RefusedError
from tm.web.views import arrays, jobs
from tm.web.views.csv_text import csv_text
from tm.wire.message import Reply

COUNTS = {"total": 3, "by_state": {"pending": 1, "running": 2}}


class Wanted(SynchronousTestCase):
    def test_an_address_without_arguments_asks_for_the_list_of_its_page(self) -> None:
        self.assertEqual(jobs.read("/jobs", {}).rest(), "state=all:order=-id:limit=51")
        self.assertEqual(jobs.read("/jobs/pending", {}).rest(), "state=pending,held:order=start:limit=51")
        self.assertEqual(jobs.read("/jobs/finished", {}).rest(), "state=ended:order=-ended:limit=51")

    def test_filters_are_passed_on_whatever_is_in_them(self) -> None:
        wanted = jobs.read("/jobs", {"text": "a:b%", "user": "all", "state": "failed", "since": "2026-11-23T14:02:03Z"})
        self.assertEqual(
            wanted.rest(10),
            "user=all:text=a%3Ab%25:since=2026-11-23T14%3A02%3A03Z:state=failed:order=-id:limit=10",
        )
        self.assertEqual(wanted.words(stated=False), wanted.words()[:-1])

    def test_the_page_before_is_asked_for_the_other_way_round(self) -> None:
        wanted = jobs.read("/jobs", {"from": "c9", "back": "1"})
        self.assertEqual(wanted.rest(), "state=all:order=id:limit=51:from=c9")

    def test_what_cannot_be_a_number_of_jobs_is_refused(self) -> None:
        for text in ("x", "-5", "0", "9" * 30, "²"):
            self.assertRaises(RefusedError, jobs.read, "/jobs", {"limit": text})
        self.assertEqual(jobs.read("/jobs", {"limit": ""}).limit, jobs.PAGE)
        self.assertEqual(jobs.read("/jobs", {"limit": "99999"}).limit, jobs.MOST_SAVED)


class Paged(SynchronousTestCase):
    def pages(self, found: int, **args: str) -> jobs.Pages:
        return jobs.paged(jobs.read("/jobs", {"limit": "2", **args}), [job(number) for number in range(found)])

    def test_one_job_more_says_that_there_is_another_page(self) -> None:
        self.assertIsNone(self.pages(2).after)
        self.assertEqual(self.pages(3).after, {"order": None, "limit": 2, "from": "c1"})
        self.assertEqual(len(self.pages(3).jobs), 2)

    def test_a_page_in_the_middle_has_both_neighbours(self) -> None:
        pages = self.pages(3, **{"from": "c7"})
        self.assertEqual((pages.before or {}).get("back"), 1)
        self.assertIsNotNone(pages.after)

    def test_going_back_turns_the_jobs_round(self) -> None:
        pages = self.pages(3, **{"from": "c7", "back": "1"})
        self.assertEqual([one["id"] for one in pages.jobs], [1, 0])
        self.assertEqual((pages.before or {}).get("from"), "c1")
        self.assertEqual((pages.after or {}).get("from"), "c0")


class Rows(SynchronousTestCase):
    def test_a_bar_hides_none_of_the_tasks(self) -> None:
        parts = arrays.bar({"total": 1_000_000, "completed": 999_998, "failed": 1, "waiting": 1})
        self.assertEqual([part.fill for part in parts], ["good", "bad", "waiting"])
        self.assertAlmostEqual(sum(part.wide for part in parts), 100.0)
        self.assertTrue(all(part.wide >= 1.5 for part in parts))

    def test_an_array_is_told_in_words_too(self) -> None:
        self.assertEqual(
            jobs.row(array(), NOW).told, "40 completed, 3 failed, 10 active, 47 waiting of 100, at most 10 at once"
        )

    def test_how_it_ended_is_told_with_code_or_signal(self) -> None:
        self.assertEqual(jobs.what(job(exit_code=3, reason="bad input")), "exit code 3: bad input")
        self.assertEqual(jobs.what(job(signal=9)), "signal 9")
        self.assertEqual(jobs.what(job(reason="waits for 2 cores")), "waits for 2 cores")

    def test_time_runs_until_the_end_or_now(self) -> None:
        self.assertEqual(jobs.row(job(), NOW).spent, 1800.0)
        self.assertEqual(jobs.row(job(ended_at="2027-01-15T07:40:00.000Z"), NOW).spent, 600.0)
        self.assertIsNone(jobs.row(job(started_at=None), NOW).spent)


class Files(SynchronousTestCase):
    def test_a_spreadsheet_runs_nothing(self) -> None:
        text = csv_text([["=1+1", "+1", "-1", "@x", "\x1b[0m=1", "a,b\n", -5, None]])
        self.assertEqual(next(csv.reader(io.StringIO(text))), ["'=1+1", "'+1", "'-1", "'@x", "'=1", "a,b\n", "-5", ""])


class TheList(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.replies = self.site.link.replies
        self.replies["lsjobs"] = [
            job(17, name="<b>fit</b>"), array(), job(18, state="pending", reason="waits for 2 cores"),
        ]  # fmt: skip
        self.replies["countjobs"] = COUNTS

    def test_shows_what_the_dispatcher_lists(self) -> None:
        body = self.site.get("/jobs").body
        for text in ("&lt;b&gt;fit", 'href="/jobs/17"', "waits for 2 cores", "40 completed, 3 failed", "3 of 3 jobs"):
            self.assertIn(text, body)
        self.assertIn(("lsjobs", "state=all:order=-id:limit=51"), self.site.link.asked)
        self.assertNotRegex(body, r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=")

    def test_fifty_jobs_weigh_little(self) -> None:
        self.replies["lsjobs"] = [array(number, command="x" * 1000, reason="y" * 500) for number in range(1000, 1051)]
        for path in ("/jobs?user=all", "/jobs/pending", "/jobs/finished?user=all"):
            self.assertLess(len(self.site.get(path).body.encode()), 60_000, path)

    def test_pages_lead_to_the_next_and_back(self) -> None:
        self.replies["lsjobs"] = [job(number) for number in range(51)]
        self.assertIn('href="/jobs?from=c49" rel="next"', self.site.get("/jobs").body)
        body = self.site.get("/jobs?from=c9").body
        self.assertIn('href="/jobs?from=c0&amp;back=1" rel="prev"', body)
        self.assertIn("First page", self.site.get("/jobs/pending?from=c9").body)

    def test_a_head_sorts_and_sorts_the_other_way_round(self) -> None:
        self.assertIn('href="/jobs?state=running&amp;order=name"', self.site.get("/jobs?state=running").body)
        body = self.site.get("/jobs?order=name").body
        self.assertIn('href="/jobs?order=-name"', body)
        self.assertIn('aria-sort="ascending"', body)

    def test_a_wrong_filter_comes_back_with_what_is_wrong_beside_it(self) -> None:
        text = "'array=x': expected the id of an array"
        self.replies["lsjobs"] = Reply(text, word="proto.arguments")
        got = self.site.get("/jobs?array=x&name=fit*")
        self.assertEqual(got.status, 400)
        self.assertIn(text, unescape(got.body))
        self.assertIn('name="array" value="x"', got.body)
        self.assertIn('value="fit*"', got.body)

    def test_what_the_dispatcher_complains_of_is_told_beside_its_filter(self) -> None:
        wanted = jobs.read("/jobs", {"since": "2026", "until": "soon", "state": "odd", "array": "x"})
        for text, name in (
            ("'soon' is no day; write 2026, 2026-11 or 2026-11-23 (UTC)", "until"),
            ("there is no state 'odd'; the states are held", "state"),
            ("'array=x': expected the id of an array", "array"),
        ):
            self.assertEqual(jobs.fault_of(wanted, "proto.arguments", text), (name, text))
        self.assertIsNone(jobs.fault_of(wanted, "proto.arguments", "'order=odd': jobs are sorted by id"))
        self.assertIsNone(jobs.fault_of(wanted, "store.io", "the disk is full"))

    def test_jobs_of_others_need_the_right_and_the_page_says_so(self) -> None:
        self.replies["lsjobs"] = Reply("'lsjobs' for what is not your own needs the right 'jobs'", word="perm.denied")
        got = self.site.get("/jobs?user=all")
        self.assertEqual(got.status, 400)
        self.assertIn("fault-user", got.body)

    def test_csv_and_json_have_what_is_shown(self) -> None:
        got = self.site.get("/jobs.csv?state=running&limit=50")
        rows = list(csv.DictReader(io.StringIO(got.body)))
        self.assertEqual([row["id"] for row in rows], ["17", "20", "18"])
        self.assertEqual(rows[1]["tasks_total"], "100")
        self.assertIn(("lsjobs", "state=running:order=-id:limit=50"), self.site.link.asked)
        self.assertIn("attachment", got.headers["content-disposition"])
        self.assertEqual([one["id"] for one in json.loads(self.site.get("/jobs/finished.json").body)], [17, 20, 18])

    def test_a_file_has_more_jobs_than_the_dispatcher_lists_at_once(self) -> None:
        def listed(rest: str | None) -> list[Any]:
            limit = int(re.search(r"limit=(\d+)", rest or "")[1])  # type: ignore[index]
            return [job(number) for number in range(limit if "from=" not in (rest or "") else 5)]

        self.replies["lsjobs"] = listed
        self.assertEqual(len(json.loads(self.site.get("/jobs.json?limit=10000").body)), 1005)

    def test_who_may_only_look_is_offered_no_acts(self) -> None:
        self.site.session["may"] = "look"
        self.assertNotIn('name="act"', self.site.get("/jobs").body)


class Acts(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.replies = self.site.link.replies
        self.replies["tryjobs"] = [
            {"ids": "17,20", "jobs": 2, "done": True, "why": "would be cancelled"},
            {"ids": "18", "jobs": 1, "done": False, "why": "ended already"},
        ]
        self.replies["canceljob"] = self.replies["holdjob"] = self.replies["changejob"] = self.replies["tryjobs"]

    def post(self, **form: Any) -> Any:
        return self.site.post("/jobs/act", form={"back": "/jobs?state=running", **form})

    def said(self, verb: str) -> list[Any]:
        return [rest for said, rest in self.site.link.asked if said == verb]

    def test_are_first_told_with_count_and_list(self) -> None:
        got = self.post(act="cancel", job=["17", "18", "20"])
        self.assertEqual((got.status, self.said("canceljob"), self.said("tryjobs")), (200, [], ["canceljob:17,18,20"]))
        for text in ("<b>2 jobs</b>", "17,20", "18: ended already", 'name="sure"', 'value="17,18,20"'):
            self.assertIn(text, got.body)

    def test_the_first_of_them_are_shown_as_they_are(self) -> None:
        gone = Reply("there is no job 18", word="job.unknown")
        self.replies["jobinfo"] = lambda rest: [job(rest, name="n" + rest)] if rest == "17" else gone
        self.assertIn("<td>n17</td>", self.post(act="cancel", job=["17", "18"]).body)
        self.replies["lsjobs"] = [job(4, name="by filter")]
        got = self.post(act="hold", scope="filter", **{"filter-name": "sim*"})
        self.assertIn("by filter", got.body)
        self.assertIn("name=sim*:state=active:limit=10", self.said("lsjobs"))

    def test_are_done_when_they_are_confirmed_and_lead_back(self) -> None:
        got = self.post(act="cancel", ids="17,18,20", sure="1", reason="wrong: input")
        self.assertEqual(self.said("canceljob"), ["17,18,20:wrong%3A input"])
        self.assertEqual(got.status, 303)
        self.assertTrue(got.headers["location"].startswith("/jobs?state=running&notice=Cancel"))

    def test_lead_nowhere_else(self) -> None:
        for back in ("//evil.test/x", "https://evil.test/", "javascript:alert(1)"):
            got = self.post(act="cancel", ids="17", sure="1", back=back)
            self.assertRegex(got.headers["location"], r"^/(x|jobs)?[^/]")

    def test_all_that_pass_the_filters_are_meant_not_only_the_page(self) -> None:
        got = self.post(act="hold", scope="filter", **{"filter-state": "pending", "filter-name": "sim*"})
        self.assertEqual(self.said("tryjobs"), ["holdjob:state=pending name=sim*"])
        self.assertIn('name="count" value="2"', got.body)

    def test_more_jobs_than_were_seen_are_told_again(self) -> None:
        got = self.post(act="cancel", ids="state=pending", sure="1", count="1")
        self.assertEqual((got.status, self.said("canceljob")), (400, []))
        self.assertIn("more jobs than you saw", got.body)
        self.assertEqual(self.post(act="cancel", ids="state=pending", sure="1", count="2").status, 303)

    def test_a_filter_that_orders_do_not_know_is_resolved_to_jobs(self) -> None:
        self.replies["lsjobs"] = [job(3), job(5)]
        self.post(act="cancel", scope="filter", **{"filter-text": "x y"})
        self.assertEqual(self.said("tryjobs"), ["canceljob:3,5"])

    def test_a_change_is_read_as_on_the_command_line(self) -> None:
        self.post(act="change", ids="17", sure="1", time="1h30m", memory="4G", constraint="none")
        said = json.loads(self.said("changejob")[0])
        wanted = {"time": 5400.0, "memory": 4 << 30, "constraint": ""}
        self.assertEqual(said, {"ids": "17", "set": wanted, "reason": ""})

    def test_what_is_wrong_comes_back_beside_its_field_with_what_was_typed(self) -> None:
        got = self.post(act="change", ids="17", sure="1", time="soon", priority="5")
        self.assertEqual((got.status, self.said("changejob")), (400, []))
        self.assertIn('id="fault-time"', got.body)
        self.assertIn('value="soon"', got.body)
        self.replies["changejob"] = Reply("cores must be from 1 to 100000, not 0", word="job.invalid")
        self.assertIn('id="fault-cores"', self.post(act="change", ids="17", sure="1", cores="9").body)

    def test_nothing_ticked_is_told(self) -> None:
        self.assertIn("no job was ticked", self.post(act="cancel").body)

    def test_what_is_no_job_reaches_nobody(self) -> None:
        self.assertEqual(self.post(act="cancel", job=["17 user=all"]).status, 400)
        self.assertEqual(self.post(act="explode", job=["17"]).status, 400)
        self.assertEqual([verb for verb, _ in self.site.link.asked if verb != "checksessions"], [])

    def test_who_may_not_submit_is_told_how_to_run_jobs_again(self) -> None:
        got = self.post(act="rerun-failed", job=["17"])
        self.assertIn("hRunJob --rerun 17 --failed", got.body)
        self.assertIn("hRunJob --web submit", got.body)

    def test_running_again_asks_first_and_then_the_own_server(self) -> None:
        self.site.session["may"] = "submit"
        asked = self.post(act="rerun", job=["17"])
        token = re.search(r'name="token" value="(\w+)"', asked.body)
        assert token is not None
        self.assertEqual(self.said("own"), [])
        self.replies["own"] = {"ids": [30], "advice": []}
        got = self.post(act="rerun", ids="17", sure="1", token=token[1])
        wish = {"token": token[1], "ids": "17", "failed": False}
        self.assertEqual(json.loads(self.said("own")[0]), {"verb": "rerun", "argument": wish})
        self.assertTrue(got.headers["location"].startswith("/jobs/30?"))
