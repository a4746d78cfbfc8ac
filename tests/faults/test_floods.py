"""Who floods a server with connections, bytes, lines or requests gets nowhere, and others are served meanwhile."""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import threading
import time
from pathlib import Path

from tests.faults.crowd import (
    Bystander,
    Crowd,
    client_hello,
    descriptors,
    greeted,
    no_handshake,
    no_request,
    pour,
)
from tests.faults.record import count
from tests.support.chain import ChainCase
from tests.support.peak import MEBIBYTE, Growth
from tests.support.processes import wait_for
from tests.support.talk import HungUpError, Talk
from tm.errors import WireError

SOON = 5.0
"""A bound for what takes some milliseconds when nothing else is done on the machine."""


def chance() -> tuple[int, random.Random]:
    """Return a seed, ``TM_FAULTS_SEED`` if that is set, and what follows from it."""
    seed = int(os.environ.get("TM_FAULTS_SEED") or random.SystemRandom().randrange(1 << 32))
    return seed, random.Random(seed)


class FloodCase(ChainCase):
    def others(self) -> Bystander:
        """Return bob, who connects and asks all the time."""
        return Bystander(greeted(self.cluster.port, self.cluster.pair("bob")))

    def served(self, others: Bystander) -> float:
        """See that *others* were served; return the longest time it took."""
        self.assertEqual(others.failures, [])
        self.assertLess(others.most(), SOON)
        return round(others.most(), 3)

    def growth(self, *names: str) -> Growth:
        """Return how much daemons grow from now on."""
        return Growth({name: self.cluster.pid(name) for name in names})

    def check_logs(self) -> None:
        """See that no server has met what it did not expect."""
        for path in Path(self.cluster.folder).rglob("*.log"):
            for line in path.read_text(errors="replace").splitlines():
                self.assertNotIn('"level":"critical"', line)
                self.assertNotIn("Traceback", line)


class ConnectionTests(FloodCase):
    def test_connections_that_say_nothing_are_closed_and_others_served_meanwhile(self) -> None:
        wanted = 1800
        with descriptors(wanted + 500) as allowed, Crowd(self.cluster.port) as crowd:
            if allowed < wanted + 200:
                self.skipTest(f"only a machine that allows more than {allowed} descriptors can try this")
            growth = self.growth("dispatcher")
            with self.others() as others:
                first = time.monotonic()
                while len(crowd) < wanted:
                    crowd.connect()
                wait_for(lambda: crowd.hung_up() == wanted, "the end of all of them", 40, 0.2)
                seconds = time.monotonic() - first
            served = self.served(others)
        self.assertGreater(seconds, 9)
        self.assertLess(seconds, 10 + 3 * SOON)
        self.assertLess(growth.most(), 100 * MEBIBYTE)
        count(43, wanted, seconds=round(seconds, 1), others_seconds=served, grown=growth.most())

    def test_idle_connections_of_users_are_cheap_and_others_are_served(self) -> None:
        wanted = 150
        with Crowd(self.cluster.port) as crowd:
            growth = self.growth("dispatcher")
            while len(crowd) < wanted:
                crowd.let_in(self.cluster.pair("alice"))
            with self.others() as others:
                self.assertEqual(crowd.hung_up(), 0)
            served = self.served(others)
            self.assertLess(growth.most(), wanted * 45 * 1024 + 8 * MEBIBYTE)
        count(45, wanted, others_seconds=served, grown=growth.most())

    def test_handshakes_without_end_of_one_address_keep_nobody_else_out(self) -> None:
        done: list[int] = []
        over = time.monotonic() + 2

        def shake() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            while time.monotonic() < over:
                try:
                    with socket.create_connection(("127.0.0.1", self.cluster.port), 20, ("127.0.0.9", 0)) as sock:
                        context.wrap_socket(sock).close()
                except OSError:
                    continue
                done.append(1)

        threads = [threading.Thread(target=shake) for _ in range(4)]
        growth = self.growth("dispatcher")
        with self.others() as others:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        served = self.served(others)
        self.assertGreater(len(done), 20)
        self.assertLess(growth.most(), 16 * MEBIBYTE)
        count(52, len(done), others_seconds=served, per_second=round(len(done) / 2))


