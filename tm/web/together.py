"""Several questions at once: they travel together, and so take as long as the slowest."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred, DeferredList


async def together(*questions: Coroutine[Deferred[Any], Any, Any]) -> list[Any]:
    """Return the answers of all *questions*, in their order; raise what the first of them raises that fails."""
    answers = await DeferredList([Deferred.fromCoroutine(one) for one in questions], consumeErrors=True)
    for good, found in answers:
        if not good:
            found.raiseException()
    return [found for _, found in answers]
