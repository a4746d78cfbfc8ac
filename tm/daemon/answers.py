"""Parts that the verbs of every server share: permission, help, who somebody is, JSON and text of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred

import tm
from tm.errors import RefusedError
from tm.ports import Peer
from tm.wire.message import Reply, Request
from tm.wire.verbs import Verb

_encoder = msgspec.json.Encoder()
_encode = _encoder.encode

Answer = Reply | Deferred[Reply]
_Value = TypeVar("_Value")
Spoken = Callable[[Peer, Request, list[str]], Answer]


def json_line(value: object) -> str:
    """Return *value* as JSON that may stand in a line: DEL is the one control character that JSON leaves as it is."""
    return _encode(value).decode().replace("\x7f", "\\u007f")


def json_lines(values: Sequence[object]) -> list[str]:
    """Return each of *values* as `json_line` does, in one go."""
    return _encoder.encode_lines(values).decode().replace("\x7f", "\\u007f").split("\n")[:-1]


def as_reply(
    request: Request, shown: dict[str, object] | list[dict[str, object]], lines: list[str], none: str = ""
) -> Reply:
    """Return *shown* as JSON, one value a line, where that was asked for, else *lines*; *none* where there are none."""
    if request.json:
        return Reply(body=json_lines(shown if isinstance(shown, list) else [shown]))
    return Reply("" if lines else none, body=lines)


def as_lines(shown: Mapping[str, Any]) -> list[str]:
    """Return the fields of one thing, a line each; what is not known is left out."""
    return [f"{name}: {_plain(value)}" for name, value in shown.items() if value not in (None, "", [], {})]


def _plain(value: object) -> str:
    """Return *value* as people write it: ``n1 up, n2 down`` for an object, things separated by ``;``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items() if item not in (None, ""))
    if isinstance(value, list):
        if any(isinstance(item, Mapping) for item in value):
            return "; ".join(
                " ".join(_plain(part) for part in item.values() if part not in (None, "")) for item in value
            )
        return " ".join(map(_plain, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def decoded(kind: type[_Value], text: str) -> _Value:
    """Return the JSON *text* as a *kind*; raise `RefusedError` ``proto.arguments`` when it is none."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise RefusedError("proto.arguments", f"the JSON argument does not fit: {error}") from None
    except RecursionError:
        raise RefusedError("proto.arguments", "the JSON argument is nested too deeply") from None


def find(verbs: Mapping[str, Verb], request: Request) -> Verb:
    """Return the verb of *request*; raise `RefusedError` ``proto.verb`` when there is none."""
    verb = verbs.get(request.verb)
    if verb is None:
        raise RefusedError("proto.verb", f"there is no verb '{request.verb}' here; 'help' lists them")
    return verb


def help_reply(verbs: Mapping[str, Verb], request: Request, arguments: list[str]) -> Reply:
    """Return what ``help`` says of all *verbs*, or of one."""
    if arguments:
        chosen = [find(verbs, Request(arguments[0]))]
    else:
        chosen = list(verbs.values())
    shown: list[dict[str, object]] = [{"verb": v.name, "usage": v.usage, "help": v.help} for v in chosen]
    width = max(len(verb.usage) for verb in chosen)
    return as_reply(request, shown, [f"{verb.usage:<{width}}  {verb.help}" for verb in chosen])


def version_reply(request: Request, server: str) -> Reply:
    """Return program and protocol version."""
    shown: dict[str, object] = {"server": server, "version": tm.__version__, "protocol": tm.PROTOCOL}
    return as_reply(request, shown, [f"{server} {tm.__version__} protocol={tm.PROTOCOL}"])
