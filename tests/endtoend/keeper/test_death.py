"""The keeper is killed where it hurts; this process, as the host server would, reads what there is to know.

A full disk is here too: in both cases an ending must not be lost.
"""

from __future__ import annotations

import json
import os
import resource

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.keeper import PATIENCE, Peer, Spool, is_alive, wait_for
from tm.keeper import journal, kernel, procfs


class DeathTests(SynchronousTestCase):
    """Each named point: which child is there, and what the journal says."""

    @override
    def setUp(self) -> None:
        if not kernel.become_subreaper():
            self.skipTest("no child subreaper here")
        self.addCleanup(kernel.become_subreaper, False)
        self.spool = Spool()
        self.addCleanup(self.spool.clean)
        self.log = os.path.join(self.spool.path, "keeper-1.log")

    def die(self, failpoint: str, command: str = "exit 37") -> journal.Journal:
        """Run one job with a keeper that dies at *failpoint*; return what its journal says."""
        before = set(procfs.children())
        keeper = self.spool.start(failpoint=failpoint)
        peer = self.spool.connect()
        peer.greeting()
        peer.say(grant=1, start=[self.spool.order(17, command)])
        if failpoint.endswith(":2"):
            peer.wait("started", 17)
            open(os.path.join(self.spool.work, "told"), "w").close()
        self.assertEqual(-9, keeper.wait(PATIENCE))
        self.adopted = sorted(set(procfs.children()) - before)
        return journal.read(self.log)

    def code_of_the_only_child(self) -> int:
        """Return the exit code of the one process that has come to us."""
        (pid,) = self.adopted
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_killed_after_the_intent_there_is_no_child(self) -> None:
        found = self.die("keeper.intent")

        self.assertEqual(({(17, 1)}, {}, {}), (found.intents, found.started, found.endings))
        self.assertEqual([], self.adopted)

    def test_killed_before_the_start_is_noted_the_child_tells_whose_it_is(self) -> None:
        found = self.die("keeper.started", "exec sleep 1000")

        self.assertEqual(({(17, 1)}, {}, {}), (found.intents, found.started, found.endings))
        self.assertEqual([(17, 1)], [procfs.claim(pid) for pid in self.adopted])
        os.kill(self.adopted[0], 9)
        self.assertEqual(-9, self.code_of_the_only_child())

    def test_killed_before_the_ending_is_written_the_zombie_is_there(self) -> None:
        found = self.die("keeper.ended")
        (key,) = found.started
        process = procfs.read(self.adopted[0])

        self.assertEqual(((17, 1), set(), {}), (key, found.intents, found.endings))
        assert process is not None
        self.assertEqual((process.pid, process.ticks), (found.started[key].pid, found.started[key].ticks))
        self.assertEqual(37, self.code_of_the_only_child())

    def test_killed_before_it_reaps_the_ending_is_in_the_journal_and_the_zombie_there(self) -> None:
        found = self.die("keeper.recorded")

        self.assertEqual((set(), {}, [(17, 1)]), (found.intents, found.started, list(found.endings)))
        self.assertEqual(37, found.endings[17, 1]["exit_code"])
        self.assertEqual(37, self.code_of_the_only_child())

    def test_killed_when_the_start_has_been_told_the_job_runs_on(self) -> None:
        found = self.die("keeper.told", "exec sleep 1000")

        self.assertEqual([found.started[17, 1].pid], self.adopted)
        self.assertTrue(is_alive(self.adopted[0]))
        os.kill(self.adopted[0], 9)
        self.assertEqual(-9, self.code_of_the_only_child())

    def test_killed_when_the_ending_has_been_told_the_journal_has_it_with_its_usage(self) -> None:
        found = self.die("keeper.told:2", "while [ ! -e told ]; do sleep 0.01; done; exit 37")

        self.assertEqual([], self.adopted)
        self.assertEqual(37, found.endings[17, 1]["exit_code"])
        self.assertGreater(found.endings[17, 1]["max_rss"], 0)


class FullDiskTests(SynchronousTestCase):
    """The journal cannot grow: endings are told, zombies are kept, and the record is made up for later."""

    @override
    def setUp(self) -> None:
        self.spool = Spool()
        self.addCleanup(self.spool.clean)
        self.keeper = self.spool.start()
        self.peer: Peer = self.spool.connect()
        self.peer.greeting()

    def limit(self, size: int) -> None:
        """Let no file of the keeper grow beyond *size* bytes; -1 is no limit."""
        resource.prlimit(self.keeper.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_an_ending_is_told_kept_and_recorded_once_there_is_space(self) -> None:
        os.mkfifo(os.path.join(self.spool.work, "pipe"))
        self.peer.say(grant=1, start=[self.spool.order(1, "read x < pipe; exit 37", stdout=None)])
        pid = self.peer.wait("started", 1)["pid"]
        path = os.path.join(self.spool.path, "keeper-1.log")
        self.limit(os.path.getsize(path) + 5)
        self.spool.close_pipe("pipe")
        self.peer.say(start=[self.spool.order(2, "true", stdout=None)])
        self.assertEqual(37, self.peer.wait("ended", 1)["exit_code"])

        self.assertTrue(os.path.exists(f"/proc/{pid}"))
        self.assertEqual([(1, 1)], list(journal.read(path).started))
        self.limit(-1)
        self.assertEqual(0, self.peer.wait("ended", 2)["exit_code"])
        found = journal.read(path)
        self.assertEqual([37, 0], [found.endings[job, 1]["exit_code"] for job in (1, 2)])
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        with open(path) as lines:
            self.assertTrue(all(json.loads(line) for line in lines))

    def test_what_is_forgotten_meanwhile_is_reaped(self) -> None:
        os.mkfifo(os.path.join(self.spool.work, "pipe"))
        self.peer.say(grant=1, start=[self.spool.order(1, "read x < pipe", stdout=None)])
        pid = self.peer.wait("started", 1)["pid"]
        self.limit(0)
        self.spool.close_pipe("pipe")
        self.peer.wait("ended", 1)
        self.assertTrue(os.path.exists(f"/proc/{pid}"))
        self.peer.say(forget=[[1, 1]])
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the zombie to be reaped")
