"""Requests, replies and events, and how each is written on a line.

Request ``verb[.json][:argument…]``; reply ``OK[ text]`` or ``ERR class text``, body lines, ``.``; event ``* {json}``.
In a plain argument ``%``, ``:`` and control characters are percent-encoded.
"""

from __future__ import annotations

import re

from tm.errors import RefusedError, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_VERB = re.compile(r"[a-z][a-z0-9]{0,31}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_STUFFED = re.compile(r"\n([.=])")
_BODY_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_RAW = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_RAW_BYTES = bytes({*range(32), 0x7F} - {0x09})
"""What `_RAW` matches, where it is one byte; the rest begin with C2."""
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[%:\x00-\x1f\x7f]")


def quote(argument: str) -> str:
    """Return *argument* as it is written between colons."""
    return _UNSAFE.sub(lambda found: f"%{ord(found.group()):02X}", argument)


def unquote(argument: str) -> str:
    """Return what `quote` was given; an escape is a byte of UTF-8. Raises `RefusedError` where there is none."""
    if "%" not in argument:
        return argument
    raw = argument.encode()
    if raw.count(b"%") != len(_ESCAPED.findall(raw)):
        raise RefusedError("proto.malformed", "a '%' in an argument is written %25")
    try:
        return _ESCAPED.sub(lambda found: bytes((int(found.group(1), 16),)), raw).decode()
    except UnicodeDecodeError:
        raise RefusedError("proto.malformed", "the escapes in an argument must be UTF-8") from None


class Request:
    """One line from the asking side: *verb*, whether JSON is wanted, and all that stands behind the first colon."""

    __slots__ = ("json", "rest", "verb")

    def __init__(self, verb: str, rest: str | None = None, json: bool = False) -> None:
        self.verb = verb
        self.rest = rest
        self.json = json

    def encode(self) -> bytes:
        """Return the line with its end; raise `RefusedError` when it would be more than one line."""
        word = self.verb + ".json" if self.json else self.verb
        line = word if self.rest is None else f"{word}:{self.rest}"
        if "\n" in line:
            raise RefusedError("proto.malformed", "a request is one line; write its line ends percent-encoded")
        return line.encode(errors="replace") + b"\n"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request) and (self.verb, self.rest, self.json) == (
            other.verb,
            other.rest,
            other.json,
        )

    __hash__ = None  # type: ignore[assignment]  # compared in tests, never a key

    def __repr__(self) -> str:
        return f"Request({self.verb!r}, {self.rest!r}, json={self.json})"


def parse_request(line: bytes) -> Request:
    """Return the request on *line*; raise `RefusedError` (``proto.malformed``), after which the next line counts."""
    text = decode_line(line)
    word, colon, rest = text.partition(":")
    verb, dot, form = word.strip().partition(".")
    if not _VERB.match(verb) or (dot and form != "json"):
        shown = word[:40].encode("unicode_escape").decode()
        raise RefusedError("proto.malformed", f"'{shown}' is no verb; 'help' lists the verbs")
    return Request(verb, rest if colon else None, bool(dot))


def decode_line(line: bytes) -> str:
    """Return *line* as text; raise `RefusedError` when it is not UTF-8 or holds a control character other than TAB."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("proto.malformed", f"byte {error.start} of the line is not UTF-8") from None
    found = _CONTROL.search(text)
    if found:
        raise RefusedError(
            "proto.malformed", f"control character %{ord(found.group()):02X} in the line; write it percent-encoded"
        )
    return text


def harmless(line: bytes) -> str:
    """Return a *line* of a server as text that only shows: control characters other than TAB as JSON escapes them.

    Servers of ours send none; what comes from a host that was broken into is printed on people's terminals.
    """
    text = line.decode(errors="replace")
    if b"\xc2" not in line and len(line.translate(None, _RAW_BYTES)) == len(line):
        return text
    return _RAW.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


class Reply:
    """An answer: ``OK`` when *word* is None, else an error of that class; *text*, and the lines of the body.

    For one that is not *urgent* nobody waits: it may leave a moment later, with what is said next.
    """

    __slots__ = ("body", "text", "urgent", "word")

    def __init__(
        self, text: str = "", body: Iterable[str] = (), word: str | None = None, urgent: bool = True
    ) -> None:
        self.text = text
        self.body = list(body)
        self.word = word
        self.urgent = urgent

    @property
    def ok(self) -> bool:
        """Whether the request was done."""
        return self.word is None

    def encode(self) -> bytes:
        """Return all lines of the reply, its end included.

        A line end within the body begins another line of the body; other control characters become spaces.
        """
        text = _CONTROL.sub(" ", self.text)
        head = f"ERR {self.word} {text}" if self.word else f"OK {text}" if text else "OK"
        if not self.body:
            return head.encode(errors="replace") + b"\n.\n"
        body = _STUFFED.sub(r"\n.\1", "\n" + "\n".join(self.body))
        return (head + _BODY_CONTROL.sub(" ", body) + "\n.\n").encode(errors="replace")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and (self.word, self.text, self.body) == (
            other.word,
            other.text,
            other.body,
        )

    __hash__ = None  # type: ignore[assignment]  # compared in tests, never a key

    def __repr__(self) -> str:
        return f"Reply({self.text!r}, {self.body!r}, word={self.word!r})"


class Event:
    """Something that happened, as the JSON text of one object."""

    __slots__ = ("json",)

    def __init__(self, json: bytes) -> None:
        self.json = json

    def encode(self) -> bytes:
        """Return the line with its end."""
        return b"* %b\n" % self.json

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and self.json == other.json

    __hash__ = None  # type: ignore[assignment]  # compared in tests, never a key

    def __repr__(self) -> str:
        return f"Event({self.json!r})"


def parse_status(line: bytes) -> Reply:
    """Return the reply whose first line is *line*, its body still empty; raise `WireError` if it is none."""
    text = harmless(line)
    if text == "OK" or text.startswith("OK "):
        return Reply(text[3:])
    kind, _, rest = text.partition(" ")
    word, _, message = rest.partition(" ")
    if kind != "ERR" or not word:
        raise WireError("proto.malformed", f"the server answered neither OK nor ERR but '{text[:60]}'")
    return Reply(message, word=word)
