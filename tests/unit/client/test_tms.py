"""Finding the user's own server, or starting one."""

from __future__ import annotations

import os
import shutil
import sys
import threading

from tests.support.identities import Identity
from tests.unit.client.fake_server import FakeServer
from tests.unit.client.house import House
from tm.client import tms
from tm.client.connection import Connection, LostError
from tm.errors import TaskManagerError

STARTER = """
import json, os, socket, sys, time
open({count!r}, "a").write("x")
time.sleep(0.2)
listener = socket.socket(socket.AF_UNIX)
listener.bind({path!r})
listener.listen(64)
if os.fork():
    json.dump({address}, open({file!r} + ".new", "w"))
    os.rename({file!r} + ".new", {file!r})
    os._exit(0)
os.close(2)
greeted = []
for _ in range({clients}):
    greeted.append(listener.accept()[0])
    greeted[-1].sendall(b"OK TMS 1.0.0 protocol=1 user=alice\\n.\\n")
for client in greeted:
    client.recv(1)
"""


class FindTests(House):
    def test_a_server_on_this_machine_is_reached_by_its_socket(self) -> None:
        self.serve_tms()

        with Connection.open_tms(self.places, start=False) as connection:
            self.assertEqual("TMS", connection.server)

    def test_a_server_elsewhere_is_reached_by_tls_and_must_be_our_own(self) -> None:
        self.certify()
        os.symlink(self.places.key, self.path("own.key"))
        os.symlink(self.places.certificate, self.path("own.crt"))
        server = FakeServer()
        port = server.listen_tls(self.server_context("own"))
        self.addCleanup(server.stop)
        self.write_address(machine="another", port=port)

        with Connection.open_tms(self.places, start=False) as connection:
            self.assertEqual("TMS", connection.server)

    def test_somebody_elses_server_at_the_address_is_none_of_ours(self) -> None:
        self.certify()
        server = FakeServer()
        port = server.listen_tls(self.server_context("td"))
        self.addCleanup(server.stop)
        self.write_address(machine="another", port=port)

        self.assertIsNone(tms.find_tms(self.places))

    def test_nothing_is_started_for_who_does_not_want_it(self) -> None:
        self.write_address(socket=self.path("gone"))

        error = self.assertRaises(TaskManagerError, Connection.open_tms, self.places, start=False)

        self.assertEqual("net.tms", error.word)
        self.assertFalse(os.path.exists(self.places.local_directory))

    def test_an_address_file_that_is_none_counts_as_no_server(self) -> None:
        for text in ("", "[1]", '{"host": 3}'):
            with open(self.places.address_file, "w") as file:
                file.write(text)
            self.assertIsNone(tms.find_tms(self.places))

    def test_a_socket_of_another_user_is_refused(self) -> None:
        self.serve_tms()
        uid = os.getuid()
        self.patch(tms.os, "getuid", lambda: uid + 1)

        error = self.assertRaises(TaskManagerError, tms.find_tms, self.places)

        self.assertEqual("auth.server", error.word)

    def test_questions_go_to_the_dispatcher_where_there_is_no_tms(self) -> None:
        self.certify()
        server = FakeServer("TaskDispatcher")
        self.places.port = server.listen_tls(self.server_context())
        self.addCleanup(server.stop)

        self.places.python = self.path("nothing")
        for ask in (tms.open_any, tms.open_waiting):
            with ask(self.places) as connection:
                self.assertEqual("TaskDispatcher", connection.server)

    def test_who_waits_is_served_by_the_tms(self) -> None:
        self.serve_tms()

        with tms.open_waiting(self.places) as connection:
            self.assertEqual("TMS", connection.server)

    def test_a_server_that_breaks_before_it_greets_counts_as_none(self) -> None:
        server = FakeServer()
        server.greeting = b""
        self.serve_tms(server)
        threading.Timer(0.05, server.stop).start()

        self.assertIsNone(tms.find_tms(self.places))


