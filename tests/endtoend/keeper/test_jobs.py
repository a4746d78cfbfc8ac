"""Jobs of a real keeper: their endings, files, environment, and how many run at once."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.keeper import Spool


class JobCase(SynchronousTestCase):
    """A keeper with a connection that has been greeted."""

    @override
    def setUp(self) -> None:
        self.spool = Spool()
        self.addCleanup(self.spool.clean)
        self.keeper = self.spool.start()
        self.peer = self.spool.connect()
        self.peer.greeting()
        self.peer.say(grant=2)

    def path(self, name: str) -> Path:
        """Return a path in the jobs' folder."""
        return Path(self.spool.work, name)


class EndingTests(JobCase):
    """What is told of a job's end."""

    def test_exit_codes_are_told_as_they_are(self) -> None:
        codes = [0, 1, 2, 37, 125, 126, 127, 128, 137, 255]
        self.peer.say(start=[self.spool.order(job, f"exit {code}") for job, code in enumerate(codes)])
        told = [self.peer.wait("ended", job) for job in range(len(codes))]

        self.assertEqual(
            [(code, None, "") for code in codes], [(f["exit_code"], f["signal"], f["reason"]) for f in told]
        )

    def test_a_signal_is_told_as_a_signal(self) -> None:
        self.peer.say(start=[self.spool.order(1, "kill -9 $$"), self.spool.order(2, "kill -TERM $$")])
        told = [self.peer.wait("ended", job) for job in (1, 2)]

        self.assertEqual([(None, 9), (None, 15)], [(fact["exit_code"], fact["signal"]) for fact in told])

    def test_times_pid_and_usage_are_told(self) -> None:
        before = time.time()
        burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $$"
        self.peer.say(start=[self.spool.order(1, burn)])
        ended = self.peer.wait("ended", 1)
        started = self.peer.wait("started", 1)

        self.assertEqual(int(self.path("1.out").read_text()), started["pid"])
        self.assertEqual((started["pid"], started["at"]), (ended["pid"], ended["started_at"]))
        self.assertTrue(before <= started["at"] <= ended["at"] <= time.time())
        self.assertGreater(ended["cpu_seconds"], 0.01)
        self.assertGreater(ended["max_rss"], 500_000)

    def test_the_start_of_a_job_that_ends_at_once_is_told_in_one_line_with_its_ending(self) -> None:
        lines = []
        for job in range(20):
            self.peer.say(start=[self.spool.order(job, ["true"])])
            lines.append(self.peer.read_line()["facts"])
            self.peer.facts += lines[-1]
            self.peer.wait("ended", job)

        together = [line for line in lines if [fact["what"] for fact in line] == ["started", "ended"]]
        self.assertGreater(len(together), 10)

    def test_the_start_of_a_job_that_goes_on_is_told_while_it_runs(self) -> None:
        self.peer.say(start=[self.spool.order(1, "sleep 100")])

        self.assertEqual(["started"], [fact["what"] for fact in self.peer.read_line()["facts"]])
        self.peer.say(cancel=[[1, 1, 5.0]])
        self.peer.wait("ended", 1)

    def test_what_cannot_be_started_is_refused_with_the_status_of_a_shell(self) -> None:
        plain, broken = self.path("plain"), self.path("broken")
        plain.write_text("echo no")
        broken.write_text("no program\n")
        broken.chmod(0o755)
        wrong = [
            (["/no/such/program"], {}, 127, "cannot start /no/such/program: No such file or directory"),
            (["no-such-word"], {}, 127, "cannot start no-such-word: No such file or directory"),
            ([str(plain)], {}, 126, f"cannot start {plain}: Permission denied"),
            ([str(broken)], {}, 126, f"cannot start {broken}: Exec format error"),
            (["true", "x" * 200_000], {}, 126, "cannot start true: Argument list too long"),
            (["true"], {"cwd": "/no/such"}, 125, "cannot enter /no/such: No such file or directory"),
            (["true"], {"stdout": "no/out"}, 125, "cannot open no/out: No such file or directory"),
            (["true"], {"stdin": "/no/in"}, 125, "cannot open /no/in: No such file or directory"),
            (["tr\0ue"], {}, 125, "cannot start: a null character stands in 'tr\\x00ue'"),
            ([], {}, 125, "cannot start: command must be a text or a list of at least one text"),
            (["true"], {"env": "abc"}, 125, "cannot start: its environment abc is not here"),
        ]
        for job, (command, more, _, _) in enumerate(wrong):
            self.peer.say(start=[self.spool.order(job, command, **more)])
        for job, (_, _, code, reason) in enumerate(wrong):
            fact = self.peer.wait("refused", job)

            self.assertEqual((code, True), (fact["exit_code"], fact["reason"].startswith(reason)), fact)

    def test_an_attempt_is_run_once_however_often_it_is_ordered(self) -> None:
        order = self.spool.order(1, "echo ran >> ledger")
        self.peer.say(start=[order, order])
        self.peer.say(start=[order])
        self.peer.wait("ended", 1)
        self.peer.say(start=[order, self.spool.order(2, "true")])
        self.peer.wait("ended", 2)

        self.assertEqual("ran\n", self.path("ledger").read_text())


