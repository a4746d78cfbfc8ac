"""What is shown of jobs: rows, bars, stories, and why they wait."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.house import House
from tm.client import hrunjob
from tm.client.arrays import bar, parts, told
from tm.client.request import make_request
from tm.client.rows import what
from tm.client.story import again, last_lines, story
from tm.client.why import why_lines
from tm.wire.message import Reply

TASKS = {
    "indices": "0-99",
    "total": 100,
    "cap": 10,
    "waiting": 47,
    "active": 10,
    "completed": 40,
    "failed": 3,
}


def view(**fields: Any) -> dict[str, Any]:
    """Return a view like those of the dispatcher."""
    return {
        "id": 17, "name": "fit", "user": "alice", "state": "failed", "reason": "", "host": "n2", "exit_code": 4,
        "signal": None, "command": "./fit a", "cwd": "/w", "stdout": None, "stderr": None, "cores": 4,
        "memory": 16 << 30, "max_rss": 1 << 30, "cpu_seconds": 90.0, "time": 7200.0, "attempts": [], "changed": {},
        "submitted_at": "2026-11-22T10:00:00.000Z", "started_at": "2026-11-22T10:00:10.000Z",
        "ended_at": "2026-11-22T10:01:10.000Z", **fields,
    }  # fmt: skip


class BarTests(House):
    def test_it_shows_done_bad_under_way_and_waiting(self) -> None:
        self.assertEqual("########!>>.........", bar(TASKS))
        self.assertEqual(
            "40 completed, 3 failed, 10 active, 47 waiting of 100, at most 10 at once", told(TASKS)
        )
        self.assertEqual(
            f"[{bar(TASKS)}] {told(TASKS)}; held by bob", what({"tasks": TASKS, "reason": "held by bob"})
        )

    @given(
        st.dictionaries(
            st.sampled_from(["waiting", "active", "completed", "failed", "lost"]), st.integers(0, 10**6)
        )
    )
    def test_it_has_its_width_and_hides_nothing(self, tasks: dict[str, int]) -> None:
        shown = bar(tasks)
        self.assertEqual(20 if any(tasks.values()) else 0, len(shown))
        self.assertEqual(
            {letter for letter, count in zip("#!>.", parts(tasks), strict=True) if count}, set(shown)
        )


class StoryTests(House):
    def test_it_tells_what_was_asked_and_used_and_of_what_it_ended(self) -> None:
        with open(self.path("err"), "w") as file:
            file.write("".join(f"line {number}\n" for number in range(30)) + "no\x1b[2Jluck\n")
        text = "\n".join(
            story(view(stderr=self.path("err"), cause_text="the program itself failed", rung="cgroup"), {})
        )

        for sign in (
            'job 17 "fit" failed (on n2, exit code 4, limits by cgroup)',
            "cores      4           1.5 busy on average (1:30 of processor time)",
            "memory     16G         1G",
            "time       2:00:00     1:00",
            "why it ended\n  the program itself failed",
            "line 29\n    no?[2Jluck",
            f"again\n  cd /w && hRunJob --error={self.path('err')} './fit a'",
        ):
            self.assertIn(sign, text)
        self.assertNotIn("line 20", text)

    def test_of_what_it_ended_is_said_once_and_with_its_number(self) -> None:
        for fields, expected in (
            ({"cause": "exit", "cause_text": "it ended so"}, "the program itself ended with exit code 4"),
            ({"cause": "signal", "exit_code": None, "signal": "USR1"}, "the signal USR1 ended it"),
            ({"cause": "memory", "reason": "it used 5G"}, "it used 5G"),
            ({"cancelled_by": "bob", "reason": "cancelled by bob: why"}, "cancelled by bob: why"),
            ({"cancelled_by": "bob", "reason": "it failed"}, "it failed; by bob"),
            ({"cancelled_by": "bob"}, "by bob"),
        ):
            self.assertIn(f"why it ended\n  {expected}\n", "\n".join(story(view(**fields), {})))

    def test_of_a_bundle_no_last_lines_are_shown(self) -> None:
        with open(self.path("bundled"), "w") as file:
            file.write("of the bundle\n")
        text = "\n".join(story(view(stdout=self.path("bundled"), bundle=self.path("bundled")), {}))
        self.assertNotIn("of the bundle", text)

    def test_attempts_events_and_changes_are_told(self) -> None:
        attempt = {
            "attempt": 1,
            "host": "n1",
            "exit_code": None,
            "signal": 9,
            "cause": "memory",
            "max_rss": 2 << 30,
        }
        event = {"at": "2026-11-22T10:00:00.000Z", "what": "held", "text": "by bob: wait"}

        changed = {"memory": 32 << 30, "time": 0.0, "begin": 4e9, "deadline": 0.0}
        text = "\n".join(story(view(attempts=[attempt], events=[event], changed=changed), {}))

        for sign in (
            "attempts before\n  1  on n1, signal KILL, memory, 2G of memory",
            "held       by bob: wait",
            "changed    memory is 32G now",
            "changed    time is without limit now",
            "changed    begin is 2096-10-0",
            "changed    deadline is none now",
        ):
            self.assertIn(sign, text)

    def test_an_environment_that_differs_is_named(self) -> None:
        then = {"A": "1", "B": "2", "PWD": "/w"}

        self.assertIn(
            "new        N\n  gone       B\n  other      A (was '1')",
            "\n".join(story(view(environment=then), {"A": "3", "N": ""})),
        )
        same = "\n".join(story(view(environment=then), {"A": "1", "B": "2"}))
        self.assertIn("is the one it was submitted in", same)

    def test_the_line_that_does_it_again_asks_for_the_same(self) -> None:
        asked = {
            "name": "a b", "cores": 4, "memory": 1 << 30, "time": 5400.0, "array": "1-9", "array_cap": 3,
            "hosts": ["n1", "n2"], "exclusive": True, "retries": 2, "retry_on": ["exit:75"], "retry_memory": 2.0,
            "warn_signal": "USR1", "warn_seconds": 90.0, "layout": "pack", "consumables": {"matlab": 2},
            "constraint": "gpu and not old", "notify": ["a@b.org"], "notify_on": ["fail"], "output_limit": 5 << 20,
        }  # fmt: skip
        import shlex

        line = shlex.split(again(view(asked=asked)))

        self.assertEqual(["cd", "/w", "&&", "hRunJob"], line[:4])
        request = make_request(*hrunjob.read_options(["--export=NONE", *line[4:]]), print)
        self.assertEqual(["./fit a"], request.commands)
        self.assertEqual(asked, {key: request.common.get(key) for key in asked})
        self.assertEqual("hRunJob --rerun 17", again(view(script=True)))

    def test_the_line_that_does_it_again_names_files_that_are_not_the_usual_ones(self) -> None:
        self.assertEqual(
            "cd /w && hRunJob --output=/w/x.log --error='/w/my errors' './fit a'",
            again(view(stdout="/w/x.log", stderr="/w/my errors")),
        )
        for usual in ("/w/tm-17.out", "/w/tm-%j.out", "/w/tm-17.bundle"):
            self.assertEqual("cd /w && hRunJob './fit a'", again(view(stdout=usual, stderr=usual)))

    def test_an_array_shows_its_tasks(self) -> None:
        text = "\n".join(
            story(view(tasks=TASKS, state="running", ended_at=None, indices={"failed": "3,5-6"}), {})
        )

        self.assertIn("40 completed, 3 failed", text)
        self.assertIn("failed: 3,5-6", text)

    def test_whatever_is_missing_is_passed_over(self) -> None:
        self.assertEqual("job 1 pending", story({"id": 1, "state": "pending"}, {})[0])

    def test_last_lines_are_those_of_plain_files(self) -> None:
        self.assertEqual([], last_lines("/dev/null"))
        self.assertEqual([], last_lines(self.path("gone")))
        with open(self.path("long"), "w") as file:
            file.write("x" * 100_000 + "\nlast\n")
        self.assertEqual(["last"], last_lines(self.path("long")))


class WhyTests(House):
    def test_a_sentence_the_change_and_a_verdict_for_every_host(self) -> None:
        why = {
            "sentence": "waits for 4 free cores", "change": "ask for 2 cores",
            "change_set": {"cores": 2, "memory": 1 << 30, "hosts": []}, "counts": {"busy": 1, "too small": 1},
            "hosts": [{"host": "n1", "verdict": "busy"}, {"host": "n2", "verdict": "cores", "reason": "it has 2"}],
            "expected_start": ["2026-11-22T10:00:00.000Z", None],
        }  # fmt: skip

        text = "\n".join(why_lines(17, why))

        for sign in (
            "to start it now: ask for 2 cores (hRunJob --change 17 cores=2 mem=1024M hosts=none)\n",
            "job 17: waits for 4 free cores\n",
            "n2    cores    it has 2", "hosts: 1 busy, 1 too small\n", "n1    busy",
            "at the earliest",
        ):  # fmt: skip
            self.assertIn(sign, text)

    def test_whatever_is_missing_is_passed_over(self) -> None:
        self.assertEqual(
            ["job 17_4: nothing is known of why it waits"], why_lines(1 << 52 | 17 << 20 | 4, {})
        )

    def test_it_is_asked_of_the_dispatcher(self) -> None:
        server, _ = self.serve_cluster()
        server.answers["whyjob"] = lambda talker, request: Reply(body=[f'{{"sentence":"{request.rest}"}}'])

        self.assertEqual(
            (0, "job 3: 3\njob 4_2: 4_2\n", ""), self.run_client(hrunjob.main, "--why", "3", "4_2")
        )
        self.assertEqual('{"sentence":"3"}\n', self.run_client(hrunjob.main, "--why", "3", "--json")[1])


class DryRunTests(House):
    def test_hosts_that_would_fit_are_named_and_nothing_is_submitted(self) -> None:
        server, cluster = self.serve_cluster()
        hosts = [
            {"host": "n1", "fits": "now", "word": "", "reason": ""},
            {"host": "n2", "fits": "never", "word": "cores", "reason": "it has 2 cores"},
        ]
        server.answers["fits"] = lambda talker, request: Reply(body=[json.dumps(host) for host in hosts])

        status, out, _ = self.run_client(
            hrunjob.main, "--dry-run", "-c", "4", "--map", "gzip {}", ":::", "a b", "c"
        )

        self.assertEqual((0, {"cores": 4}), (status, json.loads(server.heard[-1].rest or "")))
        for sign in (
            "2 tasks in an array; nothing was submitted",
            "gzip 'a b'\n",
            "fits 1 host now, 0 later, of 2",
        ):
            self.assertIn(sign, out)
        self.assertRegex(out, "n2 +never +it has 2 cores")
        self.assertEqual([], cluster.submitted)
        self.assertEqual("n1\n", self.run_client(hrunjob.main, "--dry-run", "-q", "x")[1])
        for more, words in ((False, ["-a", "0-9", "x"]), (True, ["--map", "x", ":::", *"abcd"])):
            self.assertEqual(more, "  …\n" in self.run_client(hrunjob.main, "--dry-run", *words)[1], words)
        hosts.pop(0)
        self.assertEqual(1, self.run_client(hrunjob.main, "--test-only", "x")[0])


class ArrayTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.server, self.cluster = self.serve_cluster()

    def test_its_id_is_told_with_its_tasks_and_advice(self) -> None:
        self.cluster.on_submit = lambda talker, ids: Reply(
            f"accepted {len(ids)}", [str(ids[0]), "# the last 10 used 1G"]
        )

        done = self.run_client(hrunjob.main, "--array", "0-9", "x")

        self.assertEqual((0, "accepted array 1 of 10 tasks\n", "hRunJob: the last 10 used 1G\n"), done)
        self.assertEqual((0, "2\n"), self.run_client(hrunjob.main, "--array", "0-9", "--parsable", "x")[:2])

    def test_who_waits_ends_with_the_worst_of_its_tasks(self) -> None:
        def answer(talker: Any, ids: list[int]) -> None:
            talker.send(b"OK accepted 1\n1\n.\n")
            for number, code in (("1_1", 0), ("1_2", 3), ("1_3", 9)):
                state = "failed" if code else "completed"
                self.cluster.jobs[number] = {
                    **self.cluster.jobs[1],
                    "id": number,
                    "state": state,
                    "exit_code": code,
                }  # type: ignore[index]
            tasks = {"total": 3, "cap": 0, "completed": 1, "failed": 2}
            self.cluster.change(1, state="failed", tasks=tasks, reason="2 failed")

        self.cluster.on_submit = answer
        self.server.answers["lsjobs"] = lambda talker, request: self.tasks(request.rest or "")

        status, _, err = self.run_client(hrunjob.main, "--wait", "--array", "1-3", "x")

        self.assertEqual(9, status, err)
        self.assertIn("array 1: 1 completed, 2 failed of 3; job 1_3 failed", err)

    def tasks(self, rest: str) -> Reply:
        self.assertIn("array=1:state=failed", rest)
        views = [
            job for number, job in self.cluster.jobs.items() if isinstance(number, str) and job["exit_code"]
        ]
        return Reply(body=[json.dumps(job) for job in views])
