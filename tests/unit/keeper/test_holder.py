"""Holders: who they are to their command, to the keeper, and to those who come and go."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.support.processes import wait_for
from tm.keeper.viewer import KEPT
from tm.places import find_root

PROGRAM = [sys.executable, "-I", "-S", os.path.join(find_root(), "tm", "keeper", "holder.py")]


class Client:
    """Somebody connected to a holder."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self.socket.connect_ex(path) == 0, "its listening")
        self.data = b""

    def say(self, *lines: str) -> None:
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def type(self, keys: bytes) -> None:
        self.socket.sendall(b"= 0 %d\n%b" % (len(keys), keys))

    def see(self, text: bytes, seconds: float = 20.0, count: int = 1) -> None:
        deadline = time.monotonic() + seconds
        while self.data.count(text) < count:
            if not select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0] or not self.read():
                raise AssertionError(f"{text!r} was not sent, but {self.data[-1000:]!r}")

    def read(self) -> bytes:
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.data += data
        return data

    def rest(self) -> bytes:
        """Return all that comes until the end."""
        self.socket.settimeout(20)
        while self.read():
            pass
        return self.data

    def output(self) -> bytes:
        """Return the output of the command alone, to the end."""
        out, data = b"", self.rest()
        while data:
            line, _, data = data.partition(b"\n")
            words = line.split()
            if words[0] == b"=":
                out, data = out + data[: int(words[2])], data[int(words[2]) :]
        return out

    def events(self) -> list[dict[str, object]]:
        """Return the events there are, to the end."""
        return [json.loads(text) for text in re.findall(rb"\* (\{.*?\})\n", self.rest())]


class HolderCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "run.sock")

    def hold(self, *argv: str, mode: str = "first", kind: str = "pipes") -> subprocess.Popen[bytes]:
        """Return a holder of *argv* that listens."""
        holder = subprocess.Popen(
            [*PROGRAM, self.folder, "run.sock", mode, kind, "24", "80", *argv], start_new_session=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        wait_for(lambda: os.path.exists(self.path) or holder.poll() is not None, "the socket")
        return holder

    def come(self, words: str = "attach types 0 0") -> Client:
        """Return somebody who has connected and said *words*."""
        client = Client(self.path)
        self.addCleanup(client.socket.close)
        client.say(words)
        return client


class EndingTests(HolderCase):
    def test_it_ends_as_its_command_ends(self) -> None:
        for command, expected in (("exit 3", 3), ("kill -TERM $$", -15), ("kill -KILL $$", -9), ("true", 0)):
            holder = self.hold("sh", "-c", command)
            told = self.come().events()[-1]
            self.assertEqual(expected, holder.wait(20))
            shown = -told["signal"] if told["signal"] else told["exit_code"]  # type: ignore[operator]  # a number
            self.assertEqual(("ended", expected), (told["state"], shown))

    def test_what_cannot_be_started_says_why_with_a_shells_code(self) -> None:
        holder = self.hold("/nowhere/nothing")
        client = self.come()
        self.assertIn(b"cannot start /nowhere/nothing", client.output())
        self.assertEqual(127, holder.wait(20))

    def test_it_begins_with_the_first_who_comes_and_ends_when_nobody_will(self) -> None:
        mark = os.path.join(self.folder, "begun")
        holder = self.hold("touch", mark)
        self.come("leave")
        self.assertEqual((125, False), (holder.wait(20), os.path.exists(mark)))
        self.assertFalse(os.path.exists(self.path))

    def test_input_goes_over_whole_with_its_end_and_output_is_kept_apart(self) -> None:
        given = os.urandom(300_000)
        self.hold("sh", "-c", "cat; echo error >&2")
        client = self.come()
        client.socket.settimeout(20)
        for at in range(0, len(given), 50_000):
            client.type(given[at : at + 50_000])
            while select.select([client.socket], [], [], 0)[0]:
                client.read()
        client.type(b"")
        self.assertEqual(sorted(given + b"error\n"), sorted(client.output()))
        self.assertIn(b"= 2 6\nerror\n", client.data)

    def test_a_command_that_was_not_left_ends_with_its_last_connection(self) -> None:
        holder = self.hold("sh", "-c", "trap '' HUP TERM; echo ready; while :; do sleep 0.1; done")
        client = self.come()
        client.see(b"ready")
        client.socket.close()
        self.assertEqual(-signal.SIGKILL, holder.wait(20))

    def test_no_signal_ends_it_before_its_command(self) -> None:
        holder = self.hold("sh", "-c", "trap 'echo told' USR1; echo ready; read x; read x; exit 4")
        client = self.come()
        client.see(b"ready")
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGTSTP, signal.SIGPIPE):
            holder.send_signal(number)
        client.say(f"signal {signal.SIGUSR1}")
        client.see(b"told")
        client.type(b"\n\n")
        client.rest()
        self.assertEqual(4, holder.wait(20))


