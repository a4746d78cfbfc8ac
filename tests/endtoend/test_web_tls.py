"""The web interface over TLS: a browser's certificate logs in whose it is, and nobody else."""

from __future__ import annotations

import http.client
import os
import ssl
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from tests.support.browser import WebCluster


class WebTlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = WebCluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        pair = [os.path.join(self.cluster.etc, "certs", f"taskdispatcher.{kind}") for kind in ("crt", "key")]
        self.cluster.start_web("--certificate", pair[0], "--key", pair[1])

    def link(self, *pair: str) -> http.client.HTTPSConnection:
        """Return a connection that presents the certificate and key of *pair*."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair:
            context.load_cert_chain(*pair)
        link = http.client.HTTPSConnection("127.0.0.1", self.cluster.web_port, timeout=20, context=context)
        self.addCleanup(link.close)
        return link

    def ask(self, link: http.client.HTTPSConnection, method: str, path: str, **headers: str) -> tuple[int, str, str]:
        """Return status, cookie and text of an answer."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":
            told |= {
                "Origin": f"https://127.0.0.1:{self.cluster.web_port}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
        link.request(method, path, urlencode({}) if method == "POST" else None, told)
        answer = link.getresponse()
        return answer.status, answer.getheader("set-cookie") or "", answer.read().decode()

    def test_a_registered_certificate_logs_in_its_owner(self) -> None:
        link = self.link(*self.cluster.pair("bob"))
        status, cookie, text = self.ask(link, "GET", "/jobs")
        self.assertEqual((status, cookie), (401, ""))
        self.assertIn("Your browser has presented a certificate", text)
        status, cookie, _ = self.ask(link, "POST", "/login/certificate")
        self.assertEqual(status, 303)
        self.assertIn("secure", cookie.lower())
        status, _, text = self.ask(link, "GET", "/sessions", Cookie=cookie.partition(";")[0])
        self.assertEqual(status, 200)
        self.assertIn(">bob</a>", text)

    def test_no_certificate_and_a_strange_one_log_in_nobody(self) -> None:
        status, cookie, _ = self.ask(self.link(), "POST", "/login/certificate")
        self.assertEqual((status, cookie), (403, ""))
        strange = [os.path.join(self.cluster.etc, "certs", f"taskweb.{kind}") for kind in ("crt", "key")]
        status, cookie, text = self.ask(self.link(*strange), "POST", "/login/certificate")
        self.assertEqual((status, cookie), (403, ""))
        self.assertIn("hRunJob --web", text)

    def test_plain_http_is_not_spoken_there(self) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.cluster.web_port, timeout=20)
        self.addCleanup(link.close)
        link.request("GET", "/")
        self.assertRaises((http.client.HTTPException, OSError), link.getresponse)
