"""One host: what it is, what happened, what may be done to it, and its processes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tests.unit.web.test_board import AT, NOW, host
from tm.errors import RefusedError
from tm.web.asked import Visitor
from tm.web.board import HostChange
from tm.web.views import host as view
from tm.web.views import processes
from tm.wire.message import Reply

CONFIG = {"owners": ["bob", "@physics"], "users": ["*"], "hours": ["mon-fri 20:00-07:00"]}
ABOUT = {
    "system": "Debian 12", "kernel": "6.1", "cpu_model": "EPYC", "cores": 16, "sockets": 1, "threads": 2,
    "memory": 64 << 30, "swap": 0, "gpus": [{"index": 0, "model": "A100"}], "booted_at": AT,
    "disks": [{"path": "/var", "kind": "xfs", "size": 1 << 40, "free": 1 << 39}], "certificate_until": AT,
}  # fmt: skip


def visitor(*rights: str, user: str = "alice", may: str = "act", groups: tuple[str, ...] = ()) -> Visitor:
    return Visitor("s", "1", user, may, "", frozenset(rights), groups)


def known(**fields: Any) -> dict[str, Any]:
    return host("n1", **{"config": CONFIG, "own": {}, **fields})


class ActTests(SynchronousTestCase):
    def names(self, shown: dict[str, Any], who: Visitor) -> list[str]:
        return [act.name for act in view.offered(shown, who)]

    def test_who_has_the_right_may_do_all_that_fits_its_state(self) -> None:
        self.assertEqual(self.names(known(), visitor("hosts")), ["deactivate", "drain", "lost", "remove"])
        self.assertEqual(self.names(known(state="drained"), visitor("hosts")), ["activate", "lost", "remove"])

    def test_the_people_of_a_host_may_leave_and_return(self) -> None:
        self.assertEqual(self.names(known(), visitor(user="bob")), ["leave"])
        self.assertEqual(self.names(known(), visitor(groups=("physics",))), ["leave"])
        left = known(state="busy", remedy="'tm hosts return n1' lets jobs in before that")
        self.assertEqual(self.names(left, visitor(user="bob")), ["return"])

    def test_others_and_who_only_looks_may_do_nothing(self) -> None:
        self.assertEqual(self.names(known(), visitor()), [])
        self.assertEqual(self.names(known(), visitor("hosts", user="bob", may="look")), [])

    def test_orders_leave_out_what_was_not_said(self) -> None:
        drain = view.ACTS["drain"]
        self.assertEqual(view.order(drain, "n1", {}), ["n1"])
        self.assertEqual(view.order(drain, "n1", {"reason": "a disk"}), ["n1", "", "a disk"])
        self.assertEqual(view.order(drain, "n1", {"deadline": "2h"}), ["n1", "2h"])


class FactTests(SynchronousTestCase):
    def test_all_that_is_known_is_said_and_nothing_else(self) -> None:
        found = {term: str(value) for _, facts in view.sections(known(), ABOUT) for term, value in facts}
        self.assertEqual(found["Cores"], "4 in use of 16 offered, of 16")
        self.assertEqual(found["Disks"], "/var xfs, 512 GiB of 1.0 TiB free")
        self.assertIn("2027-01-15", found["Its certificate is valid until"])
        self.assertEqual((found["Jobs may start"], found["Its people"]), ("mon-fri 20:00-07:00", "bob, @physics"))
        self.assertNotIn("Swap", found)
        self.assertNotIn("Why", found)

    def test_a_host_that_nobody_has_seen_is_shown_too(self) -> None:
        nothing = {
            name: None for name in ("load", "cpu_ours", "cpu_others", "memory_available", "logged_in", "gpu_count",
                                    "offered_memory", "memory_total", "console_idle", "since", "config")
        }  # fmt: skip
        found = dict(view.sections(known(**nothing, info={"state": "off"}), {}))
        self.assertEqual(found["Now"], [])
        self.assertIn(("Memory", "not limited"), found["What it offers"])


class EventTests(SynchronousTestCase):
    def test_board_audit_and_log_are_told_in_their_order(self) -> None:
        changes = [
            HostChange("2027-01-15T09:00:00Z", "down", "no route"),
            HostChange("2027-01-15T08:00:00Z", "", "carol said changehost: cores 4 → 8"),
        ]
        record = {
            "id": 1, "at": "2027-01-15T08:00:01Z", "user": "carol", "verb": "changehost", "kind": "host", "name": "n1",
            "before": {"cores": 4}, "after": {"cores": 8}, "reason": "", "undoes": None,
        }  # fmt: skip
        lines = [{"time": "2027-01-15T10:00:00Z", "text": "n1 \x1b[31mis gone"}]
        found = view.events("n1", changes, [record, {**record, "name": "n2"}], lines)
        self.assertEqual([one.text for one in found], ["n1 is gone", "no route", "changehost: cores 4 → 8"])
        self.assertEqual([one.who for one in found], ["log", "", "carol"])
        self.assertEqual(len(view.events("n1", changes, [], [])), 2)


def process(pid: int, **fields: Any) -> dict[str, Any]:
    return {
        "pid": pid, "ppid": 1, "depth": 0, "user": "alice", "cpu": 0.1, "cpu_seconds": 1.0, "memory": 1000,
        "ours": False, "job": None, "name": "sh", "command": "sh", **fields,
    }  # fmt: skip


class ProcessTests(SynchronousTestCase):
    def test_sorted_as_asked_for(self) -> None:
        told = [process(1, memory=5), process(2, cpu=3.0, user="bob"), process(3, memory=9000, cpu_seconds=9.0)]
        for sort, first in (("cpu", 2), ("memory", 3), ("time", 3), ("user", 1), ("pid", 1)):
            shown = processes.shown(told, processes.read({"sort": sort}), visitor())
            self.assertEqual(shown.rows[0].pid, first, sort)

    def test_the_tree_stays_as_it_was_told(self) -> None:
        told = [process(9), process(3, depth=1, cpu=8.0), process(5, depth=99)]
        shown = processes.shown(told, processes.read({"view": "tree"}), visitor())
        self.assertEqual([(one.pid, one.depth) for one in shown.rows], [(9, 0), (3, 1), (5, processes.DEEPEST)])

    def test_by_user_those_who_use_most_first(self) -> None:
        told = [process(1), process(2, user="bob", cpu=2.0, ours=True), process(3, user="bob", cpu=1.0)]
        shown = processes.shown(told, processes.read({"user": "alice"}), visitor())
        self.assertEqual([(one.user, one.count, one.ours, one.cpu) for one in shown.people], [
            ("bob", 2, 1, 3.0), ("alice", 1, 0, 0.1),
        ])  # fmt: skip
        self.assertEqual([one.pid for one in shown.rows], [1])

    def test_only_jobs_that_the_visitor_may_see_are_links(self) -> None:
        told = [process(1, job=17, ours=True), process(2, job=(17 << 32) + 3, user="bob", ours=True)]
        mine = processes.shown(told, processes.read({"sort": "pid"}), visitor()).rows
        self.assertEqual([(one.job != "", one.linked) for one in mine], [(True, True), (True, False)])
        everybodys = processes.shown(told, processes.read({}), visitor("jobs")).rows
        self.assertTrue(all(one.linked for one in everybodys))

    def test_what_cannot_be_is_shown_as_nothing(self) -> None:
        odd = process(1, cpu=float("nan"), memory="<b>", job=-4, depth=-3, command="\x1b[31mred")
        (shown,) = processes.shown([odd], processes.read({}), visitor()).rows
        self.assertEqual((shown.cpu, shown.memory, shown.job, shown.depth, shown.command), (0.0, 0, "", 0, "red"))

    def test_malformed_addresses_are_refused(self) -> None:
        for args in ({"sort": "odd"}, {"view": "odd"}, {"page": "x"}, {"page": "99999"}):
            self.assertRaises(RefusedError, processes.read, args)


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(rights=["hosts"])
        self.link = self.site.link
        self.link.replies |= {"hostinfo": [known()], "lsjobs": [], "hostask": [ABOUT], "audit": [], "log": []}
        self.site.desk.board.take([host("n1")], {}, NOW, AT)

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.link.asked if verb != "checksessions"]

    def test_it_asks_what_the_visitor_may_see(self) -> None:
        body = self.site.get("/hosts/n1").body
        self.assertEqual(self.verbs(), ["hostinfo", "lsjobs", "hostask"])
        self.assertIn(("lsjobs", "host=n1:state=active:order=-started:limit=40"), self.link.asked)
        self.assertIn("EPYC", body)
        self.assertIn('data-plot="/plots/hosts/n1/network/1h"', body)
        self.site.session["rights"] = ["jobs", "audit", "log"]
        self.site.clock.advance(5)
        self.link.asked.clear()
        self.site.get("/hosts/n1?span=30d")
        self.assertEqual(self.verbs(), ["hostinfo", "lsjobs", "audit", "log"])
        self.assertIn(("log", "30:host=n1"), self.link.asked)

    def test_without_its_infoserver_the_page_is_there(self) -> None:
        self.link.replies["hostinfo"] = [known(info={"state": "failed", "reason": "ssh.auth: no"})]
        body = self.site.get("/hosts/n1").body
        self.assertNotIn("hostask", self.verbs())
        self.assertIn("ssh.auth: no", body)
        self.link.replies |= {"hostinfo": [known()], "hostask": Reply("it is not there", word="info.away")}
        self.assertEqual(self.site.get("/hosts/n1").status, 200)
        self.assertEqual(self.site.get("/hosts/n1/processes").status, 503)

    def test_an_unknown_host_and_an_unknown_span(self) -> None:
        self.link.replies["hostinfo"] = Reply("there is no host 'none'", word="host.unknown")
        self.assertEqual(self.site.get("/hosts/none").status, 404)
        self.assertEqual(self.site.get("/hosts/n1?span=odd").status, 400)

    def test_processes_show_text_as_text(self) -> None:
        self.link.replies["hostask"] = [process(1, command="<script>", job=17, ours=True), process(2, depth=2)]
        for query in ("", "?view=tree"):
            body = self.site.get("/hosts/n1/processes" + query).body
            self.assertIn("&lt;script&gt;", body)
            self.assertIn('href="/jobs/17"', body)
            self.assertIn('data-every="2"', body)

    def test_an_act_is_asked_about_then_done(self) -> None:
        self.link.replies["lsjobs"] = [{"id": 17, "state": "running", "user": "alice", "name": "sim"}]
        got = self.site.get("/hosts/n1/do/drain")
        self.assertIn("2 jobs are there, 1 of them yours", got.body)
        self.link.replies["drainhost"] = Reply("n1 is draining: a: b")
        got = self.site.post("/hosts/n1/do/drain", form={"reason": "a: b"})
        self.assertEqual(got.status, 303)
        self.assertIn("n1+is+draining", got.headers["location"])
        self.assertIn(("drainhost", "n1::a%3A b"), self.link.asked)

    def test_what_cannot_be_done_comes_back_as_it_was_typed(self) -> None:
        self.link.replies["drainhost"] = Reply("'soon' is no duration", word="proto.arguments")
        got = self.site.post("/hosts/n1/do/drain", form={"reason": "a fan", "deadline": "soon"})
        self.assertEqual(got.status, 400)
        for part in ("is no duration", 'value="a fan"', 'value="soon"'):
            self.assertIn(part, got.body)
        self.assertIn('aria-invalid="true"><span class="fault" id="fault"', got.body)

    def test_a_host_is_declared_lost_only_with_the_jobs_that_were_shown(self) -> None:
        self.link.replies["declarelost"] = Reply("n1 is declared lost")
        self.assertEqual(self.site.post("/hosts/n1/do/lost", form={"jobs": "1"}).status, 409)
        self.assertNotIn("declarelost", self.verbs())
        self.assertEqual(self.site.post("/hosts/n1/do/lost", form={"jobs": "2"}).status, 303)

    def test_who_may_not_is_told_so(self) -> None:
        self.site.session["rights"] = []
        self.assertEqual(self.site.get("/hosts/n1/do/remove").status, 403)
        self.site.session["may"] = "look"
        self.site.clock.advance(5)
        self.assertEqual(self.site.post("/hosts/n1/do/activate").status, 403)
        self.assertEqual(self.site.get("/hosts/n1/do/odd").status, 403)

    def test_after_removing_it_all_hosts_are_shown(self) -> None:
        self.link.replies["removehost"] = Reply("n1 is removed; recorded as 7")
        self.assertTrue(self.site.post("/hosts/n1/do/remove").headers["location"].startswith("/hosts?"))
