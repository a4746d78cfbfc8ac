"""A user who is removed: their connections, what waits and what runs, for both policies."""

from __future__ import annotations

import json
from typing import Any

from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.daemon.dispatcher import Tables
from tm.daemon.farewell import ACKNOWLEDGE_SECONDS, LAST_WORDS_SECONDS
from tm.model.host import HostConfig
from tm.model.phase import Phase
from tm.model.rights import User, Users


class FarewellCase(DispatcherCase):
    """Alice has a server, one job that runs and one that waits."""

    policy = "finish"

    def setUp(self) -> None:
        self.users = {name: (f"fingerprint of {name}",) for name in ("alice", "bob", "root")}
        super().setUp()
        self.hosts = (HostConfig(name="n1", address="n1", cores=1),)
        self.dispatcher.reload()
        self.peers: list[NotedPeer] = []
        self.dispatcher.cut = lambda picked: [peer.abort() for peer in self.peers if picked(peer)] and None
        self.server = self.attached()
        self.client, self.bob = NotedPeer(), NotedPeer("bob")
        self.peers += [self.server, self.client, self.bob]

    def tables(self) -> Tables:
        tables = super().tables()
        users = Users.of(*[User(name, given) for name, given in self.users.items()], removed_jobs=self.policy)
        return Tables(users, tables.groups, tables.hosts)

    def run_one_of_two(self) -> None:
        """Let the first of two jobs run."""
        self.said(self.server, self.hello())
        self.said(self.client, self.submission(count=2))
        started: dict[str, object] = {"job": 1, "attempt": 1, "what": "started", "at": 1001.0, "pid": 5}
        self.assertTrue(self.said(self.server, self.report(1, started)).ok)

    def remove(self, user: str = "alice") -> None:
        """Take *user* out of the file and have it read."""
        del self.users[user]
        self.assertTrue(self.said(NotedPeer("root"), "reload").ok)

    def shown(self, job: int) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.said(NotedPeer("root"), f"jobinfo.json:{job}").body[0])
        return shown

    def tick(self, seconds: float) -> None:
        """Let time pass in steps of a tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.settle()

    def ended(self, **more: object) -> str:
        return self.report(2, {"job": 1, "attempt": 1, "what": "ended", "at": 1002.0, **more})


class FinishTests(FarewellCase):
    def test_what_waits_is_cancelled_and_the_reason_says_who_did_it(self) -> None:
        self.run_one_of_two()
        self.remove()
        shown = self.shown(2)
        self.assertEqual(
            (shown["state"], shown["reason"]), ("cancelled", "alice is no longer a user (removed by root)")
        )
        self.assertEqual(self.shown(1)["state"], "running")

    def test_connections_are_cut_but_for_the_server_while_it_has_endings_to_tell(self) -> None:
        self.run_one_of_two()
        self.remove()
        self.clock.advance(LAST_WORDS_SECONDS)
        self.assertEqual([peer.aborted for peer in self.peers], [False, True, False])
        self.tick(60)
        self.assertFalse(self.server.aborted)
        self.assertTrue(self.said(self.server, self.ended(exit_code=0)).ok)
        self.assertEqual(self.shown(1)["state"], "completed")
        self.tick(1.1)
        self.assertEqual([peer.aborted for peer in self.peers], [True, True, False])

    def test_without_running_jobs_the_server_is_cut_at_once(self) -> None:
        self.remove()
        self.clock.advance(LAST_WORDS_SECONDS)
        self.assertEqual([peer.aborted for peer in self.peers], [True, True, False])

    def test_nothing_more_is_done_for_them(self) -> None:
        self.run_one_of_two()
        self.remove()
        for line in ("lsjobs", "help", "whoami", "subscribe", self.submission("more")):
            self.assertEqual(self.said(self.server, line).word, "auth.unknown", line)
        for line in ("version", self.hello(), self.ended(exit_code=0)):
            self.assertEqual(self.said(self.client, line).word, "auth.unknown", line)
        self.assertTrue(self.said(self.server, "version").ok)

    def test_what_is_on_its_way_to_a_host_is_taken_back(self) -> None:
        self.said(self.server, self.hello())
        self.said(self.client, self.submission())
        self.assertEqual(self.shown(1)["state"], "starting")
        self.remove()
        back: dict[str, object] = {"job": 1, "attempt": 1, "what": "returned", "at": 1001.0}
        self.assertTrue(self.said(self.server, self.report(1, back)).ok)
        self.assertEqual(self.shown(1)["state"], "cancelled")

    def test_a_job_that_waits_again_does_not_start_again(self) -> None:
        self.run_one_of_two()
        self.remove()
        brain = self.dispatcher.brain
        brain.jobs[1].phase = Phase.STARTING
        back: dict[str, object] = {"job": 1, "attempt": 1, "what": "returned", "at": 1001.0}
        self.assertTrue(self.said(self.server, self.report(2, back)).ok)
        self.assertEqual(self.shown(1)["state"], "pending")
        self.tick(1.1)
        self.assertEqual((self.shown(1)["state"], brain.jobs), ("cancelled", {}))

    def test_who_comes_back_is_a_user_again(self) -> None:
        self.run_one_of_two()
        self.remove()
        self.users["alice"] = ("fingerprint of alice",)
        self.assertTrue(self.said(NotedPeer("root"), "reload").ok)
        self.assertTrue(self.said(self.server, "lsjobs").ok)
        self.assertTrue(self.said(self.server, self.ended(exit_code=0)).ok)
        self.tick(2)
        self.assertFalse(self.server.aborted)

    def test_jobs_of_somebody_removed_while_the_dispatcher_was_away_do_not_wait_for_ever(self) -> None:
        self.said(self.client, self.submission())
        self.dispatcher.stopService()
        self.settle()
        del self.users["alice"]
        self.begin()
        self.tick(1.1)
        shown = self.shown(1)
        self.assertEqual((shown["state"], shown["reason"]), ("cancelled", "alice is not a user of this cluster"))


class CancelTests(FarewellCase):
    policy = "cancel"

    def test_the_order_goes_out_and_the_server_stays_until_it_is_acknowledged(self) -> None:
        self.run_one_of_two()
        self.remove()
        (line,) = [line for line in self.server.heard("orders") if line.get("cancel")]
        self.assertEqual(line["cancel"][0][:2], [1, 1])
        self.clock.advance(LAST_WORDS_SECONDS)
        self.assertEqual([peer.aborted for peer in self.peers], [False, True, False])
        self.said(self.server, self.ended(signal=15))
        self.assertEqual(self.shown(1)["state"], "cancelled")
        self.tick(1.1)
        self.assertTrue(self.server.aborted)

    def test_it_stays_five_seconds_at_most(self) -> None:
        self.run_one_of_two()
        self.remove()
        self.tick(ACKNOWLEDGE_SECONDS - 1.1)
        self.assertFalse(self.server.aborted)
        self.tick(5 - ACKNOWLEDGE_SECONDS + 1.1)
        self.assertTrue(self.server.aborted)


class CertificateTests(FarewellCase):
    def test_a_certificate_that_is_dropped_cuts_who_presented_it(self) -> None:
        self.users["alice"] = ("another", "fingerprint of alice")
        self.dispatcher.reload()
        other = NotedPeer()
        other.fingerprint = "another"
        self.peers.append(other)
        self.users["alice"] = ("fingerprint of alice",)
        self.dispatcher.reload()
        self.settle()
        self.clock.advance(LAST_WORDS_SECONDS)
        self.assertEqual([peer.aborted for peer in self.peers], [False, False, False, True])

    def test_a_certificate_that_is_now_another_users_cuts_who_presented_it(self) -> None:
        self.users["alice"], self.users["bob"] = ("fingerprint of bob",), ("fingerprint of alice",)
        self.dispatcher.reload()
        self.settle()
        self.clock.advance(LAST_WORDS_SECONDS)
        self.assertEqual([peer.aborted for peer in self.peers], [True, True, True])

    def test_a_reload_that_removes_nothing_cuts_nobody(self) -> None:
        self.users["carol"] = ("c",)
        self.dispatcher.reload()
        self.settle()
        self.clock.advance(1)
        self.assertEqual([peer.aborted for peer in self.peers], [False, False, False])
