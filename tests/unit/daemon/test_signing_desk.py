"""The user's signature: parts that fit a line, the same wish the same parts, and nothing passed on that was changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.desk import EMPTY, Seal, order_line, raw, signed
from tests.support.properties import examples
from tm.daemon.signing_desk import MOST_ENVIRONMENT, MOST_JOBS, Chunk, Wish, checked_line, sign_wish
from tm.errors import RefusedError
from tm.model.ids import task_id
from tm.model.spec import read_spec
from tm.wire.frames import LARGE_LIMIT
from tm.wire.message import Request

COMMON: dict[str, object] = {"cwd": "/", "environment": {"B": "2", "A": "1"}}


def chunks_of(jobs: list[dict[str, object]], token: str = "t", **common: object) -> list[Chunk]:
    return sign_wish(Wish(token, jobs, {**COMMON, **common}), "alice", Seal())


class SigningTests(SynchronousTestCase):
    def refused(self, word: str, jobs: list[dict[str, object]], token: str = "t", **common: object) -> str:
        error = self.assertRaises(RefusedError, chunks_of, jobs, token, **common)
        self.assertEqual(error.word, word)
        return error.text

    def test_a_job_is_what_is_common_overlaid_with_its_own(self) -> None:
        (chunk,) = chunks_of([{"command": "a"}, {"command": ["b"], "cwd": "/tmp", "cores": 2}], name="x")
        first, second = (read_spec(text) for text, _ in chunk.orders)
        self.assertEqual(
            (first.command, first.cwd, first.name, first.cores, first.user), ("a", "/", "x", 1, "alice")
        )
        self.assertEqual((second.command, second.cwd, second.name, second.cores), (["b"], "/tmp", "x", 2))
        ((digest, text),) = chunk.environments.items()
        self.assertEqual(
            (hashlib.sha256(text.encode()).hexdigest(), json.loads(text)), (digest, {"A": "1", "B": "2"})
        )
        self.assertEqual({first.environment, second.environment}, {digest})

    def test_nobody_signs_for_another_or_for_an_environment_that_is_not_sent(self) -> None:
        (chunk,) = chunks_of([{"command": "a", "user": "bob", "environment": "0" * 64}], user="eve")
        spec = read_spec(chunk.orders[0][0])
        self.assertEqual((spec.user, [spec.environment]), ("alice", list(chunk.environments)))

    def test_variables_that_no_process_can_have_are_refused(self) -> None:
        for name, text in (("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")):
            self.refused("job.invalid", [{"command": "a"}], environment={name: text})
        chunks_of([{"command": "a"}], environment={"BASH_FUNC_f%%": "() { :; }"})

    def test_every_order_is_signed_as_it_is_written(self) -> None:
        (chunk,) = chunks_of([{"command": "ä☃"}, {"command": "b"}])
        self.assertTrue(all(Seal().check(text, signature) for text, signature in chunk.orders))

    def test_what_is_wrong_is_named_with_the_number_of_the_job(self) -> None:
        self.assertIn("job 2 ", self.refused("job.invalid", [{"command": "a"}, {"command": ""}]))
        self.assertIn(
            "job 2 ", self.refused("job.invalid", [{"command": "a"}, {"command": "a", "colour": 1}])
        )
        self.assertIn("cores", self.refused("job.invalid", [{"command": "a", "cores": "two"}]))
        self.refused("job.invalid", [{}])
        self.refused("job.invalid", [{"command": "a"}], environment={"A": 1})
        self.refused("job.invalid", [{"command": "a"}], environment=["A"])

    def test_bounds_hold_at_the_bound_and_not_beyond(self) -> None:
        job: dict[str, object] = {"command": "a"}
        self.assertEqual(len(chunks_of([job], "ä" * 32)), 1)
        for token in ("", "ä" * 32 + "a"):
            self.refused("job.invalid", [job], token)
        self.refused("limit.jobs", [])
        self.refused("limit.jobs", [job] * (MOST_JOBS + 1))
        self.assertEqual(sum(len(chunk.orders) for chunk in chunks_of([job] * MOST_JOBS)), MOST_JOBS)
        for letter in ("x", "☃"):
            room = (MOST_ENVIRONMENT - len('{"A":""}')) // len(letter.encode())
            self.assertEqual(len(chunks_of([job], environment={"A": letter * room})), 1)
            self.refused("limit.environment", [job], environment={"A": letter * (room + 1)})

    def test_a_script_that_all_share_goes_along_with_the_environment(self) -> None:
        script = "#!/bin/sh\n" + "# more\n" * 50_000
        jobs: list[dict[str, object]] = [{"command": ["a", str(number)]} for number in range(100)]
        (chunk,) = chunks_of(jobs, environment={"A": "1", "#!": "mine"}, script=script)
        ((digest, text),) = chunk.environments.items()
        self.assertEqual(json.loads(text), {"A": "1", "#!": script})
        specs = [read_spec(order) for order, _ in chunk.orders]
        self.assertEqual({(spec.script, spec.environment) for spec in specs}, {("#!", digest)})

    def test_a_job_that_fits_no_line_is_refused_by_number(self) -> None:
        self.assertIn("job 2 ", self.refused("limit.job", [{"command": "a"}, {"command": "x" * LARGE_LIMIT}]))
        self.refused("limit.job", [{"command": '"' * (LARGE_LIMIT // 4)}])

    def test_a_large_job_that_fits_is_not_refused(self) -> None:
        self.assertEqual(len(chunks_of([{"command": "x" * (LARGE_LIMIT - 64 * 1024)}])), 1)

    @examples(40)
    @given(
        st.lists(st.tuples(st.integers(0, 4), st.sampled_from('x"\\ä☃\n\t')), min_size=1, max_size=12),
        st.integers(0, 9000),
    )
    def test_every_part_fits_a_line_and_together_they_are_all_jobs_in_order(
        self, sizes: list[tuple[int, str]], more: int
    ) -> None:
        jobs: list[dict[str, object]] = [
            {"command": f"{n} " + letter * (9 * 7**size)} for n, (size, letter) in enumerate(sizes)
        ]
        jobs += [{"command": f"{n} short"} for n in range(more)]
        chunks = chunks_of(jobs, "token", environment={"E": '"☃\n' * 500})
        for number, chunk in enumerate(chunks):
            self.assertLessEqual(len(Request("submit", chunk.encode()).encode()), LARGE_LIMIT)
            self.assertEqual((chunk.token, bool(chunk.orders)), (f"token.{number}", True))
        sent = [read_spec(text).command for chunk in chunks for text, _ in chunk.orders]
        self.assertEqual(sent, [job["command"] for job in jobs])

    def test_the_same_wish_gives_the_same_parts_whatever_the_order_of_its_keys(self) -> None:
        jobs = [{"command": "x" * 300, "name": str(number)} for number in range(5000)]
        turned: list[dict[str, object]] = [dict(reversed(job.items())) for job in jobs]
        first = chunks_of(list(jobs), environment={"A": "1", "B": "2"})  # type: ignore[arg-type]
        second = chunks_of(turned, environment={"B": "2", "A": "1"})
        self.assertGreater(len(first), 1)
        self.assertEqual(first, second)


class CheckingTests(SynchronousTestCase):
    def check(self, line: Any) -> tuple[Any, bytes, list[str]]:
        return checked_line(raw(line), Seal(), lambda host, order: "")

    def test_what_the_user_signed_is_passed_on_as_it_came(self) -> None:
        line = order_line(signed(1), signed(2), environments={EMPTY: "{}"}, cancel=[(3, 1, 10.0)], grant=2)
        spaced = json.dumps(json.loads(raw(line))).encode()
        _, passed_on, complaints = checked_line(spaced, Seal(), lambda host, order: "")
        self.assertEqual((passed_on, complaints), (spaced, []))

    def test_an_order_that_was_changed_goes_on_without_its_text_and_the_others_whole(self) -> None:
        changed = signed(2)
        changed.spec = changed.spec.replace("true", "rm -rf")
        foreign = signed(3, seal=Seal("the dispatcher's"))
        line, passed_on, complaints = self.check(order_line(signed(1), changed, foreign))
        self.assertEqual([bool(order.refused) for order in line.orders], [False, True, True])
        self.assertEqual([order.spec for order in line.orders[1:]], ["", ""])
        self.assertNotIn(b"rm -rf", passed_on)
        self.assertEqual([order.c for order in line.orders], [1, 2, 3])
        self.assertTrue(all(complaint.startswith("auth.signature: ") for complaint in complaints))

    def test_a_command_that_the_dispatcher_gave_up_goes_on_and_starts_nothing(self) -> None:
        given_up = signed(2)
        given_up.spec, given_up.sig, given_up.refused = "", "", "given up"
        line = order_line(signed(1), given_up)
        checked, passed_on, complaints = self.check(line)
        self.assertEqual((passed_on, complaints), (raw(line), []))
        self.assertEqual([order.refused for order in checked.orders], ["", "given up"])

    def test_a_signature_of_one_job_is_none_of_another(self) -> None:
        first, second = signed(1), signed(2, name="other")
        first.sig, second.sig = second.sig, first.sig
        self.assertEqual(len(self.check(order_line(first, second))[2]), 2)

    def test_an_environment_that_was_changed_is_not_passed_on_and_nothing_runs_in_it(self) -> None:
        line, passed_on, complaints = self.check(
            order_line(signed(1), environments={EMPTY: '{"LD_PRELOAD":"/evil"}'})
        )
        self.assertEqual((line.environments, len(complaints)), ({}, 2))
        self.assertNotIn(b"evil", passed_on)
        self.assertTrue(line.orders[0].refused)

    def test_a_request_runs_as_the_tasks_that_it_asks_for_and_as_nothing_else(self) -> None:
        for array, job, fits in (
            ("1-3", task_id(7, 1), True), ("1-3", task_id(7, 3), True), ("1-3", task_id(7, 4), False),
            ("1-3", 7, False), ("", 7, True), ("", task_id(7, 1), False),
        ):  # fmt: skip
            line, _, complaints = self.check(order_line(signed(1, job, array=array)))
            self.assertEqual((not line.orders[0].refused, len(complaints)), (fits, not fits), (array, job))
