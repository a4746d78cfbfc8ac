"""Both ways to start a program do the same."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from tm.keeper import spawn
from tm.keeper.order import Order


class SpawnCases:
    """What either way must do; *way* is the function."""

    way = staticmethod(spawn.posix_spawn)

    def run_and_read(self, arguments: list[bytes], environment: dict[bytes, bytes]) -> tuple[int, bytes]:
        """Run to the end; return exit code and what was written to both outputs."""
        reading, writing = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            pid = self.way(arguments[0], arguments, environment, (null, writing, writing))
        finally:
            os.close(writing)
            os.close(null)
        with open(reading, "rb") as file:
            output = file.read()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output

    def test_arguments_environment_outputs_and_exit_code(self) -> None:
        script = b'printf "%s|" "$@" "$A"; echo err >&2; exit 7'
        code, output = self.run_and_read([b"/bin/sh", b"-c", script, b"sh", b"\xff ", b""], {b"A": b"\x80"})

        case = SynchronousTestCase()
        case.assertEqual((7, b"\xff ||\x80|err\n"), (code, output))

    def test_a_session_of_its_own_and_no_signal_ignored(self) -> None:
        script = b"cut -d' ' -f1,6 /proc/$$/stat; grep SigIgn /proc/$$/status"
        _, output = self.run_and_read([b"/bin/sh", b"-c", script], {b"PATH": b"/usr/bin:/bin"})
        pid, session, _, ignored = output.split()

        case = SynchronousTestCase()
        case.assertEqual(pid, session)
        ours = sum(1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ))
        case.assertEqual(0, int(ignored, 16) & ours)

    def test_what_cannot_be_executed_is_an_error(self) -> None:
        case = SynchronousTestCase()
        with case.assertRaises(FileNotFoundError):
            self.run_and_read([b"/no/such"], {})
        with case.assertRaises(PermissionError):
            self.run_and_read([b"/"], {})


class PosixSpawnTests(SpawnCases, SynchronousTestCase):
    """`os.posix_spawn`."""


class PopenTests(SpawnCases, SynchronousTestCase):
    """`subprocess.Popen`."""

    way = staticmethod(spawn.popen)


class StarterTests(SynchronousTestCase):
    """The working directory and umask are the job's for a moment only."""

    def test_it_comes_back_whether_or_not_the_order_could_be_started(self) -> None:
        starter = spawn.Starter()
        folder = self.mktemp()
        os.mkdir(folder)
        before = os.getcwd(), os.umask(0o27)
        self.addCleanup(os.umask, before[1])
        values = {"job": 1, "attempt": 1, "cwd": os.path.abspath(folder), "umask": 0}
        pid = starter.start(Order({**values, "command": "touch here"}), {b"PATH": b"/usr/bin:/bin"})
        os.waitpid(pid, 0)
        for command, more in (("true", {"stdout": "no/out"}), (["/no"], {}), (["/bin/true"], {"cwd": "/no"})):
            with self.assertRaises(spawn.StartError):
                starter.start(Order({**values, "command": command, **more}), {})

        self.assertEqual((before[0], 0o27), (os.getcwd(), os.umask(0o27)))
        self.assertEqual(0o666, os.stat(os.path.join(folder, "here")).st_mode & 0o777)

    def test_where_no_session_can_be_asked_for_the_other_way_is_taken(self) -> None:
        def missing(*_: object) -> int:
            raise NotImplementedError

        starter = spawn.Starter()
        starter._spawn = missing
        for _ in range(2):
            pid = starter.start(Order({"job": 1, "attempt": 1, "command": "exit 3"}), {})
            self.assertEqual(3, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def test_words_are_looked_up_on_the_path_of_the_job(self) -> None:
        folder = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(folder, "a", "tool"))
        os.makedirs(os.path.join(folder, "b"))
        for place, mode in (("b", 0o644), (".", 0o755)):
            path = os.path.join(folder, place, "tool")
            with open(path, "w") as file:
                file.write("#!/bin/sh\nexit 9\n")
            os.chmod(path, mode)
        starter = spawn.Starter()
        order = Order({"job": 1, "attempt": 1, "cwd": folder, "command": ["tool"]})
        pid = starter.start(order, {b"PATH": b"/no:a:b:"})
        self.assertEqual(9, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        with self.assertRaises(spawn.StartError) as caught:
            starter.start(order, {b"PATH": b"a:b"})

        self.assertEqual(
            (126, "cannot start tool: Permission denied"), (caught.exception.exit_code, caught.exception.text)
        )
