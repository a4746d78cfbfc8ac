"""A keeper's connections, and its coming and going."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from pathlib import Path

from tests.endtoend.keeper.test_jobs import JobCase
from tests.support.keeper import is_alive, wait_for
from tm.keeper import journal


class ConnectionTests(JobCase):
    """The host server dies; its next one finds everything."""

    def test_the_next_server_is_told_what_waits_runs_and_has_ended(self) -> None:
        orders = [
            self.spool.order(1, "exit 3"),
            self.spool.order(2, "sleep 1000", cores=2),
            self.spool.order(3, "true"),
        ]
        self.peer.say(start=orders)
        ended = self.peer.wait("ended", 1)
        started = self.peer.wait("started", 2)
        self.peer.close()
        hello = self.spool.connect().greeting()

        expected = {"queued": [[3, 1]], "running": [started], "ended": [ended]}
        self.assertEqual({"pid": self.keeper.pid, "number": 1, **expected}, hello)

    def test_a_journal_that_has_grown_is_replaced_by_one_that_knows_what_runs_and_what_is_untold(self) -> None:
        path = os.path.join(self.spool.path, "keeper-1.log")
        first = os.stat(path).st_ino
        self.peer.say(start=[self.spool.order(1, "sleep 1000"), self.spool.order(2, "exit 3")])
        self.peer.say(grant=2)
        pid = self.peer.wait("started", 1)["pid"]
        self.peer.wait("ended", 2)
        jobs = range(3, 4500)
        for batch in range(jobs.start, jobs.stop, 500):
            some = range(batch, min(batch + 500, jobs.stop))
            self.peer.say(start=[self.spool.order(job, "true", cwd="/" + "none" * 20) for job in some])
            self.peer.wait("refused", some[-1])
            self.peer.say(forget=[[job, 1] for job in some])
        wait_for(lambda: os.stat(path).st_ino != first, "a new journal")
        self.keeper.kill()
        self.keeper.wait()
        found = journal.read(path)
        self.assertEqual({key: one.pid for key, one in found.started.items()}, {(1, 1): pid})
        self.assertEqual(found.endings[2, 1]["exit_code"], 3)

    def test_forgotten_endings_are_not_told_again(self) -> None:
        self.peer.say(start=[self.spool.order(1, "true"), self.spool.order(2, "true")])
        self.peer.wait("ended", 1)
        self.peer.wait("ended", 2)
        self.peer.say(forget=[[1, 1]])
        self.peer.close()

        self.assertEqual([2], [fact["job"] for fact in self.spool.connect().greeting()["ended"]])

    def test_all_an_old_server_said_counts_before_the_next_is_greeted_but_not_a_cut_line(self) -> None:
        later = self.spool.connect()
        for job in range(1, 2001):
            self.peer.say(grant=0, start=[self.spool.order(job, "true")])
        self.peer.send(b'{"start": [{"job": 9999, "attempt": 1')
        self.peer.close()
        queued = later.greeting()["queued"]

        self.assertEqual([[job, 1] for job in range(1, 2001)], queued)

    def test_jobs_go_on_while_there_is_no_server(self) -> None:
        self.peer.say(start=[self.spool.order(job, f"exit {job}") for job in range(1, 6)])
        self.peer.close()
        codes: dict[int, int] = {}

        def all_ended() -> bool:
            peer = self.spool.connect()
            codes.update({fact["job"]: fact["exit_code"] for fact in peer.greeting()["ended"]})
            peer.close()
            return len(codes) == 5

        wait_for(all_ended, "five endings")
        self.assertEqual({job: job for job in range(1, 6)}, codes)

    def test_a_line_that_is_no_message_ends_the_connection_and_nothing_else(self) -> None:
        self.peer.say(start=[self.spool.order(1, "sleep 1000")])
        pid = self.peer.wait("started", 1)["pid"]
        wrong = [
            "nonsense",
            "[]",
            '{"env": 3}',
            '{"grant": Infinity}',
            '{"start": [{"job": "x"}]}',
            '{"start": [3]}',
        ]
        wrong += [
            '{"cancel": [[1]]}',
            '{"cancel": [[1, 1, NaN]]}',
            '{"signal": [[1, 1, 99]]}',
            '{"forget": 1}',
        ]
        for line in wrong:
            self.peer.send(line.encode() + b"\n")
            self.assertIn("error", self.peer.read_line())
            self.assertEqual({}, self.peer.read_line())
            self.peer.close()
            self.peer = self.spool.connect()
            self.peer.greeting()

        self.assertTrue(is_alive(pid))

    def test_the_socket_is_the_users_own(self) -> None:
        mode = os.stat(os.path.join(self.spool.path, "keeper-1.sock")).st_mode

        self.assertEqual(0o600, stat.S_IMODE(mode))


class LifeTests(JobCase):
    """Starting, leaving, and not leaving."""

    def keeper_files(self) -> list[str]:
        """Return what a keeper has in the spool."""
        return sorted(path.name for path in Path(self.spool.path).glob("keeper-*"))

    def test_a_second_keeper_of_the_number_says_so_and_leaves(self) -> None:
        second = self.spool.start()
        assert second.stderr is not None

        self.assertEqual(75, second.returncode)
        self.assertIn(f"keeper 1 of {self.spool.path} is already running", second.stderr.read().decode())

    def test_a_number_with_a_journal_is_not_taken(self) -> None:
        Path(self.spool.path, "keeper-2.log").write_text('["i",1,1]\n')
        second = self.spool.start(2)
        assert second.stderr is not None

        self.assertEqual(75, second.returncode)
        self.assertIn("keeper-2.log is the journal of an earlier keeper", second.stderr.read().decode())

    def test_a_spool_that_is_not_there_is_said(self) -> None:
        shutil.rmtree(self.spool.path)
        other = self.spool.start(3)
        assert other.stderr is not None

        self.assertEqual(78, other.returncode)
        self.assertIn(f"cannot work in {self.spool.path}: No such file", other.stderr.read().decode())

    def test_leave_waits_for_the_last_job_and_the_last_forget_and_leaves_nothing_behind(self) -> None:
        self.peer.say(leave=True, start=[self.spool.order(1, "true"), self.spool.order(2, "true")])
        self.peer.wait("ended", 1)
        self.peer.wait("ended", 2)
        self.peer.say(forget=[[1, 1]])
        self.peer.say(start=[self.spool.order(3, "true")])
        self.peer.wait("ended", 3)
        self.assertIsNone(self.keeper.poll())
        self.peer.say(forget=[[2, 1], [3, 1]])

        self.assertEqual(0, self.keeper.wait(20))
        self.assertEqual([], self.keeper_files())

    def test_signals_do_not_end_it_while_a_job_runs(self) -> None:
        self.peer.say(start=[self.spool.order(1, "sleep 1000")])
        self.peer.wait("started", 1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            self.keeper.send_signal(number)
        self.peer.say(start=[self.spool.order(2, "exit 6")])

        self.assertEqual(6, self.peer.wait("ended", 2)["exit_code"])

    def test_term_ends_it_when_nothing_runs_and_the_journal_stays_while_it_says_something(self) -> None:
        self.peer.say(start=[self.spool.order(1, "true")])
        self.peer.wait("ended", 1)
        self.keeper.send_signal(signal.SIGTERM)

        self.assertEqual(0, self.keeper.wait(20))
        self.assertEqual(["keeper-1.log"], self.keeper_files())

    def test_jobs_run_on_when_the_spool_vanishes(self) -> None:
        home = os.path.dirname(self.spool.path)
        self.peer.say(start=[self.spool.order(1, "sleep 0.05; exit 4", stdout=None, cwd=home)])
        self.peer.wait("started", 1)
        shutil.rmtree(self.spool.path)
        self.peer.say(start=[self.spool.order(2, "exit 5", stdout=None, cwd=home)])

        self.assertEqual([4, 5], [self.peer.wait("ended", job)["exit_code"] for job in (1, 2)])

    def test_it_leaves_when_nobody_can_ever_ask_again(self) -> None:
        shutil.rmtree(self.spool.path)
        self.peer.close()

        self.assertEqual(0, self.keeper.wait(20))
