"""Orders for jobs: held, released, suspended, signalled, put back, changed, run again. What is meant, the server reads.

Every order says to how many jobs it was done; what it was not done to, and why, goes to stderr, a line for each reason.
"""

from __future__ import annotations

import json
import os
import re

from tm.client import tms
from tm.client.connection import Connection, LostError
from tm.client.program import UsageError
from tm.errors import EXIT_REFUSED
from tm.model import values
from tm.model.ids import read_job
from tm.wire.message import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tm.client.options import Options
    from tm.client.program import Manner
    from tm.places import Places

VERBS = {
    "kill": "canceljob",
    "hold_job": "holdjob",
    "release": "releasejob",
    "suspend": "suspendjob",
    "resume": "resumejob",
    "send_signal": "signaljob",
    "requeue_job": "requeuejob",
    "change": "changejob",
}
"""The options that are orders, and their verbs."""
_REASONS = ("kill", "hold_job", "suspend", "requeue_job", "change")
_FILTERS = ("state", "name", "user", "host", "array", "account")


def _text(text: str) -> str:
    return text


def _switch(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"'{text:.40}' is neither yes nor no")
    return text == "yes"


def _or_none(read: Callable[[str], Any], none: Any) -> Callable[[str], Any]:
    return lambda text: none if text in ("", "none") else read(text)


_cap = values.read_count(0, 1_000_000, "tasks at once")
CHANGES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "time": ("time", values.read_time),
    "cores": ("cores", values.read_cores),
    "mem": ("memory", values.read_size),
    "memory": ("memory", values.read_size),
    "gpus": ("gpus", values.read_count(0, 100_000, "gpus")),
    "priority": ("priority", values.read_priority),
    "boost": ("boost", values.read_priority),
    "hosts": ("hosts", _or_none(values.read_hosts, [])),
    "nodelist": ("hosts", _or_none(values.read_hosts, [])),
    "exclude": ("exclude", _or_none(values.read_hosts, [])),
    "constraint": ("constraint", _or_none(_text, "")),
    "prefer": ("prefer", _or_none(_text, "")),
    "exclusive": ("exclusive", _switch),
    "layout": ("layout", _or_none(values.read_layout, "")),
    "licenses": ("consumables", _or_none(values.read_licenses, {})),
    "begin": ("begin", _or_none(values.read_when, 0.0)),
    "deadline": ("deadline", _or_none(values.read_when, 0.0)),
    "dependency": ("dependency", _or_none(values.read_dependency, "")),
    "cap": ("cap", _or_none(_cap, 0)),
}
"""What ``--change`` takes before ``=``: the name that the server knows it by, and what reads the value."""


def is_order(options: Options) -> bool:
    """Whether *options* are an order for jobs."""
    return any(dest in options.given for dest in (*VERBS, "rerun"))


def run(options: Options, places: Places, manner: Manner) -> int:
    """Give the order in *options*; return 0 when it was done to all that was named."""
    if options.rerun:
        return _rerun(options, places, manner)
    if options.failed:
        raise UsageError("--failed belongs to --rerun")
    dest = next(dest for dest in VERBS if dest in options.given)
    words = list(getattr(options, dest))
    if options.reason and dest not in _REASONS:
        raise UsageError(f"{options.given[dest]} takes no --reason")
    verb, name = VERBS[dest], ""
    wanted: dict[str, Any] = {}
    if dest == "send_signal":
        name = _signal(words)
    elif dest == "change":
        words, wanted = _changes(words)
    ids = _picking(options.given[dest], words)
    if options.dry_run:
        rest = f"{verb}:{quote(ids)}"
        verb = "tryjobs"
    elif dest == "change":
        rest = json.dumps({"ids": ids, "set": wanted, "reason": options.reason or ""}, ensure_ascii=False)
    else:
        rest = ":".join(map(quote, (part for part in (ids, name, options.reason) if part)))
    with tms.open_any(places) as connection:
        reply = connection.ask(verb, rest, json=manner.json)
    return _told(reply.text, reply.body, words, manner, options.dry_run)


def _told(text: str, body: list[str], words: list[str], manner: Manner, tried: bool) -> int:
    """Print an answer; return the exit status."""
    if manner.json:
        print("".join(line + "\n" for line in body), end="")
        left = any(not json.loads(line)["done"] for line in body)
    else:
        shown = [line for line in body if tried and line.endswith(": " + text.partition(" ")[2])]
        notes = [line for line in body if line not in shown]
        if not manner.quiet:
            print("\n".join([*shown, text]))
        for note in notes:
            manner.say(note)
        left = bool(notes)
    named = any("=" not in word for word in words)
    return EXIT_REFUSED if left and named and not tried else 0


def _picking(option: str, words: list[str]) -> str:
    """Return *words* as servers read them; raise `UsageError` for what cannot be an id."""
    for word in " ".join(words).split():
        for part in re.split(r",(?![^\[]*\])", word) if "=" not in word else ():
            first, dash, last = part.partition("-")
            try:
                if dash and "_" not in part and int(last) >= int(first):
                    continue
                read_job(part)
            except ValueError:
                raise UsageError(
                    f"{option}: '{part:.40}' is no job id; write 3  3,5  3-7  17_4  17_[0-9] or state=pending"
                ) from None
    return " ".join(words)


def _signal(words: list[str]) -> str:
    """Take the signal out of *words*, where it stands first."""
    if len(words) < 2:
        raise UsageError("--send-signal needs a signal and jobs: --send-signal USR1 17")
    try:
        return values.signal_name(words.pop(0))
    except ValueError as error:
        raise UsageError(f"--send-signal: {error}") from None


def _changes(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the words that pick jobs, and what is to hold of them, by the names that servers know."""
    picking, wanted = [], {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or key in _FILTERS:
            picking.append(word)
        elif key not in CHANGES:
            raise UsageError(f"--change: there is no '{key:.40}'; what can be changed is {', '.join(CHANGES)}")
        else:
            name, read = CHANGES[key]
            try:
                wanted[name] = read(text)
            except ValueError as error:
                raise UsageError(f"--change {key}: {error}") from None
    if not picking or not wanted:
        raise UsageError("--change needs jobs and what is to be changed: --change 17 time=2h cores=4")
    return picking, wanted


def _rerun(options: Options, places: Places, manner: Manner) -> int:
    """Have jobs submitted again as they were; the same token until the answer is known, so nothing is doubled."""
    if options.reason or options.dry_run:
        raise UsageError("--rerun takes neither --reason nor --dry-run")
    ids = _picking("--rerun", options.rerun)
    wish = {"token": os.urandom(12).hex(), "ids": ids, "failed": options.failed}
    line = json.dumps(wish, ensure_ascii=False)
    try:
        accepted = _again(places, line)
    except LostError:
        accepted = _again(places, line)
    if manner.json:
        print("".join(f'{{"id":{number}}}\n' for number in accepted), end="")
    elif manner.quiet:
        print("".join(f"{number}\n" for number in accepted), end="")
    else:
        print(f"accepted {'job' if len(accepted) == 1 else f'{len(accepted)} jobs'} {_compact(accepted)}")
    return 0


def _again(places: Places, line: str) -> list[int]:
    with Connection.open_tms(places) as connection:
        return [int(number) for number in connection.ask("rerun", line).body]


def _compact(ids: list[int]) -> str:
    from tm.client.wait import compact

    return compact(ids)
