"""The form of a job: what is made of what was typed, what comes back, and what is submitted."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.job_views import NOW, story
from tests.support.web import Site
from tm.client.choices import SUBMISSION
from tm.client.jobspec import make_common
from tm.client.options import Reader
from tm.web.views import entered, submit
from tm.wire.message import Reply

TYPED = {
    "command": "./fit 'a b' > x", "name": "fit it", "cores": "4", "memory": "2G", "time": "90", "gpus": "1",
    "hosts": "n[1-2]", "constraint": "gpu and not old", "array": "0-9", "array_cap": "3", "priority": "-5",
    "dependency": "afterok:17", "environment": "A=1\r\nB=x y\r\n", "retries": "2", "retry_on": "oom,exit:75",
    "notify": "alice@example.org", "requeue": "1", "consumables": "matlab:2", "begin": "now+2h",
}  # fmt: skip


class Read(SynchronousTestCase):
    def test_fields_mean_what_the_options_mean(self) -> None:
        entry = submit.read(TYPED, NOW, "alice")
        self.assertEqual(entry.faults, {})
        self.assertEqual(entry.environment, {"A": "1", "B": "x y"})
        wanted = {
            "cores": 4, "memory": 2 << 30, "time": 5400.0, "hosts": ["n1", "n2"], "array": "0-9", "begin": NOW + 7200,
            "consumables": {"matlab": 2}, "requeue": True, "notify_on": ["end"], "retry_on": ["oom", "exit:75"],
        }  # fmt: skip
        self.assertEqual({name: entry.job[name] for name in wanted}, wanted)

    def test_each_fault_stands_beside_its_field_and_the_rest_is_read(self) -> None:
        typed = {"cores": "0", "time": "soon", "memory": "1G", "environment": "A B", "begin": "x"}
        entry = submit.read(typed, NOW, "a")
        self.assertEqual(set(entry.faults), {"command", "cores", "time", "environment", "begin"})
        self.assertEqual(entry.job, {"memory": 1 << 30})

    def test_what_belongs_together_is_asked_for_together(self) -> None:
        self.assertEqual(set(submit.read({"command": "x", "array_cap": "3"}, NOW, "a").faults), {"array_cap"})
        self.assertEqual(set(submit.read({"command": "x", "retry_on": "oom"}, NOW, "a").faults), {"retry_on"})

    def test_what_is_wrong_with_the_whole_is_told_beside_what_it_speaks_of(self) -> None:
        self.assertEqual(set(submit.read({"command": "x", "cwd": "work"}, NOW, "a").faults), {"cwd"})
        typed = {"command": "x", "time": "2h", "deadline": "now+1h", "begin": "now"}
        self.assertEqual(set(submit.read(typed, NOW, "a").faults), {"deadline"})

    def test_the_lines_of_a_command_end_as_in_a_shell(self) -> None:
        self.assertEqual(submit.read({"command": "a\r\nb"}, NOW, "a").job["command"], "a\nb")

    def test_what_servers_refuse_is_told_beside_its_field(self) -> None:
        for word, text, field in (
            ("host.unknown", "there is no host n9", "hosts"),
            ("feature.unknown", "no host has 'x'", "constraint"),
            ("account.unknown", "you are in no group 'x'", "account"),
            ("job.invalid", "cores must be from 1 to 100000, not 0", "cores"),
            ("job.impossible", "no host can ever run this", ""),
        ):
            self.assertEqual(entered.field_of(word, text, submit.NAMES), field)


class TheLine(SynchronousTestCase):
    def test_asks_the_same_as_the_form(self) -> None:
        entry = submit.read(TYPED, NOW, "alice")
        line = submit.line(entry)
        folder, _, call = line.partition(" && ")
        self.assertEqual(folder, "cd")
        words = shlex.split(call)
        self.assertEqual(words[0], "hRunJob")
        options, command, _ = Reader(SUBMISSION).read(words[1:])
        common = make_common(options, {"HOME": "/home/alice"})
        self.assertEqual(command, [TYPED["command"]])
        wanted = {name: value for name, value in entry.job.items() if name not in ("command", "begin")}
        self.assertEqual({name: common.get(name) for name in wanted}, wanted)
        self.assertEqual(common["environment"]["B"], "x y")

    def test_the_home_folder_stays_what_a_shell_expands(self) -> None:
        def line(cwd: str) -> str:
            return submit.line(submit.read({"command": "x", "cwd": cwd}, NOW, "a")).partition(" && ")[0]

        self.assertEqual([line(cwd) for cwd in ("", "~", "~/", "~/a b", "/a b")],
                         ["cd", "cd", "cd", "cd ~/'a b'", "cd '/a b'"])  # fmt: skip

    def test_one_like_another_is_typed_as_that_was(self) -> None:
        typed = submit.like(story(asked={"memory": 4 << 30, "time": 90.0, "hosts": ["n1"], "exclusive": True}))
        self.assertEqual(
            typed,
            {"memory": "4096M", "time": "90s", "hosts": "n1", "exclusive": "1", "command": "./fit run1.dat",
             "cwd": "/home/alice/work"},
        )  # fmt: skip
        self.assertEqual(submit.read(typed, NOW, "alice").faults, {})


class TheForm(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(may="submit", groups=["physics"])
        self.replies = self.site.link.replies
        self.replies["fits"] = [
            {"host": "n1", "fits": "now", "why": "", "reason": "", "preference": 0},
            {"host": "n2", "fits": "never", "why": "cores", "reason": "it has 2", "preference": 0},
        ]
        self.replies["own"] = {"ids": [30], "advice": ["the last 10 used at most 1G"]}

    def said(self, verb: str) -> list[Any]:
        return [json.loads(rest) for said, rest in self.site.link.asked if said == verb]

    def test_has_a_label_and_help_for_each_field(self) -> None:
        got = self.site.get("/submit")
        self.assertEqual(got.status, 200)
        for name in submit.NAMES:
            self.assertIn(f'name="{name}"', got.body)
            self.assertIn(f'id="h-{name}"', got.body)
        self.assertIn("<option value=\"physics\"", got.body)
        self.assertNotRegex(got.body, r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=")
        self.assertLess(len(got.body.encode()), 60_000)

    def test_checking_says_which_hosts_would_fit_and_submits_nothing(self) -> None:
        got = self.site.post("/submit", form={"command": "date", "cores": "4", "do": "check"})
        self.assertIn("1 host fits now", got.body)
        self.assertIn("it has 2", got.body)
        self.assertIn("cd &amp;&amp; hRunJob --cores=4 date", got.body)
        self.assertEqual((self.said("fits"), self.said("own")), ([{"cores": 4}], []))

    def test_while_typing_a_part_of_the_page_comes(self) -> None:
        got = self.site.post("/submit/fits", form={"cores": "4"})
        self.assertEqual(got.status, 200)
        self.assertNotIn("<html", got.body)
        self.assertIn("1 host fits now", got.body)

    def test_submits_once_with_the_word_of_the_form(self) -> None:
        token = re.search(r'name="token" value="(\w+)"', self.site.get("/submit").body)
        assert token is not None
        form = {"command": "date", "cores": "4", "environment": "A=1", "token": token[1], "do": "submit"}
        got = self.site.post("/submit", form=form)
        job = {"stdout": "tm-%j.out", "command": "date", "cores": 4}
        wish = {"token": token[1], "job": job, "environment": {"A": "1"}}
        self.assertEqual(self.said("own"), [{"verb": "submit", "argument": wish}])
        self.assertEqual(got.status, 303)
        self.assertTrue(got.headers["location"].startswith("/jobs/30?notice=Accepted+job+30."))

    def test_what_was_refused_comes_back_with_all_that_was_typed(self) -> None:
        self.replies["own"] = Reply("there is no host n9; there are n1, n2", word="host.unknown")
        got = self.site.post("/submit", form={"command": "da<te", "hosts": "n9", "token": "t1", "do": "submit"})
        self.assertEqual(got.status, 400)
        for text in ('id="fault-hosts"', "there is no host n9", "da&lt;te", 'value="n9"', 'value="t1"'):
            self.assertIn(text, got.body)

    def test_a_fault_is_told_before_anybody_is_asked(self) -> None:
        got = self.site.post("/submit", form={"command": "", "time": "soon", "do": "submit"})
        self.assertEqual((got.status, self.said("own")), (400, []))
        self.assertIn('id="fault-command"', got.body)
        self.assertIn('value="soon"', got.body)

    def test_who_may_not_submit_is_told_how_and_gets_the_line(self) -> None:
        self.site.session["may"] = "act"
        got = self.site.post("/submit", form={"command": "date", "do": "submit"})
        self.assertEqual(self.said("own"), [])
        self.assertIn("hRunJob --web submit", got.body)
        self.assertIn("hRunJob date", unescape(got.body))
        self.assertNotIn('value="submit"', got.body)

    def test_one_like_another_begins_as_that_was(self) -> None:
        self.replies["jobinfo"] = story()
        body = self.site.get("/submit?like=17").body
        self.assertIn("./fit run1.dat", body)
        self.assertIn('value="4096M"', body)
