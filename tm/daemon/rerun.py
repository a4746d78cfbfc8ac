"""Jobs run again: a user's server asks the dispatcher for the requests that it has signed, and submits them once more.

The law: what comes back from the dispatcher is trusted no more than an order for a host. A text that this server has
not signed itself is refused; one that asks for fewer tasks than before is signed anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tm.daemon.answers import decoded, json_line
from tm.daemon.job_texts import JobText
from tm.daemon.signing_desk import LONGEST_TOKEN, Chunk, Signer, chunks
from tm.errors import RefusedError
from tm.model.ids import MOST_INDEX, read_ranges
from tm.model.spec import JobSpec, accepted_spec
from tm.model.starts import mark
from tm.wire.message import quote


class Rerun(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``rerun``: which jobs, and whether only those (and those tasks of arrays) that have *failed*."""

    token: str
    ids: str
    failed: bool = False

    def question(self) -> str:
        """Return the argument of ``jobtexts`` at the dispatcher."""
        if not 0 < len(self.token.encode()) <= LONGEST_TOKEN:
            raise RefusedError("job.invalid", f"the token must have 1 to {LONGEST_TOKEN} bytes")
        return quote(self.ids) + (":failed" if self.failed else "")


def signed_again(token: str, lines: Iterable[str], user: str, signer: Signer, now: float) -> list[Chunk]:
    """Return the parts of a submission of the requests in *lines*, those of `JobText`.

    A time before which a job may not begin, or after which it is in vain, that has passed does not count again. Raises
    `RefusedError` ``auth.signature`` for what *user* has never signed.
    """
    orders = []
    first = mark("rerun", token)
    for number, line in enumerate(lines, 1):
        given = decoded(JobText, line)
        if not signer.check(given.text, given.sig) or accepted_spec(given.text).user != user:
            raise RefusedError("auth.signature", f"the request of job {given.id:.40} is not signed by this user")
        before = accepted_spec(given.text)
        if given.tasks and not _has(before.array, given.tasks):
            raise RefusedError("auth.signature", f"this user has never asked for these tasks of job {given.id:.40}")
        after = _for_now(before, given.tasks, now)
        text = given.text if after == before else json_line(after)
        orders.append((text, signer.sign(text, f"{first}{number:08x}")))
    return list(chunks(token, orders, {}))


def _has(array: str, tasks: str) -> bool:
    """Whether *tasks* are some of those of *array*, both as ranges."""
    if not array:
        return False
    try:
        asked = read_ranges(tasks)
    except ValueError:
        return False
    there = bytearray(MOST_INDEX + 1)
    for one in read_ranges(array):
        there[one.start : one[-1] + 1 : one.step] = b"\1" * len(one)
    return all(0 not in there[one.start : one[-1] + 1 : one.step] for one in asked)


def _for_now(spec: JobSpec, tasks: str, now: float) -> JobSpec:
    changes: dict[str, object] = {}
    if tasks:
        changes["array"] = tasks
    if 0 < spec.begin < now:
        changes["begin"] = 0.0
    if spec.deadline and spec.deadline < now + spec.time:
        changes["deadline"] = 0.0
    return msgspec.structs.replace(spec, **changes) if changes else spec
