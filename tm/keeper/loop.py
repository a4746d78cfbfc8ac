"""The keeper's one loop. A turn: obey what has arrived, tend the attempts, tell what is new."""

from __future__ import annotations

import math
import os
import select
import signal
import time

from tm.errors import WireError
from tm.failpoint import reach
from tm.keeper.attempts import Attempts
from tm.keeper.limits import seconds
from tm.keeper.order import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.keeper.link import Link

LOOK_AROUND_EVERY = 60.0


class Keeper:
    """Keeper *number*: its *attempts*, its *link* to the host server, and where *signals* can be read."""

    def __init__(self, number: int, attempts: Attempts, link: Link, signals: int) -> None:
        self._number = number
        self._attempts = attempts
        self._link = link
        self._signals = signals
        self._leaving = False
        self._terminated = False

    def run(self) -> None:
        """Serve until it is time to leave."""
        while not self._may_leave():
            self._turn()

    def _may_leave(self) -> bool:
        if not self._leaving or not self._attempts.settled:
            return False
        return self._terminated or not self._attempts.book.ended

    def _turn(self) -> None:
        numbers, ready = self._wait()
        now = time.monotonic()
        newcomer = False
        if ready & select.POLLOUT:
            self._link.flush()
        if ready & ~select.POLLOUT:
            if self._link.idle:
                newcomer = self._link.accept()
            else:
                self._listen(now)
                if self._link.idle:
                    self._look_around()
        self._attempts.tend(now, signal.SIGCHLD in numbers)
        if signal.SIGTERM in numbers and not self._attempts.book.running:
            self._leaving = self._terminated = True
        self._tell(newcomer)

    def _wait(self) -> tuple[bytes, int]:
        """Wait for a signal, the link or the time; return the signals' numbers and the link's poll events."""
        descriptor, wanted = self._link.watched()
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        poll.register(descriptor, wanted)
        next_at = self._attempts.next_at
        after = LOOK_AROUND_EVERY if next_at is None else min(LOOK_AROUND_EVERY, next_at - time.monotonic())
        events = dict(poll.poll(max(0, math.ceil(after * 1000))))
        if not events and next_at is None:
            self._look_around()
        return os.read(self._signals, 4096) if self._signals in events else b"", events.get(descriptor, 0)

    def _look_around(self) -> None:
        """Leave when nobody can ever ask again: nothing to do, nobody there, the socket gone."""
        if self._link.idle and self._attempts.settled and not os.path.exists(f"keeper-{self._number}.sock"):
            self._leaving = self._terminated = True

    def _listen(self, now: float) -> None:
        try:
            for message in self._link.receive():
                try:
                    self._obey(message, now)
                except (TypeError, ValueError, OverflowError, LookupError, AttributeError) as error:
                    raise WireError("proto.malformed", f"the keeper does not understand: {error!r}") from None
        except WireError as error:
            self._link.tell({"error": error.text})
            self._link.drop()

    def _obey(self, message: dict[str, Any], now: float) -> None:
        attempts = self._attempts
        for digest, variables in message.get("env", {}).items():
            attempts.environments.keep(digest, variables)
            attempts.environments.prune(attempts.book.queued)
        if "grant" in message:
            attempts.book.grant = int(message["grant"])
        for entry in message.get("start", ()):
            attempts.queue(entry)
        if "cancel" in message:
            attempts.cancel([(key_of(values), seconds(values[2])) for values in message["cancel"]], now)
        if "suspend" in message:
            attempts.suspend(map(key_of, message["suspend"]), now)
        if "resume" in message:
            attempts.resume(map(key_of, message["resume"]), now)
        for entry in message.get("beside", ()):
            attempts.beside(entry)
        for values in message.get("nice", ()):
            attempts.nice(key_of(values), _niceness(values[2]))
        for values in message.get("signal", ()):
            attempts.signal(key_of(values), _signal_number(values[2]))
        for values in message.get("limit", ()):
            attempts.limit(key_of(values), seconds(values[2]), now)
        attempts.recall(map(key_of, message.get("recall", ())))
        if "forget" in message:
            attempts.forget(map(key_of, message["forget"]))
        if message.get("leave") is True:
            self._leaving = True

    def _tell(self, newcomer: bool) -> None:
        news = self._attempts.news
        if newcomer:
            hello = {"pid": os.getpid(), "number": self._number, **self._attempts.book.hello()}
            self._link.tell({"hello": hello})
        elif news and self._link.connected:
            if self._attempts.gathering or not self._link.clear:
                return
            self._link.tell({"facts": news})
            reach("keeper.told")
        news.clear()


def _niceness(value: int) -> int:
    level = int(value)
    if not 0 <= level <= 19:
        raise ValueError(f"a niceness is a number from 0 to 19, not {value!r}")
    return level


def _signal_number(value: int) -> int:
    number = int(value)
    if not 0 < number < signal.NSIG:
        raise ValueError(f"there is no signal {value!r}")
    return number
