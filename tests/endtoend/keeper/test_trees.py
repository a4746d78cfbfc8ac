"""Cancelling, signalling, and what jobs leave behind."""

from __future__ import annotations

import os
import signal
import sys
import time

from tests.endtoend.keeper.test_jobs import JobCase
from tests.support.keeper import is_alive, wait_for

DETACHED = "(setsid sh -c 'echo $$ > far; exec sleep 1000' &) ; "
"""Shell text: a grandchild in a session of its own whose parent is gone, its pid in the file ``far``."""

STUBBORN = "trap '' TERM; echo $$ > stubborn; while :; do sleep 0.05; done"

DAEMON = (
    "(setsid /bin/sh -c 'echo -n TM:daemon > /proc/$$/comm; echo $$ > far; while :; do read line < hold; done' &) ; "
)
"""A daemon of ours, as far as the keeper can see: it has named itself so, and waits at the named pipe ``hold``."""

NAMELESS = "(setsid env -i PATH=/bin:/usr/bin sh -c 'echo $$ > far; exec sleep 1000' &) ; "

CHAINS = """import os, sys, time
from os import _exit, fork, setsid, write
ledger = os.open("ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for _ in range(int(sys.argv[1])):
    if fork() == 0:
        break
else:
    time.sleep(1000)
setsid()
end = time.time() + 120
while time.time() < end:
    if fork():
        _exit(0)
    setsid()
    write(ledger, b".")
"""
"""Becomes so many chains of processes, each of which lives for a moment, says so, and leaves another in a session.
Those that nobody ends die out in two minutes."""


class CancelTests(JobCase):
    """A cancelled job ends with all that belongs to it."""

    def test_cancel_ends_the_job_by_term(self) -> None:
        self.peer.say(start=[self.spool.order(1, ["sleep", "1000"])])
        self.peer.wait("started", 1)
        self.peer.say(cancel=[[1, 1, 10]])

        self.assertEqual(signal.SIGTERM, self.peer.wait("ended", 1)["signal"])

    def test_cancel_reaches_a_grandchild_that_has_left_the_session(self) -> None:
        self.peer.say(start=[self.spool.order(1, DETACHED + "sleep 1000"), self.spool.order(2, "sleep 1000")])
        far = self.spool.pid_in("far")
        self.peer.say(cancel=[[1, 1, 10]])
        self.peer.wait("ended", 1)

        self.assertFalse(is_alive(far))
        self.assertTrue(is_alive(self.peer.wait("started", 2)["pid"]))

    def test_cancel_reaches_what_has_left_the_session_and_its_environment_when_no_other_job_runs(
        self,
    ) -> None:
        self.peer.say(start=[self.spool.order(1, NAMELESS + "sleep 1000")])
        far = self.spool.pid_in("far")
        self.peer.say(cancel=[[1, 1, 10]])
        self.peer.wait("ended", 1)

        self.assertFalse(is_alive(far))

    def test_a_job_that_ignores_term_is_killed_after_its_grace(self) -> None:
        self.peer.say(start=[self.spool.order(1, STUBBORN)])
        self.spool.pid_in("stubborn")
        begin = time.monotonic()
        self.peer.say(cancel=[[1, 1, 0.3]])

        self.assertEqual(signal.SIGKILL, self.peer.wait("ended", 1)["signal"])
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    def test_the_ending_waits_for_a_child_that_ignores_term(self) -> None:
        self.peer.say(start=[self.spool.order(1, f'sh -c "{STUBBORN.replace("$", chr(92) + "$")}" & wait')])
        stubborn = self.spool.pid_in("stubborn")
        self.peer.say(cancel=[[1, 1, 0.3]])

        self.assertEqual(signal.SIGTERM, self.peer.wait("ended", 1)["signal"])
        self.assertFalse(is_alive(stubborn))

    def test_cancel_reaches_what_only_its_parents_tell_from_others_when_these_die_first(self) -> None:
        nameless = STUBBORN.replace("$", "\\$")
        command = f'setsid env -i PATH=/bin:/usr/bin sh -c "{nameless}" & wait'
        self.peer.say(start=[self.spool.order(1, command), self.spool.order(2, "sleep 1000")])
        stubborn = self.spool.pid_in("stubborn")
        self.peer.say(cancel=[[1, 1, 0.3]])
        self.peer.wait("ended", 1)

        self.assertFalse(is_alive(stubborn))
        self.assertTrue(is_alive(self.peer.wait("started", 2)["pid"]))

    def test_a_job_of_processes_that_live_for_a_moment_each_has_ended_only_when_none_of_them_lives(self) -> None:
        self.peer.say(grant=4)
        for job, chains, grace in ((1, 3, 0.0), (2, 1, 1.0)):
            command = [sys.executable, "-I", "-S", "-c", CHAINS, str(chains)]
            self.peer.say(start=[self.spool.order(job, command), self.spool.order(job + 2, "sleep 1000")])
            other = self.peer.wait("started", job + 2)["pid"]
            said = len(self.spool.read("work/ledger"))
            wait_for(lambda said=said: len(self.spool.read("work/ledger")) > said + 50, "the chains")
            self.peer.say(cancel=[[job, 1, grace]])
            self.peer.wait("ended", job)

            said = len(self.spool.read("work/ledger"))
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                self.assertEqual(len(self.spool.read("work/ledger")), said)
                time.sleep(0.01)
            self.assertTrue(is_alive(other))

    def test_a_stopped_job_ends_too(self) -> None:
        self.peer.say(start=[self.spool.order(1, "kill -STOP $$; exit 3")])
        self.peer.wait("started", 1)
        self.peer.say(cancel=[[1, 1, 10]])

        self.assertEqual(signal.SIGTERM, self.peer.wait("ended", 1)["signal"])

    def test_a_second_cancel_may_shorten_the_grace(self) -> None:
        self.peer.say(start=[self.spool.order(1, STUBBORN)])
        self.spool.pid_in("stubborn")
        self.peer.say(cancel=[[1, 1, 1000]])
        self.peer.say(cancel=[[1, 1, 0]])

        self.assertEqual(signal.SIGKILL, self.peer.wait("ended", 1)["signal"])

    def test_a_signal_reaches_the_whole_tree(self) -> None:
        heard = "trap 'echo heard >> ledger; exit 0' USR1; "
        child = f'sh -c "{heard} echo ready >> ready; while :; do sleep 0.05; done" & '
        own = heard.replace("exit 0", "wait; exit 7") + "echo ready >> ready; while :; do wait; done"
        self.peer.say(start=[self.spool.order(1, child + own)])
        wait_for(lambda: self.spool.read("work/ready") == "ready\nready\n", "both are ready")
        self.peer.say(signal=[[1, 1, signal.SIGUSR1], [9, 1, 9]])

        self.assertEqual(7, self.peer.wait("ended", 1)["exit_code"])
        self.assertEqual("heard\nheard\n", self.spool.read("work/ledger"))


