"""Which jobs somebody means: ``17``, ``3,5-7``, ``17_4``, ``17_[0-9]``, or filters such as ``state=pending name=sim*``.

Words stand beside each other: ids are joined, and every filter narrows them; filters alone narrow all jobs of the
asker. The law: nothing here makes an object for each task of an array that has not started; those are ranges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from tm.errors import RefusedError
from tm.model.ids import MOST_PLAIN, array_of, is_task, read_job, show_ranges, shown_id, task_id
from tm.model.job import Job
from tm.model.phase import ACTIVE, FINAL, Phase
from tm.model.tasks import ACTIVE as TASK_ACTIVE
from tm.model.tasks import BLOCKED, HELD, PHASE_OF, READY

MOST_IDS = 100_000
UNREACHABLE = "unreachable"
KEYS = ("state", "name", "user", "host", "array", "account")
STATES = (*(phase.value for phase in Phase if phase in ACTIVE), UNREACHABLE, *(p.value for p in Phase if p in FINAL))
"""Every state as it is shown, in the order of a job's life."""
_GROUPS = {"active": ACTIVE, "ended": FINAL, "all": ACTIVE | FINAL}
_STATES_OF_TASKS = {READY: "pending", BLOCKED: "pending", HELD: "held"}
_COMMA = re.compile(r",(?![^\[]*\])")

UNKNOWN = "not waiting or running, or not yours"
WAITING = (READY, BLOCKED, HELD)
MOST_LETTERS = 300

StateOf = Callable[[Job], str]


class Picked(NamedTuple):
    """Something that was meant: a job, an array as a whole (*tasks* is None), or those of its *tasks* that have not
    started (ranges of indices)."""

    job: Job
    tasks: list[range] | None = None

    @property
    def jobs(self) -> int:
        """How many jobs that are: each task that has not started is one."""
        return 1 if self.tasks is None else sum(map(len, self.tasks))

    @property
    def shown(self) -> str:
        """How people write it."""
        if self.tasks is None:
            return str(shown_id(self.job.id))
        return _of_tasks(self.job.id, self.tasks)


class Found(NamedTuple):
    """What a selection means now, and (id, sentence) of what it names and nothing can be done with."""

    picked: list[Picked]
    missing: list[tuple[str, str]]


