"""The programs as processes: what they load, what they say of themselves, how they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

from tests.unit.client.fake_server import ids_reply
from tests.unit.client.house import House
from tm.client import hlisten, hrun, hrunjob, hsend
from tm.client.choices import COMMAND_LINE
from tm.client.options import by_name
from tm.places import find_root

PROGRAMS = {"hRunJob": hrunjob, "hRun": hrun, "hSend": hsend, "hListen": hlisten}
ALLOWED = set(
    """argparse array collections collections.abc copyreg enum errno fcntl functools gettext heapq itertools
    json json.decoder json.encoder json.scanner keyword locale math operator pwd re reprlib select selectors
    socket sre_compile sre_constants sre_parse struct time types warnings""".split()
)
MOST_MODULES = 60


class Programs(House):
    def program(self, name: str) -> str:
        return os.path.join(find_root(), "bin", name)

    def start(
        self, name: str, *argv: str, flags: tuple[str, ...] = (), **pipes: int
    ) -> subprocess.Popen[str]:
        settings = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **pipes,
        }
        command = [sys.executable, *flags, self.program(name), *argv]
        return subprocess.Popen(command, env=self.environ, cwd=self.root, text=True, **settings)  # type: ignore[call-overload, no-any-return]  # pipes vary

    def run_it(self, name: str, *argv: str, flags: tuple[str, ...] = ()) -> tuple[int, str, str]:
        process = self.start(name, *argv, flags=flags)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


class StartTests(Programs):
    def test_submitting_loads_no_more_than_it_needs(self) -> None:
        self.serve_cluster()

        status, _, err = self.run_it("hRunJob", "true", flags=("-X", "importtime", "-I"))

        baseline = subprocess.run(
            [sys.executable, "-X", "importtime", "-I", "-c", ""], capture_output=True, text=True, check=True
        ).stderr
        loaded = modules(err) - modules(baseline)
        self.assertEqual(0, status)
        unexpected = {
            name for name in loaded if not name.startswith(("tm", "re.", "_")) and name not in ALLOWED
        }
        self.assertEqual(set(), unexpected)
        self.assertTrue(len(loaded) < MOST_MODULES, sorted(loaded))

    def test_help_begins_with_examples_and_names_every_option(self) -> None:
        for name, module in PROGRAMS.items():
            if module is hrunjob:
                text, most, names = hrunjob.HELP.strip("\n"), 70, list(by_name(COMMAND_LINE))
            else:
                parser = module.make_parser()
                text, most, names = parser.format_help(), 40, list(parser._option_string_actions)
            self.assertTrue(text.startswith(name), text)
            self.assertTrue(text.count("\n") <= most, name)
            for option in names:
                self.assertRegex(
                    text, rf"(?m)(^|[\s(,|]){re.escape(option)}([\s,)|=\[]|$)", f"{name} {option}"
                )

    def test_help_and_version_need_no_configuration(self) -> None:
        self.environ["TM_ETC"] = self.path("nowhere")
        for name in PROGRAMS:
            self.assertEqual((0, ""), self.run_it(name, "--help")[::2])
            self.assertRegex(self.run_it(name, "--version")[1], rf"^{name} \d+\.\d+\.\d+ protocol=1\n$")

    def test_every_option_with_a_value_is_known_where_the_command_is_split_off(self) -> None:
        for option, action in hrun.make_parser()._option_string_actions.items():
            self.assertEqual(action.nargs is None and not action.const, option in hrun._ONE_VALUE, option)


class EndTests(Programs):
    def test_a_closed_pipe_is_a_quiet_end(self) -> None:
        cluster = self.serve_cluster()[1]
        for number in range(1, 3000):
            cluster.add(number)
        read_end, write_end = os.pipe()
        process = self.start("hRunJob", "-l", stdout=write_end)
        os.close(write_end)
        os.close(read_end)

        _, err = process.communicate(timeout=60)

        self.assertEqual((141, ""), (process.returncode, err))

    def test_closed_standard_streams_are_no_trouble(self) -> None:
        _, cluster = self.serve_cluster()
        command = f"exec {sys.executable} {self.program('hRunJob')} true 0<&- 1>&- 2>&-"

        status = subprocess.run(["/bin/sh", "-c", command], env=self.environ, cwd=self.root).returncode

        self.assertEqual((0, [1]), (status, list(cluster.jobs)))

    def test_a_full_disk_is_one_sentence(self) -> None:
        self.serve_cluster()
        with open("/dev/full", "w") as full:
            process = self.start("hRunJob", "true", stdout=full.fileno())
            _, err = process.communicate(timeout=60)

        self.assertEqual((125, "hRunJob: No space left on device\n"), (process.returncode, err))

    def test_an_interrupt_while_waiting_leaves_the_job_alone(self) -> None:
        server = self.serve_cluster()[0]
        process = self.start("hRunJob", "--wait", "sleep 10")
        assert process.stdout is not None
        self.assertEqual("accepted job 1\n", process.stdout.readline())
        process.send_signal(signal.SIGINT)

        _, err = process.communicate(timeout=60)

        self.assertEqual(130, process.returncode)
        self.assertEqual("hRunJob: job 1 goes on. follow: hRunJob -f 1   stop: hRunJob -k 1\n", err)
        self.assertNotIn("canceljob", [request.verb for request in server.heard])

    def test_commands_come_from_standard_input(self) -> None:
        _, cluster = self.serve_cluster()
        cluster.on_submit = lambda talker, ids: ids_reply(ids)
        process = self.start("hRunJob", "-q", "--from", "-", stdin=subprocess.PIPE)

        out, _ = process.communicate("echo 1\necho 2\n", timeout=60)

        self.assertEqual((0, "1\n2\n"), (process.returncode, out))

    def test_a_link_to_a_program_finds_its_checkout(self) -> None:
        os.symlink(self.program("hRunJob"), self.path("hRunJob"))

        out = subprocess.run(
            [sys.executable, self.path("hRunJob"), "--version"], capture_output=True, text=True, check=True
        ).stdout

        self.assertTrue(out.startswith("hRunJob "))


def modules(importtime: str) -> set[str]:
    """Return the modules that a listing of ``-X importtime`` names."""
    lines = (
        line.rpartition("|")[2].strip() for line in importtime.splitlines() if line.startswith("import time:")
    )
    return {line for line in lines if line and line != "imported package"}
