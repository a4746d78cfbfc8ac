"""``hRun``: a command that runs now, its streams and signals, against a fake TMS."""

from __future__ import annotations

import json
import os
import signal
import termios
import threading
from typing import Any

from tests.support.processes import wait_for
from tests.unit.client.fake_server import FakeServer, Talker
from tests.unit.client.house import House
from tm.client import hrun
from tm.client.connection import Connection
from tm.client.interactive import Interaction, Manners
from tm.client.terminal import RawTerminal, Signals
from tm.errors import RefusedError, TaskManagerError
from tm.wire.frames import BULK_LIMIT, Bulk, encode_bulk
from tm.wire.message import Reply, Request


class FakeRun:
    """What a TMS makes of ``run``: *script* is called in a thread of its own with what can be sent."""

    def __init__(self, server: FakeServer) -> None:
        self.wish: dict[str, Any] = {}
        self.input = b""
        self.input_ended = threading.Event()
        self.signals: list[str] = []
        self.signalled = threading.Semaphore(0)
        self.script = lambda run: run.end(state="completed", exit_code=0)
        self._talker: Talker | None = None
        server.answers.update(run=self._run, runsignal=self._signal, runsize=self._signal)
        server.on_bulk = self._bulk

    def out(self, channel: int, data: bytes) -> None:
        """Let the command write."""
        assert self._talker is not None
        for start in range(0, len(data), BULK_LIMIT):
            self._talker.send(encode_bulk(channel, data[start : start + BULK_LIMIT]))

    def end(self, **fields: Any) -> None:
        """Let the command end."""
        self.event({"run": 17, "exit_code": None, "signal": None, "reason": "", **fields})

    def event(self, event: dict[str, Any]) -> None:
        """Send an event."""
        assert self._talker is not None
        self._talker.send(b"* %b\n" % json.dumps(event).encode())

    def cut(self) -> None:
        """Break the connection."""
        assert self._talker is not None
        self._talker.cut()

    def _run(self, talker: Talker, request: Request) -> None:
        self.wish = json.loads(request.rest or "")
        self._talker = talker
        talker.send(Reply("running 17").encode())
        self.event({"run": 17, "state": "started", "host": "n1"})
        threading.Thread(target=lambda: self.script(self), daemon=True).start()

    def _signal(self, talker: Talker, request: Request) -> Reply:
        self.signals.append(request.rest or "")
        self.signalled.release()
        return Reply()

    def _bulk(self, talker: Talker, data: Bulk) -> None:
        self.input += data.data
        if not data.data:
            self.input_ended.set()


class Runs(House):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.serve_tms()
        self.run_of = FakeRun(self.server)
        self.pipes = [os.pipe() for _ in range(3)]
        self.sent: list[int] = []

    def interact(self, given: bytes | None = b"", **wish: Any) -> tuple[dict[str, Any], bytes, bytes]:
        """Run a command with *given* as stdin (None: it stays open); return its ending, stdout and stderr."""
        (stdin, feed), (out, stdout), (err, stderr) = self.pipes
        output: dict[int, bytes] = {}
        threads = [threading.Thread(target=lambda fd=fd: output.update({fd: read_all(fd)})) for fd in (out, err)]
        if given is not None:
            threads.append(threading.Thread(target=write_and_close, args=(feed, given)))
        for thread in threads:
            thread.start()
        try:
            with Connection.open_tms(self.places, start=False) as connection, Signals() as signals:
                ending = Interaction(connection, {"command": "x", **wish}, (stdin, stdout, stderr)).run(signals)
        finally:
            for fd in (stdout, stderr, *([feed] if given is None else [])):
                os.close(fd)
            for thread in threads:
                thread.join(20)
            for fd in (stdin, out, err):
                os.close(fd)
        return ending, output[out], output[err]


