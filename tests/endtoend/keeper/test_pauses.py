"""Suspending and resuming whole trees of running jobs, and what else may happen to one that is suspended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.endtoend.keeper.test_jobs import JobCase
from tests.support.keeper import is_alive, wait_for
from tm.keeper import journal

DETACHED = "(setsid sh -c 'echo $$ > far; exec sleep 1000' &) ; "
"""Shell text: a grandchild in a session of its own whose parent is gone, its pid in the file ``far``."""

FERTILE = "trap 'exit 0' USR1; while :; do (sleep 0.02; echo x >> grown) & wait $!; done"


def state_of(pid: int) -> str:
    """Return the letter of the state that ``/proc`` shows, ``-`` for nobody."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "-"


def tree_of(pid: int) -> list[int]:
    """Return the processes in the session of *pid*."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            found.append(int(entry))
    return found


class PauseTests(JobCase):
    def suspended(self, job: int = 1, turn: int = 1) -> dict[str, object]:
        """Have *job* suspended; return the fact."""
        self.peer.say(suspend=[[job, 1]])
        return wait_for(lambda: self.heard("suspended", job, turn), "a suspended job")

    def heard(self, what: str, job: int, turn: int) -> dict[str, object] | None:
        self.peer.facts += self.peer.read_line().get("facts", [])
        seen = [fact for fact in self.peer.facts if (fact["what"], fact["job"]) == (what, job)]
        return next((fact for fact in seen if fact["turn"] == turn), None)

    def test_the_whole_tree_stands_and_goes_on_and_ends_as_if_nothing_had_been(self) -> None:
        self.peer.say(start=[self.spool.order(1, DETACHED + "sleep 1000 & sleep 0.3; kill %1; exit 3")])
        pid = self.peer.wait("started", 1)["pid"]
        far = self.spool.pid_in("far")
        fact = self.suspended()
        self.assertEqual((fact["pid"], fact["turn"]), (pid, 1))
        self.assertEqual({state_of(one) for one in [far, *tree_of(pid)]}, {"T"})
        self.peer.say(resume=[[1, 1]])
        self.assertEqual(self.peer.wait("resumed", 1)["turn"], 2)
        self.assertNotEqual(state_of(far), "T")
        self.assertEqual(self.peer.wait("ended", 1)["exit_code"], 3)

    def test_a_job_that_begins_processes_all_the_time_stands_too(self) -> None:
        self.peer.say(start=[self.spool.order(1, FERTILE)])
        pid = self.peer.wait("started", 1)["pid"]
        wait_for(lambda: self.spool.read("work/grown"), "some children")
        for turn in (1, 3, 5, 7, 9):
            self.suspended(turn=turn)
            self.assertLessEqual({state_of(one) for one in tree_of(pid)}, {"T", "D"})  # as tm.keeper.pausing says
            self.peer.say(resume=[[1, 1]])
            wait_for(lambda turn=turn: self.heard("resumed", 1, turn + 1), "a resumed job")
        grown = len(self.spool.read("work/grown"))
        wait_for(lambda: len(self.spool.read("work/grown")) > grown, "more children")
        os.kill(pid, signal.SIGUSR1)
        self.assertEqual(self.peer.wait("ended", 1)["exit_code"], 0)

    def test_one_that_is_suspended_can_be_cancelled_and_meets_term(self) -> None:
        self.peer.say(start=[self.spool.order(1, "trap 'echo bye; exit 9' TERM; sleep 1000 & wait")])
        self.peer.wait("started", 1)
        self.suspended()
        self.peer.say(cancel=[[1, 1, 10]])
        self.assertEqual(self.peer.wait("ended", 1)["exit_code"], 9)
        self.assertEqual(self.spool.read("work/1.out"), "bye\n")
        self.assertEqual(self.peer.wait("resumed", 1)["turn"], 2)

    def test_one_that_is_killed_while_it_is_suspended_has_ended_so(self) -> None:
        self.peer.say(start=[self.spool.order(1, ["sleep", "1000"])])
        pid = self.peer.wait("started", 1)["pid"]
        self.suspended()
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.peer.wait("ended", 1)["signal"], signal.SIGKILL)

    def test_what_is_asked_twice_is_told_twice_and_done_once(self) -> None:
        self.peer.say(start=[self.spool.order(1, ["sleep", "1000"])])
        self.peer.wait("started", 1)
        self.suspended()
        self.peer.facts.clear()
        self.suspended()
        self.peer.say(resume=[[1, 1], [7, 1]])
        self.peer.wait("resumed", 1)
        self.peer.facts.clear()
        self.peer.say(resume=[[1, 1]])
        self.assertEqual(self.peer.wait("resumed", 1)["turn"], 2)

    def test_the_next_host_server_hears_who_is_suspended(self) -> None:
        self.peer.say(start=[self.spool.order(1, ["sleep", "1000"]), self.spool.order(2, ["sleep", "1000"])])
        self.peer.wait("started", 2)
        self.suspended()
        self.peer.close()
        hello = self.spool.connect().greeting()
        self.assertEqual(
            [(fact["what"], fact["job"], fact.get("turn")) for fact in hello["running"]],
            [("started", 1, None), ("started", 2, None), ("suspended", 1, 1)],
        )

    def test_the_journal_of_a_killed_keeper_says_who_is_suspended(self) -> None:
        self.peer.say(start=[self.spool.order(1, ["sleep", "1000"]), self.spool.order(2, ["sleep", "1000"])])
        pids = [self.peer.wait("started", job)["pid"] for job in (1, 2)]
        for pid in pids:
            self.addCleanup(lambda pid=pid: is_alive(pid) and os.kill(pid, signal.SIGKILL))
        self.suspended()
        self.spool.keepers[0].kill()
        self.spool.keepers[0].wait()
        left = journal.read(os.path.join(self.spool.path, "keeper-1.log"))
        self.assertEqual((left.started[1, 1].turn, left.started[2, 1].turn), (1, 0))

    def test_a_job_is_niced_with_all_its_processes(self) -> None:
        self.peer.say(start=[self.spool.order(1, DETACHED + "sleep 1000; :")])
        pid = self.peer.wait("started", 1)["pid"]
        far = self.spool.pid_in("far")
        self.peer.say(nice=[[1, 1, 19]])
        wait_for(lambda: {os.getpriority(os.PRIO_PROCESS, one) for one in [far, *tree_of(pid)]} == {19}, "niceness")
        shares = [Path(f"/proc/{one}/autogroup") for one in (far, pid)]  # of their sessions, on kernels that know such
        for level in (19, 0):
            self.peer.say(nice=[[1, 1, level]])
            wait_for(
                lambda ending=f" nice {level}\n": all(_ends(one, ending) for one in shares), "niceness of sessions"
            )


def _ends(path: Path, ending: str) -> bool:
    return not path.exists() or path.read_text().endswith(ending)
