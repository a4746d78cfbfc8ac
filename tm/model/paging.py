"""Lists of jobs in an order of one's choice, a page at a time: what they are sorted by, and where the next page begins.

A page begins after a job, not after a number of jobs, so that what comes or goes meanwhile shifts nothing and the
hundredth page costs what the first one does. The law: what an order sorts by never changes once it is known, and the
id decides between equals; what is not known yet comes last (downwards first), as if it were greater than all.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from tm.errors import RefusedError
from tm.model.ids import shown_id
from tm.model.job import Job
from tm.model.spec import accepted_spec

Value = str | int | float | None

_LOWER: Final = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


def _duration(job: Job) -> float | None:
    return None if job.ended_at is None or job.started_at is None else job.ended_at - job.started_at


ORDERS: Final[Mapping[str, Callable[[Job], Value]]] = {
    "id": lambda job: job.id,
    "user": lambda job: job.user,
    "name": lambda job: job.name,
    "account": lambda job: job.account,
    "host": lambda job: job.host,
    "cores": lambda job: job.cores,
    "memory": lambda job: job.memory,
    "started": lambda job: job.started_at,
    "ended": lambda job: job.ended_at,
    "duration": _duration,
    "cpu": lambda job: job.cpu_seconds,
    "rss": lambda job: job.max_rss,
}


class Position(NamedTuple):
    """Where a page begins: after the job *id*, which has this *value* of what the list is sorted by."""

    value: Value
    id: int

    @property
    def key(self) -> tuple[bool, object, int]:
        """What sorts jobs at that position."""
        return self.value is None, 0 if self.value is None else self.value, self.id


def position(job: Job, order: str) -> Position:
    """Return where the page after *job* begins, as the store has it, in a list by *order*."""
    return Position(ORDERS[order](job), job.id)


def sort_key(job: Job, order: str) -> tuple[bool, object, int]:
    """Return what sorts *job* in a list by *order*."""
    return position(job, order).key


# -- as people's programs have it -------------------------------------------------------------------------------------


def show_position(order: str, at: Position) -> str:
    """Return the position *at* in a list by *order* as a word without meaning to others, fit for an argument."""
    return base64.urlsafe_b64encode(msgspec.json.encode([order, at.value, at.id])).decode().rstrip("=")


def read_position(text: str, order: str) -> Position:
    """Return the position that `show_position` made *text* of; raise `RefusedError` ``proto.arguments``."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        of, value, number = msgspec.json.decode(raw, type=tuple[str, Value, int])
        if not 0 <= number < 1 << 63 or (isinstance(value, int) and abs(value) >= 1 << 63):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise RefusedError(
            "proto.arguments", f"'from={text:.60}': expected the 'cursor' of a job that was listed"
        ) from None
    if of != order:
        raise RefusedError("proto.arguments", f"'from={text:.60}' is the cursor of a list by '{of:.20}', not '{order}'")
    return Position(value, number)


# -- what is searched for ---------------------------------------------------------------------------------------------


def lowered(text: str) -> str:
    """Return *text* with the small letters of ASCII for its capitals, as every store compares."""
    return text.translate(_LOWER)


def says(needle: str, spec: str) -> bool:
    """Whether the command of the request *spec* has the *needle*, whose letters are small, somewhere in it."""
    return needle in lowered(accepted_spec(spec).shown_command)


def has_text(job: Job, needle: str) -> bool:
    """Whether the id, the name or the command of *job* has the *needle* somewhere in it, small or capital letters."""
    small = lowered(needle)
    return small in str(shown_id(job.id)) or small in lowered(job.name) or says(small, job.spec)
