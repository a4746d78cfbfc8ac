"""What Prometheus is told, by a web server in front of a dispatcher that says what it is told to."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tm.places import find_root
from tm.web import exposition, meter
from tm.web.board import Board
from tm.web.meter import Histogram, Meter
from tm.web.metrics import Server, families, names

DOCUMENT = Path(find_root(), "docs", "api.md")
DASHBOARD = Path(find_root(), "docs", "grafana-dashboard.json")
HOST = {
    "name": "n1", "state": "up", "load": [0.5, 0.4, 0.3], "cores": 4, "offered_cores": 3, "used_cores": 2,
    "cpu_ours": 1.5, "cpu_others": 0.5, "memory_total": 64, "memory_available": 32, "offered_memory": None,
    "used_memory": 8, "gpu_count": 2, "free_gpus": 1, "info": {"state": "up"},
}  # fmt: skip
STATUS = {
    "jobs": {"running": 2, "pending": 5}, "epoch": 3, "users": 2, "version": "1.0", "cluster": "physics",
    "since": "2027-01-15T00:00:00.000Z", "store": {"bytes": 10, "wal": 2, "archive_bytes": 1, "jobs": 7},
}  # fmt: skip


def event(job: Any, state: str, second: float, **more: Any) -> dict[str, Any]:
    return {
        "topic": "jobs",
        "id": job,
        "user": "alice",
        "state": state,
        "at": f"2027-01-15T00:00:{second:06.3f}Z",
        **more,
    }


class MeterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.meter = Meter()

    def hear(self, *events: dict[str, Any]) -> None:
        for one in events:
            self.meter.heard(one)

    def observed(self) -> tuple[int, float, int, float]:
        wait, run = self.meter.wait, self.meter.run
        return sum(wait.counts), round(wait.sum, 3), sum(run.counts), round(run.sum, 3)

    def test_a_job_waits_until_it_starts_and_runs_until_it_ends(self) -> None:
        self.hear(event(1, "pending", 1), event(1, "starting", 3), event(1, "running", 4), event(1, "completed", 9.5))
        self.assertEqual(self.observed(), (1, 2.0, 1, 5.5))
        self.assertEqual(self.meter.ended["completed"], 1)

    def test_a_task_has_waited_since_its_array_has(self) -> None:
        self.hear(event(2, "pending", 1, tasks={"total": 2}), event("2_0", "running", 5, array=2, task=0))
        self.hear(event("2_1", "running", 8, array=2, task=1), event(2, "completed", 9, tasks={"total": 2}))
        self.assertEqual(self.observed()[:2], (2, 11.0))
        self.assertEqual(sum(self.meter.ended.values()), 0)

    def test_what_is_held_does_not_wait_and_what_begins_anew_waits_again(self) -> None:
        self.hear(event(1, "pending", 0), event(1, "held", 1), event(1, "pending", 10), event(1, "running", 11))
        self.hear(event(1, "pending", 20), event(1, "running", 23), event(1, "suspended", 24), event(1, "failed", 25))
        self.assertEqual(self.observed(), (2, 4.0, 1, 2.0))

    def test_what_was_not_seen_is_not_counted(self) -> None:
        self.hear(event(1, "running", 5), event(2, "completed", 5), event(3, "pending", 1), event(3, "cancelled", 5))
        self.assertEqual(self.observed()[0], 0)
        self.assertEqual(sum(self.meter.ended.values()), 2)

    def test_memory_is_bounded(self) -> None:
        self.patch(meter, "MOST_JOBS", 10)
        self.hear(*(event(number, "pending", 1) for number in range(50)))
        self.hear(event(0, "running", 5), event(49, "running", 6))
        self.assertEqual(self.observed()[:2], (1, 5.0))

    def test_what_is_no_event_of_ours_changes_nothing(self) -> None:
        for strange in ({}, {"topic": "weather"}, {"topic": "jobs"}, event(1, "pending", 1) | {"at": "soon"}):
            self.meter.heard(strange)
        self.assertEqual(self.observed()[0], 0)

    def test_a_clock_set_back_gives_no_negative_times(self) -> None:
        self.hear(event(1, "pending", 9), event(1, "running", 1))
        self.assertEqual(self.observed()[:2], (1, 0.0))

    def test_buckets_add_up(self) -> None:
        one = Histogram((1.0, 60.0))
        for value in (0.5, 1.0, 2.0, 61.0):
            one.observe(value)
        self.assertEqual(one.buckets(), [("1", 2), ("60", 3), ("+Inf", 4)])


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(may="look")
        self.site.desk.board.take([HOST], STATUS, self.site.clock.seconds(), "2027-01-15T08:00:00.000Z")

    def got(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return all samples by name and labels."""
        answer = self.site.get("/metrics")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.body) for sample in family.samples
        }  # fmt: skip

    def test_hosts_jobs_and_daemons_are_told(self) -> None:
        self.site.desk.meter.heard(event(1, "pending", 1))
        self.site.desk.meter.heard(event(1, "running", 3))
        found = self.got()
        for name, labels, value in (
            ("tm_jobs", {"state": "running"}, 2), ("tm_jobs", {"state": "held"}, 0),
            ("tm_hosts", {"state": "up"}, 1), ("tm_hosts", {"state": "down"}, 0),
            ("tm_host_load1", {"host": "n1"}, 0.5), ("tm_host_cores", {"host": "n1", "kind": "offered"}, 3),
            ("tm_host_cores", {"host": "n1", "kind": "used"}, 2), ("tm_dispatcher_up", {}, 1),
            ("tm_host_memory_bytes", {"host": "n1", "kind": "available"}, 32), ("tm_dispatcher_epoch", {}, 3),
            ("tm_store_bytes", {"part": "database"}, 10), ("tm_store_jobs", {}, 7),
            ("tm_queue_wait_seconds_count", {}, 1), ("tm_queue_wait_seconds_bucket", {"le": "1"}, 0),
            ("tm_queue_wait_seconds_bucket", {"le": "+Inf"}, 1), ("tm_queue_wait_seconds_sum", {}, 2),
        ):  # fmt: skip
            self.assertEqual(found[name, tuple(sorted(labels.items()))], value, (name, labels))
        self.assertNotIn(("tm_host_memory_bytes", (("host", "n1"), ("kind", "offered"))), found)
        self.assertGreater(found["tm_web_memory_bytes", ()], 1 << 20)

    def test_requests_are_counted_by_status(self) -> None:
        self.site.get("/nothing")
        self.got()
        found = self.got()
        self.assertEqual(found["tm_web_requests_total", (("status", "404"),)], 1)
        self.assertEqual(found["tm_web_requests_total", (("status", "200"),)], 1)

    def test_without_the_dispatcher_it_says_so(self) -> None:
        self.got()
        self.site.desk.link = None
        self.assertEqual(self.got()["tm_dispatcher_up", ()], 0)

    def test_a_token_or_a_session_is_needed(self) -> None:
        self.assertEqual(self.site.get("/metrics", logged_in=False).status, 401)
        bearer = {"authorization": f"Bearer {self.site.session['secret']}"}
        self.assertEqual(self.site.get("/metrics", logged_in=False, **bearer).status, 200)

    def test_without_the_library_it_says_what_to_install(self) -> None:
        self.patch(exposition, "prometheus_client", None)
        got = self.site.get("/metrics")
        self.assertEqual(got.status, 501)
        self.assertIn("pip install 'taskmanager[metrics]'", got.body)

    def test_nothing_has_a_label_of_jobs_or_users(self) -> None:
        labels = {label for (_, labels) in self.got() for label, _ in labels}
        self.assertEqual(labels & {"user", "job", "id", "name"}, set())

    def test_a_thousand_hosts_cost_little(self) -> None:
        board, now = Board(), 1_800_000_000.0
        board.take([{**HOST, "name": f"n{number}"} for number in range(1000)], STATUS, now, "")
        began = time.process_time()
        body, _ = exposition.text(families(board, Meter(), Server(True, 0, 0), now))
        self.assertLess(time.process_time() - began, 0.5)
        self.assertLess(len(body), 1 << 20)
        self.assertEqual(board.hosts.keys(), {f"n{number}" for number in range(1000)})


