"""What one job waits for of others: ``afterok:17,afterany:18``, read, shown, and judged. Pure.

A *dependency* is a row of conditions, all of which are to be met (``,``) or any one of them (``?``). What is met is
taken out, so that a job always carries what is still unmet. Targets are jobs, arrays (as a whole) or tasks of arrays;
``aftercorr`` is of an array upon an array, and is kept task by task by whoever keeps the tasks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tm.model.ids import read_job, shown_id, task_id
from tm.model.phase import FINAL, Phase, how_ended

if TYPE_CHECKING:
    from tm.model.job import Job

MOST_CONDITIONS: Final = 1000
KINDS: Final = {
    "after": "begin",
    "afterok": "succeed",
    "afternotok": "fail",
    "afterany": "end",
    "aftercorr": "succeed, task by task",
    "singleton": "",
}
"""Of each kind, what its target is to do."""
MOST_NAMED: Final = 4

_DELAYED = re.compile(r"(.+)\+(\d{1,7})\Z", re.ASCII)
_MINUTE = 60.0


class Condition(NamedTuple):
    """One thing to be met; *delay* is how many minutes must have passed since *target* began (``after:17+5``)."""

    kind: str
    target: int = 0
    delay: int = 0

    @property
    def shown(self) -> str:
        """The condition as `read_dependency` reads it."""
        if not self.target:
            return self.kind
        return f"{self.kind}:{shown_id(self.target)}" + (f"+{self.delay}" if self.delay else "")

    @property
    def wish(self) -> str:
        """What is waited for, as the end of a sentence: ``job 17 to succeed``."""
        if not self.target:
            return "earlier jobs of the same name to end"
        return f"job {shown_id(self.target)} to {KINDS[self.kind]}" + (
            f", and {self.delay} min more" if self.delay else ""
        )


class Dependency(NamedTuple):
    """Conditions, all to be met or *one* of them; none: nothing is waited for."""

    conditions: tuple[Condition, ...] = ()
    one: bool = False

    def __str__(self) -> str:
        return ("?" if self.one else ",").join(condition.shown for condition in self.conditions)

    @property
    def targets(self) -> tuple[int, ...]:
        """The jobs, arrays and tasks that are named."""
        return tuple(condition.target for condition in self.conditions if condition.target)

    @property
    def arrays(self) -> tuple[int, ...]:
        """The arrays whose tasks its own wait for, each for the one of its index."""
        return tuple(condition.target for condition in self.conditions if condition.kind == "aftercorr")

    @property
    def before_all(self) -> Dependency:
        """What is to be met before anything of the job may start: all but what its tasks wait for one by one."""
        return Dependency(tuple(c for c in self.conditions if c.kind != "aftercorr"), self.one)

    @property
    def wish(self) -> str:
        """What is waited for, as the end of a sentence."""
        wishes = [condition.wish for condition in self.conditions]
        rest = [f"{len(wishes) - MOST_NAMED} more"] if len(wishes) > MOST_NAMED else []
        return (" or " if self.one else " and ").join(wishes[:MOST_NAMED] + rest)


class How(NamedTuple):
    """How a target is: whether it has *begun*, since when, the *phase* it has ended in (None: it has not), and how
    that was in *words*, as the end of a sentence."""

    begun: bool = False
    since: float = 0.0
    phase: Phase | None = None
    words: str = ""


class Verdict(NamedTuple):
    """What is *left* of a dependency, when what was met counts (*not_before*, seconds since the epoch), and why it can
    *never* be met."""

    left: Dependency
    not_before: float = 0.0
    never: str = ""


@lru_cache(maxsize=1024)
def read_dependency(text: str) -> Dependency:
    """Return the dependency that *text* means; raise `ValueError` with a sentence when it means none."""
    if not text:
        return Dependency()
    one = "?" in text
    if one and "," in text:
        raise ValueError("conditions are joined by ',' (all) or by '?' (any), not by both")
    if text.count(":") + text.count("?" if one else ",") > 2 * MOST_CONDITIONS:
        raise ValueError(f"a job waits for at most {MOST_CONDITIONS} others")
    found: dict[Condition, None] = {}
    for part in text.split("?" if one else ","):
        found.update(dict.fromkeys(_read_part(part.strip())))
    if len(found) > MOST_CONDITIONS:
        raise ValueError(f"a job waits for at most {MOST_CONDITIONS} others, not {len(found)}")
    if one and any(condition.kind == "aftercorr" or condition.delay for condition in found):
        raise ValueError("'aftercorr' and '+MINUTES' cannot stand beside others of which any will do ('?')")
    return Dependency(tuple(found), one)


def _read_part(part: str) -> list[Condition]:
    kind, colon, rest = part.partition(":")
    if kind not in KINDS:
        raise ValueError(f"'{kind:.40}' is no kind of dependency; these are {', '.join(KINDS)}")
    if kind == "singleton":
        if colon:
            raise ValueError("'singleton' names no job: it waits for your earlier jobs of the same name")
        return [Condition(kind)]
    if not rest:
        raise ValueError(f"'{kind}' needs the job to wait for: {kind}:17")
    return [_read_target(kind, word) for word in rest.split(":")]


def _read_target(kind: str, word: str) -> Condition:
    delayed = _DELAYED.match(word)
    if delayed is not None and kind != "after":
        raise ValueError(f"'{word:.40}': only 'after' takes minutes, as in after:17+5")
    job, tasks = read_job(delayed[1] if delayed else word)
    if tasks is not None:
        if len(tasks) != 1 or len(tasks[0]) != 1:
            raise ValueError(f"'{word:.40}': name each task by itself, as in {kind}:17_4:17_5")
        job = task_id(job, tasks[0].start)
    if not job:
        raise ValueError("there is no job 0")
    return Condition(kind, job, int(delayed[2]) if delayed else 0)


def judge(dependency: Dependency, how: Callable[[Condition], How | None]) -> Verdict:
    """Return what is left of *dependency*; *how* says how the target of a condition is, None while it is as it was.

    A condition without a target (``singleton``) is met when *how* says that it has ended.
    """
    left: list[Condition] = []
    never: list[str] = []
    not_before = 0.0
    for condition in dependency.conditions:
        now = how(condition)
        good = None if now is None else _met(condition, now)
        if good is None:
            left.append(condition)
        elif not good:
            assert now is not None
            never.append(f"needs {shown_id(condition.target)} to {_deed(condition)}, but it {now.words}")
        elif dependency.one:
            return Verdict(Dependency())
        elif condition.delay and now is not None:
            not_before = max(not_before, now.since + condition.delay * _MINUTE)
    if never and (not dependency.one or not left):
        return Verdict(Dependency(), 0.0, "; ".join(never[:MOST_NAMED]))
    return Verdict(Dependency(tuple(left), dependency.one), not_before)


def _deed(condition: Condition) -> str:
    return "succeed" if condition.kind == "aftercorr" else KINDS[condition.kind]


def _met(condition: Condition, how: How) -> bool | None:
    """Return whether *condition* is met (True), can never be (False), or may be yet (None)."""
    if condition.kind == "after":
        return True if how.begun or how.phase is not None else None
    if how.phase is None:
        return None
    if condition.kind in ("afterany", "singleton", "aftercorr"):
        return True
    return (how.phase is Phase.COMPLETED) == (condition.kind == "afterok")


def how_is(job: Job, begun: bool) -> How:
    """Return how *job* is as a target: a plain job, a task that has a job of its own, or an array as a whole."""
    if job.phase not in FINAL:
        return How(begun, job.started_at or 0.0)
    words = how_ended(job.phase, job.exit_code, job.signal)
    if job.tasks is not None and job.phase is not Phase.COMPLETED:
        words = "ended with " + ", ".join(f"{count} {phase}" for phase, count in job.tasks.ended().items())
    return How(True, job.started_at or job.ended_at or 0.0, job.phase, words)
