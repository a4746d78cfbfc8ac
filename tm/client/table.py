"""Tables and cards for people: columns as wide as needed, fitted to the terminal."""

from __future__ import annotations

import unicodedata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "


class Column:
    """A column: its *title*, whether it is aligned *right*, the *least* width it may be squeezed to."""

    __slots__ = ("least", "right", "title")

    def __init__(self, title: str, right: bool = False, least: int | None = None) -> None:
        self.title = title
        self.right = right
        self.least = least


def render(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table, at most *width* wide as far as the columns' *least* widths permit."""
    text = "".join(map("".join, rows))
    simple = text.isascii() and text.isprintable()
    cells = rows if simple else [[plain(cell) for cell in row] for row in rows]
    measure = len if simple else text_width
    upright = list(zip(*cells)) or [()] * len(columns)  # noqa: B905  strict came with Python 3.10
    widths = [max([len(column.title), *map(measure, upright[at])]) for at, column in enumerate(columns)]
    if width is not None:
        _squeeze(columns, widths, width)
    titles = [column.title for column in columns]
    if simple and width is None:
        line = _GAP.join(f"{{:{'>' if column.right else '<'}{widths[at]}}}" for at, column in enumerate(columns))
        return [line.format(*row).rstrip() for row in [titles, *cells]]
    return [_line(columns, widths, row) for row in [titles, *cells]]


def text_width(text: str) -> int:
    """Return how many places *text* takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(1 for char in text if unicodedata.east_asian_width(char) in "WF")
    return len(text) + wide - sum(1 for char in text if unicodedata.combining(char))


def plain(text: str) -> str:
    """Return *text* with what would move the cursor replaced."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def cut(text: str, width: int) -> str:
    """Return *text*, its end replaced by ``…`` where it is wider than *width*."""
    if text_width(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    while kept and text_width(kept) > width - 1:
        kept = kept[:-1]
    return kept + "…"


def _squeeze(columns: Sequence[Column], widths: list[int], width: int) -> None:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0:
        loose = [at for at, column in enumerate(columns) if column.least is not None and widths[at] > column.least]
        if not loose:
            return
        widest = max(loose, key=lambda at: widths[at])
        least = columns[widest].least or 0
        others = [widths[at] for at in loose if at != widest]
        floor = max([least, *(other for other in others if other < widths[widest])])
        taken = max(1, min(over, widths[widest] - floor))
        widths[widest] -= taken
        over -= taken


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = []
    for at, column in enumerate(columns):
        text = cut(row[at], widths[at])
        space = " " * (widths[at] - text_width(text))
        parts.append(space + text if column.right else text + space)
    return _GAP.join(parts).rstrip()
