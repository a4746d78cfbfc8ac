"""A job on its page: the same facts as on the command line, why it waits, what it waits for, and what it writes."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.job_views import NOW, array, story
from tests.support.web import COOKIE, SECRET, Site, parse
from tm.web.asked import Visitor
from tm.web.views import arrays, graph, output
from tm.web.views import job as view
from tm.wire.message import Reply

ALICE = Visitor("", "", "alice", "act")
TASKS = {"failed": "3,7,9", "completed": "0-2,4-6,8,10-42", "active": "43-52", "pending": "53-99"}


class Told(SynchronousTestCase):
    def test_what_was_used_stands_beside_what_was_asked(self) -> None:
        told = story(cpu_seconds=1800.0, max_rss=1 << 30, gpus=1, gpu_ids=[1])
        gpus = [{"index": 0, "use": 0.9}, {"index": 1, "use": 0.5}]
        used = {one.name: one for one in view.usages(told, NOW, gpus)}
        self.assertEqual(used["Cores"].used, "1 busy on average (30 min 00 s of processor time)")
        self.assertEqual((used["Memory"].asked, used["Memory"].used, used["Memory"].part), ("4.0 GiB", "1.0 GiB", 25.0))
        self.assertEqual((used["Time"].asked, used["Time"].part), ("2 h 00 min", 25.0))
        self.assertEqual((used["GPUs"].used, used["GPUs"].part), ("GPU 1: 0.5 busy now", 50.0))

    def test_what_hardly_computes_is_told_without_powers_of_ten(self) -> None:
        used = {one.name: one for one in view.usages(story(cpu_seconds=0.01), NOW)}
        self.assertEqual(used["Cores"].used, "under 0.01 busy on average (0.0 s of processor time)")

    def test_of_what_it_ended_is_told_as_on_the_command_line(self) -> None:
        over: dict[str, Any] = {"state": "failed", "ended_at": "2027-01-15T07:40:00.000Z"}
        self.assertEqual(
            view.ending(story(**over, cause="exit", exit_code=3)), "the program itself ended with exit code 3"
        )
        self.assertEqual(view.ending(story(**over, cause="signal", signal=9)), "the signal KILL ended it")
        told = story(**over, reason="out of memory", cancelled_by="bob")
        self.assertEqual(view.ending(told), "out of memory; by bob")

    def test_tasks_are_rows_in_the_order_of_a_life_the_few_one_by_one(self) -> None:
        rows = arrays.by_state({**array(), "indices": TASKS})
        self.assertEqual([row.state for row in rows], ["pending", "completed", "failed", "active"])
        self.assertEqual([row.count for row in rows], [47, 40, 3, 10])
        self.assertEqual(rows[2].named, ["3", "7", "9"])
        self.assertEqual(rows[0].named, [])

    def test_tasks_that_are_too_many_to_be_named_are_counted_all_the_same(self) -> None:
        told = {"tasks": {"total": 100_000, "waiting": 50_000}, "indices": {"held": "0-9", "pending": "11,13…"}}
        self.assertEqual({row.state: row.count for row in arrays.by_state(told)}, {"held": 10, "pending": 49_990})

    def test_what_can_be_done_depends_on_how_it_is_and_whose_it_is(self) -> None:
        def names(visitor: Visitor = ALICE, **others: Any) -> list[str]:
            return [act.name for act in view.acts(story(**others), visitor)]

        self.assertEqual(names(), ["suspend", "signal", "requeue", "change", "cancel", "rerun"])
        self.assertEqual(names(state="pending"), ["hold", "change", "cancel", "rerun"])
        self.assertEqual(names(state="held"), ["release", "change", "cancel", "rerun"])
        self.assertEqual(names(state="suspended")[0], "resume")
        self.assertEqual(names(state="completed"), ["rerun"])
        self.assertEqual(names(user="bob"), [])
        operator = Visitor("", "", "carol", "act", rights=frozenset({"jobs"}))
        self.assertNotIn("rerun", names(operator))
        self.assertEqual(names(Visitor("", "", "alice", "look")), [])

    def test_a_change_is_shown_as_it_is_typed(self) -> None:
        typed = view.change_typed({"memory": (1 << 30) + 1, "time": 3600.0, "hosts": [], "cores": 2})
        self.assertEqual(typed, {"memory": "1025M", "time": "3600s", "hosts": "none", "cores": "2"})
        self.assertEqual(
            view.change_command(17, typed), "hRunJob --change 17 mem=1025M time=3600s hosts=none cores=2"
        )


class Drawing(SynchronousTestCase):
    def test_each_step_back_is_a_column(self) -> None:
        edges = [graph.Edge("2", "3", "afterok"), graph.Edge("1", "2", "afterany"), graph.Edge("1", "3", "after")]
        drawn = graph.drawn("3", edges, {"3": story(3)})
        places = {node.id: node.x for node in drawn.nodes}
        self.assertLess(places["1"], places["2"])
        self.assertLess(places["2"], places["3"])
        self.assertEqual(len(drawn.arrows), 3)
        self.assertTrue(all(node.x + graph.WIDE <= drawn.width for node in drawn.nodes))

    def test_a_circle_that_was_changed_into_one_ends(self) -> None:
        edges = [graph.Edge("1", "2", "afterok"), graph.Edge("2", "1", "afterok")]
        self.assertEqual(len(graph.drawn("1", edges, {}).nodes), 2)

    def test_what_is_waited_for_is_read_as_it_was_asked(self) -> None:
        told = story(asked={"dependency": "afterok:3:4_5,singleton"}, dependency="afterok:3")
        edges = [(edge.source, edge.kind) for edge in graph.edges_of(told)]
        self.assertEqual(edges, [("3", "afterok"), ("4_5", "afterok")])


class Text(SynchronousTestCase):
    def test_shows_nothing_that_moves_a_cursor_or_changes_colours(self) -> None:
        self.assertEqual(output.cleaned("\x1b[31mred\x1b[0m\x07\u202e\tx\n", False), ("red\tx\n", 0))
        self.assertEqual(output.cleaned("10%\r20%\r\nok\r\n", True), ("10%\n20%\nok\n", 0))

    def test_a_sequence_that_is_cut_comes_whole_the_next_time(self) -> None:
        for cut in ("\x1b", "\x1b[", "\x1b[3;1", "\x1b]0;title", "\r"):
            self.assertEqual(output.cleaned("ok" + cut, False), ("ok", len(cut)))
        self.assertEqual(output.cleaned("ok\x1b[3", True)[1], 0)

    def test_a_file_that_was_begun_anew_says_so(self) -> None:
        shown = {"path": "/x", "from": 0, "at": 5, "text": "hello"}
        self.assertTrue(output.stream(shown, 90, False)["anew"])
        self.assertFalse(output.stream(shown, 0, False)["anew"])
        self.assertFalse(output.stream(shown, None, False)["anew"])


class ThePage(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.replies = self.site.link.replies
        self.replies["jobinfo"] = story(command="./fit '<x>'")

    def said(self, verb: str) -> list[Any]:
        return [rest for said, rest in self.site.link.asked if said == verb]

    def test_tells_what_the_command_line_tells(self) -> None:
        got = self.site.get("/jobs/17")
        self.assertEqual(got.status, 200)
        for text in ("./fit &#39;&lt;x", "attempt 1 on n1", "4.0 GiB", "/home/alice", 'href="/hosts/n1"', "output.js"):
            self.assertIn(text, got.body)
        line = "cd /home/alice/work && hRunJob --cores=2 --mem=4096M --time=7200s --name=fit"
        self.assertIn(line, unescape(got.body))
        self.assertNotRegex(got.body, r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=")
        self.assertEqual(self.said("whyjob"), [])

    def test_says_why_it_waits_and_what_would_start_it(self) -> None:
        self.replies["jobinfo"] = story(state="pending", host=None, started_at=None)
        self.replies["whyjob"] = {
            "id": 17, "state": "pending", "sentence": "no host has 64 cores free", "counts": {"cores": 2},
            "hosts": [{"host": "n1", "verdict": "cores", "reason": "2 of 4 free"}], "change": "with 2 cores on n1",
            "change_set": {"cores": 2}, "classes_before": 1, "share": 0.5,
            "expected_start": ["2027-01-15T08:10:00.000Z", "2027-01-15T08:40:00.000Z"],
        }  # fmt: skip
        body = self.site.get("/jobs/17").body
        for text in ("no host has 64 cores free", "2 of 4 free", "with 2 cores on n1", "--change 17 cores=2", "08:10"):
            self.assertIn(text, body)
        self.assertIn('name="cores" value="2"', body)

    def test_says_why_it_is_where_it_is_and_compares_the_hosts_on_request(self) -> None:
        self.replies["jobinfo"] = story(asked={"constraint": "gpu", "cores": 2})
        self.replies["fits"] = [{"host": "n2", "fits": "later", "reason": "1 of 4 cores is free"}]
        self.assertIn("the condition gpu", self.site.get("/jobs/17").body)
        self.assertEqual(self.said("fits"), [])
        self.assertIn("1 of 4 cores is free", self.site.get("/jobs/17?where=1").body)
        self.assertEqual([json.loads(rest) for rest in self.said("fits")], [{"cores": 2, "constraint": "gpu"}])

    def test_an_array_shows_its_tasks_by_state(self) -> None:
        self.replies["jobinfo"] = {**story(20), **array(), "indices": TASKS, "state": "running"}
        self.replies["whyjob"] = {"sentence": "waits", "hosts": [], "counts": {}, "change": None, "change_set": None,
                                  "classes_before": None, "share": 1.0, "expected_start": None}  # fmt: skip
        body = self.site.get("/jobs/20").body
        for text in ('href="/jobs/20_7"', "53-99", "40 completed, 3 failed", "array=20&amp;state=failed"):
            self.assertIn(text, body)

    def test_what_it_waits_for_is_drawn_and_listed(self) -> None:
        def info(rest: str | None) -> Any:
            known = {"17": story(17, asked={"dependency": "afterok:16"}, dependency="afterok:16"), "16": story(16)}
            return known.get(rest or "", Reply("there is no job", word="job.unknown"))

        self.replies["jobinfo"] = info
        body = self.site.get("/jobs/17").body
        self.assertIn('aria-label="Job 16 fit running"', body)
        self.assertIn("<b>afterok</b>", body)

    def test_the_environment_is_shown_when_it_is_asked_for(self) -> None:
        self.site.get("/jobs/17")
        self.replies["jobinfo"] = story(environment={"PATH": "/bin"})
        self.assertIn("/bin", self.site.get("/jobs/17?environment=1").body)
        self.assertEqual(self.said("jobinfo"), ["17", "17:environment"])

    def test_an_unknown_job_and_no_job_are_told(self) -> None:
        self.replies["jobinfo"] = Reply("there is no job 99 of yours", word="job.unknown")
        self.assertEqual(self.site.get("/jobs/99").status, 404)
        self.replies["jobinfo"] = Reply("'x' is no job id", word="proto.arguments")
        self.assertEqual(self.site.get("/jobs/x").status, 400)

    def test_the_output_of_others_is_not_asked_for(self) -> None:
        self.replies["jobinfo"] = story(user="bob")
        self.assertIn("shown to bob alone", self.site.get("/jobs/17").body)
        self.site.get("/jobs/17/output")
        self.assertEqual(self.said("own"), [])


class TheOutput(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.replies = self.site.link.replies
        self.replies["jobinfo"] = story()
        file = {"path": "/home/alice/work/tm-17.out", "from": 0, "at": 12, "text": "\x1b[1mhello\x1b[0m <b>\n"}
        none = {"path": None, "from": None, "at": None, "text": ""}
        self.replies["own"] = {"state": "running", "stdout": file, "stderr": none, "more": False, "over": False}

    def said(self) -> list[Any]:
        return [json.loads(rest)["argument"] for verb, rest in self.site.link.asked if verb == "own"]

    def test_without_a_script_the_last_lines_are_a_page(self) -> None:
        body = self.site.get("/jobs/17/output").body
        self.assertIn(">hello &lt;b&gt;\n</pre>", body)
        self.assertIn("Read it again", body)
        (wish,) = self.said()
        self.assertEqual((wish["job"], wish["at"], wish["lines"]), (17, None, 100))

    def test_the_page_of_the_job_has_them_too_but_not_when_it_only_asks_what_changed(self) -> None:
        self.assertIn(">hello &lt;b&gt;\n</pre>", self.site.get("/jobs/17").body)
        self.site.get("/jobs/17", x_live="1")
        self.assertEqual(len(self.said()), 1)

    def test_a_page_does_not_wait_long_for_a_host_that_is_out_of_reach(self) -> None:
        self.site.link.event = lambda json: None
        protocol, transport = self.site.connect()
        head = f"GET /jobs/17 HTTP/1.1\r\nHost: web.test:1234\r\nCookie: {COOKIE}={SECRET}\r\n\r\n"
        protocol.dataReceived(head.encode())
        self.assertEqual(transport.value(), b"")
        self.site.clock.advance(3.0)
        got = parse(transport.value())
        self.assertEqual(got.status, 200)
        self.assertIn("no answer within 3 s", got.body)

    def test_a_script_goes_on_where_it_was(self) -> None:
        got = json.loads(self.site.get("/jobs/17/output.json?look=abcdefgh&stdout=5").body)
        self.assertEqual((got["stdout"]["text"], got["stdout"]["at"], got["stdout"]["anew"]), ("hello <b>\n", 12, True))
        (wish,) = self.said()
        self.assertEqual(wish, {"job": 17, "look": "abcdefgh", "at": {"1": 5, "2": None}, "lines": 100})

    def test_a_server_that_does_not_run_is_told_with_what_starts_it(self) -> None:
        text = "your own server is not running; any hRunJob command starts it, e.g. hRunJob -s"
        self.replies["own"] = Reply(text, word="web.server")
        self.assertIn(text, self.site.get("/jobs/17/output").body)
        got = self.site.get("/jobs/17/output.json?look=abcdefgh", accept="application/json")
        self.assertEqual((got.status, json.loads(got.body)["error"]["text"]), (503, text))


class Bounds(SynchronousTestCase):
    def test_a_page_is_light_whatever_a_job_is(self) -> None:
        site = Site()
        text = "x" * 100_000
        events = [{"at": "2027-01-15T07:00:00.000Z", "what": "held", "text": "by alice"}] * 1000
        waits = ":".join(map(str, range(1, 1000)))
        site.link.replies["jobinfo"] = lambda rest: (
            story(command=text, events=events, dependency=f"afterok:{waits}", asked={"comment": text[:8192]})
            if rest == "17" else Reply("unknown", word="job.unknown")
        )  # fmt: skip
        body = site.get("/jobs/17").body
        self.assertLess(len(body.encode()), 60_000)
        self.assertIn("hRunJob --rerun 17", body)
        asked = [rest for verb, rest in site.link.asked if verb == "jobinfo"]
        self.assertLessEqual(len(asked), graph.MOST_NODES)
