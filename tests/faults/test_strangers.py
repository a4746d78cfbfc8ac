"""Whoever has no good certificate, or has one no longer: each hears a sentence of its own, by the real clients, before
any command counts."""

from __future__ import annotations

import datetime
import os
import select
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.faults.record import count
from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.identities import Identity
from tests.support.processes import wait_for
from tests.support.talk import Refused, Talk
from tm.edge.certificates import to_pem
from tm.edge.keys import load_certificate, load_key

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class StrangerCase(ChainCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = self.cluster.directory("bob")
        self.others = os.path.join(self.cluster.folder, "others")
        os.mkdir(self.others)
        self.own = tuple(shutil.copy(path, self.others) for path in self.cluster.pair("bob"))
        self.users = Path(self.cluster.etc, "users").read_text()

    def become(self, certificate: str, key: str, register: bool = False) -> None:
        """Let bob have another certificate and key, which the dispatcher is told of if they are to *register*."""
        shutil.copy(certificate, os.path.join(self.home, "bob.crt"))
        shutil.copy(key, os.path.join(self.home, "bob.key"))
        if register:
            self.register(certificate)

    def register(self, certificate: str) -> None:
        """Let bob be known by *certificate*; by an empty name he is not known."""
        named = self.users.replace('"certs/bob.crt"', f'"{certificate}"')
        self.cluster.write_etc("users", named if certificate else self.users[: self.users.index("[users.bob]")])
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("reload")

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Start a client of bob's."""
        process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "bin", name), *words], env=self.cluster.environment("bob"),
            cwd=self.cluster.work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def refused(self, process: subprocess.Popen[str], text: str, status: int = 77) -> str:
        """See that a client ends as one who may not, and says *text* in one sentence; return what it said."""
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (status, ""), err)
        self.assertRegex(err, text)
        self.assertEqual(len(err.splitlines()), 1, err)
        return err.partition(": ")[2]


class RefusalTests(StrangerCase):
    def test_each_bad_certificate_is_refused_with_words_of_its_own_that_clients_show(self) -> None:
        now = NOW
        foreign, named = Identity(self.others, "f", "mallory"), Identity(self.others, "n", "bob")
        old, young = (Identity(self.others, file, "bob", now=now + away, days=30) for file, away in (
            ("o", -40 * DAY), ("y", 3 * DAY),
        ))  # fmt: skip
        signed = self.signed_by_alice()
        said: list[str] = []
        for certificate, key, register, text in (
            (foreign.certificate, foreign.key, False, "that calls itself 'mallory' is not registered here; have"),
            (named.certificate, named.key, False, "that calls itself 'bob' is not one of those registered for that"),
            (signed.certificate, signed.key, False, "that calls itself 'bob' is not one of those registered for that"),
            (old.certificate, old.key, True, "of bob expired on .*; make a new one with 'tm cert request'"),
            (young.certificate, young.key, True, "of bob is valid only from .*; check the clocks of both machines"),
        ):
            self.become(certificate, key, register)
            clients = [self.start("hSend", "localhost", str(self.cluster.port), "runjob:touch ran")]
            clients.append(self.start("hRunJob", "touch", "ran") if register else self.start("hListen", "jobs"))
            texts = {self.refused(client, text) for client in clients}
            self.assertEqual(len(texts), 1, texts)
            said += texts
            self.cluster.kill("tms:bob")
        self.assertEqual(len(set(said)), 5, said)
        certificate, key = self.own
        self.become(certificate, key)
        self.without_any()
        self.assertEqual((os.listdir(self.cluster.work), self.cluster.jobs("alice", "user=all")), ([], {}))
        count(49, 5 * 2 + 3 + 2)

    def signed_by_alice(self) -> Identity:
        """Return an identity of mallory's whose certificate says bob's name, as signed by alice's key."""
        hers, his = (load_certificate(self.cluster.pair(user)[0]) for user in ("alice", "bob"))
        mine = Identity(self.others, "signed", "bob")
        forged = (
            x509.CertificateBuilder(extensions=list(his.extensions))
            .subject_name(his.subject).issuer_name(hers.subject).public_key(mine.private.public_key())
            .serial_number(his.serial_number).not_valid_before(his.not_valid_before_utc)
            .not_valid_after(his.not_valid_after_utc).sign(load_key(self.cluster.pair("alice")[1]), SHA256())
        )  # fmt: skip
        Path(mine.certificate).write_bytes(to_pem(forged))
        return mine

    def without_any(self) -> None:
        """Try with the key of another certificate, and with no certificate: nothing is even sent."""
        foreign = Identity(self.others, "k", "bob")
        certificate = Path(self.home, "bob.crt")
        shutil.copy(foreign.key, os.path.join(self.home, "bob.key"))
        clients = [self.start("hListen", "jobs"), self.start("hRunJob", "touch", "ran")]
        clients.append(self.start("hSend", "localhost", str(self.cluster.port), "version"))
        for client in clients:
            self.refused(client, r"bob\.key is not the key of .*bob\.crt: make both with 'tm cert request'")
        certificate.unlink()
        for client in (self.start("hListen", "jobs"), self.start("hSend", "localhost", str(self.cluster.port), "help")):
            self.refused(client, r"bob\.crt: there is no such file; 'tm cert request' makes your certificate")


