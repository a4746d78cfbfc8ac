"""How pages write what they are told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tm.web.render import many, told


class Words(SynchronousTestCase):
    def test_one_is_one_and_several_are_several(self) -> None:
        self.assertEqual([many(count, "host") for count in (0, 1, 2)], ["0 hosts", "1 host", "2 hosts"])
        self.assertEqual(many(1234, "more host"), "1,234 more hosts")
        self.assertEqual(many(2, "process", "processes"), "2 processes")

    def test_a_time_in_a_sentence_is_an_element_and_the_rest_is_escaped(self) -> None:
        shown = told("kept for <b> until about 2026-11-23T12:21:48.982Z; then \x1b[31mnot")
        self.assertEqual(
            shown,
            'kept for &lt;b&gt; until about <time datetime="2026-11-23T12:21:48.982000+00:00">'
            "2026-11-23 12:21:48 UTC</time>; then not",
        )

    def test_what_only_looks_like_a_time_stays_as_it_is(self) -> None:
        for text in ("2026-11-23", "2026-13-45T12:21", "run-2026-11-23T12:21:48"):
            self.assertEqual(told(text), text)
        self.assertEqual(told("at 2026-99-99T99:99:99Z"), "at 2026-99-99T99:99:99Z")


class Errors(SynchronousTestCase):
    def test_a_page_that_is_not_there_leads_back_to_the_list_it_is_of(self) -> None:
        got = Site().get("/jobs/abc")
        self.assertIn('<a href="/jobs">To my jobs</a>', got.body)
        self.assertIn('<a href="/">To the overview</a>', got.body)
        self.assertNotIn("To the hosts", got.body)