class DashboardTests(SynchronousTestCase):
    def test_it_asks_for_metrics_that_there_are_and_for_most_of_them(self) -> None:
        known = names(families(Board(), Meter(), Server(True, 0, 0), 0.0))
        written = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        asked = {name for one in expressions(written) for name in re.findall(r"\btm_\w+", one)}
        self.assertEqual(asked - known, set())
        apart = {name for name in known if name.endswith(("_sum", "_start_time_seconds"))}
        self.assertEqual(known - asked - apart, set())

    def test_the_documentation_names_every_metric_and_no_other(self) -> None:
        told = set(re.findall(r"`(tm_\w+)", DOCUMENT.read_text(encoding="utf-8")))
        self.assertEqual(told, {one.name for one in families(Board(), Meter(), Server(True, 0, 0), 0.0)})

    def test_it_is_of_no_place_in_particular(self) -> None:
        written = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        for panel in written["panels"]:
            if panel["type"] != "row":
                self.assertEqual(panel["datasource"]["uid"], "${source}", panel["title"])
                self.assertTrue(panel["title"] and panel["description"])
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in written["panels"]]
        self.assertEqual(len(places), len(set(places)))


def expressions(value: Any) -> list[str]:
    """Return all queries in a dashboard."""
    if isinstance(value, dict):
        here = [value["expr"]] if isinstance(value.get("expr"), str) else []
        query = value.get("query")
        here += [query] if isinstance(query, str) else []
        return here + [one for part in value.values() for one in expressions(part)]
    return [one for part in value for one in expressions(part)] if isinstance(value, list) else []
