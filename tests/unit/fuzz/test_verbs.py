"""Every verb of every server with every kind of argument, by everybody: answered, or refused with a known class."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.houses import DispatcherHouse, House, InfoServerHouse, UserHouse
from tests.fuzz.shapes import ANYTHING, TEXTS, arguments, json_of, kinds_said
from tests.support.properties import examples
from tm.daemon.job_texts import JobText
from tm.daemon.run_wishes import Ending, View
from tm.model.report import HostReport
from tm.wire.message import Reply
from tm.wire.verbs import DISPATCHER, INFO_SERVER, USER_SERVER, Verb

EVERYBODY = ("alice", "bob", "root", "infoserver@n1", "web@physics")
ANSWERS = st.one_of(
    st.just("1"), *map(json_of, (View, JobText, Ending)), ANYTHING.map(json.dumps),
    st.sampled_from(["", "# note", "{}"]), json_of(View).map(lambda text: text.replace('"nobody"', '"alice"')),
)  # fmt: skip
REPLIES = st.builds(
    Reply, TEXTS, st.lists(ANSWERS, max_size=2), st.sampled_from([None, None, "job.unknown", "net.lost"])
)


def json_verbs(verbs: dict[str, Verb]) -> list[str]:
    return [verb.name for verb in verbs.values() if verb.tail == "json"]


def lines(verbs: dict[str, Verb], kinds: dict[str, list[Any]]) -> st.SearchStrategy[str]:
    """Return a strategy of requests to a server with *verbs*, all as likely, whose arguments are read as *kinds*."""
    spoken = {name: arguments(kinds.get(name, ())) for name in verbs}
    said = st.sampled_from(sorted(verbs)).flatmap(lambda name: spoken[name].map(lambda rest: (name, rest)))
    return st.builds(
        lambda one, form, bare: (one[0] + form + ("" if bare else ":" + one[1])).replace("\n", " ").replace("\x7f", ""),
        said, st.sampled_from(["", ".json"]), st.sampled_from([False, False, False, True]),
    )  # fmt: skip


class VerbCase(SynchronousTestCase):
    def talked(self, house: House, user: str, said: list[str]) -> None:
        try:
            talk = house.talk(user)
            for line in said:
                talk.say(line)
            talk.check()
        finally:
            house.close()


class DispatcherTests(VerbCase):
    def setUp(self) -> None:
        house = DispatcherHouse()
        talks = house.furnish()
        self.kinds: dict[str, list[Any]] = {"info": [HostReport]}
        for user in ("alice", "root", "infoserver@n1", "web@physics"):
            talk = talks[user]
            for verb, kinds in kinds_said(talk.say, json_verbs(DISPATCHER)).items():
                self.kinds.setdefault(verb, []).extend(kind for kind in kinds if kind not in self.kinds.get(verb, []))
        house.close()

    def test_the_type_of_every_json_argument_is_found(self) -> None:
        self.assertEqual([verb for verb in json_verbs(DISPATCHER) if not self.kinds[verb]], [])

    def test_whatever_is_said_to_a_dispatcher_is_answered(self) -> None:
        @examples(150, shrink=False)
        @given(st.lists(st.tuples(st.sampled_from(EVERYBODY), lines(DISPATCHER, self.kinds)), min_size=1, max_size=8))
        def check(said: list[tuple[str, str]]) -> None:
            house = DispatcherHouse()
            try:
                talks = house.furnish()
                for user, line in said:
                    talks[user].say(line)
                for talk in talks.values():
                    talk.check()
            except AssertionError as error:
                raise AssertionError(f"{error}\nsaid: {said}") from error
            finally:
                house.close()

        check()


class UserServerTests(VerbCase):
    def test_whatever_is_said_to_a_users_server_is_answered(self) -> None:
        kinds = kinds_said(UserHouse().talk().say, json_verbs(USER_SERVER))

        @examples(150, shrink=False)
        @given(
            st.lists(lines({**DISPATCHER, **USER_SERVER}, kinds), min_size=1, max_size=5),
            st.lists(REPLIES, max_size=3),
        )
        def check(said: list[str], replies: list[Reply]) -> None:
            self.talked(UserHouse(replies), "alice", said)

        check()


class InfoServerTests(VerbCase):
    def test_whatever_is_said_to_an_infoserver_is_answered(self) -> None:
        @examples(150)
        @given(st.lists(lines(INFO_SERVER, {}), min_size=1, max_size=4))
        def check(said: list[str]) -> None:
            self.talked(InfoServerHouse(), "alice", said)

        check()
