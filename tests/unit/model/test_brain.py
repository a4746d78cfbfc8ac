"""The brain, rule by rule: what is accepted, what a hello may change, when a job is lost, what is told to whom."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import World, host_config, host_state, laws_broken, order
from tm.errors import RefusedError
from tm.model.brain import LAUNCH_PATIENCE, Brain
from tm.model.cluster import Hello, HostState, Link
from tm.model.effects import Effects, Orders, Start
from tm.model.lifecycle import Fact
from tm.model.phase import Phase


def hello(host: str = "n1", spool: str = "s1", **more: object) -> Hello:
    about: dict[str, object] = {
        "boot": "b",
        "epoch": 1,
        "run": "r",
        "mark": 0,
        "acked": 0,
        "holds": [],
        **more,
    }
    return Hello(host, spool, **about)  # type: ignore[arg-type]


def brain_with(*hosts: HostState, joined: bool = True) -> Brain:
    """Return a brain where alice's servers are reached on every host."""
    brain = Brain(epoch=1, hosts=hosts or (host_state("n1", 2),))
    brain.user_server_attached("alice")
    for name in brain.hosts if joined else ():
        brain.host_joined("alice", hello(name, f"s-{name}"), 1.0)
    brain.take()
    return brain


def submit(brain: Brain, count: int = 1, user: str = "alice", **more: object) -> list[int]:
    return list(brain.submitted(user, "t", [order(user, **more)] * count, {"e": "{}"}, 1.0))


class BrainCase(SynchronousTestCase):
    def turn(self, brain: Brain, at: float = 2.0) -> Effects:
        brain.place(at)
        self.assertEqual(laws_broken(brain), [])
        return brain.take()

    def refused(self, word: str, *call: object) -> str:
        function, *arguments = call
        error = self.assertRaises(RefusedError, function, *arguments)
        self.assertEqual(error.word, word)
        return error.text


class AcceptingTests(BrainCase):
    def test_a_submission_is_accepted_as_a_whole_or_not_at_all(self) -> None:
        brain = brain_with()
        good, bad, foreign = order(), order(cores=0), order("eve")
        for orders, word in (
            ([good, bad], "job.invalid"),
            ([good, foreign], "job.user"),
            ([("{", "")], "job.invalid"),
            ([good, order(hosts=["n9"])], "host.unknown"),
            ([order(cores=3)], "job.impossible"),
        ):
            self.refused(word, brain.submitted, "alice", "t", orders, {"e": "{}"}, 1.0)
        self.assertFalse(brain.take())
        self.assertEqual(submit(brain, 2), [1, 2])

    def test_the_records_have_the_jobs_their_token_and_their_environment(self) -> None:
        brain = brain_with()
        submit(brain, 3)
        records = self.turn(brain).records
        self.assertEqual((sorted(records.new), records.submissions), ([1, 2, 3], [("alice", "t", 1, 3)]))
        self.assertEqual(records.environments, {"e": "{}"})

    def test_what_no_host_could_ever_run_is_refused_only_when_every_host_is_known(self) -> None:
        brain = Brain(epoch=1, hosts=[host_state("n1", 2), host_state("n2", None)])
        brain.submitted("alice", "t", [order(cores=50)], {}, 1.0)
        brain.host_joined("alice", hello("n2", "s2", cores=8), 1.0)
        self.refused("job.impossible", brain.submitted, "alice", "u", [order(cores=9)], {}, 1.0)

    def test_a_command_that_must_run_now_is_refused_when_no_host_is_vacant(self) -> None:
        brain = brain_with(host_state("n1", 1))
        self.assertEqual(submit(brain, interactive=True), [1])
        self.turn(brain)
        self.refused("busy.hosts", brain.submitted, "alice", "u", [order(interactive=True)], {}, 1.0)
        self.refused("busy.hosts", brain.submitted, "bob", "u", [order("bob", interactive=True)], {}, 1.0)


