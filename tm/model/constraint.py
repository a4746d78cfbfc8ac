"""Expressions over what a host is, by which jobs say where they may run, and where they would rather.

``gpu and not old``, ``cores>=8 & memory>=32G``, ``name=n* | group=lab``, ``not (slow or load>2)``; also ``&&``, ``||``
and ``!``. A word alone is a feature of the host; *not* binds closest, then *and*, then *or*. What is preferred is
written the same way, several with commas, the most important first. Standard library only.

The law: a text either reads as one expression, which `shown` writes again, or raises `ConstraintError` with the place.
What is not known of a host is neither true nor false (`holds` says None), and stays so under *not*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Final, NamedTuple, Protocol

from tm.model.resources import format_memory, parse_memory

LONGEST = 1000
DEEPEST = 50
MOST_PREFERENCES = 16
MOST_TERMS = 50
"""So many features and comparisons are asked of every host of a large cluster in no time that others notice."""
NUMBERS: Final = ("cores", "memory", "gpus", "gpu_memory", "load")
TEXTS: Final = ("name", "group", "cpu", "gpu", "system", "kernel")
SIZES: Final = ("memory", "gpu_memory")
MOVING: Final = frozenset({"load"})
"""What changes from report to report: it never decides whether a host could ever be right."""
RESERVED: Final = frozenset({"and", "or", "not"})
HAS_GPU: Final = "gpu"
"""A feature that every host with a GPU has."""

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<word>[A-Za-z0-9_*?\[\]][A-Za-z0-9_.+*?\[\]-]*)|(?P<quoted>\"[^\"]*\"|'[^']*')"
    r"|(?P<compare>==|!=|<=|>=|=|<|>)|(?P<and>&&?)|(?P<or>\|\|?)|(?P<not>!)|(?P<open>\()|(?P<close>\))|(?P<comma>,)"
)
_FEATURE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}\Z")
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_*?\[\]][A-Za-z0-9_.+*?\[\]-]*\Z")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?\Z")
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class ConstraintError(ValueError):
    """What is wrong with an expression, as a sentence that names the place; *at* is its position, from 0."""

    def __init__(self, text: str, at: int, what: str) -> None:
        super().__init__(f"'{text[:LONGEST]}' cannot be read as a constraint: {what}, at character {at + 1}")
        self.at = at


class Feature(NamedTuple):
    """The host has this feature."""

    name: str


class Compare(NamedTuple):
    """What *key* names of the host compares so to *number*, or is like the pattern *text*."""

    key: str
    compare: str
    number: float
    text: str = ""


class Not(NamedTuple):
    """The other does not hold."""

    part: Expression


class And(NamedTuple):
    """All of them hold."""

    parts: tuple[Expression, ...]


class Or(NamedTuple):
    """One of them holds."""

    parts: tuple[Expression, ...]


Expression = Feature | Compare | Not | And | Or


class Terms(Protocol):
    """What an expression asks about one host; None: nobody knows."""

    def has(self, feature: str) -> bool | None: ...

    def number(self, key: str) -> float | None: ...

    def texts(self, key: str) -> Sequence[str] | None: ...


@lru_cache(maxsize=1024)
def read_constraint(text: str) -> Expression:
    """Return the expression that *text* is; raise `ConstraintError` when it is none."""
    reader = _Reader(text)
    found = reader.expression()
    reader.end()
    return found


@lru_cache(maxsize=1024)
def read_preferences(text: str) -> tuple[Expression, ...]:
    """Return the expressions that *text* lists, the most important first; raise `ConstraintError`."""
    reader = _Reader(text)
    found = [reader.expression()]
    while reader.take("comma"):
        found.append(reader.expression())
    reader.end()
    if len(found) > MOST_PREFERENCES:
        raise ConstraintError(text, 0, f"there are more than {MOST_PREFERENCES} preferences")
    return tuple(found)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = self._terms = 0
        if len(text) > LONGEST:
            raise ConstraintError(text[:40] + "…", LONGEST, f"it is longer than {LONGEST} characters")
        self._tokens = list(self._scan())
        self._next = 0

    def _scan(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise ConstraintError(self._text, at, f"{self._text[at]!r} has no meaning here")
            kind, word = str(found.lastgroup), found[0]
            if kind == "word" and word.lower() in RESERVED:
                kind = word.lower()
            if kind != "space":
                yield _Token(kind, word, at)
            at = found.end()

    @property
    def _token(self) -> _Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return _Token("end", "the end", len(self._text))

    def take(self, kind: str) -> bool:
        """Go on behind the next token if it is of this *kind*."""
        if self._token.kind != kind:
            return False
        self._next += 1
        return True

    def end(self) -> None:
        """Raise `ConstraintError` if anything is left."""
        if self._next < len(self._tokens):
            raise self._expected("'and', 'or' or the end")

    def _expected(self, what: str) -> ConstraintError:
        found = "the end" if self._token.kind == "end" else f"'{self._token.text}'"
        return ConstraintError(self._text, self._token.at, f"expected {what}, found {found}")

    def expression(self) -> Expression:
        """Read what *or* joins."""
        parts = [self._all()]
        while self.take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Expression:
        parts = [self._one()]
        while self.take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ConstraintError(self._text, self._token.at, f"it is nested more than {DEEPEST} deep")
        found = self._deeper()
        self._depth -= 1
        return found

    def _deeper(self) -> Expression:
        if self.take("not"):
            return Not(self._one())
        if self.take("open"):
            found = self.expression()
            if not self.take("close"):
                raise self._expected("')'")
            return found
        word = self._token
        if not self.take("word"):
            raise self._expected("a feature, a comparison like cores>=8, 'not' or '('")
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise ConstraintError(self._text, word.at, f"it names more than {MOST_TERMS} features and comparisons")
        compare = self._token
        if self.take("compare"):
            return self._comparison(word, "=" if compare.text == "==" else compare.text)
        if not _FEATURE.match(word.text):
            raise ConstraintError(self._text, word.at, f"'{word.text}' is no name of a feature")
        return Feature(word.text)

    def _comparison(self, key: _Token, compare: str) -> Expression:
        value = self._token
        known = key.text.lower()
        if known not in NUMBERS and known not in TEXTS:
            listed = ", ".join((*NUMBERS, *TEXTS))
            raise ConstraintError(self._text, key.at, f"'{key.text}' cannot be compared; these can: {listed}")
        if not (self.take("word") or self.take("quoted")):
            raise self._expected(f"what {known} is compared with")
        if known in TEXTS:
            if compare not in ("=", "!="):
                raise ConstraintError(self._text, value.at, f"{known} is compared with = or !=, not with {compare}")
            return Compare(known, compare, 0.0, value.text[1:-1] if value.kind == "quoted" else value.text)
        return Compare(known, compare, self._number(known, value))

    def _number(self, key: str, value: _Token) -> float:
        if key in SIZES:
            try:
                return parse_memory(value.text)
            except ValueError as error:
                raise ConstraintError(self._text, value.at, str(error)) from None
        if not _NUMBER.match(value.text):
            raise ConstraintError(self._text, value.at, f"{key} is compared with a number, not '{value.text}'")
        return float(value.text)


def shown(expression: Expression) -> str:
    """Return *expression* as people write it: `read_constraint` gives it back."""
    match expression:
        case Feature(name):
            return name
        case Compare(key, compare, number, text):
            if key in TEXTS:
                quote = '"' if "'" in text else "'"
                plain = _PLAIN_TEXT.match(text) and text.lower() not in RESERVED
                return f"{key}{compare}{text if plain else quote + text + quote}"
            return f"{key}{compare}{format_memory(int(number)) if key in SIZES else _plain(number)}"
        case Not(part):
            return f"not {_within(part)}"
        case And(parts):
            return " and ".join(map(_within, parts))
        case Or(parts):
            return " or ".join(f"({shown(part)})" if isinstance(part, Or) else shown(part) for part in parts)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.6f}".rstrip("0")


def _within(part: Expression) -> str:
    return f"({shown(part)})" if isinstance(part, And | Or) else shown(part)


def words(expression: Expression) -> tuple[set[str], set[str]]:
    """Return the features and the keys of comparisons that *expression* names."""
    match expression:
        case Feature(name):
            return {name}, set()
        case Compare(key):
            return set(), {key}
        case Not(part):
            return words(part)
        case And(parts) | Or(parts):
            both = [words(part) for part in parts]
            return set().union(*(one for one, _ in both)), set().union(*(other for _, other in both))


def holds(expression: Expression, terms: Terms) -> bool | None:
    """Return whether *expression* holds for the host of which *terms* speak; None: that cannot be told."""
    match expression:
        case Feature(name):
            return terms.has(name)
        case Compare(key, compare, number, text):
            if key in NUMBERS:
                value = terms.number(key)
                return None if value is None else _COMPARE[compare](value, number)
            values = terms.texts(key)
            if values is None:
                return None
            found = any(map(_like(text), map(str.lower, values)))
            return found is (compare == "=")
        case Not(part):
            value = holds(part, terms)
            return None if value is None else not value
        case And(parts):
            return _decided((holds(part, terms) for part in parts), False)
        case Or(parts):
            return _decided((holds(part, terms) for part in parts), True)


@lru_cache(maxsize=4096)
def _like(pattern: str) -> Callable[[str], object]:
    """Return what tells whether a text, in lower case, is like *pattern*."""
    return re.compile(translate(pattern.lower())).match


def _decided(values: Iterator[bool | None], by: bool) -> bool | None:
    """Return *by* where one of *values* is that, None where one is not known, else the contrary."""
    unknown = False
    for value in values:
        if value is by:
            return by
        unknown = unknown or value is None
    return None if unknown else not by