class RemovedTests(StrangerCase):
    def test_who_is_removed_while_he_listens_is_cut_off_at_once_and_hears_why(self) -> None:
        cluster = self.cluster
        (running,) = cluster.submit("bob", "sleep 3; exit 4")
        cluster.wait([running], user="bob", states=("running",))
        listening = self.start("hListen", "jobs")
        (number,) = cluster.submit("bob", "true")
        assert listening.stdout is not None
        self.assertTrue(select.select([listening.stdout], [], [], 20)[0])
        self.register("")
        begun = time.monotonic()
        _, err = listening.communicate(timeout=60)
        seconds = time.monotonic() - begun
        self.assertEqual(listening.returncode, 77, err)
        self.assertRegex(err, "trying to connect again\nhListen: the certificate .* is not registered here; have the")
        self.assertLess(seconds, 5)
        refused = self.start("hSend", "localhost", str(cluster.port), f"canceljob:{running}")
        self.refused(refused, "'bob' is not registered here")
        with cluster.dispatcher("alice") as alice:
            wait_for(lambda: alice.values("jobinfo", str(running))[0]["state"] != "running", "the end of his job", 30)
            job = alice.values("jobinfo", str(running))[0]
        self.assertEqual((job["state"], job["exit_code"]), ("failed", 4), job)
        self.assertNotEqual(number, running)
        count(50, 1, seconds=round(seconds, 2))

    def test_who_is_removed_cannot_come_back_by_an_older_tls_or_an_earlier_session(self) -> None:
        context = self.context()
        with self.shaken(context) as first:
            self.assertTrue(first.recv(4096).startswith(b"OK TaskDispatcher"))
            first.sendall(b"version\n")
            self.assertTrue(first.recv(4096).startswith(b"OK"))
            session = first.session
            self.register("")
        tried = 0
        for again in (session, None):
            with self.shaken(context, again) as second:
                self.assertEqual((second.session_reused, second.version()), (False, "TLSv1.3"))
                self.assertTrue(second.recv(4096).startswith(b"ERR auth.unknown"))
                tried += 1
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
            older = self.context()
            older.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            older.maximum_version = version
            older.set_ciphers("ALL:@SECLEVEL=0")
            self.assertRaises((ssl.SSLError, ConnectionError), self.shaken, older)
            tried += 1
        with self.assertRaises(Refused) as caught:
            Talk.tls(self.cluster.port, self.cluster.pair("bob")).close()
        self.assertEqual(caught.exception.word, "auth.unknown")
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("version")
        count(51, tried)

    def context(self) -> ssl.SSLContext:
        """Return what bob shakes hands with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*self.cluster.pair("bob"))
        return context

    def shaken(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        """Return a connection to the dispatcher after its handshake; raise `OSError`."""
        sock = socket.create_connection(("127.0.0.1", self.cluster.port), 20)
        try:
            return context.wrap_socket(sock, session=session)
        except OSError:
            sock.close()
            raise
