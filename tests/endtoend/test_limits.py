"""Every bound of the protocol, tried at the bound: what fits is answered, what does not is cut off, others go on."""

from __future__ import annotations

import json
import resource
import select
import socket
import time

from tests.support.chain import ChainCase
from tests.support.processes import wait_for
from tests.support.talk import PATIENCE, HungUpError, Talk
from tm.wire.message import Event, Reply

LINE = 64 * 1024
LARGE = 1024 * 1024


class LineTests(ChainCase):
    def padded(self, verb: bytes, size: int) -> bytes:
        """Return a line of *size* bytes, its end not counted."""
        return verb + b"x" * (size - len(verb)) + b"\n"

    def test_a_line_may_have_64_kib_and_not_a_byte_more(self) -> None:
        self.try_bound(b"help:", LINE, "proto.verb")

    def test_a_submission_may_have_1_mib_and_not_a_byte_more(self) -> None:
        self.try_bound(b"submit:", LARGE, "proto.arguments")

    def try_bound(self, verb: bytes, bound: int, answer: str) -> None:
        with self.cluster.dispatcher("alice") as alice:
            alice.send(self.padded(verb, bound))
            self.assertEqual(alice.reply().word, answer)
            self.assertTrue(alice.ask("version").ok)
            try:
                alice.send(self.padded(verb, bound + 1))
                self.assertEqual(alice.reply().word, "limit.line")
                alice.reply()
            except (HungUpError, OSError):
                pass
            else:
                self.fail("it went on after a line that is too long")
        self.cluster.dispatcher("alice").close()

    def test_what_never_ends_its_line_is_cut_off_soon(self) -> None:
        before = self.cluster.memory()
        deadline = time.monotonic() + 5
        with self.cluster.dispatcher("alice") as alice:
            try:
                while time.monotonic() < deadline:
                    alice.send(b"x" * 65536)
            except OSError:
                pass
        self.assertLess(time.monotonic(), deadline)
        self.assertLess(self.cluster.memory() - before, 8 << 20)

    def test_malformed_lines_are_answered_one_by_one(self) -> None:
        wrong = [b"\xff\xfe\n", b"help\x00\n", b"HELP\n", b"nosuchverb\n", b"jobinfo\n", b"jobinfo:1:2\n"]
        wrong += [b"jobinfo:%zz\n", b"submit:{\n", b"lsjobs:state=odd\n", b"lsjobs:limit=-1\n", b"= 1 x\n"]
        with self.cluster.dispatcher("alice") as alice:
            alice.send(b"".join(wrong[:-1]))
            words = [alice.reply().word or "" for _ in wrong[:-1]]
            self.assertEqual({word.partition(".")[0] for word in words}, {"proto"}, words)
            self.assertTrue(alice.ask("version").ok)
            alice.send(wrong[-1])
            with self.assertRaises(HungUpError):
                while True:
                    alice.reply()


