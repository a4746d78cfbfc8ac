"""What a computer was like: means over fixed spans of time, in rings that never grow.

The finest ring covers the last hour, the coarsest the last month. A slot of a ring is the mean of what fell into it;
where nothing did, as while the computer was off, it is NaN. What comes from a clock that was set back goes into the
newest slot, unless it was set back by more than the ring holds: then the ring begins anew.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping

import msgspec

SPANS: Mapping[str, tuple[int, int]] = {"1h": (10, 360), "24h": (60, 1440), "30d": (900, 2880)}
"""Of each span: how many seconds a slot has, and how many slots there are."""
VERSION = 1

_GAP = math.nan
_LARGEST = 3e38


class Ring:
    """The last *length* slots of *step* seconds of each metric; *slot* is the number of the newest since the epoch."""

    def __init__(self, metrics: Iterable[str], step: int, length: int) -> None:
        self.step = step
        self.length = length
        self.slot = -1
        self._values = {metric: array("f", [_GAP]) * length for metric in metrics}
        self._sums = dict.fromkeys(self._values, 0.0)
        self._counts = dict.fromkeys(self._values, 0)

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Take in *values* that hold at *at*, seconds since the epoch; what is no finite number is left out."""
        if not math.isfinite(at) or not 0 <= at < 1e15:
            return
        slot = int(at // self.step)
        if slot > self.slot or slot <= self.slot - self.length:
            self._turn(slot)
        place = self.slot % self.length
        for metric, value in values.items():
            if metric in self._values and abs(value) < _LARGEST:
                self._sums[metric] += value
                self._counts[metric] += 1
                self._values[metric][place] = _bounded(self._sums[metric] / self._counts[metric])

    def points(self, metric: str) -> list[tuple[float, float | None]]:
        """Return (begin of the slot, mean or None), oldest first, from the first slot that is known."""
        if self.slot < 0:
            return []
        values = self._values[metric]
        numbers = range(max(0, self.slot - self.length + 1), self.slot + 1)
        found = [(float(n * self.step), _known(values[n % self.length])) for n in numbers]
        first = next((index for index, (_, value) in enumerate(found) if value is not None), len(found))
        return found[first:]

    def keep(self, metrics: Iterable[str]) -> None:
        """Keep these *metrics* from now on: of one that is new nothing is known so far, others are forgotten."""
        wanted = set(metrics)
        for metric in self._values.keys() - wanted:
            for kept in (self._values, self._sums, self._counts):
                del kept[metric]
        for metric in wanted - self._values.keys():
            self._values[metric] = array("f", [_GAP]) * self.length
            self._sums[metric], self._counts[metric] = 0.0, 0

    def saved(self) -> SavedRing:
        """Return what `restore` takes."""
        return SavedRing(self.step, self.slot, {metric: bytes(v) for metric, v in self._values.items()})

    def restore(self, saved: SavedRing) -> None:
        """Go on from what was saved; metrics that are not kept any more are dropped, new ones are unknown so far."""
        if saved.step != self.step or saved.slot < 0:
            return
        for metric, raw in saved.values.items():
            if metric in self._values and len(raw) == len(bytes(self._values[metric])):
                self._values[metric] = array("f", raw)
        self.slot = saved.slot

    def _turn(self, slot: int) -> None:
        """Begin the slot of this number; those that were passed over stay unknown."""
        passed = slot - self.slot
        everything = self.slot < 0 or passed >= self.length or passed < 0
        fresh = range(self.length) if everything else [(self.slot + n) % self.length for n in range(1, passed + 1)]
        for metric, values in self._values.items():
            for place in fresh:
                values[place] = _GAP
            self._sums[metric], self._counts[metric] = 0.0, 0
        self.slot = slot


class SavedRing(msgspec.Struct, array_like=True):
    """A `Ring` as it is written to a file: its seconds a slot, its newest slot, the values of each metric."""

    step: int
    slot: int
    values: dict[str, bytes]


class _Saved(msgspec.Struct, array_like=True):
    version: int
    rings: dict[str, SavedRing]


class History:
    """The rings of all spans of some *metrics*."""

    def __init__(self, metrics: Iterable[str]) -> None:
        self.metrics = tuple(metrics)
        self._rings = {span: Ring(self.metrics, step, length) for span, (step, length) in SPANS.items()}

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Take in *values* of metrics that hold at *at*, seconds since the epoch."""
        for ring in self._rings.values():
            ring.add(at, values)

    def points(self, metric: str, span: str) -> list[tuple[float, float | None]]:
        """Return (time, mean or None) of a span, oldest first; raise `KeyError` for what is not kept."""
        return self._rings[span].points(metric)

    def saved(self) -> bytes:
        """Return all of it, to be given to `restore`."""
        return msgspec.msgpack.encode(_Saved(VERSION, {span: ring.saved() for span, ring in self._rings.items()}))

    def restore(self, saved: bytes) -> bool:
        """Go on from what was saved; return whether it could be read. Nothing changes where it could not."""
        try:
            found = msgspec.msgpack.decode(saved, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        if found.version != VERSION:
            return False
        for span, ring in self._rings.items():
            if span in found.rings:
                ring.restore(found.rings[span])
        return True


def _bounded(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
