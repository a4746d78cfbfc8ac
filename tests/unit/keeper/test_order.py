"""Orders are checked once, when they arrive."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.keeper.order import Order, key_of


class OrderTests(SynchronousTestCase):
    """What an order is and what not."""

    def test_missing_values_have_harmless_defaults(self) -> None:
        order = Order({"job": 1, "attempt": 2, "command": "true"})

        self.assertEqual(
            ((1, 2), "/", -1, 1, False), (order.key, order.cwd, order.umask, order.cores, order.append)
        )
        self.assertEqual(
            ((), None, None, None, {}), (order.env, order.stdin, order.stdout, order.stderr, order.vars)
        )

    def test_what_is_no_order_is_refused_with_a_sentence(self) -> None:
        wrong = [
            ({"command": []}, "command"),
            ({"command": [1]}, "command"),
            ({"command": 7}, "command"),
            ({"cwd": None}, "cwd"),
            ({"stdout": 3}, "stdout"),
            ({"vars": {"A": 1}}, "vars"),
            ({"vars": ["A"]}, "vars"),
            ({"umask": -2}, "umask"),
            ({"umask": "022"}, "umask"),
            ({"cores": -1}, "cores"),
            ({"cores": 1.5}, "cores"),
        ]
        for values, word in wrong:
            with self.subTest(values), self.assertRaisesRegex(ValueError, f"{word}.* must be"):
                Order({"job": 1, "attempt": 1, "command": "true", **values})

    def test_a_key_is_two_integers(self) -> None:
        self.assertEqual((3, 4), key_of([3, 4, 5.0]))
        for values in ([1], ["1", 1], [1, None], [True, 1]):
            with self.subTest(values), self.assertRaises(ValueError):
                key_of(values)
