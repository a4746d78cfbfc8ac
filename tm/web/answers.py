"""What a page answers: a template with its values, another address, data, or a stream that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """The template *template* with *context*."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go to *to*, a path of ours without the prefix; *notice* is shown there once. *cookie*: the session to begin with
    its end in seconds from now, or an empty one to forget it."""

    to: str
    notice: str = ""
    cookie: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """*body* as it is; *filename*: to be saved under that name. *keep*: browsers may keep it for so many seconds."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    filename: str | None = None
    keep: int = 0
    status: int = 200


@dataclass(frozen=True, slots=True)
class Json:
    """*value* as JSON."""

    value: Any
    status: int = 200


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: *begin* is called with the request of twisted.web after its head has been set."""

    begin: Callable[[Any], None]
    content_type: str = "text/event-stream; charset=utf-8"


Answer = Page | Redirect | Data | Json | Stream
