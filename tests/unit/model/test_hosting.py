"""What becomes of jobs when their host is needed by others, drained, broken, or declared lost: rule by rule."""

from __future__ import annotations

from typing import Any

from tests.support.brain import about, host_config, host_state, report
from tests.unit.model.test_brain import BrainCase, brain_with, hello, submit
from tm.model.brain import Brain
from tm.model.cluster import Link
from tm.model.decided import HostMemo
from tm.model.effects import Effects, Orders
from tm.model.host import Courtesy
from tm.model.job import Job
from tm.model.lifecycle import Fact
from tm.model.phase import Phase
from tm.model.rights import Group, Groups, Limits


class HostCase(BrainCase):
    def running(self, jobs: int, policy: Courtesy, cores: int = 4, **more: Any) -> Brain:
        """Return a brain where so many jobs of alice run on n1, the first the oldest."""
        self.number = 0
        self.brain = brain_with(host_state("n1", cores, policy=policy))
        submit(self.brain, jobs, **more)
        self.turn(self.brain)
        for job in range(1, jobs + 1):
            self.told("started", job, at=2.0 + job, pid=100 + job)
        self.turn(self.brain, 3.0)
        return self.brain

    def told(self, what: str, job: int, at: float = 9.0, attempt: int = 1, **more: Any) -> None:
        self.number += 1
        fact = Fact(job, attempt, what, at, **more)
        self.brain.facts_reported("alice", "n1", "s-n1", self.number, [fact], at)

    def hear(self, others: float, at: float, **more: Any) -> Effects:
        self.brain.host_reported("n1", about(), report(others=others, **more), at)
        return self.turn(self.brain, at)

    def orders(self, effects: Effects) -> Orders:
        return effects.orders.get(("alice", "n1"), Orders("alice", "n1"))

    def states(self) -> list[str]:
        return [str(job.phase) for job in self.brain.jobs.values()]

    def reason(self, number: int) -> str:
        job: Job = self.brain.jobs[number]
        return job.reason


class SuspendTests(HostCase):
    def test_the_youngest_are_suspended_until_the_rest_fits_and_go_on_the_oldest_first(self) -> None:
        self.running(4, Courtesy.SUSPEND)
        self.assertEqual(self.hear(2.0, 10.0).orders, {})
        orders = self.orders(self.hear(2.0, 15.0))
        self.assertEqual((orders.suspend, orders.resume), ([(4, 1), (3, 1)], []))
        for job in (4, 3):
            self.told("suspended", job, turn=1, pid=100 + job, started_at=2.0 + job)
        self.assertEqual(self.states(), ["running", "running", "suspended", "suspended"])
        self.assertEqual(self.reason(4), "suspended: others use 2 of 4 cores")
        for at in (20.0, 25.0, 30.0):
            self.assertEqual(self.hear(1.0, at).orders, {})
        orders = self.orders(self.hear(1.0, 35.0))
        self.assertEqual((orders.suspend, orders.resume), ([], [(3, 1)]))
        self.told("resumed", 3, turn=2)
        self.assertEqual(self.states(), ["running", "running", "running", "suspended"])

    def test_one_goes_on_when_another_has_ended(self) -> None:
        self.running(3, Courtesy.SUSPEND)
        for at in (10.0, 15.0):
            self.hear(2.0, at)
        self.told("suspended", 3, turn=1)
        self.told("ended", 1, exit_code=0)
        self.assertEqual(self.orders(self.turn(self.brain, 16.0)).resume, [(3, 1)])

    def test_nothing_new_starts_where_something_is_suspended(self) -> None:
        self.running(3, Courtesy.SUSPEND)
        for at in (10.0, 15.0):
            self.hear(2.0, at)
        submit(self.brain, 5)
        self.assertEqual(self.orders(self.turn(self.brain, 16.0)).start, [])

    def test_a_wish_that_was_not_followed_is_repeated_and_so_it_is_to_a_host_that_was_away(self) -> None:
        self.running(2, Courtesy.SUSPEND)
        self.hear(4.0, 10.0, console_idle=1.0)
        self.brain.tick(12.0)
        self.assertEqual(self.brain.take().orders, {})
        self.brain.tick(16.0)
        self.assertEqual(sorted(self.orders(self.brain.take()).suspend), [(1, 1), (2, 1)])
        self.brain.host_left("alice", "n1", 17.0, "gone")
        holds = [(1, 1, "running"), (2, 1, "running")]
        self.brain.host_joined("alice", hello("n1", "s-n1", mark=2, acked=self.number, holds=holds), 18.0)
        self.assertEqual(sorted(self.orders(self.turn(self.brain, 18.0)).suspend), [(1, 1), (2, 1)])

    def test_one_that_is_cancelled_is_neither_suspended_nor_let_go_on_any_more(self) -> None:
        self.running(2, Courtesy.SUSPEND)
        self.hear(0.0, 10.0, console_idle=1.0)
        self.told("suspended", 1, turn=1)
        for number in (1, 2):
            self.brain.cancel_asked(number, "alice", "", 11.0)
        self.turn(self.brain, 11.0)
        self.brain.tick(30.0)
        orders = self.orders(self.turn(self.brain, 30.0))
        self.assertEqual((orders.suspend, orders.resume, self.brain.sessions["alice", "n1"].pauses), ([], [], {}))

    def test_what_stands_and_nobody_wished_it_goes_on(self) -> None:
        self.running(1, Courtesy.SUSPEND)
        self.told("suspended", 1, turn=5)
        self.brain.tick(20.0)
        self.assertEqual(self.orders(self.brain.take()).resume, [(1, 1)])
        self.assertEqual(self.reason(1), "stopped on its host")

    def test_a_brain_that_starts_anew_lets_nothing_go_on_before_it_has_heard_of_the_host(self) -> None:
        self.running(1, Courtesy.SUSPEND)
        self.hear(4.0, 10.0, console_idle=1.0)
        self.told("suspended", 1, turn=1)
        for heard, resumed in ((0.0, [(1, 1)]), (4.0, [])):
            config = host_state("n1", 4, policy=Courtesy.SUSPEND)
            jobs, spools = self.brain.jobs.values(), self.brain.spools.values()
            brain = self.brain = Brain(epoch=1, jobs=jobs, spools=spools, hosts=[config])
            brain.user_server_attached("alice")
            holds = [(1, 1, "running")]
            brain.host_joined("alice", hello("n1", "s-n1", mark=1, acked=self.number, holds=holds), 20.0)
            brain.place(20.0)
            brain.tick(21.0)
            self.assertEqual(self.orders(brain.take()).resume, [])
            brain.host_reported("n1", about(), report(others=heard), 22.0)
            self.assertEqual(self.orders(self.turn(brain, 22.0)).resume, resumed)


