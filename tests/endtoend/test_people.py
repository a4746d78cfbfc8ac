"""Who is let in, who is turned away and with which words, and what users see of each other: nothing."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.chain import ChainCase
from tests.support.cluster import Cluster
from tests.support.identities import Identity
from tests.support.processes import listen, wait_for
from tests.support.talk import HungUpError, Refused, Talk
from tm.edge.certificates import to_pem
from tm.edge.keys import load_certificate, load_key


def turned_away(cluster: Cluster, pair: tuple[str, str] | None) -> Refused:
    """Return what somebody who presents *pair* is told instead of a greeting, before and after they say something."""
    with Talk.tls(cluster.port, pair, greet=False) as talk:
        talk.say("lsjobs")
        try:
            talk.answered(talk.reply())
        except Refused as refused:
            try:
                talk.reply()
            except HungUpError:
                return refused
            raise AssertionError("the server went on after its refusal") from None
    raise AssertionError("let in")


class RefusalTests(ChainCase):
    def identity(self, file: str, name: str, **more: object) -> Identity:
        """Return a new identity in a folder of its own."""
        folder = os.path.join(self.cluster.folder, "others")
        os.makedirs(folder, exist_ok=True)
        return Identity(folder, file, name, **more)  # type: ignore[arg-type]  # passed on

    def test_without_a_certificate(self) -> None:
        refused = turned_away(self.cluster, None)
        self.assertEqual(refused.word, "auth.none")
        self.assertIn("you presented no certificate", refused.text)

    def test_with_a_foreign_certificate(self) -> None:
        mallory = self.identity("mallory", "mallory")
        refused = turned_away(self.cluster, (mallory.certificate, mallory.key))
        self.assertEqual(refused.word, "auth.unknown")
        self.assertIn("'mallory' is not registered here", refused.text)

    def test_with_an_expired_certificate(self) -> None:
        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=40)
        old = self.identity("bob", "bob", now=then, days=30)
        users = Path(self.cluster.etc, "users").read_text()
        self.cluster.write_etc("users", users.replace('"certs/bob.crt"', f'"{old.certificate}"'))
        with self.cluster.dispatcher("alice") as alice:
            alice.ask("reload")
        refused = turned_away(self.cluster, (old.certificate, old.key))
        self.assertEqual(refused.word, "auth.expired")
        self.assertIn("of bob expired on", refused.text)

    def test_with_the_name_of_another_signed_by_a_users_key(self) -> None:
        alice = load_certificate(self.cluster.pair("alice")[0])
        bob = load_certificate(self.cluster.pair("bob")[0])
        mine = self.identity("forged", "bob")
        forged = (
            x509.CertificateBuilder(extensions=list(bob.extensions))
            .subject_name(bob.subject).issuer_name(alice.subject).public_key(mine.private.public_key())
            .serial_number(bob.serial_number).not_valid_before(bob.not_valid_before_utc)
            .not_valid_after(bob.not_valid_after_utc).sign(load_key(self.cluster.pair("alice")[1]), SHA256())
        )  # fmt: skip
        Path(mine.certificate).write_bytes(to_pem(forged, alice))
        refused = turned_away(self.cluster, (mine.certificate, mine.key))
        self.assertEqual(refused.word, "auth.forged")
        self.assertIn("calls itself 'bob' is not one of those registered", refused.text)

    def test_a_false_dispatcher_hears_nothing_from_a_users_server(self) -> None:
        cluster = self.cluster
        cluster.end_dispatcher()
        false = self.identity("false", "taskdispatcher")
        heard: list[bytes] = []
        with FalseServer(cluster.port, false, heard):
            cluster.start_tms("alice")
            status = wait_for(lambda: self.why_not_connected("alice"), "the server's reason")
        self.assertIn("is not in your ca_certs file", status)
        self.assertEqual(b"".join(heard), b"")

    def why_not_connected(self, user: str) -> str:
        status: str = self.cluster.tms(user).values("status")[0]["dispatcher"]
        return status if "ca_certs" in status else ""

    def test_an_older_tls_is_not_spoken(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self.cluster.pair("alice"))
        with socket.create_connection(("127.0.0.1", self.cluster.port)) as sock:
            self.assertRaises(ssl.SSLError, context.wrap_socket, sock)


class FalseServer:
    """A TLS server on *port* with another certificate; what clients say goes to *heard*."""

    def __init__(self, port: int, identity: Identity, heard: list[bytes]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(identity.certificate, identity.key)
        self._listener = listen(port)
        self._listener.settimeout(0.1)
        self._heard = heard
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._listener.accept()
                sock.settimeout(2)
                with self._context.wrap_socket(sock, server_side=True) as peer:
                    peer.sendall(b"OK TaskDispatcher 1.0.0 protocol=1 user=alice cluster=test\n.\n")
                    self._heard.append(peer.recv(65536))
            except OSError:
                continue


class SecondUserTests(ChainCase):
    def test_another_users_jobs_can_be_neither_seen_nor_cancelled_and_sound_like_unknown_ones(self) -> None:
        cluster = self.cluster
        hers = cluster.submit("alice", "exec sleep 1000")[0]
        cluster.wait([hers], states=("running",))
        absent = hers + 1000
        for bob in (cluster.tms("bob"), cluster.dispatcher("bob")):
            self.addCleanup(bob.close)
            for verb in ("jobinfo", "canceljob"):
                of_hers, of_absent = bob.refusal(verb, str(hers)), bob.refusal(verb, str(absent))
                self.assertEqual(of_hers.word, "job.unknown")
                self.assertEqual(of_hers.text.replace(str(hers), "N"), of_absent.text.replace(str(absent), "N"))
            self.assertEqual(bob.values("lsjobs"), [])
            for user in ("alice", "all"):
                self.assertEqual(bob.refusal("lsjobs", f"user={user}").word, "perm.denied")
        self.assertEqual(cluster.job("alice", hers)["state"], "running")

    def test_events_are_of_ones_own_jobs_only(self) -> None:
        cluster = self.cluster
        with cluster.dispatcher("bob") as bob:
            bob.ask("subscribe", "jobs")
            cluster.wait(cluster.submit("alice", "true"))
            his = cluster.submit("bob", "true")[0]
            self.assertEqual(bob.event()["id"], his)
            self.assertEqual(bob.refusal("subscribe", "log").word, "perm.denied")

    def test_the_server_of_one_user_is_closed_to_another(self) -> None:
        cluster = self.cluster
        cluster.start_tms("bob")
        port = int(Path(cluster.directory("bob"), "TMS.test.address").read_text().split('"port": ')[1].split(",")[0])
        with Talk.tls(port, cluster.pair("alice"), greet=False) as talk, self.assertRaises(Refused) as caught:
            talk.answered(talk.reply())
        self.assertEqual(caught.exception.word, "auth.unknown")
        with Talk.tls(port, cluster.pair("bob")) as talk:
            self.assertIn("user=bob", talk.greeting)

    def test_orders_of_one_user_are_not_taken_from_another(self) -> None:
        with self.cluster.dispatcher("bob") as bob:
            spec = '{\\"user\\":\\"alice\\",\\"command\\":\\"id\\",\\"cwd\\":\\"/\\",\\"environment\\":\\"\\"}'
            refused = bob.refusal("submit", f'{{"token":"t","orders":[["{spec}","00"]],"environments":{{}}}}')
            self.assertIn(refused.word, ("job.user", "job.invalid"))
            self.assertEqual(bob.refusal("hello", "{}").word, "perm.denied")
            self.assertEqual(bob.refusal("runjob", "id").word, "auth.unsigned")


class ReloadTests(ChainCase):
    def test_a_user_who_is_removed_is_cut_off_within_seconds(self) -> None:
        cluster = self.cluster
        cluster.start_tms("bob")
        users = Path(cluster.etc, "users").read_text()
        with cluster.dispatcher("bob") as bob, cluster.dispatcher("alice") as alice:
            bob.ask("subscribe", "jobs")
            cluster.write_etc("users", users[: users.index("[users.bob]")])
            alice.ask("reload")
            began = time.monotonic()
            self.assertRaises(HungUpError, bob.next)
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual(turned_away(cluster, cluster.pair("bob")).word, "auth.unknown")
            wait_for(lambda: self.his_server_is() != "connected", "bob's server to be cut off", 5)
            self.assertEqual(alice.ask("version").ok, True)
            cluster.write_etc("users", users)
            alice.ask("reload")
        cluster.wait(cluster.submit("bob", "true"), user="bob")

    def his_server_is(self) -> str:
        """Return how bob's server says it stands with the dispatcher."""
        state: str = self.cluster.tms("bob").values("status")[0]["dispatcher"]
        return state

    def test_a_faulty_file_is_reported_with_its_line_and_changes_nothing(self) -> None:
        cluster = self.cluster
        users = Path(cluster.etc, "users").read_text()
        cluster.write_etc("users", "# one line\n[users.alice\n")
        with cluster.dispatcher("alice") as alice:
            refused = alice.refusal("reload")
            self.assertTrue(refused.word.startswith("config."), refused.word)
            self.assertIn(os.path.join(cluster.etc, "users") + ":2", refused.text)
            cluster.dispatcher("bob").close()
            cluster.write_etc("users", users)
            alice.ask("reload")
