"""``hRunJob`` from its command line to its exit status, against a fake TMS."""

from __future__ import annotations

import json
import os
import threading

from tests.unit.client.fake_server import FakeServer, Talker, ids_reply
from tests.unit.client.house import House
from tm.client import hrunjob, wait
from tm.wire.message import Reply, Request


class RunJobs(House):
    def setUp(self) -> None:
        super().setUp()
        self.server, self.cluster = self.serve_cluster()

    def run_it(self, *argv: str) -> tuple[int, str, str]:
        return self.run_client(hrunjob.main, *argv)

    def ends(self, **fields: object) -> None:
        """Let every job that is submitted end as *fields* say, after its submission has been answered."""

        def answer(talker: Talker, ids: list[int]) -> Reply | None:
            talker.send(ids_reply(ids).encode())
            for number in ids:
                self.cluster.change(number, state="running", host="n1")
                self.cluster.change(number, **fields)
            return None

        self.cluster.on_submit = answer


class SubmitTests(RunJobs):
    def test_one_argument_is_shell_text(self) -> None:
        self.assertEqual((0, "accepted job 1\n", ""), self.run_it("-n", "x", "sleep 10"))
        self.assertEqual("sleep 10", self.cluster.jobs[1]["command"])
        self.assertEqual("x", self.cluster.submitted[0]["common"]["name"])

    def test_several_are_an_argument_vector(self) -> None:
        self.run_it("--", "prog", "a b", "")

        self.assertEqual(["prog", "a b", ""], self.cluster.jobs[1]["command"])

    def test_quiet_and_json_print_an_id_a_line(self) -> None:
        self.assertEqual((0, "1\n", ""), self.run_it("--quiet", "x"))
        self.assertEqual((0, '{"id":2}\n', ""), self.run_it("--json", "x"))
        self.environ["TM_OUTPUT"] = "quiet"
        self.assertEqual((0, "3\n", ""), self.run_it("x"))

    def test_commands_come_from_a_file_a_line_each(self) -> None:
        with open(self.path("f"), "w") as file:
            file.write("echo 1\n\n  # no command\necho '# 2' \r\nlast")

        self.assertEqual((0, "accepted 3 jobs 1-3\n", ""), self.run_it("--from", self.path("f")))
        self.assertEqual(
            ["echo 1", "echo '# 2' ", "last"], [job["command"] for job in self.cluster.jobs.values()]
        )

    def test_a_file_that_is_missing_empty_or_no_text_is_named(self) -> None:
        with open(self.path("empty"), "w") as file:
            file.write("# nothing\n")
        with open(self.path("odd"), "wb") as odd:
            odd.write(b"ok\n\xff\n")
        for name, sign in (
            ("gone", "No such file"),
            ("empty", "no command"),
            ("odd", "odd:2:"),
            (".", "cannot be read"),
        ):
            status, out, err = self.run_it("--from", self.path(name))
            self.assertEqual((1, ""), (status, out))
            self.assertIn(sign, err)
        self.assertEqual({}, self.cluster.jobs)

    def test_a_refusal_is_one_sentence_and_with_json_an_object_too(self) -> None:
        self.cluster.on_submit = lambda talker, ids: Reply("you have enough jobs", word="limit.jobs")

        self.assertEqual((75, "", "hRunJob: you have enough jobs\n"), self.run_it("x"))
        status, out, _ = self.run_it("--json", "x")
        self.assertEqual(75, status)
        self.assertEqual(
            {"error": {"code": "limit.jobs", "message": "you have enough jobs"}}, json.loads(out)
        )

    def test_wrong_usage_is_2_and_names_the_help(self) -> None:
        for line in (
            "", "--nonsense x", "-c 0 x", "-f x", "-l x", "--all x", "--from f x", "-k", "-s 1 -l",
            "--env x y", "-m big x", "--wait", "--wai x", "-k 3-1",
        ):  # fmt: skip
            argv = line.split()
            status, out, err = self.run_it(*argv)
            self.assertEqual((2, "", 1), (status, out, err.count("\n")), argv)
            self.assertIn("--help", err)

    def test_a_missing_configuration_is_78(self) -> None:
        self.environ["TM_ETC"] = self.path("nowhere")

        status, out, err = self.run_it("x")

        self.assertEqual((78, ""), (status, out))
        self.assertIn("TaskDispatcher.info", err)