class LeftoverTests(JobCase):
    """A job's end is told at once; what it leaves is ended afterwards."""

    def test_what_an_ended_job_has_left_is_ended(self) -> None:
        self.peer.say(start=[self.spool.order(2, "sleep 1000")])
        self.peer.say(start=[self.spool.order(1, DETACHED + "while [ ! -s far ]; do sleep 0.01; done; exit 5")])
        far = self.spool.pid_in("far")

        self.assertEqual(5, self.peer.wait("ended", 1)["exit_code"])
        wait_for(lambda: not is_alive(far), "the end of what was left")

    def test_what_ignores_term_is_killed_and_does_not_delay_the_ending(self) -> None:
        stubborn = f'sh -c "{STUBBORN.replace("$", chr(92) + "$")}" & '
        self.peer.say(start=[self.spool.order(1, stubborn + "while [ ! -s stubborn ]; do sleep 0.01; done")])
        pid = self.spool.pid_in("stubborn")
        self.peer.wait("ended", 1)

        self.assertTrue(is_alive(pid))
        wait_for(lambda: not is_alive(pid), "the end of what ignores TERM")

    def test_nobodys_orphan_ends_with_the_last_job(self) -> None:
        self.peer.say(start=[self.spool.order(2, "while [ ! -e go ]; do sleep 0.01; done")])
        self.peer.say(start=[self.spool.order(1, NAMELESS + "while [ ! -s far ]; do sleep 0.01; done")])
        far = self.spool.pid_in("far")
        self.peer.wait("ended", 1)

        self.assertTrue(is_alive(far))
        open(os.path.join(self.spool.work, "go"), "w").close()
        wait_for(lambda: not is_alive(far), "the end of nobody's orphan")

    def test_an_orphan_of_a_running_job_lives_on_and_is_reaped_when_it_dies(self) -> None:
        self.peer.say(start=[self.spool.order(1, DETACHED + "sleep 1000"), self.spool.order(2, "true")])
        far = self.spool.pid_in("far")
        self.peer.wait("ended", 2)

        self.assertTrue(is_alive(far))
        os.kill(far, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{far}"), "the zombie to be reaped")


class DaemonTests(JobCase):
    """What calls itself a daemon of ours outlives the job that started it; what that one starts has no such name."""

    def test_a_daemon_outlives_a_job_that_ends_and_one_that_is_cancelled(self) -> None:
        os.mkfifo(os.path.join(self.spool.work, "hold"))
        self.peer.say(start=[self.spool.order(1, DAEMON + "while [ ! -s far ]; do sleep 0.01; done")])
        far = self.spool.pid_in("far")
        self.peer.wait("ended", 1)
        self.peer.say(start=[self.spool.order(2, NAMELESS.replace("far", "near") + "sleep 1000")])
        near = self.spool.pid_in("near")
        self.peer.say(cancel=[[2, 1, 10]])
        self.peer.wait("ended", 2)

        self.assertEqual([False, True], [is_alive(near), is_alive(far)])

    def test_a_dead_daemon_is_reaped(self) -> None:
        os.mkfifo(os.path.join(self.spool.work, "hold"))
        self.peer.say(start=[self.spool.order(1, DAEMON + "while [ ! -s far ]; do sleep 0.01; done")])
        far = self.spool.pid_in("far")
        self.peer.wait("ended", 1)
        os.kill(far, signal.SIGKILL)

        wait_for(lambda: not os.path.exists(f"/proc/{far}"), "the zombie to be reaped")