class SurroundingsTests(JobCase):
    """Arguments, environment, files, umask, working directory, session."""

    def test_arguments_and_environment_arrive_byte_for_byte(self) -> None:
        words = [
            "",
            " two  spaces ",
            "*",
            "$HOME;`x`'\"\\",
            "line\nfeed",
            "tab\t",
            "ä€😀",
            "\udcff\udc80",
            "-n",
        ]
        order = self.spool.order(1, ["/usr/bin/printf", "%s\\0", *words], env="d")
        self.peer.say(env={"d": {"NAME": "from env", "\udcff": "a=b\udc80"}}, start=[order])
        self.peer.say(
            start=[self.spool.order(2, ["env", "-0"], env="d", vars={"NAME": "over", "PATH": "/bin"})]
        )
        self.peer.wait("ended", 1)
        self.peer.wait("ended", 2)

        expected = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
        self.assertEqual(expected, self.path("1.out").read_bytes())
        variables = sorted(self.path("2.out").read_bytes().split(b"\0"))
        self.assertEqual([b"", b"NAME=over", b"PATH=/bin", b"\xff=a=b\x80"], variables)

    def test_an_environment_out_of_memory_is_read_from_the_spool(self) -> None:
        folder = Path(self.spool.path, "environments")
        folder.mkdir()
        folder.joinpath("d1").write_text('{"COLOUR": "red"}')
        self.peer.say(start=[self.spool.order(1, "echo $COLOUR", env="d1")])
        self.peer.wait("ended", 1)

        self.assertEqual("red\n", self.path("1.out").read_text())

    def test_output_is_truncated_or_appended_and_errors_go_along_or_apart(self) -> None:
        for job in (1, 2, 3):
            self.path(f"{job}.out").write_text("before\n")
        say = "echo out; echo err >&2"
        self.peer.say(
            start=[
                self.spool.order(1, say),
                self.spool.order(2, say, append=True),
                self.spool.order(3, say, stderr="3.err"),
                self.spool.order(4, say, stderr="4.out"),
                self.spool.order(5, say, stdout=None, stderr="5.err"),
            ]
        )
        for job in (1, 2, 3, 4, 5):
            self.peer.wait("ended", job)

        names = ["1.out", "2.out", "3.out", "3.err", "4.out", "5.err"]
        expected = ["out\nerr\n", "before\nout\nerr\n", "out\n", "err\n", "out\nerr\n", "err\n"]
        self.assertEqual(expected, [self.path(name).read_text() for name in names])

    def test_stdin_is_the_file_or_nothing(self) -> None:
        self.path("in").write_text("some input")
        self.peer.say(start=[self.spool.order(1, "cat", stdin="in"), self.spool.order(2, "cat; echo end")])
        self.peer.wait("ended", 1)
        self.peer.wait("ended", 2)

        self.assertEqual("some input", self.path("1.out").read_text())
        self.assertEqual("end\n", self.path("2.out").read_text())

    def test_the_umask_holds_for_the_output_file_and_within_the_job(self) -> None:
        self.peer.say(
            start=[self.spool.order(1, "umask", umask=0o077), self.spool.order(2, "umask", umask=0o002)]
        )
        self.peer.wait("ended", 1)
        self.peer.wait("ended", 2)
        modes = [stat.S_IMODE(self.path(f"{job}.out").stat().st_mode) for job in (1, 2)]

        self.assertEqual([0o600, 0o664], modes)
        self.assertEqual(["0077\n", "0002\n"], [self.path(f"{job}.out").read_text() for job in (1, 2)])

    def test_a_job_leads_its_session_and_has_three_descriptors_and_no_ignored_signals(self) -> None:
        script = "ls /proc/self/fd | wc -l; cut -d' ' -f1,6 /proc/$$/stat; pwd; grep SigIgn /proc/$$/status"
        internal_of_the_c_library = 3 << 31
        self.peer.say(start=[self.spool.order(1, script)])
        pid = self.peer.wait("started", 1)["pid"]
        self.peer.wait("ended", 1)

        *lines, ignored = self.path("1.out").read_text().splitlines()
        self.assertEqual(["4", f"{pid} {pid}", self.spool.work], lines)
        self.assertEqual(0, int(ignored.split()[1], 16) & ~internal_of_the_c_library)

    def test_a_pipe_without_another_end_does_not_hold_up_the_keeper(self) -> None:
        os.mkfifo(self.path("pipe"))
        self.peer.say(start=[self.spool.order(1, "true", stdout="pipe"), self.spool.order(2, "true")])
        self.peer.wait("ended", 2)

        self.assertEqual(
            "cannot open pipe: No such device or address", self.peer.wait("refused", 1)["reason"]
        )


