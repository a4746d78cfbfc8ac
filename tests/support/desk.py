"""A signature for tests, and order lines signed with it."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from tests.support.brain import order
from tm.daemon.orders import Order, OrderLine
from tm.model.starts import MARK

EMPTY = hashlib.sha256(b"{}").hexdigest()


class Seal:
    """A `Signer` whose key is a word."""

    def __init__(self, key: str = "alice's key") -> None:
        self._key = key.encode()

    def sign(self, text: str, mark: str = "") -> str:
        code = hmac.new(self._key, (mark + text).encode(), "sha256").hexdigest()
        return f"{mark}.{code[:40]}" if mark else code

    def check(self, text: str, signature: str) -> bool:
        mark = signature[:MARK] if signature[MARK : MARK + 1] == "." else ""
        return hmac.compare_digest(self.sign(text, mark).encode(), signature.encode(errors="replace"))


def signed(number: int, job: int | None = None, seal: Seal | None = None, **more: object) -> Order:
    """Return command *number*: attempt 1 of a job, signed."""
    text, _ = order(**{"environment": EMPTY, **more})  # type: ignore[arg-type]
    return Order(number, job or number, 1, 1, text, (seal or Seal()).sign(text))


def order_line(*orders: Order, **more: object) -> OrderLine:
    """Return a line of *orders* for the host n1, epoch 1."""
    about: dict[str, object] = {"host": "n1", "epoch": 1, "run": "r", **more}
    return OrderLine(orders=list(orders), **about)  # type: ignore[arg-type]


def raw(line: OrderLine) -> bytes:
    """Return the JSON of *line*."""
    return msgspec.json.encode(line)