class CancellingTests(BrainCase):
    def test_what_waits_is_cancelled_at_once(self) -> None:
        brain = brain_with()
        submit(brain, cores=2)
        submit(brain)
        self.turn(brain)
        brain.cancel_asked(2, "alice", "changed my mind", 3.0)
        effects = self.turn(brain)
        job = effects.records.changed[2]
        self.assertEqual((job.phase, job.reason, job.ended_at), (Phase.CANCELLED, "changed my mind", 3.0))
        self.assertEqual((effects.orders, list(brain.jobs)), ({}, [1]))

    def test_what_runs_is_cancelled_by_its_host_and_says_so_when_it_is_dead(self) -> None:
        brain = brain_with()
        submit(brain)
        self.turn(brain)
        brain.cancel_asked(1, "alice", "", 3.0)
        effects = self.turn(brain)
        self.assertEqual(effects.orders["alice", "n1"].cancel, [(1, 1)])
        self.assertEqual(effects.records.changed[1].cancelled_by, "alice")
        self.assertEqual(brain.jobs[1].phase, Phase.STARTING)
        brain.facts_reported("alice", "n1", "s-n1", 1, [Fact(1, 1, "ended", 4.0, signal=15)], 4.0)
        self.assertEqual(self.turn(brain).records.changed[1].phase, Phase.CANCELLED)

    def test_a_wish_is_repeated_to_a_host_that_was_away(self) -> None:
        brain = brain_with()
        submit(brain)
        self.turn(brain)
        brain.host_left("alice", "n1", 3.0, "gone")
        brain.cancel_asked(1, "alice", "", 3.0)
        self.turn(brain)
        brain.host_joined("alice", hello("n1", "s-n1", mark=1, holds=[(1, 1, "running")]), 4.0)
        self.assertEqual(self.turn(brain).orders["alice", "n1"].cancel, [(1, 1)])

    def test_an_unknown_job_is_refused(self) -> None:
        self.refused("job.unknown", brain_with().cancel_asked, 9, "alice", "", 1.0)


class HelloTests(BrainCase):
    def running(self) -> Brain:
        brain = brain_with()
        submit(brain, 2)
        self.turn(brain)
        return brain

    def test_what_was_ordered_and_not_seen_there_is_ordered_again_under_its_number(self) -> None:
        brain = self.running()
        brain.host_joined("alice", hello("n1", "s-n1", mark=1, holds=[(1, 1, "running")]), 3.0)
        orders = self.turn(brain).orders["alice", "n1"]
        self.assertEqual([(start.number, start.job, start.attempt) for start in orders.start], [(2, 2, 1)])
        self.assertEqual((orders.anew, orders.spool, orders.grant), (True, "s-n1", 2))

    def test_what_was_seen_there_and_is_not_held_is_lost(self) -> None:
        brain = self.running()
        brain.host_joined("alice", hello("n1", "s-n1", mark=2, holds=[(1, 1, "running")]), 3.0)
        job = self.turn(brain).records.changed[2]
        self.assertEqual((job.phase, job.reason), (Phase.LOST, "n1 has no record of it"))
        self.assertEqual(list(brain.jobs), [1])

    def test_a_new_spool_means_that_all_of_the_old_one_is_lost(self) -> None:
        brain = self.running()
        brain.host_joined("alice", hello("n1", "another"), 3.0)
        effects = self.turn(brain)
        self.assertEqual({job.phase for job in effects.records.changed.values()}, {Phase.LOST})
        self.assertEqual((effects.orders["alice", "n1"].start, brain.hosts["n1"].used_cores), ([], 0))

    def test_what_ran_on_a_restarted_host_with_another_disk_is_lost_or_waits_again_as_it_consents(self) -> None:
        brain = brain_with()
        submit(brain)
        submit(brain, requeue=True)
        self.turn(brain)
        brain.host_joined("alice", hello("n1", "another", boot="later", survives="own session"), 3.0)
        self.assertEqual(brain.jobs[2].phase, Phase.PENDING)
        self.assertIn("n1 was restarted", brain.jobs[2].reason)
        lost = brain.take().records.changed[1]
        self.assertEqual((lost.phase, lost.reason), (Phase.LOST, "n1 was restarted, with another disk"))
        self.assertEqual(brain.sessions["alice", "n1"].survives, "own session")
        orders = self.turn(brain, 4.0).orders["alice", "n1"]
        self.assertEqual([(start.job, start.attempt) for start in orders.start], [(2, 2)])

    def test_another_boot_at_another_address_may_be_another_computer_so_nothing_begins_anew(self) -> None:
        brain = brain_with()
        submit(brain, requeue=True)
        self.turn(brain)
        brain.hosts_configured([replace(brain.hosts["n1"].config, address="elsewhere")], 2.0)
        brain.host_joined("alice", hello("n1", "another", boot="later"), 3.0)
        lost = self.turn(brain, 4.0).records.changed[1]
        self.assertEqual((lost.phase, lost.reason), (Phase.LOST, "n1 has no record of it"))
        submit(brain, requeue=True)
        self.turn(brain, 5.0)
        brain.host_joined("alice", hello("n1", "a third", boot="latest"), 6.0)
        self.assertEqual(brain.jobs[2].phase, Phase.PENDING)

    def test_what_is_held_there_and_is_over_here_is_to_be_forgotten(self) -> None:
        brain = self.running()
        brain.host_joined(
            "alice",
            hello(
                "n1",
                "s-n1",
                mark=2,
                holds=[(1, 1, "running"), (2, 1, "final"), (9, 1, "final"), (1, 7, "final")],
            ),
            3.0,
        )
        self.assertEqual(sorted(self.turn(brain).orders["alice", "n1"].forget), [(1, 7), (9, 1)])

    def test_a_later_history_than_ours_changes_nothing_but_the_link(self) -> None:
        for sign in ({"epoch": 2}, {"mark": 3}, {"acked": 1}):
            brain = self.running()
            before = {number: msgspec.structs.asdict(job) for number, job in brain.jobs.items()}
            told = {"mark": 2, "holds": [], **sign}
            text = self.refused("store.stale", brain.host_joined, "alice", hello("n1", "s-n1", **told), 3.0)
            self.assertIn("old copy of the store", text)
            self.assertEqual(
                {number: msgspec.structs.asdict(job) for number, job in brain.jobs.items()}, before
            )
            effects = self.turn(brain)
            self.assertEqual((bool(effects.records), effects.orders), (False, {}))
            self.assertEqual(brain.sessions["alice", "n1"].link, Link.STALE)
            submit(brain)
            self.assertEqual(self.turn(brain, 9e9).orders, {})

    def test_the_spool_of_another_is_not_taken_over(self) -> None:
        brain = self.running()
        brain.user_server_attached("eve")
        self.refused("store.stale", brain.host_joined, "eve", hello("n1", "s-n1", mark=2), 3.0)
        self.assertEqual(brain.hosts["n1"].used_cores, 2)

    def test_a_host_that_is_not_configured_is_refused(self) -> None:
        self.refused("host.unknown", brain_with().host_joined, "alice", hello("n9"), 1.0)

    def test_a_host_says_how_many_cores_it_has_but_not_nonsense(self) -> None:
        brain = brain_with(host_state("n1", None))
        for cores, memory, seen in (
            (-5, -1, (1, 1 << 62)),
            (0, 0, (1, 1 << 62)),
            (8, 100, (8, 100)),
            (None, None, (8, 100)),
        ):
            brain.host_joined("alice", hello("n1", "s-n1", cores=cores, memory=memory), 3.0)
            self.assertEqual((brain.hosts["n1"].cores, brain.hosts["n1"].memory), seen)


