"""Both sides of a conversation: any chunking gives the same messages, and a bad request does not end it."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.errors import RefusedError, WireError
from tm.wire.dialogue import ClientDialogue, ServerDialogue
from tm.wire.frames import LARGE_LIMIT, LINE_LIMIT, Bulk, encode_bulk
from tm.wire.message import Event, Reply, Request

SAFE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
BULKS = st.builds(Bulk, st.integers(0, 9), st.binary(max_size=30))
REQUESTS = st.builds(Request, st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.none() | SAFE, st.booleans())
REPLIES = st.builds(Reply, SAFE, st.lists(SAFE, max_size=4), st.none() | st.just("job.unknown"))
EVENTS = st.builds(Event, st.just(b'{"topic":"jobs"}'))


def line_of(message: object) -> bytes:
    if isinstance(message, Bulk):
        return encode_bulk(message.channel, message.data)
    return message.encode()  # type: ignore[attr-defined]


def pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({*cuts, 0, len(raw)})
    return [raw[low:high] for low, high in pairwise(places)]


class ServerTests(SynchronousTestCase):
    @examples(150)
    @given(st.lists(st.one_of(REQUESTS, BULKS), max_size=8), st.data())
    def test_any_chunking_gives_the_same_requests(self, messages: list[object], data: st.DataObject) -> None:
        raw = b"".join(map(line_of, messages))
        dialogue = ServerDialogue()
        cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12))
        seen = [message for piece in pieces(raw, cuts) for message in dialogue.receive(piece)]
        self.assertEqual(seen, messages)

    @examples(100)
    @given(st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n\n", b"\r", b"help\n", b"= 1 2\nx\n", b"x"])), st.data())
    def test_empty_lines_are_passed_over_however_they_are_cut(self, parts: list[bytes], data: st.DataObject) -> None:
        raw = b"".join(parts)
        cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12))
        shown = []
        for chunks in ([raw], pieces(raw, cuts), [raw[place : place + 1] for place in range(len(raw))]):
            dialogue = ServerDialogue()
            seen = [message for chunk in chunks for message in dialogue.receive(chunk)]
            shown.append((list(map(str, seen)), dialogue.begun))
        self.assertEqual(shown, [shown[0]] * 3)

    def test_a_malformed_request_is_refused_and_the_next_one_counts(self) -> None:
        seen = list(ServerDialogue().receive(b"help\nHELP\n\xff\na\x00\nhelp:x\r\n\n\r\nversion\n"))
        refused = [message.word for message in seen if isinstance(message, RefusedError)]
        self.assertEqual(refused, ["proto.malformed"] * 3)
        asked = [message for message in seen if not isinstance(message, RefusedError)]
        self.assertEqual(asked, [Request("help"), Request("help", "x"), Request("version")])

    def test_the_large_verbs_have_the_large_limit_at_its_bound(self) -> None:
        for verb in ("submit", "submit.json", "run", "run.json", "report", "join", "hello", "attach"):
            line = f"{verb}:".encode().ljust(LARGE_LIMIT, b"x")
            self.assertEqual(len(list(ServerDialogue().receive(line + b"\n"))), 1, verb)
            self.assertRaises(WireError, list, ServerDialogue().receive(line + b"x\n"))

    def test_other_verbs_have_the_small_limit_at_its_bound(self) -> None:
        for verb in ("runjob", "lsjobs", "submitted", "runs", "runsignal"):
            line = f"{verb}:".encode().ljust(LINE_LIMIT, b"x")
            self.assertEqual(len(list(ServerDialogue().receive(line + b"\n"))), 1, verb)
            self.assertRaises(WireError, list, ServerDialogue().receive(line + b"x\n"))


class ClientTests(SynchronousTestCase):
    @examples(150)
    @given(st.lists(st.one_of(REPLIES, EVENTS, BULKS), max_size=8), st.data())
    def test_any_chunking_gives_the_same_answers(self, messages: list[object], data: st.DataObject) -> None:
        raw = b"".join(map(line_of, messages))
        dialogue = ClientDialogue()
        cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12))
        seen = [message for piece in pieces(raw, cuts) for message in dialogue.receive(piece)]
        self.assertEqual(seen, messages)

    def test_cr_lf_is_accepted_from_a_server_too(self) -> None:
        self.assertEqual(list(ClientDialogue().receive(b"OK hi\r\n..x\r\n.\r\n")), [Reply("hi", [".x"])])

    def test_what_a_server_says_only_shows_and_json_stays_what_it_is(self) -> None:
        raw = 'OK \x1b[2Ja\r\n\x1b]0;evil\x07\tb\n{"a":"\x7f\x85\x9b ä"}\n.\n'.encode()
        (reply,) = ClientDialogue().receive(raw)
        assert isinstance(reply, Reply)
        self.assertEqual(reply, Reply("\\u001b[2Ja", ["\\u001b]0;evil\\u0007\tb", reply.body[1]]))
        self.assertTrue(reply.body[1].isprintable())
        self.assertEqual(json.loads(reply.body[1]), {"a": "\x7f\x85\x9b ä"})
        (refusal,) = ClientDialogue().receive(b"ERR a.b \x1bc\n.\n")
        self.assertEqual(refusal, Reply("\\u001bc", word="a.b"))

    def test_the_body_of_a_reply_is_bounded_also_when_its_lines_are_empty(self) -> None:
        dialogue = ClientDialogue(body_limit=10)
        error = self.assertRaises(WireError, list, dialogue.receive(b"OK\n" + b"\n" * 11))
        self.assertEqual(error.word, "limit.reply")
        self.assertEqual(
            list(ClientDialogue(body_limit=10).receive(b"OK\n123456789\n.\n")), [Reply(body=["123456789"])]
        )

    def test_a_line_of_the_server_is_bounded(self) -> None:
        limit = 2 * LARGE_LIMIT
        self.assertEqual(len(list(ClientDialogue().receive(b"* " + b"x" * (limit - 2) + b"\n"))), 1)
        self.assertRaises(WireError, list, ClientDialogue().receive(b"* " + b"x" * (limit - 1) + b"\n"))
