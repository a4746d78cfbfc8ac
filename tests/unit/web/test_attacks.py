"""What visitors, links of strangers and false servers try on the web server: each is an answer, none a defect."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site


class LinksAndForms(SynchronousTestCase):
    def test_a_page_to_go_back_to_that_is_no_address_is_ours(self) -> None:
        site = Site()
        for back in ("//[", "http://[", "http://elsewhere/", "/\\elsewhere", "//elsewhere", "javascript:alert(1)"):
            got = site.post("/jobs/act", form={"act": "cancel", "back": back})
            self.assertEqual(got.status, 400, back)
            self.assertIn('href="/"', got.body)
            self.assertNotIn("elsewhere", got.body)