class FactsTests(BrainCase):
    def test_who_has_not_said_hello_is_asked_to(self) -> None:
        brain = brain_with()
        for user, host, spool in (("alice", "n1", "other"), ("bob", "n1", "s-n1"), ("alice", "n2", "s-n1")):
            self.refused("host.unknown", brain.facts_reported, user, host, spool, 1, [], 1.0)

    def test_facts_of_jobs_that_are_not_there_or_not_theirs_change_nothing(self) -> None:
        brain = brain_with(host_state("n1", 1), host_state("n2", 1))
        brain.user_server_attached("eve")
        brain.host_joined("eve", hello("n1", "eve-n1"), 1.0)
        submit(brain, 2)
        self.turn(brain)
        there = next(number for number, job in brain.jobs.items() if job.host == "n1")
        other = 3 - there
        for user, spool, fact in (
            ("eve", "eve-n1", Fact(there, 1, "ended", 5.0, exit_code=0)),
            ("alice", "s-n1", Fact(other, 1, "ended", 5.0, exit_code=0)),
            ("alice", "s-n1", Fact(there, 2, "ended", 5.0, exit_code=0)),
            ("alice", "s-n1", Fact(there, 1, "placed", 5.0)),
            ("alice", "s-n1", Fact(99, 1, "ended", 5.0)),
        ):
            brain.facts_reported(user, "n1", spool, 1, [fact], 5.0)
            self.assertEqual({job.phase for job in brain.jobs.values()}, {Phase.STARTING})
        self.assertEqual(self.turn(brain).records.changed, {})

    def test_the_highest_report_is_remembered_with_its_facts(self) -> None:
        brain = brain_with()
        submit(brain)
        self.turn(brain)
        brain.facts_reported("alice", "n1", "s-n1", 5, [Fact(1, 1, "started", 3.0)], 3.0)
        brain.facts_reported("alice", "n1", "s-n1", 4, [], 3.0)
        records = self.turn(brain).records
        self.assertEqual((records.spools["s-n1"].reports, records.changed[1].phase), (5, Phase.RUNNING))


