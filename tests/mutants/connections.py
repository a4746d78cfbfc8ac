"""Broken builds that keep no bound on connections, and let a line be two."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_CONNECTION = "tests.unit.edge.test_connection."
_MESSAGE = "tests.unit.wire.test_message."
_FRAMES = "tests.unit.wire.test_frames."

MUTANTS = (
    Mutant(
        "lose-connection-only", "connections",
        "who is over a limit is closed politely, and stays as long as they like",
        "bound", (Edit("tm/edge/connection.py", "transport.abortConnection()", "transport.loseConnection()"),),
        (_CONNECTION + "PressureTests.test_unsent_output_is_bounded_and_beyond_it_the_connection_is_cut",
         _CONNECTION + "PressureTests.test_a_line_that_is_too_long_is_answered_and_cut"),
    ),
    Mutant(
        "unsent-unbounded", "connections", "what a peer does not read is kept without bound", "bound",
        (Edit("tm/edge/connection.py", "            if self._unsent > MOST_UNSENT:",
              "            if self._unsent < 0:"),),
        (_CONNECTION + "PressureTests.test_unsent_output_is_bounded_and_beyond_it_the_connection_is_cut",),
    ),
    Mutant(
        "held-unbounded", "connections", "what arrives while a peer is not read from is kept without bound", "bound",
        (Edit("tm/edge/connection.py", "            if len(self._held) > MOST_UNSENT:",
              "            if self._held is None:"),),
        (_CONNECTION + "PressureTests.test_what_arrives_while_nothing_is_read_is_bounded",),
    ),
    Mutant(
        "pipeline-unbounded", "connections", "a peer may ask without end and not wait for answers", "bound",
        (Edit("tm/edge/connection.py", "MOST_PIPELINED = 128", "MOST_PIPELINED = 1 << 40"),),
        (_CONNECTION + "PressureTests.test_reading_stops_at_the_bound_of_unanswered_requests_and_goes_on_below",),
    ),
    Mutant(
        "handshake-without-end", "connections", "who connects and says nothing is kept for ever", "bound",
        (Edit("tm/edge/connection.py",
              "        if not self._greeted:\n            self.abort()\n            return\n        now =",
              "        if not self._greeted:\n            return\n        now ="),),
        ("tests.contract.test_links.LinkTests.test_who_never_shakes_hands_is_cut_after_ten_seconds",
         _CONNECTION + "LifeTests.test_who_is_refused_reads_one_error_and_is_cut_within_a_second"),
    ),
    Mutant(
        "silence-without-end", "connections", "a daemon that is silent counts as reached for ever", "P7",
        (Edit("tm/edge/connection.py", "left = self._heard + self._patience - now", "left = LINK_SECONDS"),),
        (_CONNECTION + "SilenceTests.test_a_daemon_is_cut_after_ninety_seconds_and_not_while_it_speaks",),
    ),
    Mutant(
        "addresses-unbounded", "connections", "one address may have any number of connections", "bound",
        (Edit("tm/edge/admission.py", "        self._per_address[host] += 1\n", ""),),
        ("tests.unit.edge.test_admission.FactoryTests.test_connections_from_one_address_are_bounded",),
    ),
    Mutant(
        "line-unbounded", "wire", "a line may have any length", "bound",
        (Edit("tm/wire/frames.py", "            if size > limit:", "            if size < 0:"),),
        (_FRAMES + "BoundTests.test_a_line_without_an_end_is_refused_as_soon_as_it_is_too_long",
         _CONNECTION + "PressureTests.test_a_line_that_is_too_long_is_answered_and_cut"),
    ),
    Mutant(
        "bulk-unbounded", "wire", "raw bytes may be announced in any number", "bound",
        (Edit("tm/wire/frames.py", " or int(words[2]) > BULK_LIMIT:", ":"),),
        (_FRAMES + "BoundTests.test_bulk_of_the_limit_passes_and_one_byte_more_does_not",),
    ),
    Mutant(
        "unescaped-newline", "wire", "line ends in arguments are written as they are", "bound",
        (Edit("tm/wire/message.py", "_UNSAFE = re.compile(r\"[%:\\x00-\\x1f\\x7f]\")",
              "_UNSAFE = re.compile(r\"[%:]\")"),),
        (_MESSAGE + "ArgumentTests.test_any_text_comes_back_from_its_quoted_form",),
    ),
    Mutant(
        "two-requests-in-one", "wire", "a request with a line end in it is sent as two", "bound",
        (Edit("tm/wire/message.py", "        if \"\\n\" in line:\n", "        if not line:\n"),),
        (_MESSAGE + "RequestTests.test_a_request_that_would_be_two_lines_is_not_written",),
    ),
    Mutant(
        "two-replies-in-one", "wire", "a line end in the text of a reply begins another line", "bound",
        (Edit("tm/wire/message.py", "text = _CONTROL.sub(\" \", self.text)", "text = self.text"),),
        (_MESSAGE + "ReplyTests.test_no_text_can_end_a_reply_or_begin_another",),
    ),
    Mutant(
        "body-ends-reply", "wire", "a body line of a single dot ends the reply", "bound",
        (Edit("tm/wire/message.py", "body = _STUFFED.sub(r\"\\n.\\1\", \"\\n\" + \"\\n\".join(self.body))",
              "body = \"\\n\" + \"\\n\".join(self.body)"),),
        (_MESSAGE + "ReplyTests.test_lines_that_look_like_protocol_stay_lines",),
    ),
    Mutant(
        "control-characters-pass", "wire", "control characters in a request are taken", "bound",
        (Edit("tm/wire/message.py", "    found = _CONTROL.search(text)\n", "    found = _CONTROL.match(\"\")\n"),),
        (_MESSAGE + "RequestTests.test_control_characters_and_bad_utf_8_are_refused_but_not_a_tab",),
    ),
    Mutant(
        "terminals-written-to", "wire", "what a server says goes to the terminal as it is", "bound",
        (Edit("tm/wire/message.py", "return _RAW.sub(lambda found: f\"\\\\u{ord(found.group()):04x}\", text)",
              "return text"),),
        ("tests.unit.wire.test_dialogue.ClientTests.test_what_a_server_says_only_shows_and_json_stays_what_it_is",),
    ),
)  # fmt: skip
