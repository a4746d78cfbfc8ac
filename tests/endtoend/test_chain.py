"""Jobs on their whole way through real daemons: what they are started with, how they end, what is said of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.support.chain import ChainCase
from tests.support.processes import is_alive, marked, wait_for

ARGUMENTS = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
DESCENDANTS = """\
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
open(sys.argv[1] + str(os.getpid()), "w").close()
time.sleep(1000)
"""


class EndingTests(ChainCase):
    def test_exit_codes_from_0_to_255_arrive_as_they_are(self) -> None:
        codes = (0, 1, 2, 42, 77, 125, 126, 127, 128, 137, 143, 254, 255)
        jobs = self.run_jobs(*[f"exit {code}" for code in codes])
        self.assertEqual([job["exit_code"] for job in jobs], list(codes))
        self.assertEqual([job["state"] for job in jobs], ["completed"] + ["failed"] * (len(codes) - 1))
        self.assertEqual({job["signal"] for job in jobs}, {None})

    def test_signals_arrive_as_they_are(self) -> None:
        numbers = (signal.SIGHUP, signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGRTMAX)
        jobs = self.run_jobs(*[f"kill -{int(number)} $$" for number in numbers])
        self.assertEqual([job["signal"] for job in jobs], [int(number) for number in numbers])
        self.assertEqual({(job["state"], job["exit_code"]) for job in jobs}, {("failed", None)})

    def test_what_cannot_be_started_fails_with_the_status_of_a_shell_and_a_reason(self) -> None:
        plain = Path(self.cluster.work, "plain")
        plain.write_text("no program")
        absent, forbidden, shell = self.run_jobs(["no-such-program"], [str(plain)], "no-such-program")
        self.assertEqual([job["exit_code"] for job in (absent, forbidden, shell)], [127, 126, 127])
        self.assertEqual({job["state"] for job in (absent, forbidden, shell)}, {"failed"})
        self.assertIn("no-such-program", absent["reason"])
        self.assertIn("Permission denied", forbidden["reason"])

    def test_a_missing_folder_or_input_is_named_and_nothing_runs(self) -> None:
        absent = os.path.join(self.cluster.work, "absent")
        (folder,) = self.run_jobs("touch ran", cwd=absent)
        (stdin,) = self.run_jobs("touch ran", stdin="nothing-here")
        (stdout,) = self.run_jobs("touch ran", stdout="no/such/folder")
        self.assertEqual([job["exit_code"] for job in (folder, stdin, stdout)], [125] * 3)
        self.assertIn(absent, folder["reason"])
        self.assertIn("nothing-here", stdin["reason"])
        self.assertIn("no/such/folder", stdout["reason"])
        self.assertEqual(os.listdir(self.cluster.work), [])

    def test_times_processor_and_memory_are_told(self) -> None:
        code = "x = bytearray(64 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nsum(range(2000000))"
        (job,) = self.run_jobs([sys.executable, "-I", "-S", "-c", code])
        self.assertGreater(job["max_rss"], 64 << 20)
        self.assertLess(job["max_rss"], 256 << 20)
        self.assertGreater(job["cpu_seconds"], 0.01)
        self.assertLessEqual(job["submitted_at"], job["started_at"])
        self.assertLess(job["started_at"], job["ended_at"])


class StartTests(ChainCase):
    def test_arguments_arrive_byte_for_byte(self) -> None:
        odd = ["", "a b", "'\"\\", "$HOME `id` $(id)", "*", "-n", "--", "\n\r\t\x1b\x7f", "%j:%%", "ä\u2028\U0001f600"]
        long = "x" * 100_000
        self.run_jobs([sys.executable, "-I", "-S", "-c", ARGUMENTS, *odd, long], stdout="out")
        self.assertEqual(self.content("out"), b"\0".join(word.encode() for word in [*odd, long]))

    def test_the_environment_is_the_one_that_was_asked_for_and_what_tells_a_job_about_itself(self) -> None:
        asked = {"PATH": "/usr/bin:/bin", "ODD": "a=b\n'\"ü", "EMPTY": ""}
        (job,) = self.run_jobs(["env", "-0"], environment=asked, stdout="out", name="some name")
        found = dict(entry.split("=", 1) for entry in self.content("out").decode().split("\0") if entry)
        self.assertEqual({name: found[name] for name in asked}, asked)
        number = str(job["id"])
        ours = {
            "TM_JOB_ID": number, "TM_ATTEMPT": "1", "TM_JOB_NAME": "some name", "TM_HOST": "n1", "TM_USER": "alice",
            "TM_CLUSTER": "test", "TM_CORES": "1", "SLURM_JOB_ID": number, "SLURM_CPUS_PER_TASK": "1",
            "SLURMD_NODENAME": "n1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.assertEqual({name: found.get(name) for name in ours}, ours)
        others = [name for name in found if not name.startswith(("TM_", "SLURM"))]
        self.assertEqual(set(others), {*asked, "OMP_NUM_THREADS"})

    def test_folder_umask_session_and_standard_input_are_as_asked(self) -> None:
        folder = Path(self.cluster.work, "sub folder")
        folder.mkdir()
        Path(folder, "in").write_text("what is read\n")
        self.run_jobs(
            "pwd; umask; cat; ps -o pid=,sess= -p $$ | awk '{print $1 == $2}'",
            cwd=str(folder), umask=0o027, stdin="in", stdout="out",
        )  # fmt: skip
        self.assertEqual(Path(folder, "out").read_text(), f"{folder}\n0027\nwhat is read\n1\n")
        self.assertEqual(Path(folder, "out").stat().st_mode & 0o777, 0o640)

    def test_jobs_have_no_descriptors_and_no_ignored_signals_of_ours(self) -> None:
        self.run_jobs("ls /proc/$$/fd; grep -E 'Sig(Ign|Blk)' /proc/self/status", stdout="out")
        words = self.content("out").decode().split()
        self.assertEqual([word for word in words if word.isdigit() and len(word) < 4], ["0", "1", "2"])
        self.assertEqual([int(word, 16) & 0x7FFFFFFF for word in words if len(word) == 16], [0, 0])


class FileTests(ChainCase):
    def test_names_of_files_are_filled_in_and_told(self) -> None:
        (job,) = self.run_jobs("echo out; echo err >&2", name="my/job", stdout="%j-%n-%h-%u-%%.o", stderr="e.%j")
        out, err = f"{job['id']}-my_job-n1-alice-%.o", f"e.{job['id']}"
        self.assertEqual((self.content(out), self.content(err)), (b"out\n", b"err\n"))
        self.assertEqual(job["stdout"], os.path.join(self.cluster.work, out))
        self.assertEqual(job["stderr"], os.path.join(self.cluster.work, err))

    def test_without_a_name_of_its_own_standard_error_goes_with_the_output_in_order(self) -> None:
        self.run_jobs("echo 1; echo 2 >&2; echo 3", stdout="both")
        self.assertEqual(self.content("both"), b"1\n2\n3\n")

    def test_output_truncates_or_appends_as_asked(self) -> None:
        for text, append in (("first long line", False), ("second", False), ("third", True)):
            self.run_jobs(f"echo {text}", stdout="out", append=append)
        self.assertEqual(self.content("out"), b"second\nthird\n")

    def test_large_output_is_complete(self) -> None:
        self.run_jobs("head -c 50000000 /dev/zero", stdout="out")
        self.assertEqual(Path(self.cluster.work, "out").stat().st_size, 50_000_000)


class CancelTests(ChainCase):
    def test_a_waiting_job_is_cancelled_and_never_runs(self) -> None:
        cluster = self.cluster
        first = cluster.submit("alice", "exec sleep 1000", cores=2)
        waiting = cluster.submit_ledger("alice", 1)
        cluster.wait(first, states=("running",))
        cluster.ask("alice", "canceljob", f"{waiting[0]}:not needed")
        (job,) = cluster.wait(waiting)
        self.assertEqual((job["state"], job["exit_code"]), ("cancelled", None))
        self.assertEqual(job["reason"], "cancelled by alice: not needed")
        cluster.ask("alice", "canceljob", str(first[0]))
        cluster.wait(first)
        self.assertEqual(cluster.ledger(), [])

    def test_a_running_job_gets_term_and_its_ending_is_the_true_one(self) -> None:
        cluster = self.cluster
        trap = "trap 'echo cleaned; exit 7' TERM; touch ready; while :; do sleep 0.05; done"
        careful = cluster.submit("alice", trap, stdout="out", stderr="err")
        plain = cluster.submit("alice", "exec sleep 1000")
        cluster.wait(careful + plain, states=("running",))
        wait_for(lambda: Path(cluster.work, "ready").exists(), "the job's trap")
        cluster.ask("alice", "canceljob", f"{careful[0]},{plain[0]}")
        one, other = cluster.wait(careful + plain)
        self.assertEqual((one["state"], one["exit_code"], one["signal"]), ("cancelled", 7, None))
        self.assertEqual((other["state"], other["exit_code"], other["signal"]), ("cancelled", None, signal.SIGTERM))
        self.assertEqual(self.content("out"), b"cleaned\n")

    def test_the_whole_tree_dies_also_what_ignores_term_and_has_left_the_session(self) -> None:
        cluster = self.cluster
        prefix = os.path.join(cluster.work, "pid-")
        ids = cluster.submit("alice", [sys.executable, "-I", "-S", "-c", DESCENDANTS, prefix])
        other = cluster.submit("alice", "exec sleep 1000")
        wait_for(lambda: len(os.listdir(cluster.work)) == 2, "both processes of the job")
        cluster.wait(other, states=("running",))
        cluster.ask("alice", "canceljob", str(ids[0]))
        (job,) = cluster.wait(ids)
        pids = {int(name[4:]) for name in os.listdir(cluster.work)}
        self.assertEqual((job["state"], job["signal"]), ("cancelled", signal.SIGKILL))
        self.assertEqual(pids & set(marked(cluster.folder)), set())
        self.assertEqual(cluster.job("alice", other[0])["state"], "running")

    def test_a_job_that_is_not_reached_is_cancelled_only_once_it_is_seen_dead(self) -> None:
        cluster = self.cluster
        ids = cluster.submit_ledger("alice", 1, seconds=1000)
        cluster.wait(ids, states=("running",))
        (line,) = wait_for(cluster.ledger, "the job's line in the ledger")
        cluster.forget_talk("alice")
        cluster.kill("tms:alice")
        with cluster.dispatcher("alice") as alice:
            wait_for(lambda: alice.values("jobinfo", str(ids[0]))[0]["state"] == "unreachable", "it is unreachable")
            alice.ask("canceljob", str(ids[0]))
            self.assertEqual(alice.values("jobinfo", str(ids[0]))[0]["state"], "unreachable")
        cluster.kill("dispatcher")
        self.assertTrue(is_alive(line.pid))
        (job,) = cluster.wait(ids)
        self.assertEqual((job["state"], job["signal"]), ("cancelled", signal.SIGTERM))
        self.assertFalse(is_alive(line.pid))

    def test_what_has_ended_or_never_was_is_refused_with_one_text(self) -> None:
        (job,) = self.run_jobs("true")
        for number in (job["id"], job["id"] + 1000):
            refused = self.cluster.tms("alice").refusal("canceljob", str(number))
            self.assertEqual(refused.word, "job.unknown")
            self.assertEqual(
                refused.text,
                f"there is no job {number} of yours that waits or runs;"
                f" hRunJob -i {number} tells of one that has ended",
            )
        self.assertEqual(self.cluster.job("alice", job["id"])["state"], "completed")
