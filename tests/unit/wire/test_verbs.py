"""The grammar of verbs: what fits, what does not, and how each is shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.errors import RefusedError
from tm.model.rights import DISPATCHER as DISPATCHER_RULES
from tm.model.rights import USER_SERVER as USER_SERVER_RULES
from tm.wire.message import Request
from tm.wire.verbs import DISPATCHER, USER_SERVER, Verb


class VerbTests(SynchronousTestCase):
    def test_arguments_are_decoded_one_by_one(self) -> None:
        verb = Verb("deactivatehost", "host [reason]", "")
        self.assertEqual(verb.arguments(Request("deactivatehost", "n1:a%3Ab")), ["n1", "a:b"])
        self.assertEqual(verb.arguments(Request("deactivatehost", "n1")), ["n1"])
        for rest in (None, "", "a:b:c"):
            error = self.assertRaises(RefusedError, verb.arguments, Request("deactivatehost", rest))
            self.assertEqual((error.word, verb.usage in error.text), ("proto.arguments", True))

    def test_a_text_is_taken_as_it_is(self) -> None:
        verb = Verb("runjob", "*text", "")
        self.assertEqual(verb.arguments(Request("runjob", "echo a:b %41 %")), ["echo a:b %41 %"])
        self.assertRaises(RefusedError, verb.arguments, Request("runjob"))
        self.assertRaises(RefusedError, verb.arguments, Request("runjob", ""))

    def test_many_takes_any_number(self) -> None:
        verb = Verb("lsjobs", "*many", "")
        self.assertEqual(verb.arguments(Request("lsjobs")), [])
        self.assertEqual(verb.arguments(Request("lsjobs", "a=1:b=2:c=3")), ["a=1", "b=2", "c=3"])

    def test_a_verb_without_arguments_takes_none(self) -> None:
        self.assertEqual(Verb("version", "", "").arguments(Request("version", "")), [])
        self.assertRaises(RefusedError, Verb("version", "", "").arguments, Request("version", "x"))

    def test_usage_shows_how_each_is_written(self) -> None:
        self.assertEqual(DISPATCHER["deactivatehost"].usage, "deactivatehost:HOST[:REASON]")
        self.assertEqual(DISPATCHER["submit"].usage, "submit:JSON")
        self.assertEqual(USER_SERVER["runjob"].usage, "runjob:TEXT")
        self.assertEqual(DISPATCHER["lsjobs"].usage, "lsjobs[:ARGUMENT…]")

    def test_every_verb_has_a_right_and_every_right_a_verb(self) -> None:
        self.assertEqual(set(DISPATCHER), set(DISPATCHER_RULES))
        self.assertEqual(set(USER_SERVER), set(USER_SERVER_RULES))