class OrderTests(BrainCase):
    def test_who_takes_the_place_of_one_that_was_over_at_the_hello_is_granted_its_cores(self) -> None:
        brain = brain_with()
        submit(brain, 2)
        self.turn(brain)
        started = [Fact(number, 1, "started", 3.0, pid=number, started_at=3.0) for number in (1, 2)]
        brain.facts_reported("alice", "n1", "s-n1", 1, started, 3.0)
        brain.facts_reported("alice", "n1", "s-n1", 2, [Fact(1, 1, "ended", 3.01, exit_code=0)], 3.01)
        brain.host_joined("alice", hello("n1", "s-n1", mark=2, acked=2, holds=[(2, 1, "final")]), 3.1)
        submit(brain, 2)
        orders = self.turn(brain, 3.1).orders["alice", "n1"]
        self.assertEqual(([start.job for start in orders.start], orders.grant), ([3, 4], 1))
        brain.facts_reported("alice", "n1", "s-n1", 3, [Fact(2, 1, "ended", 3.02, exit_code=0)], 3.2)
        self.assertEqual(self.turn(brain, 3.2).orders["alice", "n1"].grant, 2)

    def test_an_order_does_not_change_with_its_job(self) -> None:
        brain = brain_with(host_state("n1", 1), host_state("n2", 1))
        submit(brain)
        first = self.turn(brain)
        host = brain.jobs[1].host
        before = first.orders["alice", str(host)].start[0]
        brain.facts_reported("alice", str(host), f"s-{host}", 1, [Fact(1, 1, "returned", 3.0)], 3.0)
        brain.host_activated(str(host), False, "", 3.0)
        second = self.turn(brain)
        self.assertNotEqual(brain.jobs[1].host, host)
        self.assertEqual(first.orders["alice", str(host)].start, [before])
        self.assertEqual(
            (before.attempt, second.orders["alice", str(brain.jobs[1].host)].start[0].attempt), (1, 2)
        )

    def test_a_hello_between_two_turns_repeats_what_is_still_to_start(self) -> None:
        def start(number: int) -> Start:
            return Start(number, number, 1, 1, "", "", "e")

        orders = Orders("alice", "n1", "old", start=[start(7)], cancel=[(1, 1)], grant=3)
        orders.absorb(Orders("alice", "n1", "old", start=[start(8)], grant=4))
        self.assertEqual(([s.number for s in orders.start], orders.anew, orders.grant), ([7, 8], False, 4))
        orders.absorb(Orders("alice", "n1", "new", anew=True, start=[start(1)], grant=1))
        orders.absorb(Orders("alice", "n1", "new", start=[start(2)], grant=2))
        self.assertEqual(([s.number for s in orders.start], orders.anew, orders.spool), ([1, 2], True, "new"))
        self.assertEqual(orders.cancel, [(1, 1)])

    def test_who_runs_before_a_later_order_takes_its_place_and_no_more_than_there_is(self) -> None:
        brain = brain_with()
        brain.user_server_attached("bob")
        brain.host_joined("bob", hello("n1", "bobs"), 1.0)
        submit(brain, 1, "bob")
        submit(brain, 3)
        self.turn(brain)
        brain.facts_reported(
            "alice", "n1", "s-n1", 1, [Fact(2, 1, "started", 2.0), Fact(2, 1, "ended", 2.001)], 2.0
        )
        self.turn(brain)
        submit(brain, 2)
        self.turn(brain)
        session = brain.sessions["alice", "n1"]
        self.assertEqual((list(session.occupying), list(session.ahead)), ([3], [4, 5, 6]))
        brain.facts_reported("bob", "n1", "bobs", 1, [Fact(1, 1, "ended", 2.1, exit_code=0)], 2.1)
        submit(brain, 1, priority=1)
        self.turn(brain)
        self.assertEqual((list(session.occupying), list(session.ahead)), ([3, 7], [4, 5, 6]))
        brain.facts_reported("alice", "n1", "s-n1", 2, [Fact(4, 1, "started", 2.2)], 2.2)
        self.assertEqual((list(session.occupying), list(session.ahead)), ([3, 4], [7, 5, 6]))
        self.assertEqual(self.turn(brain).orders.get(("alice", "n1")), None)
        self.assertEqual((session.grant, brain.hosts["n1"].used_cores), (2, 2))


