"""The pages of the hosts: order, filters, pages, and that a thousand hosts make no page slow or heavy."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tests.unit.web.test_board import AT, NOW, host
from tm.errors import RefusedError
from tm.web.render import NOT_KNOWN
from tm.web.views import hosts as view
from tm.web.views.sparkline import sparkline

MOST_BYTES = 35_000
"""A page weighs 60 kB at most with stylesheet and script."""


class SparklineTests(SynchronousTestCase):
    def test_what_goes_on_as_before_is_one_line_and_what_is_not_known_a_gap(self) -> None:
        drawn = sparkline([None, 0.1, 0.1, 0.1, 0.5, None, 1.0, 0.0])
        self.assertIn('<path d="M1 9h2l1-4M6 0l1 10"/>', drawn)

    def test_one_value_alone_is_seen(self) -> None:
        self.assertIn('d="M0 5h0M2 5h0"', sparkline([0.5, None, 0.5]))

    def test_more_than_all_cores_is_the_top(self) -> None:
        self.assertIn('d="M0 0l1 5"', sparkline([4.0, 2.0]))

    def test_nothing_known_is_no_picture(self) -> None:
        self.assertEqual((sparkline([]), sparkline([None, None])), ("", ""))


class ViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hosts = [
            host("idle", load=[0.0, 0.0, 0.0], used_cores=0), host("busy", "busy", reason="carol uses 6 cores"),
            host("gone", "down", reason="no route", remedy="switch it on"), host("away", "drained"),
            host("odd", info={"state": "bad"}), host("full", load=[16.0, 1.0, 1.0], group="old", features=["avx512"]),
        ]  # fmt: skip

    def names(self, **args: str) -> list[str]:
        return [str(one["name"]) for one in view.listing(self.hosts, view.read(args)).hosts]

    def test_trouble_comes_first_then_load(self) -> None:
        self.assertEqual(self.names(), ["gone", "odd", "busy", "full", "idle", "away"])

    def test_filters(self) -> None:
        self.assertEqual(self.names(state="trouble"), ["gone", "odd"])
        self.assertEqual(self.names(state="drained"), ["away"])
        self.assertEqual(self.names(group="old"), ["full"])
        self.assertEqual(self.names(text="AVX"), ["full"])
        self.assertEqual(self.names(text="route"), ["gone"])
        self.assertEqual(self.names(text="none such"), [])

    def test_malformed_filters_say_what_there_is(self) -> None:
        pages = ({"page": page} for page in ("0", "x", "-1", "9" * 9))
        for args in ({"state": "odd"}, {"view": "wall"}, *pages):
            self.assertRaises(RefusedError, view.read, args)

    def test_past_the_last_page_is_the_last_page(self) -> None:
        many = [host(f"n{number:03}") for number in range(120)]
        found = view.listing(many, view.read({"page": "9"}))
        self.assertEqual((found.pages, len(found.hosts), found.found), (3, 20, 120))
        self.assertEqual(str(found.hosts[-1]["name"]), "n119")

    def test_a_row_says_what_is_used_of_what_is_offered(self) -> None:
        row = view.row(host("n1", offered_cores=8, logged_in=["carol"], console_idle=2.0), [])
        self.assertEqual((row.cores, row.gpus, row.load), ("4 of 8 (16)", "1 of 2", "8.0"))
        self.assertEqual((row.memory, row.people), ("32.0 GiB of 64.0 GiB free", "carol; console in use"))

    def test_what_is_not_known_is_a_dash(self) -> None:
        row = view.row(host("n1", load=None, cpu_ours=None, memory_available=None, gpu_count=None), [])
        self.assertEqual((row.load, row.ours, row.memory, row.gpus), (NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, ""))


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()

    def test_before_the_board_knows_the_dispatcher_is_asked(self) -> None:
        self.site.link.replies["lshosts"] = [host("n1", "down", reason="<b>\x1b[31mno</b> route")]
        for path in ("/hosts", "/hosts?view=table"):
            body = self.site.get(path).body
            self.assertIn('href="/hosts/n1"', body)
            self.assertIn("&lt;b&gt;no&lt;/b&gt; route", body)

    def test_the_board_is_shown_without_asking_anybody(self) -> None:
        self.site.desk.board.take([host("n1")], {}, NOW, AT)
        self.site.get("/hosts")
        self.assertEqual([verb for verb, _ in self.site.link.asked if verb != "checksessions"], [])

    def test_a_faulty_address_is_said_with_what_there_is(self) -> None:
        got = self.site.get("/hosts?state=odd")
        self.assertEqual(got.status, 400)
        self.assertIn("unreachable", got.body)

    def test_a_thousand_hosts_make_no_page_slow_or_heavy(self) -> None:
        for step in range(25):
            hosts = [host(f"node{n:04}.lab", load=[(n * 7 + step * 5) % 17, 0.0, 0.0]) for n in range(1000)]
            self.site.desk.board.take(hosts, {}, NOW + 180 * step, AT)
        for path in ("/hosts", "/hosts?view=table", "/hosts?page=7"):
            self.site.get(path)
            began = time.process_time()
            got = self.site.get(path)
            self.assertLess(time.process_time() - began, 0.1, path)
            self.assertLess(len(got.body), MOST_BYTES, path)

    def test_adding_hosts_is_offered_to_who_may(self) -> None:
        self.site.desk.board.take([host("n1")], {}, NOW, AT)
        self.assertNotIn("/hosts/add", self.site.get("/hosts").body)
        self.site.session["rights"] = ["hosts"]
        self.site.clock.advance(5)
        self.assertIn("/hosts/add", self.site.get("/hosts").body)