class LoadTests(ChainCase):
    def test_requests_without_end_are_answered_in_order_while_others_are_served(self) -> None:
        count = 3000
        with self.cluster.dispatcher("alice") as alice, self.cluster.dispatcher("bob") as bob:
            alice.socket.setblocking(False)
            unsent = b"".join(b"jobinfo:%d\n" % number for number in range(1, count + 1))
            while unsent and select.select([], [alice.socket], [], 1.0)[1]:
                try:
                    unsent = unsent[alice.socket.send(unsent) :]
                except OSError:
                    break
            self.assertTrue(bob.ask("version").ok)
            alice.socket.settimeout(PATIENCE)
            texts = [alice.reply().text for _ in range(count)]
        self.assertEqual([int(text.split()[4]) for text in texts], list(range(1, count + 1)))

    def test_who_does_not_read_answers_is_not_read_from_and_costs_no_memory(self) -> None:
        before = self.cluster.memory()
        with self.cluster.dispatcher("alice") as alice:
            alice.socket.setblocking(False)
            sent = 0
            deadline = time.monotonic() + 3
            while sent < 8 << 20 and time.monotonic() < deadline:
                if select.select([], [alice.socket], [], 0.3)[1]:
                    try:
                        sent += alice.socket.send(b"help\n" * 2000)
                    except OSError:
                        continue
                else:
                    break
            self.assertLess(self.cluster.memory() - before, 24 << 20)
            self.cluster.dispatcher("bob").close()

    def test_who_does_not_read_events_is_cut_off_at_4_mib(self) -> None:
        cluster = self.cluster
        before = self.cluster.memory()
        with cluster.dispatcher("alice") as deaf:
            deaf.ask("subscribe", "jobs")
            ids = cluster.submit("alice", *["true"] * 300, cores=2, priority=-5)
            cluster.tms("alice").ask("canceljob", f"{ids[0]}-{ids[-1]}:" + "x" * 60_000)
            self.assertLess(self.cluster.memory() - before, 48 << 20)
            with self.assertRaises(HungUpError):
                while True:
                    self.assertIsInstance(deaf.next(), Event)
        cluster.wait(ids)

    def test_a_large_array_is_accepted_whole_or_not_at_all(self) -> None:
        alice = self.cluster.tms("alice")
        wish = {"token": "t", "common": {"cwd": "/", "priority": -1}, "jobs": [{"command": "true"}] * 10_001}
        self.assertEqual(alice.refusal("submit", json.dumps(wish)).word, "limit.jobs")
        wish["jobs"] = [{"command": "true"}] * 20 + [{"command": ""}]
        refused = alice.refusal("submit", json.dumps(wish))
        self.assertEqual(refused.word, "job.invalid")
        self.assertIn("job 21", refused.text)
        self.assertEqual(self.cluster.jobs("alice"), {})


class HandshakeTests(ChainCase):
    def test_who_says_nothing_or_only_half_is_cut_off_after_ten_seconds(self) -> None:
        began = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", self.cluster.port)) for _ in range(4)]
        for sock in silent:
            self.addCleanup(sock.close)
            sock.settimeout(20)
        silent[1].sendall(b"GET / HTTP/1.0\r\n\r\n")
        silent[2].sendall(b"\x16\x03\x01")
        silent[3].sendall(b"\x16\x03\x01\x02\x00")
        while time.monotonic() - began < 8:
            with self.cluster.dispatcher("alice"):
                silent[2].sendall(b"\x01") if time.monotonic() - began < 5 else None
            time.sleep(0.5)
        for place in (0, 2, 3):
            self.assertFalse(self.is_over(silent[place], 0), place)
        for sock in silent:
            self.assertTrue(self.is_over(sock, 15 - (time.monotonic() - began)))

    def is_over(self, sock: socket.socket, seconds: float) -> bool:
        """Whether the server has hung up, or does so within *seconds*; what it says before that does not matter."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        while poll.poll(max(0, int(1000 * (deadline - time.monotonic())))):
            try:
                if not sock.recv(4096):
                    return True
            except OSError:
                return True
        return False

    def test_one_address_has_only_so_many_connections_and_others_get_in(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 2048:
            self.skipTest(f"only {hard} descriptors are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        held = [self.connect("127.0.0.9") for _ in range(1024)]
        for sock in held:
            self.addCleanup(sock.close)
        wait_for(lambda: self.is_over(self.connect("127.0.0.9"), 0.2), "the refusal of one too many")
        self.assertFalse(self.is_over(held[0], 0) and self.is_over(held[-1], 0))
        Talk.tls(self.cluster.port, self.cluster.pair("alice")).close()

    def connect(self, source: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.cluster.port), 5, (source, 0))
        self.addCleanup(sock.close)
        return sock


class SessionTests(ChainCase):
    def test_answers_have_the_forms_of_the_protocol(self) -> None:
        with self.cluster.dispatcher("alice") as alice:
            self.assertEqual(alice.greeting.split()[0], "TaskDispatcher")
            self.assertIn("user=alice cluster=test", alice.greeting)
            alice.send(b"version\r\nwhoami.json\nnosuch\n")
            version, whoami, nosuch = (alice.reply() for _ in range(3))
            self.assertTrue(version.ok)
            self.assertEqual(json.loads(whoami.body[0])["user"], "alice")
            self.assertEqual((nosuch.word, nosuch.ok), ("proto.verb", False))
            for verb in "help status lsjobs lshosts hostinfo:n1 log:3 subscribe:jobs unsubscribe".split():
                name, _, rest = verb.partition(":")
                self.assertIsInstance(alice.ask(name, rest or None), Reply)
