"""Waiting for jobs: their exit status is ours; ^C only stops looking."""

from __future__ import annotations

import json
import sys

from tm.client.ending import exit_status, has_ended, sentence
from tm.errors import EXIT_REFUSED
from tm.model.ids import shown_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tm.client.program import Manner
    from tm.client.watch import Watch

_TURN_SECONDS = 60.0


def wait(watch: Watch, ids: Sequence[int], manner: Manner, turn_seconds: float = _TURN_SECONDS) -> int:
    """Wait until all of *ids* have ended; return the job's own exit status, of many 0 when all succeeded."""
    count = None
    if len(ids) > 1:
        from tm.client.progress import Progress

        count = Progress(len(ids), "jobs", sys.stderr)
    failed = 0
    try:
        while watch.left:
            ended = [view for view in watch.look(turn_seconds) if has_ended(view)]
            for view in ended:
                _tell(view, manner, alone=count is None)
                failed += exit_status(view) != 0
            if count is not None:
                count.show(len(ids) - len(watch.left), failed)
    finally:
        if count is not None:
            count.end()
    if count is None:
        if sys.stderr.isatty() and not manner.quiet:
            _tell_output(watch.describe(ids[0]), manner)
        return exit_status(watch.views[ids[0]])
    return _sum_up(watch, ids, manner)


def hint(ids: Sequence[int], manner: Manner) -> None:
    """Say that the jobs go on and how to see or stop them."""
    if len(ids) == 1:
        number = shown_id(ids[0])
        manner.say(f"job {number} goes on. follow: hRunJob -f {number}   stop: hRunJob -k {number}")
    else:
        manner.say(f"the jobs go on. see: hRunJob -l   stop: hRunJob -k {compact(ids)}")


def compact(ids: Sequence[int]) -> str:
    """Return *ids* as ``3-7,9``."""
    parts: list[list[int]] = []
    for number in ids:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(
        str(shown_id(first)) if first == last else f"{shown_id(first)}-{shown_id(last)}"
        for first, last in parts
    )


def _tell(view: dict[str, Any], manner: Manner, alone: bool) -> None:
    if manner.json:
        shown = {key: view.get(key) for key in ("id", "state", "exit_code", "signal", "host", "reason")}
        print(json.dumps(shown, ensure_ascii=False), flush=True)
    if alone and not manner.quiet and (exit_status(view) or sys.stderr.isatty()):
        manner.say(sentence(view))


def _tell_output(view: dict[str, Any], manner: Manner) -> None:
    files = {view.get("stdout"), view.get("stderr")} - {None, "/dev/null"}
    if files:
        manner.say(f"its output is in {' and '.join(sorted(map(str, files)))}")


def _sum_up(watch: Watch, ids: Sequence[int], manner: Manner) -> int:
    counts: dict[str, int] = {}
    failed = []
    for number in ids:
        view = watch.views[number]
        counts[view["state"]] = counts.get(view["state"], 0) + 1
        if exit_status(view):
            failed.append(number)
    if not manner.quiet:
        text = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()))
        shown = compact(failed[:20]) + (" …" if len(failed) > 20 else "")
        manner.say(f"{text}: {shown}" if failed else text)
    return EXIT_REFUSED if failed else 0