class StartTests(House):
    def script(self, text: str) -> None:
        """Put *text* where the program that starts the server is looked for."""
        self.places.root = self.folder("root")
        os.mkdir(os.path.join(self.places.root, "bin"))
        with open(os.path.join(self.places.root, "bin", "TMS"), "w") as file:
            file.write(text)

    def starter(self, clients: int) -> None:
        address = {"host": "h", "machine": tms.boot_id(), "port": 1, "socket": self.path("t"), "pid": 1}
        names = {"count": self.path("count"), "path": self.path("t"), "file": self.places.address_file}
        self.script(STARTER.format(address=address, clients=clients, **names))

    def test_many_clients_at_once_start_one_server(self) -> None:
        self.starter(8)
        connections: list[Connection] = []
        threads = [
            threading.Thread(target=lambda: connections.append(Connection.open_tms(self.places))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for connection in connections:
            connection.close()

        with open(self.path("count")) as file:
            self.assertEqual((8, "x"), (len(connections), file.read()))

    def test_the_folders_are_the_users_alone(self) -> None:
        self.starter(1)

        Connection.open_tms(self.places).close()

        for path in (self.places.local_directory, self.places.tms_directory):
            self.assertEqual(0o700, os.stat(path).st_mode & 0o777)

    def test_a_server_that_does_not_start_says_why(self) -> None:
        self.script("import sys; sys.exit('auth.key: alice.key: others can read it')")

        error = self.assertRaises(TaskManagerError, Connection.open_tms, self.places)

        self.assertEqual(("internal.tms", 125), (error.word, error.exit_status))
        self.assertIn("others can read it", error.text)

    def test_a_key_of_another_certificate_is_named_as_why_it_does_not_start(self) -> None:
        self.certify()
        self.script("raise SystemExit(' An error has occurred: ...\\nPlease look at log file for more information.')")
        error = self.assertRaises(TaskManagerError, Connection.open_tms, self.places)
        self.assertIn("could not be started: An error has occurred: ...", error.text)
        other = Identity(self.folder("other"), "alice", "alice")
        shutil.copy(other.key, self.places.key)
        error = self.assertRaises(TaskManagerError, Connection.open_tms, self.places)
        self.assertEqual(error.word, "auth.key")
        self.assertIn("is not the key of", error.text)

    def test_a_server_that_never_becomes_ready_is_ended(self) -> None:
        self.patch(tms, "START_SECONDS", 0.3)
        self.script("import time; time.sleep(60)")

        error = self.assertRaises(TaskManagerError, Connection.open_tms, self.places)

        self.assertIn("not ready", error.text)

    def test_a_missing_python_or_program_is_named(self) -> None:
        self.script("")
        self.places.python = self.path("nothing")
        self.assertIn("nothing", str(self.assertRaises(TaskManagerError, Connection.open_tms, self.places)))
        self.places.python = self.path("python")
        os.symlink(sys.executable, self.places.python)
        self.places.root = self.root
        self.patch(sys, "argv", [self.path("client")])
        self.assertIn(self.path("TMS"), str(self.assertRaises(TaskManagerError, Connection.open_tms, self.places)))

    def test_a_start_that_another_client_never_ends_is_given_up(self) -> None:
        self.patch(tms, "START_SECONDS", 0.1)
        self.starter(1)
        tms.make_directory(self.places.tms_directory)
        other = os.open(os.path.join(self.places.tms_directory, "start.lock"), os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, other)
        tms.fcntl.flock(other, tms.fcntl.LOCK_EX)

        error = self.assertRaises(LostError, Connection.open_tms, self.places)

        self.assertEqual("net.timeout", error.word)


class DirectoryTests(House):
    def refused(self, path: str) -> None:
        error = self.assertRaises(TaskManagerError, tms.make_directory, path)
        self.assertEqual(("config.directory", 78), (error.word, error.exit_status))

    def test_a_folder_that_others_can_enter_is_refused(self) -> None:
        os.chmod(self.folder("open"), 0o755)

        self.refused(self.path("open"))

    def test_a_file_or_a_link_in_place_of_the_folder_is_refused(self) -> None:
        os.symlink(self.folder("there"), self.path("link"))
        with open(self.path("file"), "w"):
            pass

        self.refused(self.path("link"))
        self.refused(self.path("file"))
        self.refused(self.path("file") + "/below")

    def test_a_folder_in_which_others_can_replace_ours_is_refused(self) -> None:
        os.chmod(self.folder("public"), 0o777)

        self.refused(os.path.join(self.path("public"), "mine"))
