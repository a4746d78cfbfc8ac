"""Environments by digest."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tm.keeper.environments import Environments
from tm.keeper.order import Key, Order


def order(job: int, env: str | None, **variables: str) -> Order:
    """Return an order that names *env*."""
    return Order({"job": job, "attempt": 1, "command": "true", "env": env, "vars": variables})


class EnvironmentsTests(SynchronousTestCase):
    """What is kept, merged, dropped and found again."""

    @override
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.environments = Environments(self.folder, limit=3)

    def test_the_orders_own_variables_come_on_top(self) -> None:
        self.environments.keep("d", {"A": "1", "B": "ä"})

        self.assertEqual({b"A": b"2", b"B": b"\xc3\xa4"}, self.environments.of(order(1, "d", A="2")))
        self.assertEqual({b"A": b"2"}, self.environments.of(order(1, None, A="2")))

    def test_above_the_limit_the_longest_unused_go_but_none_that_is_waited_for(self) -> None:
        waiting: dict[Key, Order] = {(1, 1): order(1, "d0")}
        for number in range(4):
            self.environments.keep(f"d{number}", {"N": str(number)})
            self.environments.of(order(9, "d1" if number else "d0"))
        self.environments.keep("d4", {"N": "4"})
        self.environments.prune(waiting)
        here = []
        for number in range(5):
            try:
                self.environments.of(order(9, f"d{number}"))
                here.append(number)
            except ValueError:
                continue

        self.assertEqual([0, 1, 4], here)

    def test_one_that_is_gone_is_read_from_the_folder(self) -> None:
        with open(os.path.join(self.folder, "d"), "w") as file:
            file.write('{"A": "1"}')

        self.assertEqual({b"A": b"1"}, self.environments.of(order(1, "d")))

    def test_one_that_is_nowhere_or_nonsense_is_an_error_that_says_so(self) -> None:
        with open(os.path.join(self.folder, "bad"), "w") as file:
            file.write("[]")
        for digest in ("none", "bad", "../d"):
            with (
                self.subTest(digest),
                self.assertRaisesRegex(ValueError, f"its environment {digest} is not here"),
            ):
                self.environments.of(order(1, digest))
