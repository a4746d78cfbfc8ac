"""Options as a table: each stands in it once, with its names, what it takes and what reads that.

A command line is options first, then a command that is left exactly as it was typed. The same table reads the
``#TM`` lines of scripts. Nothing is compiled or imported for options that are not used: clients start often.
"""

from __future__ import annotations

from tm.client.program import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

FLAG, ONE, MORE, MANY, MAYBE, ATTACHED = "flag", "one", "more", "many", "maybe", "attached"
"""Takes nothing; one value; one, and may be repeated; all words up to the next option; the next word, if it is no
option; a value only behind ``=``."""


class Option:
    """The option *names* (``-c --cores``) sets *dest*; *kind* says what it takes, *read* makes the value of the text.

    *read* raises `ValueError` with a sentence; *alone* is the value where none was given (flags: True).
    """

    __slots__ = ("alone", "dest", "kind", "names", "read")

    def __init__(
        self, names: str, dest: str, kind: str = ONE, read: Callable[[str], Any] = str, alone: Any = True
    ) -> None:
        self.names = names.split()
        self.dest = dest
        self.kind = kind
        self.read = read
        self.alone = alone

    def value(self, name: str, text: str) -> Any:
        """Return what *text* means; raise `UsageError` that names the option."""
        try:
            return self.read(text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None


class Options:
    """What was given, as attributes; what was not is None, False for flags, an empty list for what may be repeated."""

    def __init__(self, table: Iterable[Option]) -> None:
        self.given: dict[str, str] = {}
        self._table = table
        for option in table:
            if option.kind == FLAG and option.alone is True:
                setattr(self, option.dest, False)
            elif option.dest not in self.__dict__:
                setattr(self, option.dest, [] if option.kind == MORE else None)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def take(self, option: Option, name: str, value: Any) -> None:
        """Let *option*, given by this *name*, be *value*."""
        if option.kind == MORE:
            value = [*getattr(self, option.dest), value]
        self.put(option.dest, value, name)

    def put(self, dest: str, value: Any, name: str) -> None:
        """Let *dest* be *value*, as an option of this *name* would."""
        setattr(self, dest, value)
        self.given[dest] = name

    def under(self, other: Options) -> None:
        """Take from *other*, which counts less, what was not given here; what may be repeated comes before ours."""
        for dest, name in other.given.items():
            value = other.__dict__[dest]
            if isinstance(value, list) and isinstance(self.__dict__.get(dest), list):
                setattr(self, dest, value + self.__dict__[dest])
            elif dest not in self.given:
                setattr(self, dest, value)
            else:
                continue
            self.given.setdefault(dest, name)


def by_name(table: Iterable[Option]) -> dict[str, Option]:
    """Return the options of *table* by each of their names."""
    return {name: option for option in table for name in option.names}


class Reader:
    """Reads words by a table; *unknown* may explain an option that is not in it."""

    def __init__(self, table: list[Option], unknown: Callable[[str], str] = lambda name: "") -> None:
        self.table = table
        self._names = by_name(table)
        self._unknown = unknown

    def read(self, argv: list[str]) -> tuple[Options, list[str], bool]:
        """Return the options of *argv*, the words behind them, and whether ``--`` stood between.

        Raises `UsageError`. The first word that is neither option nor value begins the rest.
        """
        found = Options(self.table)
        at = 0
        while at < len(argv):
            word = argv[at]
            if word == "--":
                return found, argv[at + 1 :], True
            if not word.startswith("-") or word == "-":
                return found, argv[at:], False
            at = self._one(found, argv, at)
        return found, [], False

    def strange(self, name: str, argv: list[str], at: int) -> int:
        """Meet at *at* an option that is not in the table: raise `UsageError`, or return where to go on."""
        raise UsageError(self._unknown(name) or f"there is no option {name}" + _similar(name, self._names))

    def _one(self, found: Options, argv: list[str], at: int) -> int:
        """Take the option at *at*; return where the next begins."""
        word = argv[at]
        name, text = self._split(word)
        option = self._names.get(name)
        if option is None:
            return self.strange(name, argv, at)
        at += 1
        if option.kind == FLAG:
            if text is not None and not word.startswith("--") and not text.startswith("="):
                argv[at - 1 : at] = [name, "-" + text]
            elif text is not None:
                raise UsageError(f"{name} takes no value")
            found.take(option, name, option.alone)
            return at
        if option.kind == MANY:
            last = at
            while last < len(argv) and not argv[last].startswith("-"):
                last += 1
            words = ([] if text is None else [text]) + argv[at:last]
            if not words:
                raise UsageError(f"{name} needs at least one value")
            read = [option.value(name, one) for one in words]
            found.take(
                option,
                name,
                [one for value in read for one in (value if isinstance(value, list) else [value])],
            )
            return last
        if text is None and option.kind in (ONE, MORE, MAYBE) and at < len(argv) and not _is_option(argv[at]):
            text = argv[at]
            at += 1
        if text is None and option.kind in (ONE, MORE):
            raise UsageError(f"{name} needs a value")
        found.take(option, name, option.alone if text is None else option.value(name, text))
        return at

    def _split(self, word: str) -> tuple[str, str | None]:
        """Return the name in *word* and the value that is attached to it."""
        if word.startswith("--"):
            name, equals, text = word.partition("=")
            return name, text if equals else None
        name, text = word[:2], word[2:]
        option = self._names.get(name)
        if text.startswith("=") and option is not None and option.kind != FLAG:
            text = text[1:]
        return name, text or None


def _is_option(word: str) -> bool:
    """Whether *word* looks like an option and not like a value; a negative number is a value."""
    return len(word) > 1 and word[0] == "-" and not word[1:].replace(".", "", 1).isdigit()


def _similar(name: str, names: Mapping[str, Option]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""
