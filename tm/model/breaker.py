"""A broken host is taken out before it eats the queue, and comes back by a probe."""

from __future__ import annotations


class Breaker:
    """What is known of failures at start on one host."""

    def __init__(self) -> None:
        self.out_until: float | None = None
        self.reason = ""