class GarbageTests(FloodCase):
    def test_what_is_no_handshake_does_no_harm(self) -> None:
        seed, dice = chance()
        hello = client_hello()
        tried = 300
        before = self.cluster.pid("dispatcher")
        with self.others() as others:
            for _ in range(tried):
                with socket.create_connection(("127.0.0.1", self.cluster.port), 20) as sock:
                    try:
                        sock.sendall(no_handshake(dice, hello))
                        sock.shutdown(socket.SHUT_WR)
                        while sock.recv(65536):
                            continue
                    except ConnectionError:
                        continue
                    except TimeoutError:
                        self.fail(f"seed {seed}: the server neither answered nor hung up")
        self.served(others)
        self.assertEqual(self.cluster.pid("dispatcher"), before)
        self.check_logs()
        count(46, tried, seed=seed)

    def test_what_is_no_request_is_answered_or_cut_off_and_does_no_harm(self) -> None:
        seed, dice = chance()
        self.cluster.start_tms("bob")
        address = json.loads(Path(self.cluster.directory("bob"), "TMS.test.address").read_text())
        before = {name: self.cluster.pid(name) for name in ("dispatcher", "tms:bob")}
        tried = 120
        with self.others() as others:
            for number in range(tried):
                port = (self.cluster.port, address["port"])[number % 2]
                with Talk.tls(port, self.cluster.pair("bob")) as talk:
                    self.exchange(talk, no_request(dice), seed)
        self.served(others)
        self.assertEqual({name: self.cluster.pid(name) for name in before}, before)
        self.check_logs()
        count(46, tried, seed=seed)

    def exchange(self, talk: Talk, said: bytes, seed: int) -> None:
        """Say it, and hear until a question of ours is answered or the connection is gone."""
        try:
            talk.send(said + b"\nnobodyknowsthis\n")
            while "nobodyknowsthis" not in talk.reply().text:
                continue
        except (HungUpError, ConnectionError):
            return
        except TimeoutError:
            self.fail(f"seed {seed}: no answer and no end to {said!r}")
        except WireError as error:
            self.fail(f"seed {seed}: {error} in answer to {said!r}")


class LineTests(FloodCase):
    def test_a_gibibyte_in_one_line_is_cut_off_and_costs_nothing(self) -> None:
        cluster = self.cluster
        cluster.start_tms("alice")
        path = os.path.join(cluster.local("alice"), "tms", "tms.sock")
        taken: dict[str, int] = {}

        def endless(verb: bytes) -> None:
            for server, talk in (("dispatcher", cluster.dispatcher("alice")), ("tms", Talk.unix(path))):
                with talk:
                    begun = time.monotonic()
                    talk.send(verb)
                    sent = pour(talk.send, b"x" * MEBIBYTE, 1 << 30, 20)
                    self.assertLess(time.monotonic() - begun, SOON)
                    self.assertLess(sent, 1 << 30)
                    taken[f"{server} {verb.decode()}"] = sent

        endless(b"")
        grown = {}
        for verb, bound in ((b"", 1), (b"submit:", 3)):
            growth = self.growth("dispatcher", "tms:alice")
            endless(verb)
            grown[verb.decode()] = growth.bytes()
            self.assertLess(growth.most(), bound * MEBIBYTE, growth.bytes())
        with self.others() as others:
            endless(b"")
        served = self.served(others)
        self.check_logs()
        count(47, len(taken) + 4, others_seconds=served, taken=taken, grown=grown)

    def test_empty_lines_without_end_cost_nothing_and_others_are_served(self) -> None:
        growth = self.growth("dispatcher")
        with self.cluster.dispatcher("alice") as alice, self.others() as others:
            sent = [pour(alice.send, end * (MEBIBYTE // len(end)), 50 * MEBIBYTE, 20) for end in (b"\n", b"\r\n")]
            self.assertTrue(alice.ask("version").ok)
        served = self.served(others)
        self.assertGreater(min(sent), 10 * MEBIBYTE)
        self.assertLess(growth.most(), 8 * MEBIBYTE)
        count(48, 2, sent=sum(sent), others_seconds=served, grown=growth.most())

    def test_requests_without_end_whose_answers_nobody_reads_cost_nothing(self) -> None:
        growth = self.growth("dispatcher")
        sent = {}
        with self.others() as others:
            for line in (b"help\n", b"odd odd\n"):
                with self.cluster.dispatcher("alice") as alice:
                    alice.socket.settimeout(0.5)
                    sent[line.decode().strip()] = pour(alice.send, line * 10_000, len(line) * 1_000_000, 2)
        served = self.served(others)
        self.assertLess(growth.most(), 8 * MEBIBYTE, sent)
        count(48, len(sent), sent=sent, others_seconds=served, grown=growth.most())
