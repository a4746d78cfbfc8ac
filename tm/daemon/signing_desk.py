"""The user's signature: what their server puts under jobs on the way out, and asks to see on the way back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

import msgspec

from tm.daemon.answers import json_line
from tm.daemon.orders import Order, OrderLine
from tm.errors import RefusedError
from tm.model.ids import index_of, is_task, read_ranges
from tm.model.spec import SHARED, JobSpec, accepted_spec, read_spec
from tm.model.starts import mark
from tm.wire.frames import LARGE_LIMIT

_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(OrderLine).decode
_LARGEST = LARGE_LIMIT - 8 * 1024

MOST_JOBS = 10_000
MOST_ENVIRONMENT = 256 * 1024
LONGEST_TOKEN = 64


class Signer(Protocol):
    """Makes and checks the signature of one user."""

    def sign(self, text: str, mark: str = "") -> str:
        """Return the signature of *text*; with a *mark* it is one of its kind."""

    def check(self, text: str, signature: str) -> bool:
        """Whether *signature* is the one of *text*."""


class Wish(msgspec.Struct):
    """The argument of ``submit`` at a user's server: what all jobs have in common, and each job's own."""

    token: str
    jobs: list[dict[str, object]]
    common: dict[str, object] = {}


class Chunk(msgspec.Struct):
    """A part of a submission that fits a line: its own token, the texts with their signatures, the environment."""

    token: str
    orders: list[tuple[str, str]]
    environments: dict[str, str]

    def encode(self) -> str:
        """Return the argument of ``submit`` at the dispatcher."""
        return json_line(self)


def sign_wish(wish: Wish, user: str, signer: Signer) -> list[Chunk]:
    """Return the signed parts of *wish*; the same wish always gives the same parts.

    Raises `RefusedError`: ``job.invalid`` naming the job and the field, ``limit.jobs``, ``limit.environment``,
    ``limit.job`` for a job that fits no line.
    """
    if not 0 < len(wish.token.encode()) <= LONGEST_TOKEN:
        raise RefusedError("job.invalid", f"the token must have 1 to {LONGEST_TOKEN} bytes")
    if not 0 < len(wish.jobs) <= MOST_JOBS:
        raise RefusedError("limit.jobs", f"a submission may have 1 to {MOST_JOBS} jobs, not {len(wish.jobs)}")
    common = dict(wish.common)
    text, digest = _environment(common.pop("environment", {}), common)
    common |= {"user": user, "environment": digest}
    orders = []
    first = mark("submit", wish.token)
    for number, job in enumerate(wish.jobs, 1):
        spec = _spec({**common, **job, "user": user, "environment": digest}, number)
        signed = json_line(spec)
        orders.append((signed, signer.sign(signed, f"{first}{number:08x}")))
    return list(chunks(wish.token, orders, {digest: text}))


def _environment(value: object, common: dict[str, object]) -> tuple[str, str]:
    """Return text and digest of an environment, in which a script that is *common* to all goes along."""
    if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise RefusedError("job.invalid", "the environment must be an object of texts")
    for name, text in value.items():
        if not name or "=" in name or "\0" in name or "\0" in text:
            raise RefusedError("job.invalid", f"no process can have the variable '{name!a:.60}'; leave it out")
    variables = {name: text for name, text in value.items() if name != SHARED}
    script = common.get("script")
    if isinstance(script, str) and script:
        variables[SHARED] = script
        common["script"] = SHARED
    return _named(tuple(sorted(variables.items())))


@lru_cache(maxsize=8)
def _named(variables: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return text and digest of an environment; the last ones are kept, for jobs that come one by one."""
    text = json_line(dict(variables))
    bare = json_line({name: value for name, value in variables if name != SHARED})
    if len(bare.encode()) > MOST_ENVIRONMENT:
        raise RefusedError("limit.environment", f"an environment may have {MOST_ENVIRONMENT} bytes; use --export")
    return text, hashlib.sha256(text.encode()).hexdigest()


def _spec(fields: dict[str, object], number: int) -> JobSpec:
    try:
        spec = msgspec.convert(fields, JobSpec)
    except msgspec.ValidationError as error:
        raise RefusedError("job.invalid", f"job {number} of the submission: {error}") from None
    complaint = spec.complaint()
    if complaint:
        raise RefusedError("job.invalid", f"job {number} of the submission: {complaint}")
    return spec


def chunks(token: str, orders: list[tuple[str, str]], environments: dict[str, str]) -> Iterator[Chunk]:
    """Yield *orders* (text, signature) in parts that fit a line each; raise `RefusedError` ``limit.job``."""
    part: list[tuple[str, str]] = []
    base = sum(map(_cost, environments.values()))
    size = base
    number = 0
    for place, order in enumerate(orders, 1):
        cost = _cost(order[0])
        if base + cost > _LARGEST:
            raise RefusedError(
                "limit.job", f"job {place} of the submission is too large: put its command into a file and run that"
            )
        if part and size + cost > _LARGEST:
            yield Chunk(f"{token}.{number}", part, environments)
            part, size, number = [], base, number + 1
        part.append(order)
        size += cost
    yield Chunk(f"{token}.{number}", part, environments)


def _cost(text: str) -> int:
    """Return the bytes that *text* and its signature take in a line."""
    return len(text.encode()) + text.count('"') + text.count("\\") + 80


def is_of(number: int, text: str) -> bool:
    """Whether *number* can be of the request *text*: of a task if, and only if, it asks for that task of an array."""
    indices = accepted_spec(text).array if is_task(number) or '"array"' in text else ""
    if not indices:
        return not is_task(number)
    return is_task(number) and any(index_of(number) in one for one in _ranges(indices))


@lru_cache(maxsize=64)
def _ranges(indices: str) -> list[range]:
    return read_ranges(indices)


def checked_line(
    raw: bytes, signer: Signer, unfit: Callable[[str, Order], str]
) -> tuple[OrderLine, bytes, list[str]]:
    """Return the order line of *raw*, what to pass on of it, and the complaints about it.

    *unfit* says why an order, whose signature is good, must not go to a host (both are its arguments), as when it went
    to another one before, or returns an empty text.

    An order whose signature is not the user's, or whose environment is not the one of its digest, goes on without its
    text, and an environment that was changed does not go on. One that the dispatcher itself sends without its text
    starts nothing and goes on as it is.
    """
    line = _decode_line(raw)
    changed = {
        digest for digest, text in line.environments.items() if hashlib.sha256(text.encode()).hexdigest() != digest
    }
    complaints = [f"auth.signature: environment {digest[:16]}… was changed on its way" for digest in changed]
    for digest in changed:
        del line.environments[digest]
    for order in line.orders:
        complaint = ""
        if order.refused and not order.spec:
            continue
        if not signer.check(order.spec, order.sig) or not is_of(order.job, order.spec):
            complaint = f"auth.signature: job {order.job} is not signed by this user, or was changed on its way"
        elif changed and read_spec(order.spec).environment in changed:
            complaint = f"auth.signature: the environment of job {order.job} was changed on its way"
        else:
            complaint = unfit(line.host, order)
        if complaint:
            order.refused, order.spec = complaint, ""
            complaints.append(complaint)
    return line, _encode(line) if complaints else raw, complaints
