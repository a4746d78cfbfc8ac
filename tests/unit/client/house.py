"""Folders and certificates of a user, and running a client in this process, for the tests of the clients."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.client.fake_server import FakeCluster, FakeServer
from tm.client import tms
from tm.edge.certificates import Subject, make_certificate, make_key, to_pem
from tm.places import Places, find

NOW = datetime.datetime.now(datetime.UTC)


class House(SynchronousTestCase):
    """A user with a folder, an etc, and no certificates until `certify` is called."""

    def setUp(self) -> None:
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="tm-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.user_directory = self.folder("home")
        etc = self.folder("etc")
        with open(os.path.join(etc, "TaskDispatcher.info"), "w") as file:
            file.write("cluster = test\nhost = 127.0.0.1\nport = 9\n")
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": self.root, "TM_ETC": etc, "TM_USER": "alice",
            "TM_USER_DIRECTORY": self.user_directory, "TM_LOCAL_DIRECTORY": os.path.join(self.root, "local"),
            "TM_PYTHON": sys.executable,
        }  # fmt: skip
        self.places: Places = find(self.environ)

    def folder(self, name: str) -> str:
        """Make a folder and return its path."""
        path = os.path.join(self.root, name)
        os.mkdir(path, 0o700)
        return path

    def serve_tms(self, server: FakeServer | None = None) -> FakeServer:
        """Let a fake TMS listen on its Unix socket, with an address file that says so."""
        fake = server or FakeServer()
        path = os.path.join(self.root, "s")
        fake.listen_unix(path)
        self.addCleanup(fake.stop)
        self.write_address(socket=path)
        return fake

    def serve_cluster(self) -> tuple[FakeServer, FakeCluster]:
        """Let a fake TMS with jobs listen."""
        fake = self.serve_tms()
        return fake, FakeCluster(fake)

    def write_address(self, socket: str = "", machine: str | None = None, port: int = 1) -> None:
        """Write the address file of the TMS."""
        address = {"host": "127.0.0.1", "machine": machine or tms.boot_id(), "port": port, "socket": socket}
        with open(self.places.address_file, "w") as file:
            json.dump({**address, "pid": 1, "version": "1.0.0"}, file)

    def certify(self, days: int = 30) -> None:
        """Make the user's key and certificate and the dispatcher's, and let the user trust both."""
        self.make_pair(self.places.key, self.places.certificate, "alice", days)
        self.make_pair(self.path("td.key"), self.path("td.crt"), "TaskDispatcher", days)
        self.trust(self.path("td.crt"), self.places.certificate)

    def make_pair(self, key: str, certificate: str, name: str, days: int = 30) -> None:
        """Make a key and a self-signed certificate of it."""
        made = make_certificate(make_key(key), Subject(name), NOW, days)
        with open(certificate, "wb") as file:
            file.write(to_pem(made))

    def trust(self, *certificates: str) -> None:
        """Write the file of trusted certificates."""
        with open(self.places.trusted, "wb") as file:
            for path in certificates:
                with open(path, "rb") as one:
                    file.write(one.read())

    def path(self, name: str) -> str:
        """Return the path of *name* in the test's folder."""
        return os.path.join(self.root, name)

    def server_context(self, name: str = "td", clients: str | None = "") -> ssl.SSLContext:
        """Return the context of a server with the pair *name* that demands the certificate in *clients*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.path(name + ".crt"), self.path(name + ".key"))
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients or self.places.certificate)
        return context

    def run_client(
        self, main: Callable[[list[str]], int], *argv: str, stdin: str = ""
    ) -> tuple[int, str, str]:
        """Run *main* here with the test's environment; return exit status, stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with self.surroundings(), mock.patch.object(sys, "stdin", io.StringIO(stdin)):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main(list(argv))
        return status, out.getvalue(), err.getvalue()

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[None]:
        """Set the process's environment to the test's for a while."""
        with mock.patch.dict(os.environ, self.environ, clear=True):
            yield
