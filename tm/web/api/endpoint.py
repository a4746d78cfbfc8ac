"""What an endpoint is: an address, what is asked of the dispatcher for it, and what comes back. Pure values.

The law: whatever a program says is either understood or refused with a sentence that says where it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tm.errors import RefusedError
from tm.wire.message import quote

BASE = "/api/v1"
MOST_LETTERS = 4096
"""Of one argument of an address."""
ONE, MANY, SAID, STREAM = "one", "many", "said", "stream"
"""What an answer is: one value; ``{"items", "next"}``; ``{"text", "items"}`` after something was done; events."""
JSON = "application/json"
_NUMBER = re.compile(r"\d{1,15}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of an address: *name*, *meaning*, and what it may be: a *kind*, of numbers at *most* so much."""

    name: str
    meaning: str
    kind: Literal["text", "number", "flag"] = "text"
    most: int = 10**15
    choices: tuple[str, ...] = ()
    least: int = 0

    def check(self, value: str) -> None:
        """Raise `RefusedError` ``proto.arguments`` when *value* is none of this kind."""
        wanted = ""
        if self.kind == "number" and not (_NUMBER.match(value) and self.least <= int(value) <= self.most):
            wanted = f"a number from {self.least} to {self.most}"
        elif self.kind == "flag" and value not in ("true", "false"):
            wanted = "true or false"
        elif self.choices and value not in self.choices:
            wanted = f"one of {' '.join(self.choices)}"
        elif len(value) > MOST_LETTERS:
            wanted = f"at most {MOST_LETTERS} characters"
        if wanted:
            raise RefusedError("proto.arguments", f"{self.name}={value:.40}: expected {wanted}")


@dataclass(frozen=True, slots=True)
class Given:
    """What a program gave: the *parts* of the path, the *args* of the address, the checked *body*; *fresh* is a random
    word for what wants one."""

    parts: Mapping[str, str]
    args: Mapping[str, str]
    body: Any = None
    fresh: str = ""


@dataclass(frozen=True, slots=True)
class Saying:
    """What the dispatcher is asked: *verb* with its *rest*; *may*: what the session must be allowed for this one."""

    verb: str
    rest: str | None = None
    may: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is answered: *items*, JSON texts of the dispatcher, and arguments of the address of what comes *next*."""

    items: Sequence[str]
    next: Mapping[str, str] | None = None


Say = Callable[[Given], Saying]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """*method* and *path* below `BASE`; *say* makes of what was given what is asked, one of *verbs*.

    *answer* is the type of each value, *form* how they come (`ONE` …); *turn* makes of the values those that are shown.
    *right* is what must be had, as docs tell it; the dispatcher knows itself.
    """

    method: str
    path: str
    summary: str
    say: Say
    verbs: tuple[str, ...]
    answer: Any
    form: str = ONE
    may: str = "look"
    right: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    turn: Callable[[Given, list[str]], Shown] | None = None
    status: int = 200
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """The path as routes have it."""
        return BASE + self.path

    @property
    def name(self) -> str:
        """One word for it: ``get_jobs_job_why``."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self.method.lower()}{self.path}").strip("_")

    def read(self, parts: Mapping[str, str], args: Mapping[str, str], kind: str, body: bytes, fresh: str) -> Given:
        """Return what was given, checked. *kind* is the type of the *body*'s content.

        Raises `RefusedError`: ``proto.arguments``, ``web.media`` for a body that is no JSON.
        """
        known = {one.name: one for one in self.parameters}
        for name, value in args.items():
            if name not in known:
                all_known = f"known are {', '.join(known)}" if known else "there are none here"
                raise RefusedError("proto.arguments", f"'{name:.40}' is no parameter of this address; {all_known}")
            known[name].check(value)
        if self.body is None:
            if body.strip():
                raise RefusedError("proto.arguments", f"{self.method} {self.pattern} takes no body")
            return Given(parts, args, None, fresh)
        if kind != JSON:
            raise RefusedError("web.media", f"expected a body of Content-Type {JSON}, not '{kind:.60}'")
        return Given(parts, args, read_body(self.body, body), fresh)


def read_body(kind: Any, body: bytes) -> Any:
    """Return the JSON *body* as a *kind*; raise `RefusedError` ``proto.arguments`` that says where it is wrong."""
    if not body.strip():
        raise RefusedError("proto.arguments", f"the body is empty; expected a JSON object, a {kind.__name__}")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedError("proto.arguments", f"the body does not fit: {error}") from None
    except RecursionError:
        raise RefusedError("proto.arguments", "the body is nested too deeply") from None


def json_text(value: object) -> str:
    """Return *value* as JSON that may stand in a line."""
    try:
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    except RecursionError:
        raise RefusedError("proto.arguments", "the body is nested too deeply") from None
    except (OverflowError, ValueError, UnicodeError) as error:
        raise RefusedError("proto.arguments", f"the body does not fit: {error}") from None


def plain(verb: str, *words: str) -> Say:
    """Return what asks *verb* with these *words*; one in brackets, ``<host>``, is that part of the path."""

    def say(given: Given) -> Saying:
        return Saying(verb, ":".join(quote(_filled(word, given)) for word in words) if words else None)

    return say


def keyed(verb: str, *keys: str) -> Say:
    """Return what asks *verb* with those of the arguments *keys* that were given: ``lsjobs:user=alice``."""

    def say(given: Given) -> Saying:
        return Saying(verb, pairs({key: given.args[key] for key in keys if key in given.args}))

    return say


def pairs(args: Mapping[str, str]) -> str | None:
    """Return ``key=value:…`` of *args*, None for none."""
    return ":".join(f"{key}={quote(value)}" for key, value in args.items()) or None


def _filled(word: str, given: Given) -> str:
    return given.parts[word[1:-1]] if word.startswith("<") else word
