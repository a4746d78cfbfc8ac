"""What has changed since a number: the numbers of events go up, and of each thing the last one is known.

The law: `Changes.message` names at least all that has changed after the number it is asked about. It may name more, and
it says that anything may have changed rather than leave out a single thing. So memory is bounded and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

NAMED: Mapping[str, Mapping[str, str]] = {
    "jobs": {"ids": "id", "users": "user", "hosts": "host"},
    "hosts": {"hosts": "host"},
    "log": {},
    "loads": {},
    "audit": {},
}
"""Of the events of each topic: what a message names, and the field of the event where it stands. Our own are ``loads``:
the board (`tm.web.board`) has asked anew how all hosts are, and ``audit``: somebody has changed users, hosts or
properties."""
MOST_NAMED = 64
"""More than this at once is told as anything."""

_encode = msgspec.json.encode


class Latest:
    """Of the things that changed last, with which number each did; nothing is known of numbers up to *floor*."""

    __slots__ = ("_at", "floor")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._at: dict[Any, int] = {}

    def note(self, thing: object, number: int) -> None:
        """*thing* changes with event *number*, the highest so far."""
        at = self._at
        at.pop(thing, None)
        at[thing] = number
        if len(at) > MOST_NAMED:
            self.floor = at.pop(next(iter(at)))

    def since(self, number: int) -> list[Any] | None:
        """Return what has changed after *number*, the last change first; None for anything."""
        if number < self.floor:
            return None
        found = []
        for thing, at in reversed(self._at.items()):
            if at <= number:
                break
            found.append(thing)
        return found


class Changes:
    """What has changed of one *topic*, as one audience sees it. Nothing is known from before the number *floor*."""

    __slots__ = ("_fields", "_latest", "_named", "floor", "last", "topic", "used")

    def __init__(self, topic: str, floor: int) -> None:
        self.topic = topic
        self.floor = self.last = floor
        self.used = 0.0
        self._fields = tuple(NAMED[topic].values())
        self._latest = tuple(Latest(floor) for _ in self._fields)
        self._named = tuple(NAMED[topic])

    def note(self, event: Mapping[str, Any], number: int) -> None:
        """*event* has come with *number*."""
        self.last = number
        for field, latest in zip(self._fields, self._latest, strict=True):
            thing = event.get(field)
            if thing is None and self.topic == "hosts":
                latest.floor = number  # it is about all of them
            elif thing is not None:
                latest.note(thing, number)

    def message(self, number: int) -> bytes:
        """Return what has changed since *number* as a message without an id; nothing when nothing has.

        Nobody asks about a number before `floor`: who knows no later one has to be told to begin anew.
        """
        if self.last <= number or self.last == self.floor:
            return b""
        named = {name: latest.since(number) for name, latest in zip(self._named, self._latest, strict=True)}
        return message(self.topic, named)


def message(name: str, data: object) -> bytes:
    """Return the event *name* with *data* as it stands in a stream."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(data))


def with_id(data: bytes, id: str) -> bytes:
    """Return the messages *data* with *id* at the last of them alone: who has it has heard all of them."""
    if not data:
        return data
    head, _, last = data[:-2].rpartition(b"\n\n")
    return b"%s%sid: %s\n%s\n\n" % (head, b"\n\n" if head else b"", id.encode(), last)