class GrantTests(JobCase):
    """Never more cores in use than granted."""

    def test_no_more_run_at_once_than_the_grant_allows(self) -> None:
        job = "echo + >> ledger; sleep 0.01; echo - >> ledger"
        self.peer.say(grant=3, start=[self.spool.order(number, job) for number in range(40)])
        for number in range(40):
            self.peer.wait("ended", number)
        running = most = 0
        for line in self.path("ledger").read_text().splitlines():
            running += 1 if line == "+" else -1
            most = max(most, running)

        self.assertEqual((0, 3), (running, most))

    def test_a_job_wider_than_the_grant_runs_alone_and_none_overtakes(self) -> None:
        job = "echo $TM_JOB_ID + >> ledger; sleep 0.02; echo $TM_JOB_ID - >> ledger"
        cores = {1: 1, 2: 4, 3: 1}
        self.peer.say(start=[self.spool.order(number, job, cores=cores[number]) for number in cores])
        for number in cores:
            self.peer.wait("ended", number)

        self.assertEqual(
            "1 + 1 - 2 + 2 - 3 + 3 -", " ".join(self.path("ledger").read_text().split("\n")).strip()
        )

    def test_nothing_starts_without_a_grant_and_all_waiting_is_given_back(self) -> None:
        self.peer.say(grant=0, start=[self.spool.order(number, "true") for number in (1, 2, 3)])
        self.peer.say(recall=[[1, 1], [9, 1]], cancel=[[2, 1, 5]])
        self.peer.wait("returned", 1)
        self.peer.wait("returned", 2)
        self.peer.say(grant=1)
        self.peer.wait("ended", 3)

        self.assertEqual([1, 2, 3], sorted({fact["job"] for fact in self.peer.facts}))

    def test_a_returned_attempt_may_be_ordered_again(self) -> None:
        self.peer.say(grant=0, start=[self.spool.order(1, "exit 4")])
        self.peer.say(recall=[[1, 1]])
        self.peer.wait("returned", 1)
        self.peer.say(grant=1, start=[self.spool.order(1, "exit 5")])

        self.assertEqual(5, self.peer.wait("ended", 1)["exit_code"])
