"""Orders as lines: each within a line's limit, in order of their numbers, environments once."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.daemon.orders import order_lines, want_line
from tm.model.cluster import HostState
from tm.model.effects import Orders, Start, void_start
from tm.model.host import HostConfig
from tm.wire.frames import LARGE_LIMIT


def start(number: int, spec: str = "spec", environment: str = "e") -> Start:
    return Start(number, 100 + number, 1, 2, spec, "sig", environment)


class OrderLinesTests(SynchronousTestCase):
    def lines(self, orders: Orders, known: set[str] | None = None, text: str = "{}") -> list[dict[str, Any]]:
        raw = list(
            order_lines(orders, 3, "run", 10.0, set() if known is None else known, lambda digest: text)
        )
        for line in raw:
            self.assertLessEqual(len(line), 2 * LARGE_LIMIT)
            self.assertNotIn(b"\n", line)
        return [json.loads(line) for line in raw]

    def test_a_line_says_all_that_is_to_do_on_a_host(self) -> None:
        orders = Orders(
            "alice",
            "n1",
            "sp",
            start=[start(2), start(1)],
            cancel=[(7, 1)],
            recall=[(8, 2)],
            forget=[(9, 1)],
            grant=3,
        )
        (line,) = self.lines(orders)
        self.assertEqual(
            line,
            {
                "topic": "orders",
                "host": "n1",
                "epoch": 3,
                "run": "run",
                "grant": 3,
                "spool": "sp",
                "environments": {"e": "{}"},
                "orders": [
                    {"c": number, "job": 100 + number, "attempt": 1, "cores": 2, "spec": "spec", "sig": "sig"}
                    for number in (1, 2)
                ],
                "cancel": [[7, 1, 10.0]],
                "recall": [[8, 2]],
                "forget": [[9, 1]],
            },
        )

    def test_it_says_who_is_to_be_suspended_go_on_be_niced_and_give_way(self) -> None:
        orders = Orders("alice", "n1", suspend=[(1, 1)], resume=[(2, 1)], nice=[(3, 1, 19)], give_way=[(4, 1)])
        (line,) = self.lines(orders)
        self.assertEqual((line["suspend"], line["resume"]), ([[1, 1]], [[2, 1]]))
        self.assertEqual((line["nice"], line["give_way"]), ([[3, 1, 19]], [[4, 1, 10.0]]))

    def test_of_what_is_said_twice_about_one_attempt_the_later_word_is_sent(self) -> None:
        orders = Orders("alice", "n1", suspend=[(1, 1), (2, 1)], resume=[(3, 1)])
        orders.absorb(Orders("alice", "n1", suspend=[(3, 1)], resume=[(1, 1)]))
        self.assertEqual((orders.suspend, orders.resume), ([(2, 1), (3, 1)], [(1, 1)]))

    def test_a_command_that_was_given_up_is_sent_as_a_refusal_without_text_and_environment(self) -> None:
        (line,) = self.lines(Orders("alice", "n1", start=[start(2), void_start(1)]))
        sent = [(order["c"], order["job"], order["spec"]) for order in line["orders"]]
        self.assertEqual(sent, [(1, 0, ""), (2, 102, "spec")])
        self.assertEqual(["refused" in order for order in line["orders"]], [True, False])
        self.assertEqual(line["environments"], {"e": "{}"})

    def test_a_start_that_is_there_twice_is_sent_once(self) -> None:
        (line,) = self.lines(Orders("alice", "n1", start=[start(1), start(2), start(1)]))
        self.assertEqual([order["c"] for order in line["orders"]], [1, 2])

    def test_an_environment_is_sent_once_to_a_host(self) -> None:
        known: set[str] = set()
        (first,) = self.lines(Orders("alice", "n1", start=[start(1), start(2)]), known)
        (second,) = self.lines(Orders("alice", "n1", start=[start(3)]), known)
        self.assertEqual(
            (first["environments"], second.get("environments"), known), ({"e": "{}"}, None, {"e"})
        )

    def test_without_a_grant_nothing_is_said_of_it(self) -> None:
        (line,) = self.lines(Orders("alice", "n1", cancel=[(1, 1)]))
        self.assertEqual(set(line), {"topic", "host", "epoch", "run", "cancel"})

    @examples(25)
    @given(
        st.lists(
            st.tuples(st.sampled_from([10, 3000, 200_000]), st.sampled_from('xä☃"\\'), st.booleans()),
            max_size=30,
        )
    )
    def test_however_large_all_arrives_in_order_and_before_its_environment_is_needed(
        self, sizes: list[tuple[int, str, bool]]
    ) -> None:
        starts = [
            start(number, json.dumps(letter * size, ensure_ascii=False), f"env{number}" if own else "e")
            for number, (size, letter, own) in enumerate(sizes, 1)
        ]
        lines = self.lines(
            Orders("alice", "n1", start=starts, forget=[(1, 1)], grant=1), text='{"A":"' + "x" * 9999 + '"}'
        )
        seen: set[str] = set()
        numbers = []
        for line in lines:
            seen |= set(line.get("environments", {}))
            for order in line.get("orders", []):
                numbers.append(order["c"])
                self.assertIn(starts[order["c"] - 1].environment, seen)
        self.assertEqual(numbers, list(range(1, len(starts) + 1)))
        self.assertEqual([line.get("forget") for line in lines], [None] * (len(lines) - 1) + [[[1, 1]]])

    def test_a_wanted_host_is_named_with_all_a_launcher_needs(self) -> None:
        host = HostState(HostConfig(name="n1", address="n1", launcher="local", options={"port": 22}))
        self.assertEqual(
            json.loads(want_line(host)),
            {"topic": "want", "host": "n1", "address": "n1", "launcher": "local", "options": {"port": 22}},
        )
