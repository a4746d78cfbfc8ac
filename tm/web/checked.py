"""What people's own servers and hosts answer: others speak there, and nobody has looked at it before us.

The law: what is not of the shape that pages and programs are promised is refused with a sentence, whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from tm.errors import RefusedError

Table = dict[str, Any]


class _File(msgspec.Struct):
    text: str = ""
    path: str | None = None
    at: int | None = None
    begin: int | None = msgspec.field(default=None, name="from")


class _Output(msgspec.Struct):
    stdout: _File
    stderr: _File
    over: bool
    state: str = ""
    more: bool = False
    host: str | None = None


class _Accepted(msgspec.Struct):
    ids: Annotated[list[int], msgspec.Meta(min_length=1)]
    advice: list[str] = []


class _Finding(msgspec.Struct):
    topic: str
    level: str
    short: str
    text: str
    remedy: str


class _Check(msgspec.Struct):
    over: bool
    good: bool | None = None
    findings: list[_Finding] = []
    error: str | None = None


class _About(msgspec.Struct):
    cores: int | None = None
    sockets: int | None = None
    threads: int | None = None
    memory: int | None = None
    gpus: list[Table] = []
    disks: list[Table] = []


class _Own(msgspec.Struct):
    verb: str


_OWN: Mapping[str, Any] = {"output": _Output, "submit": _Accepted, "rerun": _Accepted, "checkhost": _Check}
_HOST: Mapping[str, Any] = {"info": _About}


def check(verb: str, rest: str, lines: Sequence[str]) -> None:
    """Raise `RefusedError` ``web.answer`` or ``info.bad`` unless *lines* are an answer to ``own`` or ``hostask``."""
    if verb == "own":
        one_line = len(lines) == 1
        if not one_line or not _fits(_OWN[msgspec.json.decode(rest, type=_Own).verb], lines):
            raise RefusedError(
                "web.answer", "your own server answered what is not understood here; it may be of another version:"
                " 'hRunJob -s' says, and its log tells more"
            )  # fmt: skip
    elif not _fits(_HOST.get(rest.split(":")[1], Table), lines):
        raise RefusedError("info.bad", "the InfoServer answered what is not understood here; see its log on the host")


def _fits(kind: Any, lines: Sequence[str]) -> bool:
    try:
        for line in lines:
            msgspec.convert(msgspec.json.decode(line, type=Table), type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
