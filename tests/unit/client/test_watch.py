"""Watching jobs: no wake-up is lost, whatever breaks."""

from __future__ import annotations

from tests.unit.client.fake_server import Talker
from tests.unit.client.house import House
from tm.client import watch as module
from tm.client.connection import Connection
from tm.client.watch import Watch, list_jobs, list_rows
from tm.errors import RefusedError, TaskManagerError, WireError
from tm.wire.message import Reply, Request


class WatchTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.server, self.cluster = self.serve_cluster()
        self.said: list[str] = []
        self.time = 0.0

    def connect(self) -> Connection:
        return Connection.open_tms(self.places, start=False)

    def watch(self, *ids: int) -> Watch:
        made = Watch(self.connect, ids, self.said.append, lambda: self.time, self.pause)
        self.addCleanup(made.close)
        return made

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def until_ended(self, watch: Watch) -> None:
        for _ in range(100):
            if not watch.left:
                return
            watch.look(0.05)
        self.fail(f"still waiting for {watch.left}")

    def test_an_ending_before_the_look_is_seen(self) -> None:
        self.cluster.add(7, state="failed", exit_code=3)
        watch = self.watch(7)

        self.assertEqual([3], [view["exit_code"] for view in watch.look(1)])
        self.assertEqual(set(), watch.left)

    def test_an_ending_between_subscribing_and_asking_is_seen_once(self) -> None:
        self.cluster.add(7, state="running")
        answer = self.server.answers["jobinfo"]

        def jobinfo(talker: Talker, request: Request) -> Reply | None:
            self.cluster.change(7, state="completed", exit_code=0)
            return answer(talker, request)

        self.server.answers["jobinfo"] = jobinfo
        watch = self.watch(7)

        self.assertEqual(["completed"], [view["state"] for view in watch.look(1)])
        self.assertEqual([], watch.look(0))

    def test_events_of_others_are_passed_over(self) -> None:
        self.cluster.add(7, state="running")
        self.cluster.add(8, state="running")
        watch = self.watch(7)
        watch.look(1)

        self.cluster.change(8, state="completed", exit_code=0)
        self.cluster.change(7, state="completed", exit_code=0)
        self.until_ended(watch)

        self.assertEqual([7], list(watch.views))

    def test_an_event_that_is_lost_costs_time_and_no_ending(self) -> None:
        self.cluster.add(7, state="running")
        watch = self.watch(7)
        watch.look(1)
        self.cluster.change(7, quietly=True, state="completed", exit_code=0)

        self.assertEqual([], watch.look(0.01))
        self.time += module.FIRST_DOUBT
        self.until_ended(watch)

        self.assertEqual("completed", watch.views[7]["state"])

    def test_an_ending_during_a_broken_connection_is_seen_afterwards(self) -> None:
        self.cluster.add(7, state="running")
        watch = self.watch(7)
        watch.look(1)
        self.server.cut_all()
        self.cluster.change(7, state="completed", exit_code=0)

        self.until_ended(watch)

        self.assertIn("the jobs go on", self.said[0])
        self.assertEqual("connected again", self.said[1])

    def test_a_server_that_is_away_for_long_is_waited_for_with_growing_pauses(self) -> None:
        self.cluster.add(7, state="completed", exit_code=0)
        socket = self.path("s")
        self.write_address(socket=self.path("gone"))
        watch = self.watch(7)
        for _ in range(10):
            watch.look(60)

        self.assertEqual(1, len(self.said))
        self.assertTrue(20 < self.time < 40, self.time)
        self.write_address(socket=socket)
        self.until_ended(watch)

    def test_a_job_that_is_unknown_ends_the_watch(self) -> None:
        self.assertEqual("job.unknown", self.assertRaises(RefusedError, self.watch(9).look, 1).word)

    def test_a_refusal_ends_the_watch(self) -> None:
        self.server.answers["subscribe"] = lambda talker, request: Reply("no", word="perm.denied")

        self.assertRaises(TaskManagerError, self.watch(9).look, 1)

    def test_a_dispatcher_that_is_away_is_waited_for(self) -> None:
        self.cluster.add(7, state="completed", exit_code=0)
        away = [Reply("not connected", word="net.dispatcher")]
        self.server.answers["subscribe"] = lambda talker, request: away.pop() if away else Reply()
        watch = self.watch(7)

        self.assertEqual([], watch.look(1))
        self.until_ended(watch)

    def test_many_jobs_are_asked_for_in_pages(self) -> None:
        ids = range(1, 3 * module.PAGE)
        for number in ids:
            self.cluster.add(number, state="completed", exit_code=0)
        watch = self.watch(*ids[:-1])

        self.assertEqual(len(ids) - 1, len(watch.look(5)))
        self.assertEqual(3, sum(request.verb == "lsjobs" for request in self.server.heard))

    def test_rows_are_asked_for_while_those_before_are_read(self) -> None:
        for number in range(1, module.ROWS + 2):
            self.cluster.add(number)

        with self.connect() as connection:
            rows = list_rows(connection, ("id", "state"), state="active")
            self.assertEqual({"id": 1, "state": "pending"}, next(rows))
            self.assertEqual(module.ROWS, sum(1 for _ in rows))
        self.assertEqual(2, len(self.server.heard))

    def test_what_is_no_row_is_named(self) -> None:
        for line in ("{}", "[1]", "nothing", "[1, 2, 3]"):
            self.server.answers["lsjobs"] = lambda talker, request, line=line: Reply(body=[line])  # type: ignore[misc]
            with self.connect() as connection:
                error = self.assertRaises(WireError, list, list_rows(connection, ("id", "state"), state="active"))
                self.assertIn("listed a job by what is no row", str(error))

    def test_a_list_is_read_to_its_end(self) -> None:
        for number in range(1, 2 * module.PAGE + 1):
            self.cluster.add(number)

        with self.connect() as connection:
            self.assertEqual(2 * module.PAGE, sum(1 for _ in list_jobs(connection, state="active")))
        self.assertEqual(3, len(self.server.heard))