class HoldTests(RunJobs):
    def test_who_means_to_hold_a_job_is_told_how_and_nothing_is_submitted(self) -> None:
        status, out, err = self.run_it("--hold", "17", "18_[0-3]")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("--hold-job 17 18_[0-3]", err)


class WaitTests(RunJobs):
    def test_the_jobs_exit_status_is_ours(self) -> None:
        for fields, expected in (
            ({"state": "completed", "exit_code": 0}, 0),
            ({"state": "failed", "exit_code": 7}, 7),
            ({"state": "failed", "signal": 9}, 137),
            ({"state": "timeout", "signal": 15}, 124),
            ({"state": "lost", "reason": "the host was switched off"}, 125),
        ):
            self.ends(**fields)
            self.assertEqual(expected, self.run_it("--wait", "x")[0], fields)

    def test_one_connection_submits_and_waits(self) -> None:
        self.ends(state="failed", exit_code=7)

        status, out, err = self.run_it("--wait", "x")

        self.assertEqual(
            (7, "accepted job 1\n", "hRunJob: job 1 failed (on n1, exit code 7)\n"), (status, out, err)
        )
        self.assertEqual(
            (1, ["subscribe", "submit"]), (self.server.connected, [r.verb for r in self.server.heard])
        )

    def test_of_several_jobs_all_must_succeed(self) -> None:
        with open(self.path("f"), "w") as file:
            file.write("a\nb\nc\n")
        self.ends(state="completed", exit_code=0)
        self.assertEqual((0, "hRunJob: 3 completed\n"), self.run_it("--wait", "--from", self.path("f"))[::2])
        self.ends(state="failed", exit_code=3)
        self.assertEqual(
            (1, "hRunJob: 3 failed: 4-6\n"), self.run_it("--wait", "--from", self.path("f"))[::2]
        )

    def test_json_tells_ids_and_then_endings(self) -> None:
        self.ends(state="completed", exit_code=0)

        status, out, _ = self.run_it("--wait", "--json", "x")

        first, last = map(json.loads, out.splitlines())
        self.assertEqual((0, {"id": 1}, "completed"), (status, first, last["state"]))

    def test_a_restart_of_the_server_while_waiting_changes_nothing(self) -> None:
        def answer(talker: Talker, ids: list[int]) -> None:
            talker.send(ids_reply(ids).encode())
            self.cluster.change(1, quietly=True, state="failed", exit_code=4)
            talker.cut()

        self.cluster.on_submit = answer  # type: ignore[assignment]  # it sends the answer itself

        self.assertEqual(4, self.run_it("--wait", "x")[0])

    def test_an_interruption_only_stops_looking(self) -> None:
        def interrupt(*arguments: object) -> list[object]:
            raise KeyboardInterrupt

        self.patch(hrunjob.Connection, "event", interrupt)

        status, out, err = self.run_it("--wait", "x")

        self.assertEqual((130, "accepted job 1\n"), (status, out))
        self.assertEqual("hRunJob: job 1 goes on. follow: hRunJob -f 1   stop: hRunJob -k 1\n", err)
        self.assertNotIn("canceljob", [request.verb for request in self.server.heard])
        self.assertEqual("1-2,9", wait.compact([1, 2, 9]))


