"""Tables as CSV that a spreadsheet reads and never runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from tm.web.render import plain

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return *rows* as CSV (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    csv.writer(out).writerows([defused(cell) for cell in row] for row in rows)
    return out.getvalue()


def defused(cell: object) -> object:
    """Return *cell* as nothing can run it; numbers stay."""
    if cell is None:
        return ""
    if isinstance(cell, int | float):
        return cell
    text = str(cell)
    shown = plain(text)
    return f"'{shown}" if text.startswith(_FORMULAS) or shown.startswith(_FORMULAS) else shown