class Selection:
    """What the text of a selection says; raises `RefusedError` ``proto.arguments`` or ``limit.ids``."""

    def __init__(self, text: str, user: str) -> None:
        self.plain: dict[int, None] = {}
        self.tasks: dict[int, list[range]] = {}
        self.filters: dict[str, str] = {}
        self.named = False
        for word in text.split():
            key, equals, value = word.partition("=")
            if equals:
                self._filter(key, value)
            else:
                self.named = True
                for part in _COMMA.split(word):
                    self._take(part)
        if not self.named and not self.filters:
            raise RefusedError("proto.arguments", "name jobs: 17, 3-7, 17_[0-9], or state=pending name=sim*")
        self.states = states(self.filters["state"]) if "state" in self.filters else None
        self.array = _array(self.filters["array"]) if "array" in self.filters else None
        owner = self.filters.get("user", "all" if self.named else user)
        self.owner = None if owner == "all" else owner

    def _filter(self, key: str, value: str) -> None:
        if key not in KEYS or not value:
            known = " ".join(f"{name}=" for name in KEYS)
            raise RefusedError("proto.arguments", f"'{key:.40}={value:.40}': jobs are picked by {known} with a value")
        if key in self.filters:
            raise RefusedError("proto.arguments", f"'{key}=' is there twice; write {key}=A,B for several states")
        self.filters[key] = value

    def _take(self, part: str) -> None:
        first, dash, last = part.partition("-")
        try:
            if dash and "_" not in part:
                low, high = _plain(first), _plain(last)
                if high < low:
                    raise ValueError
            else:
                number, ranges = read_job(part)
                if ranges is not None:
                    self.tasks.setdefault(number, []).extend(ranges)
                    return
                low = high = number
        except ValueError as error:
            why = str(error) if "_" in part else ""
            complaint = why or f"'{part:.40}' is no job id; ids are numbers, e.g. 17 or 3-7"
            raise RefusedError("proto.arguments", complaint) from None
        if len(self.plain) + high - low >= MOST_IDS:
            raise RefusedError("limit.ids", f"at most {MOST_IDS:,} ids at once")
        self.plain.update(dict.fromkeys(range(low, high + 1)))

    # -- what it means now ----------------------------------------------------------------------------------------

    def resolve(self, jobs: Mapping[int, Job], may: Callable[[str], bool], state_of: StateOf) -> Found:
        """Return which of *jobs* (all that are active) it means, of those owners of whom it *may* speak.

        *state_of* says how a job is shown. What an id means that is not among them, or may not be spoken of, is
        unknown; filters pass such jobs over.
        """
        if not self.named:
            return Found(list(self._filtered(self._all(jobs, may), state_of)), [])
        missing: list[tuple[str, str]] = []
        plain = self._plain(jobs, may, missing)
        found = list(self._filtered([*plain, *self._of_arrays(jobs, may, missing)], state_of))
        return Found(found, missing)

    def _all(self, jobs: Mapping[int, Job], may: Callable[[str], bool]) -> Iterator[Picked]:
        allowed: dict[str, bool] = {}
        for job in list(jobs.values()):
            if job.user not in allowed:
                allowed[job.user] = may(job.user)
            if allowed[job.user]:
                yield Picked(job)

    def _plain(
        self, jobs: Mapping[int, Job], may: Callable[[str], bool], missing: list[tuple[str, str]]
    ) -> list[Picked]:
        found: list[Picked] = []
        unknown: list[int] = []
        for number in self.plain:
            job = jobs.get(number)
            if job is None or not may(job.user):
                unknown.append(number)
                continue
            found.append(Picked(job))
            if job.tasks is not None and self._takes_apart:
                found += _started(job, jobs, job.tasks.everything)
        missing += [(show_ranges([one]), UNKNOWN) for one in as_ranges(unknown)]
        return found

    def _of_arrays(
        self, jobs: Mapping[int, Job], may: Callable[[str], bool], missing: list[tuple[str, str]]
    ) -> Iterator[Picked]:
        for number, ranges in self.tasks.items():
            array = jobs.get(number)
            if array is None or not may(array.user):
                missing.append((_of_tasks(number, ranges), UNKNOWN))
            elif array.tasks is None:
                missing.append((_of_tasks(number, ranges), f"job {number} is no array"))
            elif number not in self.plain:
                waiting = array.tasks.among(ranges, WAITING)
                if waiting:
                    yield Picked(array, waiting)
                yield from _started(array, jobs, ranges)
                over = array.tasks.among(ranges, PHASE_OF)
                if over:
                    missing.append((_of_tasks(number, over), "ended already"))
                rest = [one for one in ranges if not all(index in array.tasks for index in (one[0], one[-1]))]
                if rest:
                    has = f"array {number} has the tasks {array.tasks.indices:.100}"
                    missing.append((_of_tasks(number, rest), has))

    @property
    def _takes_apart(self) -> bool:
        """Whether the tasks of an array may differ in what the filters ask."""
        return self.states is not None or "host" in self.filters

    # -- filters --------------------------------------------------------------------------------------------------

    def _filtered(self, given: Iterable[Picked], state_of: StateOf) -> Iterator[Picked]:
        """Yield of *given* what passes every filter; an array is taken apart where its tasks differ in it."""
        whole: set[int] = set()
        tasks: list[Picked] = []
        for one in given:
            if not self._may_pass(one.job):
                continue
            if is_task(one.job.id):
                tasks.append(one)
            elif one.job.tasks is None:
                if self._passes(one.job, state_of):
                    yield one
            elif not self._takes_apart:
                if one.tasks is None:
                    whole.add(one.job.id)
                yield one
            elif "host" not in self.filters:
                yield from self._of_array(one)
        for one in tasks:
            if array_of(one.job.id) not in whole and self._passes(one.job, state_of):
                yield one

    def _of_array(self, one: Picked) -> Iterator[Picked]:
        tasks, wanted = one.job.tasks, self.states or frozenset()
        assert tasks is not None
        codes: tuple[int, ...]
        if one.job.phase is Phase.HELD:
            codes = WAITING if "held" in wanted else ()
        else:
            codes = tuple(code for code, state in _STATES_OF_TASKS.items() if state in wanted)
        waiting = tasks.among(one.tasks if one.tasks is not None else tasks.everything, codes)
        if waiting:
            yield Picked(one.job, waiting)

    def _may_pass(self, job: Job) -> bool:
        """Whether *job* passes the filters that ask the same of an array and its tasks."""
        filters = self.filters
        return (
            (self.owner is None or job.user == self.owner)
            and (self.array is None or array_of(job.id) == self.array)
            and ("name" not in filters or fnmatchcase(job.name, filters["name"]))
            and ("account" not in filters or job.account == filters["account"])
        )

    def _passes(self, job: Job, state_of: StateOf) -> bool:
        if "host" in self.filters and not (job.host and fnmatchcase(job.host, self.filters["host"])):
            return False
        return self.states is None or state_of(job) in self.states