class LookTests(RunJobs):
    def setUp(self) -> None:
        super().setUp()
        started = {"started_at": "2026-11-22T10:00:00Z", "ended_at": "2026-11-22T10:01:07Z"}
        self.cluster.add(3, state="pending", reason="waits for 1 free core", name="long", memory=2**31)
        self.cluster.add(4, state="failed", exit_code=7, host="n1", **started)

    def test_lists_show_what_waits_and_runs_and_all_the_ended_ones_too(self) -> None:
        status, out, _ = self.run_it("-l")
        self.assertEqual((0, 2), (status, out.count("\n")))
        self.assertRegex(out, r"3  long  pending  - +1 +2G +-  waits for 1 free core")
        out = self.run_it("-l", "--all")[1]
        self.assertRegex(out, r"4  j     failed   n1 +1 +-  1:07  exit 7: true")
        self.assertEqual("3\n4\n", self.run_it("-l", "--all", "-q")[1])
        self.assertEqual(
            [3, 4], [json.loads(line)["id"] for line in self.run_it("-l", "--all", "--json")[1].splitlines()]
        )

    def test_an_empty_list_says_so(self) -> None:
        self.cluster.jobs.clear()

        self.assertEqual((0, "no waiting or running jobs\n", ""), self.run_it("-l"))

    def test_a_card_shows_what_is_known(self) -> None:
        status, out, _ = self.run_it("-i", "3-4")

        self.assertEqual(0, status)
        self.assertRegex(out, r"(?s)job 3 .*memory +2G\n.*\n\njob 4 .*exit code 7")
        self.assertEqual(3, json.loads(self.run_it("-s", "3", "--json")[1])["id"])

    def test_an_unknown_job_is_one_sentence(self) -> None:
        for option in ("-i", "-k", "-f", "-s"):
            self.assertEqual((1, "", "hRunJob: there is no job 99\n"), self.run_it(option, "99"))

    def test_jobs_are_stopped_by_ids_and_ranges(self) -> None:
        self.assertEqual((0, "cancelling\n", ""), self.run_it("--kill", "3-4"))
        self.assertEqual(
            (1, "cancelling\n", "hRunJob: 5: not waiting or running\n"), self.run_it("-k", "4-5")
        )

    def test_status_starts_nothing_and_says_what_runs(self) -> None:
        self.certify()
        self.write_address(socket=self.path("gone"))
        port = self.serve_dispatcher()

        status, out, err = self.run_it("-s")

        self.assertEqual((0, ""), (status, err))
        self.assertRegex(out, rf"TMS +not running\nTaskDispatcher +running at 127.0.0.1:{port}, pid 1")
        self.assertIn("waits for 1 free core", out)
        self.assertFalse(os.path.exists(self.places.local_directory))
        shown = json.loads(self.run_it("-s", "--json")[1])
        self.assertEqual(
            ("not running", 1, [3]),
            (shown["tms"]["state"], shown["dispatcher"]["pid"], [j["id"] for j in shown["jobs"]]),
        )

    def test_status_without_a_dispatcher_says_why_and_what_of_the_tms(self) -> None:
        self.certify()

        status, out, _ = self.run_it("-s")

        self.assertEqual(69, status)
        self.assertRegex(out, r"TMS +running, pid 1.*n1 up\nTaskDispatcher +net.refused: ")

    def serve_dispatcher(self) -> int:
        """Let the same fake answer as the dispatcher, at the place the configuration names."""
        dispatcher = FakeServer("TaskDispatcher")
        dispatcher.answers = self.server.answers
        port = dispatcher.listen_tls(self.server_context())
        self.addCleanup(dispatcher.stop)
        with open(os.path.join(self.environ["TM_ETC"], "TaskDispatcher.info"), "w") as file:
            file.write(f"cluster = test\nhost = 127.0.0.1\nport = {port}\n")
        return port


