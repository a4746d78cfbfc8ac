"""Templates: everything is escaped, times and sizes are written in one way, and no page holds a script or a style."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import tm
from tm.web.asked import Asked
from tm.web.static_files import versioned

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b."
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
_MOMENT = re.compile(r"(\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")
NOT_KNOWN = "\u2013"
LATEST = 200e9
"""No time that anybody means, in seconds since the epoch, and one that can still be written."""
SHAPES = {
    "running": "▶", "pending": "◌", "held": "‖", "starting": "▷", "suspended": "⏸", "unreachable": "⚡",
    "finished": "●", "completed": "●", "timeout": "⧖", "out_of_memory": "✖", "output_limit": "✖",
    "failed": "✖", "cancelled": "⊘", "lost": "?", "up": "●", "free": "●", "busy": "▶", "full": "▶",
    "down": "✖", "off": "○", "draining": "▽", "drained": "▼", "away": "◇", "broken": "✖", "bad": "✖",
}  # fmt: skip
"""The shape of each state's badge: who cannot tell the colours reads word and shape."""


def plain(text: object) -> str:
    """Return *text* without what moves a cursor, changes colours, or turns the direction of writing."""
    return _CONTROL.sub("", "" if text is None else str(text))


def sentence(text: str) -> str:
    """Return *text* with a capital in front."""
    return text[:1].upper() + text[1:]


def size(count: object) -> str:
    """Return a number of bytes as people write it, e.g. ``3.5 GiB``; a dash for what is not known."""
    if not isinstance(count, int | float) or isinstance(count, bool):
        return NOT_KNOWN
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or abs(value) >= 100 else f"{value:.1f} {unit}"


def span(seconds: object) -> str:
    """Return a duration as people write it, e.g. ``2 h 05 min``; a dash for what is not known."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return NOT_KNOWN
    total = max(0, round(seconds))
    minutes, rest = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    if minutes:
        return f"{minutes} min {rest:02} s"
    return f"{seconds:.1f} s" if seconds < 10 else f"{total} s"


def seconds_of(text: object) -> float | None:
    """Return the seconds since the epoch of ``2026-11-22T14:02:03.123Z``; None for what is no time."""
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
    return at if at is not None and 0 <= at < LATEST else None


def when(text: object, now: float | None = None) -> Markup:
    """Return a time as an element: UTC where there is no script; the browser's own time zone where there is one."""
    at = seconds_of(text)
    if at is None:
        return Markup(NOT_KNOWN)
    moment = datetime.fromtimestamp(at, UTC)
    shown = moment.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{} UTC</time>').format(moment.isoformat(), shown)


def many(count: int, word: str, plural: str = "") -> str:
    """Return ``1 host`` and ``1,000 hosts``: *count* of what is called *word*, several of them *plural*."""
    return f"{count:,} {word if count == 1 else plural or word + 's'}"


def told(text: object) -> Markup:
    """Return a sentence of the dispatcher: the times in it as elements, as `when` has them."""
    parts = _MOMENT.split(plain(text))
    shown = ((when(part) if seconds_of(part) else part) if place % 2 else part for place, part in enumerate(parts))
    return Markup("").join(shown)


def badge(state: object) -> Markup:
    """Return a state as word, shape and colour."""
    word = plain(state) or "unknown"
    name = re.sub(r"[^a-z]", "-", word.lower())
    shape = SHAPES.get(word, "○")
    return Markup('<span class="badge badge-{}"><span aria-hidden="true">{}</span> {}</span>').format(name, shape, word)


def href(prefix: str, path: str, **query: object) -> str:
    """Return the address of *path* below *prefix*; a query's values that are None or empty are left out."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return prefix + quote(path, safe="/%,[]:@") + ("?" + urlencode(given) if given else "")


def csrf_field(asked: Asked) -> Markup:
    """Return the hidden field that every form carries."""
    if asked.visitor is None:
        return Markup("")
    return Markup('<input type="hidden" name="csrf" value="{}">').format(asked.visitor.csrf)


def notice_of(asked: Asked) -> str:
    """Return what was done on the way here, as the address says it, empty where that says what we never said."""
    notice = asked.args.get("notice", "")
    ours = asked.visitor is not None and asked.visitor.sealed(notice, asked.args.get("seal", ""))
    return notice if ours else ""


class Renderer:
    """Makes pages of templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("tm.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._environment.finalize = lambda value: plain(value) if type(value) is str else value
        self._environment.filters.update(
            size=size, span=span, when=when, badge=badge, plain=plain, seconds_of=seconds_of, sentence=sentence,
            many=many, told=told,
        )

    def page(self, asked: Asked, template: str, context: dict[str, Any]) -> bytes:
        """Return *template* with *context* as the visitor of *asked* sees it."""
        known = {
            "asked": asked, "visitor": asked.visitor, "user": asked.user, "prefix": asked.prefix,
            "version": tm.__version__, "cluster": asked.cluster, "csrf_field": csrf_field(asked),
            "href": partial(href, asked.prefix),
            "now": asked.now, "notice": notice_of(asked), "static": versioned,
            "made": when(datetime.fromtimestamp(asked.now, UTC).isoformat()),
        }  # fmt: skip
        return self._environment.get_template(template).render({**known, **context}).encode(errors="replace")


__all__ = [
    "Renderer", "badge", "csrf_field", "escape", "href", "many", "plain", "seconds_of", "size", "span", "told", "when",
]  # fmt: skip
