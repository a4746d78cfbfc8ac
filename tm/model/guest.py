"""How much of a host TaskManager may use, as a good guest: what the people outside it leave of it.

Pure: reports go in, an `Offer` comes out, and which running jobs are more than it. The law: what is offered never
exceeds what is configured; it shrinks when two reports agree, or at once for somebody who sits at the console or wants
the machine to themselves; it grows back to what all reports of the last 15 s leave. Without a report that can be
trusted the configuration holds. Memory that others use keeps new jobs away; for cores running ones are stopped, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from tm.model.host import Courtesy, HostConfig
from tm.model.hours import are_open
from tm.model.report import About, HostReport
from tm.model.resources import format_memory

CALM_SECONDS = 15.0
KEPT_REPORTS = 256
SCARCE_PART = 0.02
MOST_NAMED = 3
_MEBIBYTE = 1 << 20


class Action(StrEnum):
    """What happens to jobs that run beyond the offer."""

    NONE = "none"
    NICE = "nice"
    SUSPEND = "suspend"
    GIVE_WAY = "give-way"


_ACTIONS = {
    Courtesy.IGNORE: Action.NONE,
    Courtesy.NO_NEW_JOBS: Action.NONE,
    Courtesy.NICE: Action.NICE,
    Courtesy.SUSPEND: Action.SUSPEND,
    Courtesy.GIVE_WAY: Action.GIVE_WAY,
}


class Offer(NamedTuple):
    """What a host offers now: cores and bytes, None for all that is configured; *reason* who or what has the rest.

    *action* is what happens to jobs that run beyond it; *closed* says that nothing new starts, whatever is free.
    """

    cores: int | None = None
    memory: int | None = None
    reason: str = ""
    action: Action = Action.NONE
    closed: bool = False


class Left(NamedTuple):
    """What one report, heard at *at*, leaves us; *at_once* where its people must not wait for a second one.

    *reason* says who has the other cores, or why it is *closed*; *memory_reason* who has the memory.
    """

    at: float
    cores: int
    memory: int
    reason: str = ""
    closed: bool = False
    at_once: bool = False
    memory_reason: str = ""


def left_by(config: HostConfig, cores: int, memory: int, about: About | None, report: HostReport, at: float) -> Left:
    """Return what *report* leaves of the *cores* and *memory* (bytes) that are for jobs when nobody else needs any."""
    if config.policy is Courtesy.IGNORE:
        return Left(at, cores, memory)
    idle = report.console_idle
    if idle is not None and idle < config.console_idle:
        return Left(at, 0, memory, f"{_console(report)} at the console", at_once=True)
    machine = max(cores, about.cores if about is not None else 0)
    taken = min(machine, int(report.cpu_others + 0.5))
    reasons = []
    if machine - taken < cores:
        reasons.append(f"{_others(report)} use {taken} of {machine} cores")
    whole = about.memory if about is not None else 0
    room = report.memory_available + report.memory_ours
    closed, memory_reason = False, ""
    if whole and room < min(memory, whole):
        if report.memory_available < SCARCE_PART * whole:
            closed = True
            reasons.append("hardly any memory is free")
        elif room < memory < whole:
            memory_reason = f"others leave {format_memory(room - room % _MEBIBYTE)} of memory"
        memory = min(memory, room)
    return Left(at, min(cores, machine - taken), memory, "; ".join(reasons), closed, memory_reason=memory_reason)


def _console(report: HostReport) -> str:
    names = sorted(set(report.logged_in))[:MOST_NAMED]
    return f"{' or '.join(names)} is" if names else "somebody is"


def _others(report: HostReport) -> str:
    busy = sorted((-use, name) for name, use in report.cpu_by_user.items() if use >= 0.25)[:MOST_NAMED]
    return f"others ({', '.join(name for _, name in busy)})" if busy else "others"


class Level:
    """What the reports of a host leave, without the flutter of single ones."""

    def __init__(self) -> None:
        self._past: list[Left] = []
        self._now: Left | None = None

    def heard(self, left: Left) -> None:
        """Take what one more report leaves."""
        self._past = [*[one for one in self._past if one.at <= left.at][-KEPT_REPORTS:], left]

    def forget(self) -> None:
        """There is nothing to be trusted any more."""
        self._past, self._now = [], None

    @property
    def known(self) -> bool:
        """Whether there is a report."""
        return bool(self._past)

    def at(self, now: float, cores: int, memory: int) -> Left:
        """Return what is left *now* of all *cores* and *memory*; begins with all of it."""
        before = self._now or Left(now, cores, memory)
        last = self._past[-1]
        agreeing = self._past[-2:]
        calm = [left for left in self._past if left.at >= now - CALM_SECONDS] or [last]
        whole = self._past[0].at <= now - CALM_SECONDS
        self._past = self._past[-len(calm) - 2 :]
        may_shrink = len(agreeing) > 1 or last.at_once

        def steady(value: int, agreed: int, low: int) -> int:
            if may_shrink and agreed < value:
                return agreed
            return max(value, low) if whole else value

        if last.at_once:
            agreeing = [last]
        result = Left(
            now,
            min(cores, steady(before.cores, max(one.cores for one in agreeing), min(one.cores for one in calm))),
            min(memory, steady(before.memory, max(one.memory for one in agreeing), min(one.memory for one in calm))),
            closed=(before.closed or (may_shrink and all(one.closed for one in agreeing)))
            and (not whole or any(one.closed for one in calm)),
        )
        why = []
        if result.cores < cores or result.closed:
            why.append(next((one.reason for one in reversed(self._past) if one.reason), before.reason))
        if result.memory < memory:
            why.append(next((one.memory_reason for one in reversed(calm) if one.memory_reason), ""))
        self._now = result = result._replace(reason="; ".join(filter(None, why)))
        return result


def offer(config: HostConfig, level: Left | None, now: float, left_until: float = 0.0, left_by: str = "") -> Offer:
    """Return what the host offers *now* (seconds since the epoch); *level* is None where no report is to be trusted."""
    if now < left_until:
        until = time.strftime("%H:%M", time.localtime(left_until))
        return Offer(0, None, f"{left_by} wants the machine to themselves until {until}", Action.GIVE_WAY)
    action = _ACTIONS[config.policy]
    if config.hours:
        clock = time.localtime(now)
        if not are_open(config.hours, clock.tm_wday, clock.tm_hour * 60 + clock.tm_min):
            return Offer(0, None, f"outside its service hours ({', '.join(config.hours)})", action)
    if level is None or config.policy is Courtesy.IGNORE:
        return Offer()
    if not level.reason:
        return Offer(None, level.memory)
    return Offer(level.cores, level.memory, level.reason, action, level.closed)


class Use(NamedTuple):
    """A job that runs on a host, or is *stopped* there: its cores, and when it was *started*."""

    job: int
    cores: int
    started: float
    stopped: bool = False


def beyond(uses: Iterable[Use], cores: int) -> tuple[list[int], list[int]]:
    """Return which of the jobs that run are beyond *cores*, the youngest first, and which of the stopped fit again.

    Those that were stopped first run again first; a job goes on when what is older leaves it room.
    """
    in_age = sorted(uses, key=lambda use: (use.started, use.job))
    running = sum(use.cores for use in in_age if not use.stopped)
    over: list[Use] = []
    for use in reversed(in_age):
        if running <= cores:
            break
        if not use.stopped:
            over.append(use)
            running -= use.cores
    for use in reversed(over[:]):
        if running + use.cores <= cores:
            over.remove(use)
            running += use.cores
    again: list[int] = []
    for use in in_age if not over else ():
        if use.stopped and running + use.cores <= cores:
            again.append(use.job)
            running += use.cores
    return [use.job for use in over], again
