"""Horizontal bars as plain SVG, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, NAMES, RIGHT = 760, 236, 90
ROW, BAR, HEAD, FOOT = 30, 18, 44, 34
STYLE = """\
text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-weight:600;font-size:15px}
.small{font-size:11px;fill:#57606a}.page{fill:#fff;stroke:#d0d7de}.ours{fill:#1a7f37}.other{fill:#8c959f}.grid{stroke:#d0d7de}
.limit{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:5 3}.limitname{font-size:11px;fill:#cf222e}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.page{fill:#0d1117;stroke:#3d444d}
.ours{fill:#3fb950}.other{fill:#6e7681}.grid{stroke:#3d444d}.limit{stroke:#ff7b72}.limitname{fill:#ff7b72}}"""


class Bar(NamedTuple):
    """One bar; *ours* has the colour that counts."""

    name: str
    value: float
    shown: str
    ours: bool = False


class Panel(NamedTuple):
    """Bars under a head; *limit* is a line across them, with its name."""

    head: str
    bars: Sequence[Bar]
    limit: tuple[float, str] | None = None


def draw(panels: Sequence[Panel], unit: str, log: bool = False) -> str:
    """Return *panels* one below the other, each with its own axis; with *log* a step of it is a factor of ten."""
    height = sum(_height(panel) for panel in panels) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape("; ".join(panel.head for panel in panels))}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
    ]
    top = 0
    for panel in panels:
        parts += _panel(panel, top, unit, log)
        top += _height(panel)
    return "\n".join([*parts, "</svg>", ""])


def _height(panel: Panel) -> int:
    return HEAD + ROW * len(panel.bars) + FOOT


class _Axis:
    def __init__(self, values: Sequence[float], log: bool) -> None:
        self._log = log
        self._low: float
        self._high: float
        self.ticks: list[float]
        least, most = min(values), max(values)
        if log:
            self._low, self._high = math.floor(math.log10(least)), math.ceil(math.log10(most))
            self._high = max(self._high, self._low + 1)
            self.ticks = [10.0**power for power in range(self._low, self._high + 1)]
        else:
            step = 10 ** math.floor(math.log10(most))
            step = next(part * step for part in (0.2, 0.5, 1) if most / (part * step) <= 6)
            self.ticks = [step * number for number in range(math.ceil(most / step) + 1)]
            self._low, self._high = 0, self.ticks[-1]

    def at(self, value: float) -> float:
        """Return where *value* stands from the left."""
        place = math.log10(value) if self._log else value
        share = (place - self._low) / (self._high - self._low)
        return NAMES + share * (WIDTH - NAMES - RIGHT)


def _panel(panel: Panel, top: int, unit: str, log: bool) -> list[str]:
    values = [bar.value for bar in panel.bars] + ([panel.limit[0]] if panel.limit else [])
    axis = _Axis([value for value in values if value > 0] or [1.0], log)
    bottom = top + HEAD + ROW * len(panel.bars)
    parts = [f'<text class="head" x="14" y="{top + 26}">{escape(panel.head)}</text>']
    for tick in axis.ticks:
        x = f"{axis.at(tick):.1f}"
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top + HEAD - 4}" y2="{bottom}"/>')
        parts.append(f'<text class="small" x="{x}" y="{bottom + 14}" text-anchor="middle">{tick:,g}</text>')
    parts.append(f'<text class="small" x="{WIDTH - 14}" y="{bottom + 14}" text-anchor="end">{escape(unit)}</text>')
    for number, bar in enumerate(panel.bars):
        parts += _bar(bar, top + HEAD + ROW * number, axis)
    if panel.limit:
        x = f"{axis.at(panel.limit[0]):.1f}"
        parts.append(f'<line class="limit" x1="{x}" x2="{x}" y1="{top + HEAD - 4}" y2="{bottom}"/>')
        name = escape(panel.limit[1])
        parts.append(f'<text class="limitname" x="{x}" y="{top + HEAD - 8}" text-anchor="middle">{name}</text>')
    return parts


def _bar(bar: Bar, y: int, axis: _Axis) -> list[str]:
    middle = y + BAR / 2 + 5
    end = axis.at(bar.value) if bar.value > 0 else NAMES
    kind = "ours" if bar.ours else "other"
    return [
        f'<text x="{NAMES - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{max(1.0, end - NAMES):.1f}" height="{BAR}" rx="2"/>',
        f'<text x="{end + 6:.1f}" y="{middle}">{escape(bar.shown)}</text>',
    ]
