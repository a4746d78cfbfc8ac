"""Plots: series that are as light as a picture needs, tables that people read, and nothing of a host that lies."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tests.unit.web.test_board import AT, NOW, host
from tm.errors import RefusedError
from tm.web.render import NOT_KNOWN
from tm.web.views import plots as view


def plot(*series: tuple[str, view.Points], unit: str = "B") -> view.Plot:
    return view.Plot("Memory", unit, list(series))


class ViewTests(SynchronousTestCase):
    def test_many_points_become_means_and_a_gap_stays_one(self) -> None:
        points: view.Points = [(float(at), float(at % 2)) for at in range(1440)]
        points[10:20] = [(float(at), None) for at in range(10, 20)]
        found = view.thinned(points, 144)
        self.assertEqual((len(found), found[0], found[1]), (144, (0.0, 0.5), (10.0, None)))
        self.assertEqual(view.thinned(points[:100], 144), points[:100])

    def test_numbers_are_as_short_as_anybody_sees(self) -> None:
        told = view.drawn(plot(("used", [(10.0, 1234567.891), (20.0, None), (30.0, 0.123456), (40.0, 3.0)])))
        self.assertEqual(told["series"][0]["points"], [(10, 1235000), (20, None), (30, 0.1235), (40, 3)])

    def test_the_table_has_the_newest_first_and_says_what_is_not_known(self) -> None:
        shown = view.rows(plot(("a", [(0.0, 2048.0), (60.0, None)]), ("b", [(60.0, 0.0)]), unit="B/s"))
        self.assertEqual([row.at for row in shown], ["1970-01-01T00:01:00Z", "1970-01-01T00:00:00Z"])
        self.assertEqual([row.values for row in shown], [[NOT_KNOWN, "0 B/s"], ["2.0 KiB/s", NOT_KNOWN]])
        long = plot(("a", [(float(at), 1.0) for at in range(1440)]))
        self.assertLessEqual(len(view.rows(long)), view.MOST_ROWS)

    def test_csv_has_all_points(self) -> None:
        text = view.table(plot(("a", [(0.0, 1.5), (60.0, None)])))
        self.assertEqual(text.splitlines(), ["time,a", "1970-01-01T00:00:00Z,1.5", "1970-01-01T00:01:00Z,"])

    def test_an_unknown_plot_says_which_there_are(self) -> None:
        for what, span in (("odd", "1h"), ("load", "odd")):
            error = self.assertRaises(RefusedError, view.kind, view.HOST, what, span)
            self.assertIn("network", error.text)
            self.assertEqual(error.word, "web.unknown")


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.site.desk.board.take([host("n1")], {"jobs": {"pending": 3, "running": 2}}, NOW, AT)

    def told(self, path: str) -> Any:
        got = self.site.get(path)
        self.assertEqual(got.status, 200)
        return json.loads(got.body)

    def test_the_cluster_is_told_from_the_board(self) -> None:
        told = self.told("/plots/cluster/jobs/24h")
        values = {one["name"]: one["points"] for one in told["series"]}
        self.assertEqual(values, {"running": [[int(NOW), 2]], "waiting": [[int(NOW), 3]], "held": [[int(NOW), 0]]})

    def test_a_host_is_asked_as_the_visitor(self) -> None:
        self.site.link.replies["hostask"] = [
            {"at": AT, "value": "<b>"}, {"at": "2027-01-15T08:00:10Z", "value": None}, {"at": "x", "value": 1},
            {"at": "2099-01-15T08:00:10Z", "value": 1e9}, {"at": AT, "value": 1.5},
        ]  # fmt: skip
        told = self.told("/plots/hosts/n%3A1/cpu/1h")
        self.assertIn(("hostask", "n%3A1:history:cpu_ours:1h"), self.site.link.asked)
        self.assertEqual([one["name"] for one in told["series"]], ["ours", "others"])
        self.assertEqual(told["series"][0]["points"], [[int(NOW), 1.5], [int(NOW) + 10, None]])

    def test_as_a_table_and_as_csv(self) -> None:
        self.assertIn(
            '<th scope="col" class="number">waiting</th>', self.site.get("/plots/cluster/jobs/1h?as=table").body
        )
        got = self.site.get("/plots/cluster/jobs/1h?as=csv")
        self.assertIn("cluster-jobs-1h.csv", got.headers["content-disposition"])
        self.assertEqual(got.body.splitlines()[0], "time,running,waiting,held")

    def test_faulty_addresses_are_said(self) -> None:
        self.assertEqual(self.site.get("/plots/cluster/odd/1h").status, 404)
        self.assertEqual(self.site.get("/plots/hosts/n1/load/2h").status, 404)
        self.assertEqual(self.site.get("/plots/cluster/jobs/1h?as=odd").status, 400)

    def test_the_library_stands_there_with_its_licence(self) -> None:
        self.assertIn("MIT", self.site.get("/static/uPlot.LICENSE.txt").body)
        for name in ("uPlot.iife.min.js", "uPlot.min.css", "plots.js"):
            self.assertEqual(self.site.get(f"/static/{name}").status, 200)