class PolicyTests(HostCase):
    def test_who_ignores_others_or_takes_no_new_jobs_lets_all_that_runs_go_on(self) -> None:
        for policy, room in ((Courtesy.IGNORE, 4), (Courtesy.NO_NEW_JOBS, 0)):
            self.running(3, policy)
            effects = self.hear(0.0, 10.0, console_idle=1.0)
            self.assertEqual(effects.orders, {})
            self.assertEqual(self.brain.hosts["n1"].cores, room)

    def test_what_is_too_much_is_niced_once(self) -> None:
        self.running(3, Courtesy.NICE)
        self.hear(2.0, 10.0)
        self.assertEqual(self.orders(self.hear(2.0, 15.0)).nice, [(3, 1, 19)])
        self.assertEqual(self.reason(3), "niced: others use 2 of 4 cores")
        self.assertEqual(self.hear(2.0, 20.0).orders, {})
        for at in (25.0, 30.0, 35.0):
            self.hear(0.0, at)
        self.assertEqual(self.orders(self.hear(0.0, 40.0)).nice, [(3, 1, 0)])
        self.assertEqual(self.reason(3), "")

    def test_a_host_outside_its_hours_is_closed_and_opens_by_itself(self) -> None:
        brain = brain_with(host_state("n1", 4, hours=("mon 00:00-00:01",)))
        brain.tick(1_000_000.0)
        submit(brain)
        self.assertEqual(self.turn(brain, 1_000_000.0).orders, {})
        self.assertIn("service hours", brain.hosts["n1"].held_back)

    def test_watchers_hear_what_a_host_offers_when_it_changes(self) -> None:
        self.running(1, Courtesy.SUSPEND)
        notices = [note.fields for note in self.hear(0.0, 10.0, console_idle=1.0).notices if note.topic == "hosts"]
        self.assertEqual(
            [(note["host"], note["offered_cores"], note["action"], note["reason"]) for note in notices],
            [("n1", 0, "suspend", "somebody is at the console")],
        )
        self.assertEqual(self.hear(0.0, 15.0, console_idle=2.0).notices, [])