class HostTests(BrainCase):
    def test_a_host_that_left_the_configuration_idle_comes_back_with_all_its_cores_counted(self) -> None:
        brain = brain_with()
        brain.hosts_configured([], 2.0)
        self.turn(brain)
        brain.hosts_configured([host_config("n1", 2)], 3.0)
        brain.host_joined("alice", hello("n1", "s-n1"), 3.0)
        submit(brain, 5)
        self.turn(brain)
        self.assertEqual((brain.hosts["n1"].used_cores, len(brain.queue)), (2, 3))

    def test_a_host_that_leaves_the_configuration_keeps_what_runs_and_gets_nothing_more(self) -> None:
        brain = brain_with()
        submit(brain, 3)
        self.turn(brain)
        brain.hosts_configured([host_config("n2", 1)], 3.0)
        brain.facts_reported("alice", "n1", "s-n1", 1, [Fact(1, 1, "ended", 3.0, exit_code=0)], 3.0)
        effects = self.turn(brain)
        self.assertEqual((effects.records.changed[1].phase, len(brain.queue)), (Phase.COMPLETED, 1))
        self.assertFalse(brain.hosts["n1"].active)

    def test_a_hello_and_a_removal_in_one_turn_do_not_stumble(self) -> None:
        brain = brain_with()
        brain.host_joined("alice", hello("n1", "s-n1"), 2.0)
        brain.hosts_configured([], 2.0)
        self.assertEqual(self.turn(brain).orders, {})

    def test_nothing_starts_on_a_host_that_is_not_active(self) -> None:
        brain = brain_with()
        brain.host_activated("n1", False, "repair", 2.0)
        submit(brain)
        self.assertEqual(self.turn(brain).orders, {})
        brain.host_activated("n1", True, "", 3.0)
        self.assertEqual(len(self.turn(brain).orders["alice", "n1"].start), 1)
        self.refused("host.unknown", brain.host_activated, "n9", True, "", 3.0)

    def test_a_server_is_asked_for_once_and_again_after_a_pause_that_grows(self) -> None:
        brain = brain_with(joined=False)
        submit(brain)
        self.assertEqual(len(self.turn(brain, 2.0).wants), 1)
        self.assertEqual(len(self.turn(brain, 3.0).wants), 0)
        asked = []
        at = 3.0
        for _ in range(4):
            brain.launch_reported("alice", "n1", "failed", "ssh.auth: no", at)
            start = at
            while not self.turn(brain, at).wants:
                at += 0.25
            asked.append(at - start)
        self.assertEqual(asked, sorted(asked))
        self.assertGreater(asked[-1], 2 * asked[0])

    def test_pauses_last_no_longer_for_a_clock_that_is_set_back(self) -> None:
        brain = brain_with(joined=False)
        submit(brain)
        self.turn(brain, 5000.0)
        brain.launch_reported("alice", "n1", "failed", "ssh.auth: no", 5000.0)
        brain.clock_set_back(3600.0)
        self.assertEqual(len(self.turn(brain, 1400.0).wants), 0)
        self.assertEqual(len(self.turn(brain, 1420.0).wants), 1)

    def test_as_many_servers_are_asked_for_at_once_as_waiting_jobs_need(self) -> None:
        hosts = [host_state(f"m{number:02}", 1) for number in range(64)]
        brain = brain_with(*hosts, joined=False)
        submit(brain, 40)
        self.assertEqual(len({want.host for want in self.turn(brain).wants}), 40)
        self.assertEqual(self.turn(brain, 2.5).wants, [])
        submit(brain, 100)
        self.assertEqual(len(self.turn(brain, 3.0).wants), 24)

    def test_no_server_is_asked_for_while_there_is_room_where_one_is(self) -> None:
        brain = brain_with(host_state("n1", 4), host_state("n2", 64), joined=False)
        brain.host_joined("alice", hello("n1", "s-n1"), 1.0)
        submit(brain, 4)
        effects = self.turn(brain)
        self.assertEqual((effects.wants, len(effects.orders["alice", "n1"].start)), ([], 4))
        submit(brain, 1)
        self.assertEqual([want.host for want in self.turn(brain, 3.0).wants], ["n2"])

    def test_a_start_that_nobody_speaks_of_any_more_has_failed(self) -> None:
        brain = brain_with(joined=False)
        submit(brain)
        self.turn(brain, 2.0)
        at = 2.0 + LAUNCH_PATIENCE + 1
        brain.tick(at)
        session = brain.sessions["alice", "n1"]
        self.assertEqual(session.link, Link.FAILED)
        self.assertIn("did not connect", session.reason)
        self.assertEqual(self.turn(brain, at).wants, [])
        self.assertEqual(len(self.turn(brain, at + 60).wants), 1)

    def test_a_host_that_was_reached_again_is_used_at_once(self) -> None:
        brain = brain_with()
        brain.host_left("alice", "n1", 2.0, "gone")
        brain.launch_reported("alice", "n1", "failed", "no", 2.0)
        brain.host_joined("alice", hello("n1", "s-n1"), 2.1)
        submit(brain)
        self.assertEqual(len(self.turn(brain, 2.1).orders["alice", "n1"].start), 1)

    def test_servers_that_running_jobs_need_are_asked_for_again(self) -> None:
        brain = brain_with()
        submit(brain)
        self.turn(brain)
        brain.host_left("alice", "n1", 3.0, "gone")
        brain.tick(3.5)
        self.assertEqual(brain.take().wants, [])
        brain.tick(5.0)
        self.assertEqual(len(brain.take().wants), 1)
        brain.user_server_detached("alice", 6.0)
        brain.tick(99.0)
        self.assertEqual(brain.take().wants, [])


