"""Two people change one thing: the second is told what is other than what they looked at, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tm.daemon.answers import json_line
from tm.errors import RefusedError
from tm.model.audit import difference
from tm.model.resources import parse_memory


class Seen(NamedTuple):
    """A *key*, what somebody has *seen* there, and what is there *now*; None where nothing is said."""

    key: str
    seen: Any
    now: Any


def check_unchanged(thing: str, look: str, seen: Iterable[Seen]) -> None:
    """Raise `RefusedError` ``conflict.changed`` when something of *thing* is not as it was *seen*.

    Its text is a sentence, which ends with how to *look* again, and then a line of JSON for each difference:
    ``{"key","seen","now"}``.
    """
    other = [one for one in seen if plain(one.seen) != plain(one.now)]
    if not other:
        return
    told = "; ".join(difference({one.key: one.seen for one in other}, {one.key: one.now for one in other}))
    lines = [json_line(one._asdict()) for one in other]
    raise RefusedError(
        "conflict.changed",
        "\n".join([f"{thing} was changed by somebody else meanwhile: {told}; {look} and say it again", *lines]),
    )


def seen_of(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Seen]:
    """Return for each key of *was* what it was and what it is *now*."""
    return [Seen(key, value, now.get(key)) for key, value in was.items()]


def plain(value: object) -> object:
    """Return *value* so that the same amount of memory is the same value, however it is written."""
    if isinstance(value, str) and value[:1].isdigit():
        try:
            return parse_memory(value)
        except ValueError:
            return value
    return value
