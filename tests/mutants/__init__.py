"""Broken builds: does some test fail when a promise is broken on purpose?

A `Mutant` is a small patch, made on a copy of the checkout when it is tried, never in the checkout itself. It is
*caught* when a test that passes on the unbroken copy fails on the broken one. ``python3 -m tests.mutants`` tries all.
"""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """*old* stands in *file* (a path below the root of the checkout) exactly once, and becomes *new*."""

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One broken build. *promise* is what it breaks: ``P1`` to ``P10``, ``right`` or ``bound``; *catchers* are the
    dotted names of the tests that are to fail, each enough alone."""

    name: str
    group: str
    what: str
    promise: str
    edits: tuple[Edit, ...]
    catchers: tuple[str, ...]


def patched(text: str, edits: tuple[Edit, ...]) -> str:
    """Return *text*, of the one file of *edits*, broken; raise `ValueError` where an edit does not apply."""
    for edit in edits:
        count = text.count(edit.old)
        if count != 1:
            raise ValueError(f"{edit.file}: {edit.old!r:.90} stands there {count} times, not once")
        text = text.replace(edit.old, edit.new)
    return text