class RestartTests(SynchronousTestCase):
    def world(self) -> World:
        """A world with running jobs, some sent ahead, some waiting, some ended."""
        world = World(["alice", "bob"], {"n1": 2, "n2": 3})
        for user in world.users:
            world.brain.user_server_attached(user)
        for user, host in world.boxes:
            world.connect(user, host)
        world.submit("alice", 30)
        world.submit("bob", 3, cores=2)
        for _ in range(3):
            world.turn()
            for (user, host), box in world.boxes.items():
                for key in list(box.running)[:1]:
                    box.end(key, world.at)
                world.report(user, host)
            world.at += 0.01
        world.turn()
        return world

    def state(self, world: World) -> object:
        brain = world.brain
        return {
            "jobs": {
                number: (job.phase, job.host, job.attempt, job.command_number)
                for number, job in brain.jobs.items()
            },
            "waiting": [(order, list(brain.queue.ids(kind))) for order, _, kind in brain.queue.heads()],
            "used": {name: (host.used_cores, host.used_memory) for name, host in brain.hosts.items()},
            "occupying": {key: sorted(s.occupying) for key, s in brain.sessions.items() if s.occupying},
            "ahead": {key: list(s.ahead) for key, s in brain.sessions.items() if s.ahead},
            "spools": {spool.id: spool.commands for spool in brain.spools.values()},
            "grants": {key: s.grant for key, s in brain.sessions.items()},
        }

    def test_a_brain_made_from_the_store_agrees_with_the_one_that_died(self) -> None:
        world = self.world()
        before = self.state(world)
        self.assertTrue(before["ahead"])  # type: ignore[index]
        for known in (True, False):
            world.known = known
            world.born()
            self.assertEqual(laws_broken(world.brain), [])
            for user in world.users:
                world.brain.user_server_attached(user)
            for user, host in world.boxes:
                world.connect(user, host)
            self.assertEqual(self.state(world), before)
        world.settle()

    def test_no_grant_is_larger_than_the_host_before_all_have_said_hello(self) -> None:
        world = self.world()
        world.born()
        for user in world.users:
            world.brain.user_server_attached(user)
        for (user, host), box in world.boxes.items():
            world.connect(user, host)
            world.turn()
            self.assertLessEqual(box.grant, world.cores[host])
            world.check()

    def test_orders_before_a_hello_say_nothing_of_a_grant(self) -> None:
        world = self.world()
        world.born()
        world.brain.user_server_attached("alice")
        started = next(number for number, job in world.brain.jobs.items() if job.host and job.user == "alice")
        world.brain.cancel_asked(started, "alice", "", world.at)
        orders = next(iter(world.brain.take().orders.values()))
        self.assertEqual((orders.grant, orders.spool, len(orders.cancel)), (None, "", 1))