class VisitTests(HolderCase):
    def test_who_comes_later_sees_the_last_output_and_what_follows(self) -> None:
        holder = self.hold("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' a; echo last; read x", mode="detached")
        first = self.come("attach watches 0 0")
        first.see(b"last")
        second = self.come()
        second.see(b"last")
        self.assertLess(len(second.data), 2 * KEPT + 65536)
        second.type(b"\n")
        self.assertEqual(b"last\n", second.output()[-5:])
        self.assertEqual(0, holder.wait(20))

    def test_the_keyboard_is_with_the_last_who_came_and_goes_back(self) -> None:
        self.hold("cat", mode="detached", kind="terminal")
        first, second, watcher = self.come(), self.come(), self.come("attach watches 0 0")
        watcher.see(b"started")
        first.type(b"one\n")
        watcher.type(b"two\n")
        second.type(b"three\n")
        second.see(b"three\r\n", count=2)
        second.socket.close()
        wait_for(lambda: self.goes_through(first), "the keyboard")
        self.assertNotIn(b"two", watcher.data)
        self.assertNotIn(b"one", second.data)

    @staticmethod
    def goes_through(client: Client) -> bool:
        client.type(b"four\n")
        try:
            client.see(b"four\r\n", 0.2, count=2)
        except AssertionError:
            return False
        return True

    def test_the_terminal_has_the_size_of_who_types(self) -> None:
        self.hold("sh", "-c", "while read x; do stty size; done", kind="terminal")
        first = self.come("attach types 30 90")
        first.type(b"\n")
        first.see(b"30 90")
        second = self.come("attach types 40 120")
        second.type(b"\n")
        second.see(b"40 120")
        first.say("size 10 10")
        second.say("size 41 121")
        second.type(b"\n")
        second.see(b"41 121")
        second.socket.close()
        wait_for(lambda: self.is_of(first, b"10 10"), "the size of who has the keyboard")

    @staticmethod
    def is_of(client: Client, size: bytes) -> bool:
        client.type(b"\n")
        try:
            client.see(size, 0.2)
        except AssertionError:
            return False
        return True

    def test_what_keys_stop_is_told_and_goes_on(self) -> None:
        holder = self.hold("sleep", "1000", kind="terminal")
        client = self.come()
        client.see(b"started")
        wait_for(lambda: self.stops(client), "its stop")
        client.say(f"signal {signal.SIGCONT}")
        client.type(b"\x03")
        self.assertEqual({"state": "ended", "exit_code": None, "signal": 2}, client.events()[-1])
        self.assertEqual(-signal.SIGINT, holder.wait(20))

    @staticmethod
    def stops(client: Client) -> bool:
        client.type(b"\x1a")
        try:
            client.see(b"stopped", 0.3)
        except AssertionError:
            return False
        return True

    def test_what_was_left_goes_on_with_nobody_there(self) -> None:
        mark = os.path.join(self.folder, "go")
        holder = self.hold("sh", "-c", f"while ! [ -e {mark} ]; do sleep 0.02; done; exit 6")
        client = self.come()
        client.say("detach")
        self.assertEqual("detached", client.events()[-1]["state"])
        open(mark, "w").close()
        self.assertEqual(6, holder.wait(20))

    def test_what_is_beside_a_job_cannot_be_left(self) -> None:
        holder = self.hold("sleep", "1000", mode="beside")
        client = self.come()
        client.see(b"started")
        client.say("detach")
        self.assertIn(holder.wait(20), (-signal.SIGHUP, -signal.SIGTERM))

    def test_who_types_and_does_not_read_holds_up_a_command_that_is_theirs(self) -> None:
        mark = os.path.join(self.folder, "done")
        holder = self.hold("sh", "-c", f"head -c 20000000 /dev/zero; touch {mark}")
        client = self.come()
        client.see(b"started")
        time.sleep(0.5)
        self.assertFalse(os.path.exists(mark))
        self.assertEqual(20_000_000, len(client.output()))
        self.assertEqual(0, holder.wait(20))

    def test_who_watches_and_does_not_read_is_cut_off(self) -> None:
        holder = self.hold("sh", "-c", "read x; head -c 20000000 /dev/zero", mode="detached")
        typist = self.come()
        watcher = self.come("attach watches 0 0")
        watcher.see(b"started")
        typist.type(b"\n")
        self.assertEqual(20_000_000, len(typist.output()))
        self.assertLess(len(watcher.rest()), 10_000_000)
        self.assertEqual(0, holder.wait(20))

    def test_who_speaks_nonsense_is_cut_off_alone(self) -> None:
        self.hold("cat")
        good = self.come()
        good.see(b"started")
        for words in ("attach types x y", "size", "signal loud", "x" * 5000):
            self.assertEqual(b"", Client.rest(self.come(words)).partition(b"*")[0])
        good.type(b"still there\n")
        good.see(b"still there")
