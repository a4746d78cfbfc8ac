"""TLS as a client sees it: who is let in, who is believed, and the sentence for each refusal."""

from __future__ import annotations

import os
import socket
import ssl

from tests.unit.client.fake_server import FakeServer
from tests.unit.client.house import House
from tm.client import tls
from tm.client.connection import Connection
from tm.errors import TaskManagerError
from tm.wire.message import Reply


class TlsTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.certify()
        self.server = FakeServer("TaskDispatcher")

    def serve(self, context: ssl.SSLContext | None) -> None:
        self.places.port = self.server.listen_tls(context)
        self.addCleanup(self.server.stop)

    def refused(self) -> TaskManagerError:
        error = self.assertRaises(TaskManagerError, Connection.open_dispatcher, self.places)
        assert isinstance(error, TaskManagerError)
        return error

    def test_both_sides_know_each_other(self) -> None:
        self.serve(self.server_context())

        with Connection.open_dispatcher(self.places) as connection:
            self.assertEqual("TaskDispatcher", connection.server)
            self.assertEqual("TLSv1.3", connection.socket.version())  # type: ignore[attr-defined]  # an SSLSocket
            self.assertEqual("fake 1.0.0", connection.ask("version").text)

    def test_a_server_that_does_not_know_us_is_understood_at_the_first_read(self) -> None:
        self.make_pair(self.path("x.key"), self.path("x.crt"), "somebody else")
        self.serve(self.server_context(clients=self.path("x.crt")))

        error = self.refused()

        self.assertEqual(("auth.unknown", 77), (error.word, error.exit_status))
        self.assertIn("does not know your certificate", error.text)

    def test_an_expired_certificate_of_ours_is_named_so(self) -> None:
        os.unlink(self.places.key)
        self.make_pair(self.places.key, self.places.certificate, "alice", days=0)
        self.serve(self.server_context())

        self.assertEqual("auth.expired", self.refused().word)

    def test_a_refusal_in_words_is_passed_on(self) -> None:
        self.server.greeting = Reply("alice is not in etc/users", word="auth.unknown")
        self.serve(self.server_context())

        self.assertEqual("alice is not in etc/users", self.refused().text)

    def test_a_false_dispatcher_hears_nothing(self) -> None:
        self.make_pair(self.path("false.key"), self.path("false.crt"), "TaskDispatcher")
        self.serve(self.server_context("false"))

        error = self.refused()

        self.assertEqual(("auth.server", []), (error.word, self.server.heard))

    def test_our_own_certificate_does_not_make_a_dispatcher(self) -> None:
        os.symlink(self.places.key, self.path("own.key"))
        os.symlink(self.places.certificate, self.path("own.crt"))
        self.serve(self.server_context("own"))

        self.assertEqual("auth.server", self.refused().word)
        with tls.open_tls(self.places, "127.0.0.1", self.places.port, tls.OWN, "your TMS") as connection:
            self.assertTrue(connection.ask("version").ok)

    def test_the_dispatcher_is_not_our_own_server(self) -> None:
        self.serve(self.server_context())

        arguments = (self.places, "127.0.0.1", self.places.port, tls.OWN, "your TMS")
        error = self.assertRaises(TaskManagerError, tls.open_tls, *arguments)

        self.assertEqual("auth.server", error.word)

    def test_an_expired_dispatcher_is_named_so(self) -> None:
        os.unlink(self.path("td.key"))
        self.make_pair(self.path("td.key"), self.path("td.crt"), "TaskDispatcher", days=0)
        self.trust(self.path("td.crt"), self.places.certificate)
        self.serve(self.server_context())

        error = self.refused()

        self.assertEqual("auth.server", error.word)
        self.assertIn("expired", error.text)

    def test_a_port_that_speaks_no_tls_is_named_so(self) -> None:
        self.serve(None)

        error = self.refused()

        self.assertEqual(("net.tls", 69), (error.word, error.exit_status))

    def test_a_refused_connection_says_where_and_what_to_do(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.places.port = unused.getsockname()[1]

            error = self.refused()

        self.assertEqual(("net.refused", 69), (error.word, error.exit_status))
        self.assertIn(f"127.0.0.1:{self.places.port}", error.text)

    def test_an_unknown_name_is_named_so(self) -> None:
        self.places.host = "no such host"

        self.assertEqual("net.name", self.refused().word)


class KeyTests(House):
    def refused(self) -> str:
        error = self.assertRaises(TaskManagerError, tls.make_context, self.places)
        self.assertEqual("auth.key", error.word)
        self.assertIn(self.places.key, error.text)
        return str(error.text)

    def test_a_missing_key(self) -> None:
        self.assertIn("tm cert request", self.refused())

    def test_a_key_that_others_can_read(self) -> None:
        self.certify()
        os.chmod(self.places.key, 0o640)

        self.assertIn("chmod 600", self.refused())

    def test_a_key_that_is_a_folder(self) -> None:
        os.mkdir(self.places.key)

        self.assertIn("regular file", self.refused())

    def test_a_key_that_belongs_to_somebody_else(self) -> None:
        self.certify()
        self.patch(tls.os, "getuid", lambda: os.stat(self.places.key).st_uid + 1)

        self.assertIn("belong to you", self.refused())

    def test_a_key_of_another_certificate(self) -> None:
        self.certify()
        os.rename(self.path("td.key"), self.places.key)

        self.assertIn("is not the key of", self.refused())

    def test_a_key_that_is_none(self) -> None:
        self.certify()
        with open(self.places.key, "w") as file:
            file.write("hello")

        self.assertIn("PEM", self.refused())

    def test_missing_and_empty_certificates_are_named(self) -> None:
        self.certify()
        for path in (self.places.trusted, self.places.certificate):
            with open(path, "w") as file:
                file.write("")
            error = self.assertRaises(TaskManagerError, tls.make_context, self.places)
            self.assertEqual("auth.certificate", error.word)
            os.unlink(path)
            error = self.assertRaises(TaskManagerError, tls.make_context, self.places)
            self.assertIn(path, error.text)