def states(text: str) -> frozenset[str]:
    """Return the states, as they are shown, that ``pending,running`` or ``active`` mean; raise `RefusedError`."""
    wanted: set[str] = set()
    known = [*(phase.value for phase in Phase), UNREACHABLE]
    for word in text.split(","):
        if word in _GROUPS:
            wanted |= {phase.value for phase in _GROUPS[word]} | ({UNREACHABLE} if word != "ended" else set())
        elif word in known:
            wanted.add(word)
        else:
            words = ", ".join([*known, *_GROUPS])
            raise RefusedError("proto.arguments", f"there is no state '{word:.40}'; the states are {words}")
    return frozenset(wanted)


def shown_ids(numbers: Iterable[int]) -> str:
    """Return *numbers* as people write them: ``3,5-7``, ``17_[0-3]``, each array's tasks together."""
    plain: list[int] = []
    tasks: dict[int, list[int]] = {}
    for number in sorted(numbers):
        if is_task(number):
            tasks.setdefault(array_of(number), []).append(number - task_id(array_of(number), 0))
        else:
            plain.append(number)
    shown = [show_ranges(as_ranges(plain))] if plain else []
    shown += [_of_tasks(array, as_ranges(indices)) for array, indices in tasks.items()]
    return ",".join(shown)


def _started(array: Job, jobs: Mapping[int, Job], ranges: Iterable[range]) -> Iterator[Picked]:
    """Yield those tasks of *array* in *ranges* that have started and not ended."""
    assert array.tasks is not None
    for one in array.tasks.among(ranges, (TASK_ACTIVE,)):
        for index in one:
            yield Picked(jobs[task_id(array.id, index)])


def _of_tasks(array: int, ranges: list[range]) -> str:
    """Return how people write the tasks *ranges* of *array*; what would be too long ends with an ellipsis."""
    text = show_ranges(ranges)
    if text.isdigit():
        return f"{array}_{text}"
    return f"{array}_[{text}]" if len(text) <= MOST_LETTERS else f"{array}_[{text[:MOST_LETTERS]}…]"


def as_ranges(numbers: Iterable[int]) -> list[range]:
    """Return *numbers*, ascending, as ranges without gaps."""
    found: list[range] = []
    for number in numbers:
        if found and number == found[-1].stop:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


def _plain(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or int(text) > MOST_PLAIN:
        raise ValueError
    return int(text)


def _array(text: str) -> int:
    try:
        number, ranges = read_job(text)
    except ValueError:
        number, ranges = 0, []
    if ranges is not None:
        raise RefusedError("proto.arguments", f"'array={text:.40}': expected the id of an array, e.g. array=17")
    return number
