"""Timers run by a clock that nobody sets; dates are told by the one on the wall.

A reactor counts time by the time of day: while that is set back by an hour, no timer of it fires for an hour, and when
it is set forward all fire at once. The law: nothing that waits asks the wall.
"""

from __future__ import annotations

import time
from typing import Any


class WallClock:
    """A reactor whose timers are steady, and whose `seconds` are the time of day, for whoever writes down dates.

    `timers` is that reactor itself, the `seconds` of which say how long something takes.
    """

    seconds = staticmethod(time.time)

    def __init__(self, reactor: Any) -> None:
        self.timers = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.timers, name)


def steady(reactor: Any) -> Any:
    """Let the timers of *reactor* run by the steady clock; return the `WallClock` of it."""
    begun = time.time() - time.monotonic()
    reactor.seconds = lambda: begun + time.monotonic()
    return WallClock(reactor)