class GiveWayTests(HostCase):
    def test_who_may_be_repeated_is_asked_to_leave_and_waits_again_only_when_it_is_dead(self) -> None:
        self.running(2, Courtesy.GIVE_WAY, requeue=True)
        effects = self.hear(0.0, 10.0, console_idle=1.0)
        self.assertEqual((self.orders(effects).give_way, self.orders(effects).suspend), ([(2, 1), (1, 1)], []))
        self.assertEqual(effects.records.changed[1].gives_way, "others: somebody is at the console")
        self.assertEqual(self.states(), ["running", "running"])
        self.hear(0.0, 11.0)
        self.told("ended", 1, signal=15)
        job = self.turn(self.brain, 12.0).records.changed[1]
        self.assertEqual((job.phase, job.attempt), (Phase.PENDING, 1))
        self.assertEqual(job.reason, "attempt 1 on n1 gave way to others: somebody is at the console")
        self.assertEqual(self.states(), ["pending", "running"])

    def test_who_may_not_is_suspended_instead(self) -> None:
        self.running(1, Courtesy.GIVE_WAY)
        orders = self.orders(self.hear(0.0, 10.0, console_idle=1.0))
        self.assertEqual((orders.give_way, orders.suspend), ([], [(1, 1)]))

    def test_a_wish_to_leave_is_repeated_to_a_host_that_was_away(self) -> None:
        self.running(1, Courtesy.GIVE_WAY, requeue=True)
        self.hear(0.0, 10.0, console_idle=1.0)
        holds = [(1, 1, "running")]
        self.brain.host_joined("alice", hello("n1", "s-n1", mark=1, acked=self.number, holds=holds), 11.0)
        self.assertEqual(self.orders(self.turn(self.brain, 11.0)).give_way, [(1, 1)])

    def test_a_machine_that_is_left_is_used_again_when_they_return_or_their_time_is_over(self) -> None:
        for back in (lambda: self.brain.machine_returned("n1", "carol", 20.0), lambda: self.brain.tick(99.0)):
            self.running(1, Courtesy.IGNORE)
            self.brain.machine_left("n1", 99.0, "carol", 10.0)
            effects = self.turn(self.brain, 10.0)
            self.assertEqual(self.orders(effects).suspend, [(1, 1)])
            self.assertEqual(effects.records.memos["n1"], HostMemo("n1", 99.0, "carol"))
            self.told("suspended", 1, turn=1)
            back()
            effects = self.turn(self.brain, 99.0)
            self.assertEqual((self.orders(effects).resume, effects.records.memos["n1"]), ([(1, 1)], HostMemo("n1")))

    def test_what_was_decided_of_a_host_is_known_to_the_next_brain(self) -> None:
        memos = [HostMemo("n1", 99.0, "carol"), HostMemo("n2", declared="declared lost by carol"), HostMemo("n9", 5.0)]
        brain = Brain(epoch=2, hosts=[host_state("n1"), host_state("n2"), host_state("n3")], memos=memos)
        brain.user_server_attached("alice")
        submit(brain)
        brain.place(50.0)
        self.assertEqual([want.host for want in brain.take().wants], ["n3"])
        self.assertEqual((brain.hosts["n1"].cores, brain.hosts["n2"].reason), (0, "declared lost by carol"))


    def test_a_host_that_comes_back_into_the_configuration_begins_anew(self) -> None:
        brain = Brain(epoch=1, hosts=[host_state("n1")])
        brain.host_declared_lost("n1", "carol", 1.0)
        brain.hosts_configured([], 2.0)
        brain.take()
        brain.hosts_configured([host_config("n1")], 3.0)
        self.assertEqual((brain.hosts["n1"].active, brain.take().records.memos), (True, {"n1": HostMemo("n1")}))


class DrainTests(HostCase):
    def test_at_its_deadline_what_may_be_repeated_leaves_and_the_rest_is_named(self) -> None:
        self.running(1, Courtesy.IGNORE)
        submit(self.brain, 1, requeue=True)
        self.turn(self.brain, 4.0)
        self.told("started", 2, at=4.0)
        self.brain.host_drained("n1", 50.0, "a fan", 10.0)
        self.brain.tick(49.0)
        self.assertEqual((self.orders(self.brain.take()).give_way, self.brain.hosts["n1"].reason), ([], "a fan"))
        self.brain.tick(50.0)
        self.assertEqual(self.orders(self.brain.take()).give_way, [(2, 1)])
        self.assertEqual(self.brain.hosts["n1"].reason, "a fan; may not be repeated and runs on: job 1")
        self.told("ended", 2, signal=15)
        self.assertEqual(self.reason(2), "attempt 1 on n1 gave way to the draining of n1: a fan")
        self.told("ended", 1, exit_code=0)
        self.brain.tick(51.0)
        self.assertEqual(self.brain.hosts["n1"].reason, "a fan")

    def test_who_activates_the_host_meanwhile_ends_the_drain(self) -> None:
        self.running(1, Courtesy.IGNORE, requeue=True)
        self.brain.host_drained("n1", 50.0, "a fan", 10.0)
        self.brain.host_activated("n1", True, "", 11.0)
        self.brain.tick(60.0)
        self.assertEqual(self.orders(self.brain.take()).give_way, [])
        self.refused("host.unknown", self.brain.host_drained, "n9", None, "", 1.0)


