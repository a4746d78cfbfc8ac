"""The environments that orders name by digest: in memory while they are in use, else in the spool."""

from __future__ import annotations

import json
from collections import OrderedDict

from tm.keeper.spawn import encode_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.keeper.order import Key, Order

LIMIT = 1000
WHOLE = 16


class Environments:
    """Environments by digest. Above *limit* those that were not used for the longest time go."""

    def __init__(self, folder: str, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._known: OrderedDict[str, dict[bytes, bytes]] = OrderedDict()
        self._whole: dict[tuple[str, ...], dict[bytes, bytes]] = {}

    def keep(self, digest: str, variables: Mapping[str, str]) -> None:
        """Remember *variables* under *digest*, the same under the same; raise `ValueError` where they are none."""
        if digest not in self._known:
            self._known[digest] = encode_environment(variables)
        self._known.move_to_end(digest)

    def prune(self, waiting: Mapping[Key, Order]) -> None:
        """Drop what is above the limit and needed by no order of *waiting*."""
        surplus = len(self._known) - self._limit
        if surplus <= 0:
            return
        needed = {digest for order in waiting.values() for digest in order.env}
        for digest in [digest for digest in self._known if digest not in needed][:surplus]:
            del self._known[digest]
        self._whole.clear()

    def of(self, order: Order) -> dict[bytes, bytes]:
        """Return the whole environment of *order*, of those that it names the later ones before the earlier.

        Raises `ValueError`, a sentence, where there is none.
        """
        own = encode_environment(order.vars)
        if not order.env:
            return own
        whole = self._whole.get(order.env)
        if whole is None:
            whole = {}
            for digest in order.env:
                if digest not in self._known:
                    self._load(digest)
                whole.update(self._known[digest])
            if len(self._whole) >= WHOLE:
                self._whole.clear()
            self._whole[order.env] = whole
        for digest in order.env:
            self._known.move_to_end(digest)
        return {**whole, **own}

    def _load(self, digest: str) -> None:
        try:
            if "/" in digest:
                raise ValueError("this is no digest")
            with open(f"{self._folder}/{digest}", encoding="utf-8") as file:
                self.keep(digest, json.load(file))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"its environment {digest} is not here: {error}") from None
