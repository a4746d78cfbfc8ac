"""What was found by saying anything, each as the shortest thing that showed it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.houses import InfoServerHouse, UserHouse
from tests.support.daemons import NotedPeer
from tests.support.web import Site
from tests.support.wire import Wire
from tests.unit.web.test_admin import GROUP, USER
from tm.daemon.runs import Run
from tm.edge.link import ClientLink
from tm.errors import ConfigError
from tm.places import read_info
from tm.wire.message import Reply


class UserServerFound(SynchronousTestCase):
    def word(self, said: Reply, line: str) -> str | None:
        """Return the class with which a user's server answers *line* when the dispatcher has *said* that."""
        talk = UserHouse([said]).talk()
        (reply,) = talk.say(line)
        talk.check()
        return reply.word

    def test_a_submission_whose_ids_the_dispatcher_does_not_say_is_refused(self) -> None:
        for body in ([], ["x"], ["1", "2"], ["-1"], ["# note"], ["9" * 5000]):
            for line in ("runjob:true", 'run:{"token":"t","command":"true"}'):
                self.assertNotIn(self.word(Reply("accepted 1", body), line), (None, "internal.error"), (body, line))

    def test_a_job_of_which_the_dispatcher_says_nothing_is_refused(self) -> None:
        self.assertEqual(self.word(Reply(), 'follow:{"job":1}'), "proto.arguments")

    def test_what_a_host_says_of_a_run_is_passed_on_whatever_it_is_called(self) -> None:
        peer = NotedPeer()
        Run(7, 0, peer).tell(**{"self": 1, "run": 8, "state": "started"})
        self.assertEqual(peer.told, [{"self": 1, "run": 7, "state": "started"}])

    def test_a_telling_that_is_none_is_logged_as_that(self) -> None:
        house = UserHouse()
        for said in (b'{"topic":"tell"}', b'{"topic":"tell","id":"x"}'):
            house.server.event(house.link, said)
        self.assertEqual(self.flushLoggedErrors(), [])


class InfoServerFound(SynchronousTestCase):
    def test_raw_bytes_cut_the_connection_and_are_no_defect(self) -> None:
        house = InfoServerHouse()
        self.addCleanup(house.close)
        talk = house.talk()
        talk.send(b"= 1 3\nabc", b"version\n")
        self.assertTrue(talk.over)


class FilesFound(SynchronousTestCase):
    def test_where_the_dispatcher_is_must_be_said_in_utf_8(self) -> None:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"cluster = caf\xe9\n")
        error = self.assertRaises(ConfigError, read_info, path)
        self.assertIn("UTF-8", str(error))


class WebFound(SynchronousTestCase):
    def test_a_path_without_a_slash_is_a_page_that_is_not_there(self) -> None:
        for path in ("*", "x", "http:"):
            self.assertEqual(Site().get(path).status, 404, path)

    def test_what_a_form_remembers_is_what_we_wrote_there_or_the_form_is_refused(self) -> None:
        deep = "[" * 9000
        for seen in (
            "[[",
            "[]",
            "{}",
            "7",
            deep,
            '{"members":1}',
            "\x00",
            "",
            "null",
            '{"a":' + deep,
            '{"a":["x",' + deep,
        ):
            web = Site(rights=["users", "properties"])
            web.link.replies.update(lsgroups=[GROUP], lsusers=[USER])
            for path in ("/admin/groups/staff", "/admin/users/bob", "/dispatcher/properties"):
                got = web.post(path, form={"seen": seen, "members": "alice", "email": "b@c.d"})
                self.assertLess(got.status, 500, (path, seen[:20]))
            self.assertEqual([said for verb, said in web.link.asked if verb == "changegroup"], [])


class LinkFound(SynchronousTestCase):
    def test_a_server_whose_events_are_no_json_is_left_with_the_reason(self) -> None:
        for said in (b"* {\n", b"* []\n", b"* " + b"[" * 9000 + b"\n", b'* {"topic":7}\n', b"* \xff\n"):
            house: Any = UserHouse()
            link = ClientLink(house.server, Clock())
            wire = Wire(link)
            link.makeConnection(wire)
            link.dataReceived(b"OK TaskDispatcher\n.\n" + said)
            self.assertTrue(wire.aborted, said)
            self.assertIn("proto.malformed", link.reason)
            wire.lost()
