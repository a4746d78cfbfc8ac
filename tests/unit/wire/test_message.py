"""Requests, replies and events on their lines, and that no field can make a second one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.errors import RefusedError, WireError
from tm.wire.dialogue import ClientDialogue
from tm.wire.message import Event, Reply, Request, parse_request, parse_status, quote, unquote

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PLAIN = st.text(
    st.characters(
        exclude_categories=["Cs"], exclude_characters=[chr(c) for c in (*range(9), *range(10, 32), *range(127, 160))]
    )
)
WORD = st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}", fullmatch=True)


class ArgumentTests(SynchronousTestCase):
    @examples(300)
    @given(TEXT)
    def test_any_text_comes_back_from_its_quoted_form(self, text: str) -> None:
        written = quote(text)
        self.assertEqual(unquote(written), text)
        self.assertIsNone(re.search(r"[:\x00-\x1f\x7f]", written))

    @examples(100)
    @given(TEXT)
    def test_every_byte_may_be_escaped(self, text: str) -> None:
        self.assertEqual(unquote("".join(f"%{byte:02x}" for byte in text.encode())), text)

    def test_escaped_and_plain_letters_beyond_ascii_may_stand_together(self) -> None:
        self.assertEqual(unquote("%C3%A4"), "ä")
        self.assertEqual(unquote("ö%C3%A4ü"), "öäü")
        self.assertEqual(unquote("%2541"), "%41")

    def test_a_percent_sign_that_begins_no_escape_is_refused(self) -> None:
        for text in ("%", "100%", "%4", "%G1", "%%41", "%C3%A4%"):
            self.assertEqual(self.assertRaises(RefusedError, unquote, text).word, "proto.malformed", text)

    def test_escapes_that_are_not_utf_8_are_refused(self) -> None:
        for text in ("%E4", "%FF", "%C3", "a%80b", "%ED%A0%80"):
            self.assertEqual(self.assertRaises(RefusedError, unquote, text).word, "proto.malformed", text)


class RequestTests(SynchronousTestCase):
    @examples(150)
    @given(st.from_regex(r"[a-z][a-z0-9]{0,31}", fullmatch=True), st.none() | PLAIN, st.booleans())
    def test_a_request_comes_back_from_its_line(self, verb: str, rest: str | None, json: bool) -> None:
        request = Request(verb, rest, json)
        line = request.encode()
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(parse_request(line[:-1]), request)

    def test_what_is_no_verb_is_refused_and_named(self) -> None:
        for line in (
            b"Help",
            b"1help",
            b":",
            b"help me",
            b"help.xml",
            b"help.",
            b"a" * 33,
            "hälp".encode(),
            b".",
            b"* {}",
        ):
            error = self.assertRaises(RefusedError, parse_request, line)
            self.assertEqual(error.word, "proto.malformed", line)

    def test_control_characters_and_bad_utf_8_are_refused_but_not_a_tab(self) -> None:
        for byte in (0, 1, 7, 8, 11, 12, 13, 27, 31, 127):
            self.assertRaises(RefusedError, parse_request, b"runjob:a" + bytes([byte]) + b"b")
        self.assertRaises(RefusedError, parse_request, b"runjob:\xff")
        self.assertRaises(RefusedError, parse_request, b"runjob:\xed\xa0\x80")
        self.assertEqual(parse_request(b"runjob:a\tb").rest, "a\tb")

    def test_the_text_of_a_refusal_is_one_clean_line(self) -> None:
        for line in (b"\x1b[31mhelp", "é\u2028x".encode(), b"x" * 5000, b"a\x00b"):
            text = self.assertRaises(RefusedError, parse_request, line).text
            self.assertTrue(text.isprintable(), text)
            self.assertLess(len(text), 200)

    def test_a_request_that_would_be_two_lines_is_not_written(self) -> None:
        for request in (Request("subscribe", "jobs\nshutdown"), Request("a\nb")):
            self.assertEqual(self.assertRaises(RefusedError, request.encode).word, "proto.malformed")


class ReplyTests(SynchronousTestCase):
    def read(self, raw: bytes) -> list[object]:
        return list(ClientDialogue().receive(raw))

    @examples(300)
    @given(PLAIN, st.lists(PLAIN, max_size=8), st.none() | WORD)
    def test_a_reply_comes_back_whatever_its_lines_begin_with(
        self, text: str, body: list[str], word: str | None
    ) -> None:
        reply = Reply(text, body, word)
        self.assertEqual(self.read(reply.encode()), [reply])

    def test_lines_that_look_like_protocol_stay_lines(self) -> None:
        reply = Reply("x", [".", "..", "OK", "* {}", "= 1 5", "ERR a.b c", "", "= x"])
        self.assertEqual(self.read(reply.encode() + b"OK next\n.\n"), [reply, Reply("next")])

    @examples(200)
    @given(TEXT, st.lists(TEXT, max_size=5))
    def test_no_text_can_end_a_reply_or_begin_another(self, text: str, body: list[str]) -> None:
        raw = Reply(text, body).encode()
        seen = self.read(raw + b"OK last\n.\n")
        self.assertEqual(len(seen), 2)
        self.assertEqual(seen[1], Reply("last"))

    def test_a_line_end_in_the_body_begins_another_line_of_it(self) -> None:
        raw = Reply("x", ["command: echo a\n.\nOK forged", "b"]).encode()
        self.assertEqual(self.read(raw), [Reply("x", ["command: echo a", ".", "OK forged", "b"])])

    def test_other_control_characters_become_spaces(self) -> None:
        raw = Reply("a\x1b[1m\nb", ["c\x1b]0;d\x07\re\x00\x7f\tf"]).encode()
        self.assertEqual(self.read(raw), [Reply("a [1m b", ["c ]0;d  e  \tf"])])

    def test_what_cannot_be_written_as_utf_8_is_marked_and_not_fatal(self) -> None:
        self.assertEqual(self.read(Reply("a\udcff", ["b\udcff"]).encode()), [Reply("a?", ["b?"])])

    def test_a_first_line_is_ok_or_an_error_with_a_class(self) -> None:
        self.assertEqual(parse_status(b"OK"), Reply())
        self.assertEqual(parse_status(b"OK "), Reply())
        self.assertEqual(parse_status(b"ERR job.unknown"), Reply(word="job.unknown"))
        self.assertEqual(parse_status(b"ERR job.unknown no job 5"), Reply("no job 5", word="job.unknown"))
        for line in (b"", b"ok", b"OKAY", b"ERR", b"ERR ", b"HTTP/1.1 400", b"\xff"):
            self.assertEqual(self.assertRaises(WireError, parse_status, line).word, "proto.malformed", line)

    def test_an_event_is_one_line(self) -> None:
        self.assertEqual(self.read(Event(b'{"a":1}').encode()), [Event(b'{"a":1}')])
