"""The outputs of an array's tasks go into one file before the dispatcher hears that the tasks are over.

So whoever is told that a task has ended finds its output there. A host that dies in between has neither told nor lost
it: its next server appends what is still in the spool, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tm.daemon.host_book import Claim, Key
from tm.model.ids import array_of, index_of
from tm.model.lifecycle import Fact
from tm.model.spec import bundle_path
from tm.ports import Output, Worker

_log = Logger()


class Bundles(Protocol):
    """Where outputs wait, and what appends them."""

    def put(self, outputs: Iterable[Output]) -> dict[Key, str]:
        """Append *outputs* durably; return of which that failed and why. Blocks."""


class Bundling:
    """Takes the endings of tasks whose output is bundled, and lets them be told once it is."""

    def __init__(self, bundles: Bundles, worker: Worker, put: Callable[[], None]) -> None:
        self._bundles = bundles
        self._worker = worker
        self._put = put
        self._busy = False
        self._done: set[Key] = set()

    def may_tell(self, claim: Claim, fact: Fact) -> bool:
        """Whether *fact*, the ending of *claim*, may be told: its output is in its file, or it has none there."""
        return fact.what != "ended" or claim.order.refused != "" or not claim.spec.bundle or claim.key in self._done

    def begin(self, claims: list[Claim]) -> None:
        """Append the outputs of *claims*; `put` is called when that is done. While it happens nothing more begins."""
        if self._busy or not claims:
            return
        self._busy = True
        outputs = [_output(claim) for claim in claims]
        done: Deferred[dict[Key, str]] = self._worker.run(lambda: self._bundles.put(outputs))
        done.addBoth(self._over, [claim.key for claim in claims])

    def _over(self, result: dict[Key, str] | Failure, keys: list[Key]) -> None:
        self._busy = False
        if isinstance(result, Failure):
            _log.error("outputs are not bundled: {reason}", event="bundle", reason=result.getErrorMessage())
        else:
            for key, reason in result.items():
                _log.error("output of job {job} is not in {reason}", event="bundle", job=key[0], reason=reason)
        self._done.update(keys)
        self._put()

    def forget(self, claims: Iterable[Claim]) -> None:
        """*claims* are done with."""
        self._done.difference_update(claim.key for claim in claims)


def _output(claim: Claim) -> Output:
    job, attempt = claim.key
    fact = claim.fact
    about: dict[str, Any] = {"task": index_of(job) or 0, "attempt": attempt}
    if fact is not None:
        about |= {"exit_code": fact.exit_code, "signal": fact.signal, "cause": fact.cause}
    return Output(claim.key, bundle_path(claim.spec, array_of(job)), about)

