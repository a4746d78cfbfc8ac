"""Handing jobs in: what stands in the lines, and that nothing is lost or doubled when the way breaks."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.client.fake_server import Talker, ids_reply
from tests.unit.client.house import House
from tm.client import submit
from tm.client.connection import Connection, LostError
from tm.client.submit import Submission, make_lines
from tm.errors import RefusedError, TaskManagerError
from tm.wire.message import Reply, parse_request

_COMMAND = st.one_of(st.text(), st.lists(st.text(), min_size=1))


class LineTests(SynchronousTestCase):
    @given(
        st.lists(_COMMAND, min_size=1, max_size=5), st.dictionaries(st.text(max_size=3), st.text(max_size=5))
    )
    def test_commands_arrive_as_they_are(
        self, commands: list[str | list[str]], environment: dict[str, str]
    ) -> None:
        (line,) = make_lines(commands, {"environment": environment}, lambda: "t")

        request = parse_request(line.data[:-1])
        value = json.loads(request.rest or "")

        self.assertEqual(
            ("submit", "t", environment), (request.verb, value["token"], value["common"]["environment"])
        )
        self.assertEqual(commands, [job["command"] for job in value["jobs"]])

    def test_many_jobs_are_split_by_number_and_by_size(self) -> None:
        self.patch(submit, "MOST_JOBS", 3)
        counts = [line.count for line in make_lines(["x"] * 7, {})]
        self.assertEqual([3, 3, 1], counts)
        self.patch(submit, "MOST_BYTES", 300)
        lines = list(make_lines(["x" * 100] * 5, {}))
        self.assertEqual([2, 2, 1], [line.count for line in lines])
        self.assertEqual(3, len({json.loads(line.data[7:])["token"] for line in lines}))

    def test_what_does_not_fit_into_a_line_is_refused(self) -> None:
        self.assertRaises(RefusedError, list, make_lines(["x" * submit.MOST_BYTES], {}))

    def test_what_is_not_utf_8_is_refused_with_a_sentence(self) -> None:
        error = self.assertRaises(RefusedError, list, make_lines([["cat", "a\udcff"]], {}))

        self.assertEqual("job.invalid", error.word)


class SubmissionTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.server, self.cluster = self.serve_cluster()
        self.said: list[str] = []
        self.time = 0.0

    def submission(self, commands: list[str | list[str]], listen: bool = False) -> Submission:
        made = Submission(
            lambda: Connection.open_tms(self.places, start=False), make_lines(commands, {}), listen,
            say=self.said.append, clock=lambda: self.time, pause=self.pause,
        )  # fmt: skip
        self.addCleanup(lambda: made.connection and made.connection.close())
        return made

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def test_ids_come_in_the_order_of_the_commands(self) -> None:
        self.patch(submit, "MOST_JOBS", 2)
        commands: list[str | list[str]] = [str(number) for number in range(25)]

        ids = self.submission(commands).run()

        self.assertEqual(list(range(1, 26)), ids)
        self.assertEqual(commands, [self.cluster.jobs[number]["command"] for number in ids])
        self.assertEqual(1, self.server.connected)

    def test_a_line_whose_answer_was_lost_is_sent_again_with_its_token(self) -> None:
        self.patch(submit, "MOST_JOBS", 2)
        breaks = [2, 9]

        def answer(talker: Talker, ids: list[int]) -> Reply | None:
            if breaks and len(self.cluster.tokens) == breaks[0]:
                breaks.pop(0)
                talker.cut()
                return None
            return ids_reply(ids)

        self.cluster.on_submit = answer

        ids = self.submission(["x"] * 20, listen=True).run()

        self.assertEqual((list(range(1, 21)), 10), (ids, len(self.cluster.tokens)))
        self.assertEqual(3, self.server.connected)
        self.assertEqual(2, len([text for text in self.said if "trying again" in text]))

    def test_an_unbroken_connection_has_heard_all(self) -> None:
        submission = self.submission(["x"], listen=True)
        submission.run()

        self.assertTrue(submission.heard_all)
        self.assertEqual(["subscribe", "submit"], [request.verb for request in self.server.heard])

    def test_a_broken_one_has_not(self) -> None:
        first = [True]
        self.cluster.on_submit = lambda talker, ids: talker.cut() if first and first.pop() else ids_reply(ids)
        submission = self.submission(["x"], listen=True)

        self.assertEqual([1], submission.run())
        self.assertFalse(submission.heard_all)

    def test_a_dispatcher_that_stays_away_is_given_up_after_a_while(self) -> None:
        self.cluster.on_submit = lambda talker, ids: Reply(
            "the dispatcher is not reachable", word="net.dispatcher"
        )

        error = self.assertRaises(TaskManagerError, self.submission(["x"]).run)

        self.assertEqual(("net.dispatcher", 1), (error.word, len(self.said)))
        self.assertTrue(submit.REFUSED_SECONDS < self.time < submit.REFUSED_SECONDS + 2, self.time)

    def test_a_way_that_stays_broken_is_given_up_later(self) -> None:
        self.cluster.on_submit = lambda talker, ids: talker.cut()

        self.assertRaises(LostError, self.submission(["x"]).run)

        self.assertTrue(submit.UNSURE_SECONDS < self.time < submit.UNSURE_SECONDS + 2, self.time)

    def test_a_refusal_ends_it_and_what_was_accepted_is_known(self) -> None:
        self.patch(submit, "MOST_JOBS", 2)

        def answer(talker: Talker, ids: list[int]) -> Reply:
            return ids_reply(ids) if ids[0] < 5 else Reply("you have enough jobs", word="limit.jobs")

        self.cluster.on_submit = answer
        submission = self.submission(["x"] * 30)

        error = self.assertRaises(RefusedError, submission.run)

        self.assertEqual(("limit.jobs", [1, 2, 3, 4]), (error.word, submission.ids))
        self.assertIn("4", error.text)
        self.assertEqual([], self.said)

    def test_a_line_that_cannot_be_made_ends_it_too(self) -> None:
        self.patch(submit, "MOST_JOBS", 1)
        submission = self.submission(["x", "y", "\udcff", "z"])

        self.assertRaises(TaskManagerError, submission.run)
        self.assertEqual(([1], 1), (submission.ids, len(self.cluster.jobs)))
