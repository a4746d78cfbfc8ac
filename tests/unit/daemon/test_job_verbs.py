"""The verbs about jobs as people say them: what they are done to, what they are not, and what is told of one job."""

from __future__ import annotations

import json
from typing import Any

from tests.support.daemons import NotedPeer, refusal
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.model.ids import task_id
from tm.model.phase import Phase
from tm.wire.message import Reply


class OrderCase(DispatcherCase):
    """n1 has two cores. Alice's jobs 1 and 2 run, 3 waits, as does the array 4 of six tasks; 5 is bob's."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.attached()
        self.assertTrue(self.said(self.server, self.hello()).ok)
        self.reports = 0
        for token, more in (("a", {}), ("b", {}), ("c", {"name": "sim3"}), ("d", {"array": "0-5", "name": "grid"})):
            self.said(self.server, self.submission(token, **more))
        self.said(NotedPeer("bob"), self.submission("e", user="bob"))
        for job in (1, 2):
            self.told(job, "started", pid=40 + job)

    def told(self, job: int, what: str, attempt: int = 1, **more: object) -> None:
        """The host says something of a job."""
        self.reports += 1
        at = self.clock.seconds()
        self.said(
            self.server, self.report(self.reports, {"job": job, "attempt": attempt, "what": what, "at": at, **more})
        )

    def order(self, line: str, user: str = "alice") -> Reply:
        """Return the answer to *line*, also where it is a refusal."""
        answer = self.say(NotedPeer(user), line).addErrback(refusal)
        self.settle()
        return self.successResultOf(answer)

    def orders(self, what: str) -> list[Any]:
        """Return what the server of alice was told to do to her jobs."""
        return [key for line in self.server.heard("orders") for key in line.get(what, ())]

    def info(self, job: str, user: str = "alice") -> dict[str, Any]:
        (line,) = self.order(f"jobinfo.json:{job}", user).body
        found: dict[str, Any] = json.loads(line)
        return found

    def words(self, job: str) -> list[str]:
        """Return what happened to a job."""
        return [event["what"] for event in self.info(job)["events"]]

    def phase(self, job: int) -> Phase:
        return self.dispatcher.brain.jobs[job].phase


class HoldTests(OrderCase):
    def test_what_waits_is_held_and_released_and_the_rest_is_named(self) -> None:
        answer = self.order("holdjob:1,3,5,9:a talk")
        self.assertEqual(answer.text, "held 1")
        self.assertEqual(
            sorted(answer.body),
            ["1: has started already; suspendjob stops it where it is", "5,9: not waiting or running, or not yours"],
        )
        self.assertEqual((self.phase(3), self.info("3")["held_by"]), (Phase.HELD, "alice"))
        self.assertIn("a talk", self.info("3")["reason"])
        self.assertEqual(self.order("holdjob:3").text, "3: is held already")
        self.assertEqual(self.order("releasejob:3").text, "released 1")
        self.assertEqual((self.phase(3), self.words("3")), (Phase.PENDING, ["submitted", "held", "released"]))

    def test_some_tasks_of_an_array_are_held_and_released(self) -> None:
        self.assertEqual(self.order("holdjob:4_[1-3]").text, "held 3")
        self.assertEqual(self.info("4")["indices"], {"pending": "0,4-5", "held": "1-3"})
        self.assertEqual(self.order("holdjob:4_[3-4]").body, ["4_3: is held already"])
        self.assertEqual(self.order("releasejob:4_2").text, "released 1")
        self.assertEqual(self.info("4_2")["state"], "pending")
        self.assertEqual(self.info("4_3")["state"], "held")
        self.assertEqual(self.order("releasejob:4").text, "released 1")
        self.assertEqual(self.info("4")["indices"], {"pending": "0-5"})

    def test_of_an_array_held_as_a_whole_single_tasks_are_released(self) -> None:
        self.order("holdjob:4")
        self.assertEqual(self.info("4")["state"], "held")
        self.assertEqual(self.order("releasejob:4_[0-1]").text, "released 2")
        self.assertEqual(self.info("4")["indices"], {"pending": "0-1", "held": "2-5"})

    def test_what_an_operator_holds_its_owner_cannot_release(self) -> None:
        self.assertEqual(self.order("holdjob:3", "root").text, "held 1")
        answer = self.order("releasejob:3")
        self.assertEqual((answer.word, answer.text), ("job.state", "3: is held by root, who must release it"))
        self.assertEqual(self.order("releasejob:3", "root").text, "released 1")

    def test_filters_pick_what_an_order_is_for(self) -> None:
        self.assertEqual(self.order("holdjob:state=pending").text, "held 7")
        self.assertEqual(self.order("releasejob:state=held name=sim*").text, "released 1")
        self.assertEqual(self.order("holdjob:user=all state=pending", "root").text, "held 2")
        answer = self.order("holdjob:name=nothing*")
        self.assertEqual(answer.word, "job.unknown")


class CancelTests(OrderCase):
    def test_some_tasks_of_an_array_end_at_once(self) -> None:
        self.assertEqual(self.order("canceljob:4_[1-9]:too many").text, "cancelling 5")
        self.assertEqual(self.info("4_3")["state"], "cancelled")
        self.assertEqual(self.info("4")["indices"], {"pending": "0", "cancelled": "1-5"})
        self.assertEqual(self.words("4"), ["submitted", "cancel"])

    def test_who_cancelled_and_why_is_told_of_what_waited_and_of_what_ran(self) -> None:
        self.order("canceljob:1,3:wrong input")
        self.assertEqual(self.info("3")["reason"], "cancelled by alice: wrong input")
        self.assertEqual(self.info("1")["reason"], "being cancelled by alice: wrong input")
        self.told(1, "ended", signal=15)
        self.assertEqual(self.info("1")["reason"], "cancelled by alice: wrong input")
        self.assertEqual(
            (self.info("1")["cause"], self.info("1")["cause_text"]), ("cancelled", "somebody cancelled it")
        )

    def test_a_task_is_cancelled_beside_what_runs_of_its_array(self) -> None:
        self.order("canceljob:3")
        self.told(1, "ended", exit_code=0)
        self.told(task_id(4, 0), "started", pid=50)
        self.assertEqual(self.order("canceljob:4_[0-1]").text, "cancelling 2")
        self.assertIn([task_id(4, 0), 1], [key[:2] for key in self.orders("cancel")])
        self.assertEqual(self.info("4")["state"], "running")


class SuspendTests(OrderCase):
    def test_what_is_suspended_by_its_owner_stays_so_until_they_resume_it(self) -> None:
        self.assertEqual(self.order("suspendjob:1,3:a demonstration").body, ["3: has not started"])
        self.assertEqual(self.orders("suspend"), [[1, 1]])
        self.told(1, "suspended", turn=1)
        self.assertEqual(self.info("1")["reason"], "suspended: by alice")
        for _ in range(20):
            self.clock.advance(1)
            self.settle()
        self.assertEqual(self.orders("resume"), [])
        self.assertEqual(self.order("suspendjob:1").text, "1: is suspended already")
        self.assertEqual(self.order("resumejob:1").text, "resuming 1")
        self.assertEqual(self.orders("resume"), [[1, 1]])
        self.told(1, "resumed", turn=2)
        self.assertEqual((self.info("1")["state"], self.info("1")["suspended_by"]), ("running", None))
        self.assertEqual(self.words("1"), ["submitted", "started", "suspended", "resumed"])

    def test_it_goes_on_when_nobody_wants_it_suspended_any_more(self) -> None:
        self.order("suspendjob:1")
        self.order("suspendjob:1", "root")
        self.told(1, "suspended", turn=1)
        self.assertEqual(self.info("1")["reason"], "suspended: by alice, root")
        self.order("resumejob:1")
        self.assertEqual((self.orders("resume"), self.info("1")["suspended_by"]), ([], "root"))
        self.assertEqual(self.order("resumejob:1").text, "1: is suspended by root, who must resume it")
        self.order("resumejob:1", "root")
        self.assertEqual(self.orders("resume"), [[1, 1]])

    def test_a_restart_of_the_dispatcher_keeps_it_suspended(self) -> None:
        self.order("suspendjob:1")
        self.told(1, "suspended", turn=1)
        self.dispatcher.stopService()
        self.settle()
        self.begin()
        self.server = self.attached()
        holds = [[1, 1, "running"], [2, 1, "running"]]
        self.assertTrue(self.said(self.server, self.hello(epoch=2, mark=2, holds=holds)).ok)
        for _ in range(40):
            self.clock.advance(1)
            self.settle()
        self.assertEqual(self.orders("resume"), [])
        self.order("resumejob:1")
        self.assertEqual(self.orders("resume"), [[1, 1]])


class RunningTests(OrderCase):
    def test_a_signal_goes_to_what_runs(self) -> None:
        self.assertEqual(self.order("signaljob:1,3:sigusr1").body, ["3: has not started"])
        self.assertEqual(self.orders("signal"), [[1, 1, "USR1"]])
        self.order("signaljob:1:12")
        self.assertEqual(self.orders("signal"), [[1, 1, "USR1"], [1, 1, "USR2"]])
        for name in ("NOPE", "STOP", "CONT", "0", "999"):
            self.assertEqual(self.order(f"signaljob:1:{name}").word, "proto.arguments", name)

    def test_a_signal_does_not_wait_for_a_host(self) -> None:
        self.said(self.server, 'hostnews:{"host":"n1","state":"gone"}')
        self.assertIn("is not reached", self.order("signaljob:1:USR1").text)

    def test_what_is_put_back_waits_again_when_it_is_seen_dead(self) -> None:
        self.assertEqual(self.order("requeuejob:1:a bad disk").text, "putting back 1")
        self.assertEqual([key[:2] for key in self.orders("give_way")], [[1, 1]])
        self.assertEqual(self.phase(1), Phase.RUNNING)
        self.told(1, "ended", signal=15)
        self.assertIn(self.phase(1), (Phase.PENDING, Phase.STARTING))
        (attempt,) = self.info("1")["attempts"]
        self.assertEqual((attempt["attempt"], attempt["host"], attempt["signal"]), (1, "n1", 15))
        self.assertIn("requeued", self.words("1"))

    def test_others_put_back_only_what_its_user_consents_to(self) -> None:
        self.assertIn("has not consented", self.order("requeuejob:1", "root").text)

    def test_what_waits_is_put_back_by_nobody(self) -> None:
        self.assertEqual(self.order("requeuejob:3").text, "3: has not started")


class ChangeTests(OrderCase):
    def change(self, ids: str, user: str = "alice", **values: object) -> Reply:
        return self.order("changejob:" + json.dumps({"ids": ids, "set": values}), user)

    def test_a_waiting_job_asks_for_something_else_from_now_on(self) -> None:
        self.assertEqual(self.change("3", cores=2, time=3600.0, priority=5).text, "changed 1")
        shown = self.info("3")
        self.assertEqual((shown["cores"], shown["time"], shown["priority"]), (2, 3600.0, 5))
        self.assertEqual(shown["changed"], {"cores": 2, "time": 3600.0, "priority": 5})
        self.assertEqual(shown["events"][-1]["text"], "cores 1 → 2, priority 0 → 5, time none → 1:00:00 by alice")

    def test_a_change_is_told_as_people_write_it(self) -> None:
        self.change("3", begin=86400.0 * 365, deadline=4e9, memory=3 << 30)
        told = str(self.info("3")["events"][-1]["text"])
        for words in ("memory none → 3G", "begin none → 1971-01-01T00:00:00", "deadline none → 2096-10-02T07:06:40"):
            self.assertIn(words, told)

    def test_it_is_kept_by_a_restart(self) -> None:
        self.change("3", cores=2)
        self.dispatcher.stopService()
        self.settle()
        self.begin()
        self.assertEqual(self.info("3")["changed"], {"cores": 2})

    def test_what_a_new_job_may_not_ask_a_changed_one_may_not_either(self) -> None:
        for values, word in (
            ({"cores": 0}, "job.invalid"), ({"cores": 3}, "job.impossible"), ({"hosts": ["n9"]}, "host.unknown"),
            ({"time": -1.0}, "job.invalid"), ({"deadline": 10.0}, "job.invalid"), ({"cap": 2}, "job.invalid"),
            ({"dependency": "afterok:99"}, "job.dependency"), ({"boost": 5}, "perm.denied"),
            ({"name": "x"}, "proto.arguments"), ({}, "proto.arguments"), ({"cores": "2"}, "proto.arguments"),
        ):  # fmt: skip
            self.assertEqual(self.change("3", **values).word, word, values)
        self.assertEqual(self.info("3")["changed"], {})

    def test_of_what_runs_only_the_wall_time_is_changed_and_its_host_hears_of_it(self) -> None:
        self.clock.advance(100)
        self.assertEqual(self.change("1", time=3600.0).text, "changed 1")
        self.assertEqual(self.orders("limit"), [[1, 1, 3600.0]])
        self.assertEqual(self.change("1", cores=2).word, "job.state")
        late = self.change("1", time=50.0)
        self.assertEqual(late.word, "job.state")
        self.assertIn("would be ended at once", late.text)

    def test_an_array_is_changed_as_a_whole_and_so_is_its_cap(self) -> None:
        self.assertEqual(self.change("4", cap=2, time=60.0).text, "changed 1")
        self.assertEqual(self.info("4")["tasks"]["cap"], 2)
        self.assertEqual(self.change("4_[0-2]", time=70.0).word, "job.state")

    def test_the_cap_holds_at_once(self) -> None:
        self.change("4", cap=1)
        self.order("canceljob:1-3")
        self.told(1, "ended", signal=15)
        self.told(2, "ended", signal=15)
        self.assertEqual(self.info("4")["tasks"]["active"], 1)
        self.change("4", cap=0)
        self.assertEqual(self.info("4")["tasks"]["active"], 2)

    def test_a_job_waits_for_another_and_for_a_time(self) -> None:
        self.assertEqual(self.change("3", dependency="afterany:1").text, "changed 1")
        self.assertIn("waits for job 1", self.info("3")["reason"])
        self.assertEqual(self.change("3", dependency="", begin=5000.0).text, "changed 1")
        self.assertEqual(self.info("3")["begin"], "1970-01-01T01:23:20.000Z")

    def test_an_operator_boosts_what_they_will(self) -> None:
        self.assertEqual(self.change("3", "root", boost=10).text, "changed 1")
        self.assertEqual(self.info("3")["boost"], 10)


class TryTests(OrderCase):
    def test_it_says_what_would_be_touched_and_touches_nothing(self) -> None:
        answer = self.order("tryjobs:canceljob:1 4_[2-3] 77")
        self.assertEqual(answer.text, "3 would be cancelled")
        self.assertEqual(
            list(answer.body), ["1,4_[2-3]: would be cancelled", "77: not waiting or running, or not yours"]
        )
        self.assertEqual(self.phase(1), Phase.RUNNING)
        self.assertEqual(self.order("tryjobs:suspendjob:state=pending").text, "0 would be suspended")

    def test_as_json_each_reason_is_a_line(self) -> None:
        answer = self.order("tryjobs.json:suspendjob:1-3")
        self.assertEqual(
            [json.loads(line) for line in answer.body],
            [
                {"ids": "1-2", "jobs": 2, "done": True, "why": ""},
                {"ids": "3", "jobs": 1, "done": False, "why": "has not started"},
            ],
        )

    def test_only_orders_are_tried(self) -> None:
        self.assertEqual(self.order("tryjobs:lsjobs:1").word, "proto.arguments")


class TellingTests(OrderCase):
    def test_the_tasks_of_an_array_are_listed_those_that_wait_folded(self) -> None:
        self.order("holdjob:4_5")
        self.order("canceljob:3,4_4")
        self.told(1, "ended", exit_code=0)
        self.told(task_id(4, 0), "started", pid=50)
        lines = [json.loads(line) for line in self.order("lsjobs.json:array=4").body]
        self.assertEqual(
            [(line["id"], line["state"], line.get("count")) for line in lines],
            [("4_0", "running", None), ("4_5", "held", 1), ("4_[1-3]", "pending", 3), ("4_4", "cancelled", 1)],
        )
        self.assertTrue(lines[2]["reason"])
        self.assertEqual(len(self.order("lsjobs.json:array=4:state=pending").body), 1)
        self.assertEqual(self.order("lsjobs.json:array=4:after=4_[1-3]").body, [])
        self.assertEqual(len(self.order("lsjobs.json:array=4:after=4_0").body), 3)

    def test_an_array_of_which_a_task_runs_is_listed_as_running(self) -> None:
        self.order("canceljob:3")
        self.told(1, "ended", exit_code=0)
        lines = [json.loads(line) for line in self.order("lsjobs.json:state=running").body]
        self.assertEqual([line["id"] for line in lines], [2, 4])

    def test_a_task_that_never_started_is_told_of_too(self) -> None:
        shown = self.info("4_3")
        self.assertEqual((shown["id"], shown["array"], shown["task"], shown["state"]), ("4_3", 4, 3, "pending"))
        self.assertTrue(shown["reason"])

    def test_an_array_that_has_ended_tells_which_tasks_ended_how(self) -> None:
        self.order("canceljob:1-3")
        self.told(1, "ended", signal=15)
        self.told(2, "ended", signal=15)
        for index, code in enumerate((0, 1, 0, 1)):
            self.told(task_id(4, index), "ended", exit_code=code)
        self.order("canceljob:4_[4-5]")
        for index in (4, 5):
            if task_id(4, index) in self.dispatcher.brain.jobs:
                self.told(task_id(4, index), "ended", signal=15)
        shown = self.info("4")
        self.assertEqual(shown["state"], "failed")
        self.assertEqual(shown["indices"], {"completed": "0,2", "failed": "1,3", "cancelled": "4-5"})

    def test_ids_of_nothing_get_a_clear_error(self) -> None:
        for line, words in (
            ("jobinfo:77", "there is no job 77"), ("jobinfo:4_9", "array 4 has no task 9; its tasks are 0-5"),
            ("jobinfo:3_1", "job 3 is no array"), ("jobinfo:5", "there is no job 5"),
        ):  # fmt: skip
            answer = self.order(line)
            self.assertEqual(answer.word, "job.unknown", line)
            self.assertIn(words, answer.text)
        self.assertEqual(self.order("jobinfo:4_[0-2]").word, "proto.arguments")

    def test_an_order_for_what_neither_waits_nor_runs_says_what_is_known_of_it(self) -> None:
        self.order("canceljob:4_5")
        for line, word, text in (
            ("holdjob:77", "job.unknown", "no job 77 of yours that waits or runs; hRunJob -i 77 tells of one that"),
            ("holdjob:4_9", "job.state", "4_9: array 4 has the tasks 0-5"),
            ("holdjob:4_5", "job.state", "4_5: ended already"),
            ("holdjob:3_1", "job.state", "3_1: job 3 is no array"),
        ):
            answer = self.order(line)
            self.assertEqual(answer.word, word, line)
            self.assertIn(text, answer.text)

    def test_the_text_ends_with_the_timeline(self) -> None:
        self.order("holdjob:3:later")
        self.assertIn("held by alice: later", self.order("jobinfo:3").body[-1])

    def test_what_was_asked_and_what_holds_now_are_told_apart(self) -> None:
        self.said(self.server, self.submission("z", time=60.0, hold=True))
        shown = self.info("6")
        self.assertEqual(shown["asked"], {"time": 60.0, "hold": True})
        self.assertEqual((shown["state"], shown["changed"]), ("held", {}))