class LostTests(HostCase):
    def test_all_that_is_there_is_lost_and_nothing_late_changes_that(self) -> None:
        self.running(2, Courtesy.IGNORE)
        self.brain.host_left("alice", "n1", 5.0, "gone")
        self.assertEqual(self.brain.host_declared_lost("n1", "carol", 10.0), 2)
        effects = self.turn(self.brain, 10.0)
        job = effects.records.changed[1]
        self.assertEqual((job.phase, job.reason), (Phase.LOST, "n1 was declared lost by carol"))
        self.assertEqual((list(self.brain.jobs), self.brain.hosts["n1"].used_cores), ([], 0))
        self.told("ended", 1, exit_code=0)
        self.assertEqual(self.turn(self.brain, 11.0).records.changed, {})

    def test_nothing_starts_there_until_somebody_activates_it_not_even_after_a_reload(self) -> None:
        self.running(0, Courtesy.IGNORE)
        self.brain.host_declared_lost("n1", "carol", 10.0)
        self.brain.hosts_configured([host_config("n1", 4)], 11.0)
        submit(self.brain)
        self.assertEqual(self.turn(self.brain, 12.0).orders, {})
        self.brain.host_activated("n1", True, "", 13.0)
        self.assertEqual(len(self.orders(self.turn(self.brain, 13.0)).start), 1)

    def test_what_is_found_running_there_later_is_ended_and_what_never_came_there_is_passed_over(self) -> None:
        self.running(2, Courtesy.IGNORE)
        self.brain.host_declared_lost("n1", "carol", 10.0)
        holds = [(1, 1, "running")]
        self.brain.host_joined("alice", hello("n1", "s-n1", mark=1, acked=self.number, holds=holds), 20.0)
        orders = self.orders(self.turn(self.brain, 20.0))
        self.assertEqual((orders.cancel[-1], orders.forget), ((1, 1), []))
        self.assertEqual([(start.number, start.job, start.spec) for start in orders.start], [(2, 0, "")])


