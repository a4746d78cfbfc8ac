"""A line as small as a word, drawn on the server: a few bytes of SVG, the same for everybody, without a script."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

HIGH = 10
"""Steps from the bottom to the top of the picture: nobody sees more of them in a line as high as a word."""


def sparkline(values: Sequence[float | None]) -> Markup:
    """Return the picture of *values* (None: not known) from 0 to 1, or to the highest of them."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    top = max(1.0, *known)
    wide = max(1, len(values) - 1)
    return Markup(
        '<svg class="spark" viewBox="0 -1 {} {}" preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>'
    ).format(wide, HIGH + 2, _path([None if one is None else round(HIGH - HIGH * one / top) for one in values]))


def _path(heights: Sequence[int | None]) -> str:
    """Return the path through *heights*, one a step; what goes on as before is one line, what is not known a gap."""
    parts: list[str] = []
    level: int | None = None
    run = 0
    for place, height in enumerate(heights):
        if height is None:
            parts += [f"h{run}"] if run else []
            level, run = None, 0
        elif level is None:
            parts.append(f"M{place} {height}")
            alone = place + 1 == len(heights) or heights[place + 1] is None
            parts += ["h0"] if alone else []
            level, run = height, 0
        elif height == level:
            run += 1
        else:
            parts += [f"h{run}"] if run else []
            parts.append(f"l1 {height - level}".replace(" -", "-"))
            level, run = height, 0
    return "".join([*parts, f"h{run}"] if run else parts)