class FollowTests(RunJobs):
    def setUp(self) -> None:
        super().setUp()
        refusal = Reply("your server does not reach n1", word="net.host")
        self.server.answers["follow"] = lambda talker, request: refusal
        self.out = self.path("out")
        self.read_end, self.write_end = os.pipe()
        self.addCleanup(os.close, self.read_end)

    def follow(self) -> tuple[int, str, str]:
        """Run ``hRunJob -f 7`` with its stdout descriptor led into a pipe; return status, output, stderr."""
        saved = os.dup(1)
        os.dup2(self.write_end, 1)
        try:
            status, _, err = self.run_it("-f", "7")
        finally:
            os.dup2(saved, 1)
            os.close(saved)
            os.close(self.write_end)
        return status, os.read(self.read_end, 65536).decode(), err

    def add(self, text: str, **fields: object) -> None:
        with open(self.out, "a") as file:
            file.write(text)
        self.cluster.add(7, stdout=self.out, stderr=self.out, host="n1", **fields)

    def test_a_job_that_runs_long_is_followed_from_its_last_lines_to_its_end(self) -> None:
        self.add("".join(f"{n}\n" for n in range(30)), state="running", started_at="2026-11-22T10:00:00Z")

        def later() -> None:
            with open(self.out, "a") as file:
                file.write("last\n")
            self.cluster.change(7, state="failed", exit_code=5)

        timer = threading.Timer(0.3, later)
        timer.start()
        status, out, err = self.follow()
        timer.join()

        self.assertEqual((5, "".join(f"{n}\n" for n in range(20, 30)) + "last\n"), (status, out))
        unseen = f"hRunJob: your server does not reach n1; reading {self.out} from here\n"
        self.assertEqual(unseen + "hRunJob: job 7 failed (on n1, exit code 5)\n", err)

    def test_a_job_that_has_just_started_is_followed_from_its_beginning(self) -> None:
        self.add("x\n" * 30, state="completed", exit_code=0, started_at="2099-01-01T00:00:00Z")

        self.assertEqual((0, "x\n" * 30, ""), self.follow())

    def test_an_array_is_not_followed_but_one_of_its_tasks(self) -> None:
        self.add("", state="running", tasks={"total": 3}, asked={"array": "4-6"})

        status, out, err = self.follow()

        self.assertEqual((1, ""), (status, out))
        self.assertIn("7 is an array", err)
        self.assertIn("hRunJob -f 7_4\n", err)

    def test_of_a_bundle_that_is_whole_its_reader_is_named(self) -> None:
        self.add("inside\n", state="failed", exit_code=5, started_at="2026-11-22T10:00:00Z", bundle=self.out)

        status, out, err = self.follow()

        self.assertEqual((5, ""), (status, out))
        self.assertIn("'tm output 7' shows it\n", err)

    def test_a_job_that_waits_is_waited_for(self) -> None:
        self.add("", state="pending", reason="waits for 1 free core")

        def later() -> None:
            self.cluster.change(7, quietly=True, started_at="2099-01-01T00:00:00Z")
            self.cluster.change(7, state="running", reason="")
            with open(self.out, "a") as file:
                file.write("hello\n")
            self.cluster.change(7, state="completed", exit_code=0)

        timer = threading.Timer(0.3, later)
        timer.start()
        status, out, err = self.follow()
        timer.join()

        self.assertEqual(
            (0, "hello\n", "hRunJob: job 7 is pending: waits for 1 free core\n"), (status, out, err)
        )

    def test_a_lost_connection_loses_no_output(self) -> None:
        self.add("a\n", state="running", started_at="2099-01-01T00:00:00Z")
        answer = self.server.answers["jobinfo"]
        asked: list[int] = []

        def jobinfo(talker: Talker, request: Request) -> Reply | None:
            asked.append(1)
            if len(asked) == 2:
                talker.cut()
                with open(self.out, "a") as file:
                    file.write("b\n")
            if len(asked) == 4:
                self.cluster.change(7, state="completed", exit_code=0)
            return answer(talker, request)

        self.server.answers["jobinfo"] = jobinfo

        status, out, err = self.follow()

        self.assertEqual((0, "a\nb\n"), (status, out))
        self.assertIn("connected again", err)

    def test_a_file_that_cannot_be_seen_is_named_with_its_host(self) -> None:
        self.cluster.add(
            7,
            stdout="/far/away",
            state="completed",
            exit_code=0,
            host="n9",
            started_at="2026-11-22T10:00:00Z",
        )

        status, out, err = self.follow()

        self.assertEqual((0, ""), (status, out))
        self.assertIn("/far/away on n9", err)
