"""Lists and counts of jobs as they are shown: pages, states that the cluster knows better, the order of starts."""

from __future__ import annotations

import json
from typing import Any

from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.daemon import job_lists
from tm.model.brief import COLUMNS
from tm.model.cluster import Link
from tm.model.host import HostConfig
from tm.ports import Peer


class ListCase(DispatcherCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.attached()

    def values(self, line: str, user: str = "alice") -> list[dict[str, Any]]:
        """Return the JSON that *user* is answered."""
        reply = self.said(NotedPeer(user), line)
        self.assertTrue(reply.ok, reply.text)
        return [json.loads(value) for value in reply.body]

    def ids(self, rest: str, user: str = "alice") -> list[Any]:
        return [one["id"] for one in self.values(f"lsjobs.json:{rest}", user)]

    def count(self, rest: str = "", user: str = "alice") -> dict[str, int]:
        (counted,) = self.values(f"countjobs.json{':' + rest if rest else ''}", user)
        self.assertEqual(counted["total"], sum(counted["by_state"].values()))
        return dict(counted["by_state"])

    def submit(self, token: str, count: int = 1, user: str = "alice", **more: Any) -> None:
        peer: Peer = NotedPeer(user)
        reply = self.said(peer, self.submission(token, count, user, **more))
        self.assertTrue(reply.ok, reply.text)

    def unreach(self) -> None:
        """Let the host be reached no more."""
        self.dispatcher.brain.sessions["alice", "n1"].link = Link.DOWN


class ColumnTests(ListCase):
    def test_rows_say_what_the_public_views_say_whoever_has_the_jobs(self) -> None:
        self.submit("a", 3)
        self.submit("b", 1, name="grid", array="0-9")
        self.submit("c", 1, user="bob")
        self.said(self.server, self.hello())
        self.settle()
        self.said(NotedPeer("alice"), "canceljob:3")
        names = list(COLUMNS)
        for wish in ("state=active", "state=running,pending,starting", "state=active:after=1", "", "state=ended"):
            views = self.values(f"lsjobs.json:{wish}" if wish else "lsjobs.json")
            rows = self.values(f"lsjobs.json:columns={','.join(names)}:{wish}".rstrip(":"))
            self.assertEqual([dict(zip(names, row, strict=True)) for row in rows], [
                {name: view.get(name) for name in names} for view in views
            ])  # fmt: skip

    def test_a_full_page_of_rows_ends_where_the_next_begins(self) -> None:
        self.submit("a", 9)
        rows = self.values("lsjobs.json:columns=id:state=active:limit=4")
        self.assertEqual(rows, [[1], [2], [3], [4]])
        self.assertEqual(self.values("lsjobs.json:columns=id:state=active:limit=9:after=4"), [[5], [6], [7], [8], [9]])

    def test_what_is_no_column_is_refused_with_those_there_are(self) -> None:
        reply = self.said(NotedPeer("alice"), "lsjobs.json:columns=id,colour")
        self.assertEqual(reply.word, "proto.arguments")
        self.assertIn("'columns=colour': there are id, name, user", reply.text)
        self.assertIn("lsjobs.json", self.said(NotedPeer("alice"), "lsjobs:columns=id").text)

    def test_others_jobs_are_in_no_row(self) -> None:
        self.submit("a", 1, user="bob")
        self.assertEqual(self.values("lsjobs.json:columns=id,user:state=active"), [])
        self.assertEqual(self.said(NotedPeer("alice"), "lsjobs.json:columns=id:user=bob").word, "perm.denied")


class PageTests(ListCase):
    def test_pages_go_on_with_the_cursor_of_any_job_in_either_direction(self) -> None:
        self.submit("a", 7)
        first = self.values("lsjobs.json:order=-id:limit=4")
        self.assertEqual([one["id"] for one in first], [7, 6, 5, 4])
        self.assertEqual(self.ids(f"order=-id:limit=4:from={first[2]['cursor']}"), [4, 3, 2, 1])
        self.assertEqual(self.ids(f"order=id:limit=4:from={first[2]['cursor']}"), [6, 7])

    def test_without_an_order_there_are_no_cursors(self) -> None:
        self.submit("a")
        self.assertNotIn("cursor", self.values("lsjobs.json")[0])

    def test_a_page_is_full_though_some_of_its_jobs_are_shown_in_another_state(self) -> None:
        self.submit("a", 9)
        self.said(self.server, self.hello())
        self.settle()
        states = {one["id"]: one["state"] for one in self.values("lsjobs.json")}
        self.assertEqual([states[number] for number in (1, 2, 3)], ["starting", "starting", "pending"])
        self.assertEqual(self.ids("state=pending:limit=3"), [3, 4, 5])
        page = self.values("lsjobs.json:state=pending:order=id:limit=3")
        self.assertEqual(self.ids(f"state=pending:order=id:limit=3:from={page[-1]['cursor']}"), [6, 7, 8])
        self.unreach()
        self.assertEqual(self.ids("state=unreachable"), [1, 2])
        self.assertEqual(self.ids("state=starting"), [])

    def test_what_is_searched_for_is_found_in_what_the_brain_and_the_store_have(self) -> None:
        self.submit("a", 1, command="echo Needle")
        self.submit("b", 1, name="haystack")
        self.assertEqual(self.ids("text=NEEDLE"), [1])
        self.assertEqual(self.ids("text=hay:order=-id"), [2])
        self.assertEqual(self.count("text=nee"), {"pending": 1})

    def test_tasks_without_a_row_have_cursors_of_their_own(self) -> None:
        self.submit("a", 1, array="0-9")
        self.said(self.server, self.hello())
        self.said(NotedPeer(), "canceljob:1_[8-9]")
        self.settle()
        whole = self.values("lsjobs.json:array=1:order=id")
        self.assertEqual([one["id"] for one in whole], ["1_0", "1_1", "1_[2-7]", "1_[8-9]"])
        for at, one in enumerate(whole):
            rest = self.ids(f"array=1:order=id:from={one['cursor']}")
            self.assertEqual(rest, [other["id"] for other in whole[at + 1 :]])

    def test_of_others_nothing_is_listed_or_counted_without_the_right(self) -> None:
        self.submit("a")
        for verb in ("lsjobs", "countjobs"):
            self.assertEqual(self.said(NotedPeer("bob"), f"{verb}:user=alice").word, "perm.denied")
            self.assertTrue(self.said(NotedPeer("root"), f"{verb}:user=all").ok)
        self.assertEqual(self.count(user="bob"), {})


class CountTests(ListCase):
    def test_jobs_count_as_they_are_shown(self) -> None:
        self.submit("a", 4)
        self.submit("b", 2, hold=True)
        self.assertEqual(self.count(), {"pending": 4, "held": 2})
        self.said(self.server, self.hello())
        self.settle()
        self.assertEqual(self.count(), {"pending": 2, "held": 2, "starting": 2})
        self.unreach()
        self.assertEqual(self.count(), {"pending": 2, "held": 2, "unreachable": 2})
        self.assertEqual(self.count("state=active"), {"pending": 2, "held": 2, "unreachable": 2})
        self.assertEqual(self.count("state=unreachable,held"), {"held": 2, "unreachable": 2})
        self.said(NotedPeer(), "canceljob:state=held")
        self.assertEqual(self.count("state=ended"), {"cancelled": 2})
        self.assertEqual(self.count("state=ended:name=t*"), {"cancelled": 2})

    def test_an_array_counts_as_one_running_where_one_of_its_tasks_does_or_task_by_task(self) -> None:
        self.submit("a", 1, array="0-9")
        self.assertEqual((self.count(), self.count("tasks=each")), ({"pending": 1}, {"pending": 10}))
        self.said(self.server, self.hello())
        self.settle()
        self.assertEqual(self.count(), {"running": 1})
        self.assertEqual(self.count("state=running"), {"running": 1})
        self.assertEqual(self.count("state=running:name=t*"), {"running": 1})
        self.assertEqual(self.count("state=pending"), {})
        self.assertEqual(self.count("tasks=each"), {"pending": 8, "starting": 2})
        self.assertEqual(self.count("tasks=each:name=t*"), {"pending": 8, "starting": 2})
        self.said(NotedPeer(), "holdjob:1_[5-9]")
        self.assertEqual(self.count("tasks=each"), {"pending": 3, "held": 5, "starting": 2})
        self.assertEqual(self.ids("state=running:order=name"), [1])

    def test_the_count_is_that_of_the_list(self) -> None:
        self.submit("a", 3)
        self.submit("b", 2, array="0-5", hold=True)
        self.submit("c", 1, array="3,4")
        self.said(self.server, self.hello())
        self.settle()
        for rest in ("state=all", "state=active", "state=running", "state=pending,held", "name=t*", "text=true"):
            self.assertEqual(sum(self.count(rest).values()), len(self.ids(rest)), rest)


class StartTests(ListCase):
    def tables(self) -> Any:
        self.hosts = (HostConfig(name="n1", address="n1", cores=2),)
        return super().tables()

    def test_what_waits_is_listed_as_it_would_start_what_may_not_yet_comes_last(self) -> None:
        for token, more in (
            ("low", {"priority": -5}), ("held", {"hold": True}), ("plain", {}), ("plain ", {}),
            ("high", {"priority": 5}), ("array", {"array": "0-9", "array_cap": 1}),
        ):  # fmt: skip
            self.submit(token, 1, name=token.strip(), **more)
            self.clock.advance(60.0)
        page = self.values("lsjobs.json:order=start")
        names = [one["name"] for one in page]
        self.assertEqual(names[-1], "held")
        self.assertLess(names.index("high"), names.index("low"))
        self.assertEqual(sorted(names), ["array", "held", "high", "low", "plain", "plain"])
        self.assertEqual(len(page[0]["expected_start"]), 2)
        self.assertIsNone(page[-1]["expected_start"])
        first = self.values("lsjobs.json:order=start:limit=2")
        rest = self.values(f"lsjobs.json:order=start:from={first[-1]['cursor']}")
        self.assertEqual([one["id"] for one in first + rest], [one["id"] for one in page])

    def test_filters_narrow_it_and_nothing_of_others_is_in_it(self) -> None:
        self.submit("a", 2, name="one")
        self.submit("b", 1, name="two", hold=True)
        self.submit("c", 1, user="bob")
        self.assertEqual(self.ids("order=start:name=one"), [1, 2])
        self.assertEqual(self.ids("order=start:state=held"), [3])
        self.assertEqual(self.ids("order=start:text=TWO"), [3])
        self.assertEqual(self.ids("order=start:since=2026"), [])
        self.assertEqual(self.ids("order=start", "bob"), [4])
        self.assertEqual(sorted(self.ids("order=start:user=all", "root")), [1, 2, 3, 4])

    def test_an_array_at_its_cap_is_still_there(self) -> None:
        self.submit("a", 1, array="0-9", array_cap=1)
        self.said(self.server, self.hello())
        self.settle()
        self.assertEqual(self.ids("order=start:state=running"), [1])

    def test_only_as_many_are_sorted_as_cost_little(self) -> None:
        self.patch(job_lists, "MOST_STARTING", 3)
        self.submit("a", 5)
        self.assertEqual(self.ids("order=start"), [1, 2, 3])
