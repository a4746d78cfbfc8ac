"""The overview: my jobs, the cluster, what failed and why, what needs somebody."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tests.unit.web.test_board import AT, NOW, host
from tm.web.views import overview as view
from tm.wire.message import Reply


def job(**fields: Any) -> dict[str, Any]:
    return {
        "id": 17, "name": "sim", "state": "failed", "exit_code": 3, "signal": None, "host": "n2", "reason": "",
        "ended_at": AT, **fields,
    }  # fmt: skip


class ViewTests(SynchronousTestCase):
    def test_a_failure_is_said_in_a_sentence(self) -> None:
        told = [one.sentence for one in view.failures([
            job(), job(exit_code=None, signal=9), job(state="lost", exit_code=None, reason="n2 was restarted"),
            job(state="timeout", host=None), job(state="something new"),
        ])]  # fmt: skip
        self.assertEqual(told, [
            "failed with exit code 3 on n2", "failed with signal 9 on n2", "was lost on n2: n2 was restarted",
            "ran out of time", "something new on n2",
        ])  # fmt: skip

    def test_what_is_in_use_of_what_is_offered(self) -> None:
        found = view.use([host("n1", offered_cores=8), host("n2", gpu_count=None, free_gpus=0)])
        self.assertEqual([(one.name, one.part) for one in found], [("Cores", 33.3), ("Memory", 0.0), ("GPUs", 50.0)])
        self.assertEqual(found[0].told, "8 of 24 cores in use; 8 more are not offered now")
        self.assertEqual(view.use([]), [])

    def test_a_warning_is_said_once(self) -> None:
        self.assertEqual(view.warnings(["a", "b"], ["b", "c"]), ["a", "b", "c"])


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.link = self.site.link
        self.link.replies |= {
            "countjobs": {"total": 4, "by_state": {"running": 1234, "failed": 3}}, "whoami": {"warnings": ["it ends"]},
            "lsjobs": [job(name="<i>x</i>")],
        }  # fmt: skip
        bad = host("n2", "down", reason="no route", remedy="switch it on")
        self.site.desk.board.take([host("n1"), bad], {"warnings": ["old"]}, NOW, AT)

    def test_it_shows_all_at_a_glance(self) -> None:
        body = self.site.get("/").body
        for part in (
            "1,234", "/jobs?state=running", "It failed with exit code 3 on n2.", "&lt;i&gt;x&lt;/i&gt;", "switch it on",
            "1 of 2 hosts", "it ends", 'data-plot="/plots/cluster/jobs/24h"', "8 of 32 cores in use",
        ):  # fmt: skip
            self.assertIn(part, body)

    def test_it_asks_for_the_visitors_own_failures_alone(self) -> None:
        self.site.get("/")
        asked = dict(self.link.asked)
        self.assertEqual(asked["countjobs"], None)
        self.assertEqual(asked["lsjobs"], "state=failed,timeout,out_of_memory,output_limit,lost:order=-ended:limit=5")

    def test_an_empty_cluster_says_what_to_do(self) -> None:
        site = Site()
        site.link.replies |= {"countjobs": {"total": 0, "by_state": {}}, "whoami": {}, "lsjobs": [], "lshosts": []}
        body = site.get("/").body
        self.assertIn("hRunJob COMMAND", body)
        self.assertIn("tm hosts add HOST", body)

    def test_what_is_refused_is_said(self) -> None:
        self.link.replies["countjobs"] = Reply("the store is full", word="store.full")
        got = self.site.get("/")
        self.assertEqual(got.status, 503)
        self.assertIn("the store is full", got.body)

    def test_below_a_prefix_plots_are_there_too(self) -> None:
        site = Site(url="https://web.test/tm/")
        site.link.replies |= self.link.replies | {"checksessions": site.link.replies["checksessions"], "lshosts": []}
        body = site.get("/tm/", host="web.test").body
        self.assertIn('data-plot="/tm/plots/cluster/jobs/24h"', body)