def read_all(fd: int) -> bytes:
    """Read to the end."""
    parts = []
    while True:
        part = os.read(fd, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def write_and_close(fd: int, data: bytes) -> None:
    """Write all, then close."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.close(fd)


class InteractionTests(Runs):
    def test_stdout_and_stderr_stay_apart_and_whole(self) -> None:
        big = os.urandom(3 * BULK_LIMIT + 7)

        def script(run: FakeRun) -> None:
            run.out(1, b"out\0\n")
            run.out(2, b"err\n")
            run.out(1, big)
            run.end(state="failed", exit_code=3)

        self.run_of.script = script

        ending, out, err = self.interact()

        self.assertEqual((3, b"err\n"), (ending["exit_code"], err))
        self.assertEqual(b"out\0\n" + big, out)

    def test_stdin_goes_over_with_its_end(self) -> None:
        given = os.urandom(1000000)

        def script(run: FakeRun) -> None:
            run.input_ended.wait(20)
            run.end(state="completed", exit_code=0)

        self.run_of.script = script
        self.interact(given)

        self.assertEqual(given, self.run_of.input)

    def test_a_command_that_floods_while_it_is_fed_is_no_deadlock(self) -> None:
        def script(run: FakeRun) -> None:
            run.out(1, b"x" * 8000000)
            run.input_ended.wait(20)
            run.end(state="completed", exit_code=0)

        self.run_of.script = script
        _, out, _ = self.interact(b"y" * 8000000)

        self.assertEqual((8000000, 8000000), (len(out), len(self.run_of.input)))

    def test_interrupts_grow_harder(self) -> None:
        def script(run: FakeRun) -> None:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)
                run.signalled.acquire(timeout=20)
            os.kill(os.getpid(), signal.SIGTERM)
            run.signalled.acquire(timeout=20)
            run.end(state="failed", signal=9)

        self.run_of.script = script
        ending, _, _ = self.interact(None)

        self.assertEqual((9, ["INT", "TERM", "KILL", "TERM"]), (ending["signal"], self.run_of.signals))

    def test_a_refusal_is_raised(self) -> None:
        self.server.answers["run"] = lambda talker, request: Reply("no host is vacant", word="busy.hosts")

        error = self.assertRaises(RefusedError, self.interact)

        self.assertEqual(("busy.hosts", 75), (error.word, error.exit_status))

    def test_a_connection_that_breaks_is_125(self) -> None:
        self.run_of.script = lambda run: run.cut()

        error = self.assertRaises(TaskManagerError, self.interact)

        self.assertEqual(125, error.exit_status)
        self.assertIn("job 17", error.text)

    def test_a_window_that_changes_is_told(self) -> None:
        def script(run: FakeRun) -> None:
            os.kill(os.getpid(), signal.SIGWINCH)
            run.signalled.acquire(timeout=20)
            run.end(state="completed", exit_code=0)

        self.run_of.script = script
        self.interact(tty={"rows": 24, "columns": 80, "term": "xterm"})

        self.assertEqual(["24:80"], self.run_of.signals)

    def test_tls_does_as_well(self) -> None:
        self.certify()
        os.symlink(self.places.key, self.path("own.key"))
        os.symlink(self.places.certificate, self.path("own.crt"))
        server = FakeServer()
        self.run_of = FakeRun(server)
        self.write_address(machine="another", port=server.listen_tls(self.server_context("own")))
        self.addCleanup(server.stop)

        def script(run: FakeRun) -> None:
            run.out(1, b"x" * 3000000)
            run.input_ended.wait(20)
            run.end(state="completed", exit_code=0)

        self.run_of.script = script
        ending, out, _ = self.interact(b"y" * 1000000)

        self.assertEqual(("completed", 3000000, 1000000), (ending["state"], len(out), len(self.run_of.input)))


class LeavingTests(Runs):
    """On a terminal of its own, whose keys go to the command but for one."""

    def setUp(self) -> None:
        super().setUp()
        import pty

        self.master, self.slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.addCleanup(os.close, self.slave)
        self.server.answers["rundetach"] = self._detach
        self.verbs: list[str] = []
        for verb in ("runattach", "runbeside"):
            self.server.answers[verb] = self.run_of._run

    def _detach(self, talker: Talker, request: Request) -> Reply:
        self.verbs.append("rundetach")
        self.run_of.event({"run": 17, "state": "detached"})
        return Reply()

    def at_terminal(self, manners: Manners, keys: bytes, verb: str = "run") -> dict[str, Any]:
        """Return how it ends once *keys* were typed."""

        def script(run: FakeRun) -> None:
            run.event({"run": 17, "state": "started", "host": "n1", "terminal": True})
            if not manners.content:
                wait_for(lambda: not termios.tcgetattr(self.slave)[3] & termios.ECHO, "a raw terminal")
            os.write(self.master, keys)

        self.run_of.script = script
        with Connection.open_tms(self.places, start=False) as connection, Signals() as signals:
            with RawTerminal(self.slave) as terminal:
                fds = (self.slave, self.pipes[1][1], self.pipes[2][1])
                return Interaction(connection, {"tty": {}}, fds, verb, terminal, manners).run(signals)

    def test_a_key_leaves_the_command_and_what_was_typed_before_goes_to_it(self) -> None:
        ending = self.at_terminal(Manners(), b"abc\x03\x1cdef")

        self.assertEqual(("detached", ["rundetach"]), (ending["state"], self.verbs))
        self.assertEqual(b"abc\x03", self.run_of.input)

    def test_another_key_can_be_chosen(self) -> None:
        ending = self.at_terminal(Manners(hrun.parse_key("^]")), b"\x1c\x1d")

        self.assertEqual(("detached", b"\x1c"), (ending["state"], self.run_of.input))

    def test_who_only_watches_types_nothing_and_leaves_by_any_of_three_keys(self) -> None:
        for key in (b"q", b"\x03", b"\x1c"):
            ending = self.at_terminal(Manners(watches=True), b"abc" + key, "runattach")
            self.assertEqual(("left", b"", []), (ending["state"], self.run_of.input, self.verbs))

    def test_who_is_content_with_its_beginning_hears_no_more(self) -> None:
        ending = self.at_terminal(Manners(content=True), b"")

        self.assertEqual(("started", "n1"), (ending["state"], ending["host"]))

    def test_a_visit_that_is_refused_on_the_host_is_an_error(self) -> None:
        self.run_of.script = lambda run: run.event({"run": 17, "state": "refused", "word": "job.move", "reason": "no"})
        error = self.assertRaises(RefusedError, self.interact)
        self.assertEqual(("job.move", 1), (error.word, error.exit_status))

    def test_what_a_key_has_stopped_stops_us_and_goes_on_with_us(self) -> None:
        stops: list[bool] = []

        def script(run: FakeRun) -> None:
            run.event({"run": 17, "state": "stopped"})
            run.signalled.acquire(timeout=20)
            run.end(state="completed", exit_code=0)

        self.run_of.script = script
        self.patch(Signals, "stop", lambda signals: stops.append(True))
        ending, _, _ = self.interact()

        self.assertEqual(("completed", [True], ["CONT"]), (ending["state"], stops, self.run_of.signals))


class TerminalTests(Runs):
    def test_a_terminal_is_raw_meanwhile_and_itself_again_afterwards(self) -> None:
        import pty

        from tm.client.terminal import RawTerminal, window_size

        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        before = termios.tcgetattr(slave)

        with self.assertRaises(ZeroDivisionError), RawTerminal(slave) as terminal:
            terminal.begin()
            self.assertFalse(termios.tcgetattr(slave)[3] & termios.ECHO)
            raise ZeroDivisionError

        self.assertEqual(before, termios.tcgetattr(slave))
        self.assertEqual((24, 80), window_size(slave))


class CommandTests(Runs):
    def test_the_commands_exit_status_is_ours(self) -> None:
        self.run_of.script = lambda run: run.end(state="failed", exit_code=7)

        status, out, err = self.run_client(hrun.main, "-t", "n2", "-c", "2", "-T", "--", "prog", "a b")

        self.assertEqual((7, "", ""), (status, out, err))
        shown = {key: self.run_of.wish[key] for key in ("command", "host", "cores", "tty", "cwd")}
        expected = {"command": ["prog", "a b"], "host": "n2", "cores": 2, "tty": None, "cwd": os.getcwd()}
        self.assertEqual(expected, shown)

    def test_a_visit_says_which_job_and_whether_it_only_watches(self) -> None:
        for verb in ("runattach", "runbeside"):
            self.server.answers[verb] = self.run_of._run
        self.assertEqual(0, self.run_client(hrun.main, "--attach", "17_4", "--watch")[0])
        self.assertEqual({"job": "17_4", "tty": None, "watch": True}, self.run_of.wish)
        self.assertEqual(0, self.run_client(hrun.main, "-T", "--in", "17", "top", "-b")[0])
        self.assertEqual({"job": "17", "command": ["top", "-b"], "tty": None}, self.run_of.wish)

    def test_who_leaves_it_at_once_is_told_its_number(self) -> None:
        self.run_of.script = lambda run: None
        status, out, _ = self.run_client(hrun.main, "--detach", "--time", "1h", "x")
        self.assertEqual((0, "job 17 runs on n1; 'hRun --attach 17' looks at it\n"), (status, out))
        self.assertEqual(
            (True, 24, 3600.0), (self.run_of.wish["detach"], self.run_of.wish["tty"]["rows"], self.run_of.wish["time"])
        )
        self.assertEqual((0, "17\n"), self.run_client(hrun.main, "-q", "-T", "--detach", "x")[:2])

    def test_a_reason_is_told(self) -> None:
        self.run_of.script = lambda run: run.end(state="lost", reason="the host was switched off")

        status, _, err = self.run_client(hrun.main, "-T", "x")

        self.assertEqual((125, "hRun: job 17 lost (the host was switched off)\n"), (status, err))

    def test_wrong_usage_is_2(self) -> None:
        for line in (
            "", "-t", "--nonsense x", "-c 0 x", "--attach x", "--attach 1 ls", "--watch ls", "--in 1 --attach 2",
            "--detach --in 1", "--detach-key F1 ls", "--time soon ls", "-G -1 ls", "--in 17_[0-3]",
        ):  # fmt: skip
            self.assertEqual(2, self.run_client(hrun.main, *line.split())[0])
