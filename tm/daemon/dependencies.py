"""Jobs that others are to wait for and that are over already: the brain has forgotten them, the store has not.

They are looked up by the reader's thread before the brain hears of who waits for them. What a user's server submits
meanwhile stands in line, so that the brain hears of all jobs of one user in the order in which they were submitted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredLock

from tm.model.dependency import read_dependency
from tm.model.ids import array_of
from tm.model.job import Job
from tm.model.phase import FINAL
from tm.model.spec import read_spec
from tm.model.tasks import Tasks
from tm.ports import JobStore

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher

_WORD = '"dependency"'


def targets(dependencies: Iterable[str]) -> set[int]:
    """Return the jobs and arrays that *dependencies* name; those that cannot be read name none."""
    found: set[int] = set()
    for text in dependencies:
        try:
            found.update(map(array_of, read_dependency(text).targets))
        except ValueError:
            continue
    return found


def named_in(texts: Iterable[str]) -> set[int]:
    """Return the jobs and arrays on which the requests *texts* depend. Raises `RefusedError` as `read_spec` does."""
    return targets(read_spec(text).dependency for text in texts if _WORD in text)


def look_up(store: JobStore, numbers: Iterable[int]) -> dict[int, Job]:
    """Return what the store has of the jobs *numbers*; arrays that are over with the endings of all their tasks."""
    found = {}
    for number in numbers:
        job = store.job(number)
        if job is not None:
            found[number] = job
            if job.tasks is not None and job.phase in FINAL:
                job.tasks = Tasks(job.tasks.indices, job.tasks.cap)
                job.tasks.drop(job.tasks.everything)
                job.tasks.began(store.begun(number))
    return found


class Dependencies:
    """Finds what is over, and keeps the submissions of each user in their order meanwhile."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._lines: dict[str, DeferredLock] = {}

    def stands_in_line(self, user: str) -> bool:
        """Whether a submission of *user* is not with the brain yet: later ones are to be made `in_line`."""
        return user in self._lines

    def in_line(self, user: str, submit: Callable[[], Awaitable[Any]]) -> Deferred[Any]:
        """Have *submit* called when all earlier submissions of *user* are done; return what it returns."""
        line = self._lines.setdefault(user, DeferredLock())
        done: Deferred[Any] = line.run(lambda: Deferred.fromCoroutine(_called(submit)))

        def left(result: object) -> object:
            if not line.waiting and not line.locked and self._lines.get(user) is line:
                del self._lines[user]
            return result

        return done.addBoth(left)

    async def ended(self, numbers: Iterable[int]) -> dict[int, Job]:
        """Return those of *numbers* that are over; what is in none of brain and store is left out.

        Nothing happens between this and what its caller does next, so none of the others ends unseen. Raises
        `StoreError`.
        """
        around = self._dispatcher.around
        wanted, found = set(numbers), dict[int, Job]()
        while missing := {one for one in wanted if one not in found and one not in self._dispatcher.brain.jobs}:
            seen = await around.reader.run(partial(look_up, around.store, sorted(missing)))
            wanted -= missing - seen.keys()
            found.update((number, job) for number, job in seen.items() if job.phase in FINAL)
            if any(job.phase not in FINAL for job in seen.values()):
                await self._dispatcher.turns.durable(None)  # its end is on its way into the store
        return found


async def _called(submit: Callable[[], Awaitable[Any]]) -> Any:
    return await submit()