class BrokenHostTests(HostCase):
    def refuse(self, user: str, job: int, attempt: int = 1, at: float = 5.0) -> None:
        fact = Fact(job, attempt, "refused", at, exit_code=125, reason="cannot enter /home: gone")
        self.brain.facts_reported(user, "n1", f"{user}-n1", job, [fact], at)

    def two_users(self) -> None:
        self.brain = Brain(epoch=1, hosts=[host_state("n1", 4)])
        for user in ("alice", "bob"):
            self.brain.user_server_attached(user)
            self.brain.host_joined(user, hello("n1", f"{user}-n1"), 1.0)
            submit(self.brain, 2, user)
        self.turn(self.brain)

    def test_it_is_taken_out_loudly_and_a_probe_brings_it_back(self) -> None:
        self.two_users()
        self.refuse("alice", 1)
        self.turn(self.brain, 5.0)
        self.refuse("bob", 3)
        submit(self.brain, 5)
        effects = self.turn(self.brain, 6.0)
        (note,) = [note.fields for note in effects.notices if note.fields.get("trouble")]
        self.assertIn("starts failed for alice, bob, the last one: job 3: cannot enter /home", str(note["reason"]))
        self.assertEqual([order.start for order in effects.orders.values()], [[], []])
        self.assertEqual(effects.orders["bob", "n1"].recall, [(4, 1)])
        effects = self.turn(self.brain, 70.0)
        (probe,) = [start for orders in effects.orders.values() for start in orders.start]
        self.assertEqual(self.turn(self.brain, 71.0).orders, {})
        user = self.brain.jobs[probe.job].user
        self.brain.facts_reported(user, "n1", f"{user}-n1", 9, [Fact(probe.job, 1, "started", 72.0)], 72.0)
        effects = self.turn(self.brain, 72.0)
        self.assertIn("has started there", str([note.fields.get("reason") for note in effects.notices]))
        self.assertTrue(any(orders.start for orders in effects.orders.values()))

    def test_a_probe_that_is_refused_keeps_it_out(self) -> None:
        self.two_users()
        self.refuse("alice", 1)
        self.refuse("bob", 3)
        submit(self.brain, 1)
        self.turn(self.brain, 6.0)
        (probe,) = [s for orders in self.turn(self.brain, 70.0).orders.values() for s in orders.start]
        self.refuse(self.brain.jobs[probe.job].user, probe.job, at=71.0)
        submit(self.brain, 1)
        for at, starts in ((100.0, 0), (180.0, 0), (192.0, 1)):
            orders = self.turn(self.brain, at).orders.values()
            self.assertEqual(sum(len(one.start) for one in orders), starts)

    def test_after_one_user_s_probe_has_failed_another_user_may_try(self) -> None:
        self.two_users()
        self.refuse("alice", 1)
        self.refuse("bob", 3)
        submit(self.brain, 3)
        self.turn(self.brain, 6.0)
        (probe,) = [s for orders in self.turn(self.brain, 70.0).orders.values() for s in orders.start]
        self.refuse("alice", probe.job, at=71.0)
        self.assertEqual(self.turn(self.brain, 72.0).orders, {})
        (waiting,) = submit(self.brain, 1, "bob")
        self.assertEqual([s.job for s in self.turn(self.brain, 73.0).orders["bob", "n1"].start], [waiting])

    def test_what_a_user_s_server_says_is_one_short_line_for_others(self) -> None:
        self.two_users()
        poison = "gone\nn2  up  4/4 cores\r\n" + "x" * 1000
        self.brain.host_left("alice", "n1", 3.0, poison)
        self.brain.launch_reported("alice", "n1", "failed", poison, 4.0)
        reason = self.brain.sessions["alice", "n1"].reason
        self.assertEqual((reason[:24], len(reason)), ("gone n2 up 4/4 cores xxx", 500))
        fact = Fact(3, 1, "refused", 5.0, exit_code=125, reason=poison)
        self.brain.facts_reported("bob", "n1", "bob-n1", 3, [fact], 5.0)
        self.assertTrue(self.brain.hosts["n1"].trouble.reason.isprintable())
        self.assertIn("job 3: gone n2 up", self.brain.hosts["n1"].trouble.reason)

    def test_servers_that_cannot_be_started_for_two_users_count_and_a_host_that_is_off_does_not(self) -> None:
        for word, out in (("ssh.command", True), ("ssh.unreachable", False)):
            brain = Brain(epoch=1, hosts=[host_state("n1", 4)])
            for user in ("alice", "bob"):
                brain.user_server_attached(user)
                submit(brain, 1, user)
            brain.place(2.0)
            for user in ("alice", "bob"):
                brain.launch_reported(user, "n1", "failed", f"{word}: no", 3.0)
            self.assertEqual(brain.hosts["n1"].trouble.out_until is not None, out)
            self.assertEqual(brain.sessions["alice", "n1"].link, Link.FAILED)


class PeopleTests(HostCase):
    def test_jobs_go_only_to_hosts_that_their_user_may_use(self) -> None:
        brain = brain_with(host_state("n1", 4, users=("bob",)), host_state("n2", 4, users=("@physics",)))
        self.assertIn("no host is open to alice", self.refused("job.impossible", submit, brain, 2))
        physics = Groups((Group("physics", frozenset({"alice"})),))
        brain.people_configured(physics, 1.0)
        submit(brain, 2)
        brain.people_configured(Groups(), 2.0)
        self.assertEqual(self.turn(brain).orders, {})
        brain.people_configured(physics, 3.0)
        self.assertEqual([key for key, orders in self.turn(brain).orders.items() if orders.start], [("alice", "n2")])

    def test_no_more_runs_or_waits_than_groups_permit(self) -> None:
        brain = brain_with(host_state("n1", 4))
        limits = Limits(running=2, queued=5, cores=3)
        brain.people_configured(Groups((Group("all", frozenset({"*"}), user_limits=limits),)), 1.0)
        submit(brain, 4)
        self.assertEqual(len(self.turn(brain).orders["alice", "n1"].start), 2)
        self.assertEqual((len(brain.queue), brain.limits.of_user("alice")["running"]), (2, 2))
        text = self.refused("limit.jobs", submit, brain, 4)
        self.assertIn("may have 5 jobs waiting", text)
        brain.facts_reported("alice", "n1", "s-n1", 1, [Fact(1, 1, "ended", 5.0, exit_code=0)], 5.0)
        self.assertEqual(len(self.turn(brain).orders["alice", "n1"].start), 1)
