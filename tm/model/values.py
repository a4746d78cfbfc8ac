"""What people write behind options: times, sizes, dates, lists. Each reader raises `ValueError` with a sentence.

The readers of what ``sbatch`` knows too take what it takes, and mean the same by it.
"""

from __future__ import annotations

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 10 * 366 * 86400
_POWER = {"K": 1, "": 2, "M": 2, "G": 3, "T": 4, "P": 5}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME = "write 90s, 30m, 1h30m, 2:30:00 or 1-12:00:00; a bare number counts minutes"
RETRY_CAUSES = ("any", "fail", "oom", "time", "output", "host", "signal", "exit")
SIGNALS = "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP TSTP XCPU ALRM WINCH URG".split()


def read_size(text: str) -> int:
    """Return the bytes of ``4G``, ``500M`` or ``1.5T``; a bare number counts MiB."""
    found = re.match(
        r"(\d{1,15}(?:\.\d{1,9})?)\s*([KMGTP]?)(?:i?B)?\Z", text.strip(), re.IGNORECASE | re.ASCII
    )
    size = int(float(found.group(1)) * 1024 ** _POWER[found.group(2).upper()]) if found else 0
    if not found or size >= 1 << 62 or (not size and float(found.group(1))):
        raise ValueError(f"'{text:.40}' is no size; write 500M, 4G or 1.5T, a bare number counts MiB")
    return size


def read_umask(text: str) -> int:
    """Return the octal number *text*."""
    if not re.match(r"[0-7]{1,4}\Z", text) or int(text, 8) > 0o777:
        raise ValueError(f"'{text:.40}' is no umask; write three octal digits, e.g. 027")
    return int(text, 8)


def read_cores(text: str) -> int:
    """Return a number of cores, at least 1."""
    return _whole(text, 1, 100_000, "number of cores; write 1 or more")


def read_count(least: int, most: int, what: str) -> Callable[[str], int]:
    """Return the reader of whole numbers from *least* to *most*."""
    return lambda text: _whole(
        text, least, most, f"number of {what}; write a whole number from {least} to {most:,}"
    )


def _whole(text: str, least: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and least <= int(text) <= most):
        raise ValueError(f"'{text:.40}' is no {what}")
    return int(text)


def read_priority(text: str) -> int:
    """Return a priority, -1000 to 1000."""
    if not re.match(r"[+-]?\d{1,4}\Z", text, re.ASCII) or not -1000 <= int(text) <= 1000:
        raise ValueError(f"'{text:.40}' is no priority; write a number from -1000 to 1000")
    return int(text)


def read_nice(text: str) -> int:
    """Return how much lower the priority is to be."""
    if not re.match(r"[+-]?\d{1,10}\Z", text, re.ASCII):
        raise ValueError(f"'{text:.40}' is no adjustment; write a number, the greater the later, e.g. 100")
    return int(text)


def read_time(text: str) -> float:
    """Return the seconds of a wall time: ``90s``, ``1h30m``, ``MM:SS``, ``HH:MM:SS``, ``D-HH[:MM[:SS]]``, minutes.

    0 and ``unlimited`` mean no limit.
    """
    word = text.strip().lower()
    if word in ("unlimited", "infinite", "0"):
        return 0.0
    found = re.match(r"(?:(\d{1,5})-)?(\d{1,9})(?::(\d{1,6}))?(?::(\d{1,6}))?\Z", word, re.ASCII)
    if found:
        days, *rest = found.groups()
        parts = [int(part) for part in rest if part is not None]
        if days is None:
            units = {1: (60,), 2: (60, 1), 3: (3600, 60, 1)}[len(parts)]
        else:
            units = (3600, 60, 1)
        seconds = int(days or 0) * 86400 + sum(map(int.__mul__, parts, units))
    else:
        seconds = _written(word)
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"'{text:.40}' is no time; {_TIME}")
    return float(seconds)


def read_pause(text: str) -> float:
    """Return the seconds of a time to wait: ``30s``, ``5m``, ``1h30m``; a bare number counts seconds."""
    word = text.strip().lower()
    seconds = int(word) if re.match(r"\d{1,9}\Z", word, re.ASCII) else _written(word)
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"'{text:.40}' is no time; write 30s, 5m or 1h30m, a bare number counts seconds")
    return float(seconds)


def _written(word: str) -> int:
    """Return the seconds of ``1h30m``, -1 for anything else."""
    if not re.match(r"(?:\d{1,9}[wdhms])+\Z", word, re.ASCII):
        return -1
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"(\d+)([wdhms])", word))


def read_when(text: str) -> float:
    """Return the time of day, in seconds since the epoch, of ``now+2h``, ``18:30``, ``2026-12-24T18:00``, ``tomorrow``.

    Times are those of the wall clock here; one of today that has passed is tomorrow's.
    """
    from tm.model.dates import when

    return when(text, time.time())


def read_array(text: str) -> tuple[str, int]:
    """Return the indices of ``0-99:2%10`` and how many run at once, 0 for any number."""
    from tm.model.ids import read_ranges

    indices, percent, cap = text.strip().partition("%")
    read_ranges(indices)
    if percent and not (cap.isascii() and cap.isdigit() and 0 < int(cap[:9]) and len(cap) < 10):
        raise ValueError(f"'{text:.60}': behind % stands how many tasks run at once, 1 or more, e.g. 0-99%10")
    return indices, int(cap or 0)


def read_dependency(text: str) -> str:
    """Return *text* when it is written like ``afterok:17:18,afterany:19_4`` or ``singleton``, ``?`` meaning any."""
    from tm.model.ids import read_job

    words = text.strip()
    if "," in words and "?" in words:
        raise ValueError(f"'{text:.60}': either all (,) or any (?) must be met, not both in one")
    for part in re.split("[,?]", words):
        kind, *targets = part.split(":")
        if kind == "singleton" and not targets:
            continue
        if kind not in ("after", "afterok", "afternotok", "afterany", "aftercorr") or not targets:
            raise ValueError(
                f"'{part:.60}' is no dependency; write after, afterok, afternotok, afterany or aftercorr with jobs,"
                " e.g. afterok:17:18, or singleton"
            )
        for target in targets:
            read_job(re.sub(r"\+\d{1,7}\Z", "", target) if kind == "after" else target)
    return words


def read_signal(text: str) -> tuple[str, float]:
    """Return the name of the signal in ``USR2@90`` and how many seconds before the end it is sent (60).

    ``B:USR2`` is for the first process of the job alone.
    """
    word = text.strip().upper()
    found = re.match(r"([RB]+:)?(?:SIG)?([A-Z][A-Z0-9]{1,9}|\d{1,2})(?:@(\d[\dWDHMS]{0,12}))?\Z", word)
    if not found:
        raise ValueError(
            f"'{text:.40}' is no signal with a time; write it like USR2@90, seconds before the end"
        )
    alone = "B:" if "B" in (found.group(1) or "") else ""
    return alone + signal_name(found.group(2)), read_pause((found.group(3) or "60").lower())


def signal_name(text: str) -> str:
    """Return the name, without SIG, of a signal given by name or number."""
    import signal

    word = text.strip().upper()
    try:
        known = (
            signal.Signals(int(word))
            if word.isdigit()
            else signal.Signals["SIG" + word.replace("SIG", "", 1)]
        )
    except (ValueError, KeyError):
        raise ValueError(
            f"'{text:.40}' is no signal; write a name such as {', '.join(SIGNALS[:6])}"
        ) from None
    return known.name[3:]


def read_hosts(text: str) -> list[str]:
    """Return the names in ``a,b`` or ``n[1-4,7],m2``."""
    names: list[str] = []
    for part in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", text):
        names += _expanded(part.strip())
    if (
        not names
        or text.count("[") != text.count("]")
        or any(not re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z", name) for name in names)
    ):
        raise ValueError(f"'{text:.60}' names no hosts; write them like n1,n2 or n[1-4]")
    return names


def _expanded(part: str) -> list[str]:
    found = re.match(r"([^\[]*)\[([^\]]*)\](.*)\Z", part)
    if not found:
        return [part] if part else []
    head, inside, tail = found.groups()
    names = []
    for piece in inside.split(","):
        ends = re.match(r"(\d{1,9})(?:-(\d{1,9}))?\Z", piece, re.ASCII)
        if not ends or int(ends.group(2) or ends.group(1)) - int(ends.group(1)) > 100_000:
            raise ValueError(f"'{part:.60}' names no hosts; write them like n[1-4,7]")
        first, last = ends.group(1), ends.group(2) or ends.group(1)
        names += [f"{head}{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    return [full for name in names for full in _expanded(name + tail)]


def read_gres(text: str) -> dict[str, int]:
    """Return the counts of ``gpu:2,licence:1``; a type of gpu is refused: constraints speak of it."""
    counts: dict[str, int] = {}
    for part in text.split(","):
        name, _, rest = part.strip().replace("=", ":", 1).partition(":")
        kind, _, count = rest.rpartition(":")
        if kind or (rest and not rest.isdigit() and name == "gpu"):
            raise ValueError(f"'{part:.40}': say gpu:COUNT here, and which kind of gpu with --constraint")
        counts[name] = counts.get(name, 0) + _whole(
            count or "1", 0, 100_000, "number; write NAME:COUNT, e.g. gpu:2"
        )
        if not re.match(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z", name):
            raise ValueError(f"'{part:.40}' is no resource; write NAME:COUNT, e.g. gpu:2")
    return counts


def read_licenses(text: str) -> dict[str, int]:
    """Return the counts of ``matlab:2,foo``."""
    counts: dict[str, int] = {}
    for part in text.split(","):
        found = re.match(
            r"([A-Za-z_][A-Za-z0-9_.-]{0,63})(?:@[\w.-]+)?(?:[:=](\d{1,6}))?\Z", part.strip(), re.ASCII
        )
        if not found or (found.group(2) and not int(found.group(2))):
            raise ValueError(f"'{part:.40}' is nothing that can be counted; write NAME:COUNT, e.g. matlab:2")
        counts[found.group(1)] = counts.get(found.group(1), 0) + int(found.group(2) or 1)
    return counts


_MAIL = {"invalid_depend": "", "stage_out": "", "array_tasks": "", "none": "", "time_limit_90": "time_limit",
         "time_limit_80": "time_limit", "time_limit_50": "time_limit"}  # fmt: skip
MAIL_TYPES = ("begin", "end", "fail", "requeue", "time_limit", "waiting", "first_fail", "all")


def read_mail_types(text: str) -> list[str]:
    """Return the events in ``END,FAIL``; sbatch's that cannot happen here are left out, ``NONE`` is none."""
    events: list[str] = []
    for part in text.split(","):
        word = part.strip().lower()
        event = _MAIL.get(word, word)
        if (event or not word) and event not in MAIL_TYPES:
            raise ValueError(
                f"'{part:.40}' is no event; write some of {', '.join(MAIL_TYPES).upper()} or NONE"
            )
        if event and event not in events:
            events.append(event)
    return events


_MAIL_ADDRESS = (
    r"(?!\.|.*\.\.|.*\.@)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z"
)


def read_addresses(text: str) -> list[str]:
    """Return the mail addresses, web addresses or ``desktop`` in *text*, commas between."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    for part in found:
        web = part.startswith(("http://", "https://"))
        pattern = r"https?://[^\s/:@]+(?::\d{1,5})?(?:/\S*)?\Z" if web else r"desktop\Z"
        if len(part) > 2000 or not re.match(
            _MAIL_ADDRESS if "@" in part and not web else pattern, part, re.ASCII
        ):
            raise ValueError(f"'{part:.60}' is no address; write alice@example.org, https://… or desktop")
    if not found:
        raise ValueError("no address is named; write alice@example.org")
    return found


def read_retry_on(text: str) -> list[str]:
    """Return the causes in ``exit:75,exit:80-90,signal:KILL,oom,host``."""
    causes = [part.strip() for part in text.split(",")]
    return [_cause(cause) for cause in causes]


def _cause(text: str) -> str:
    kind, colon, which = text.partition(":")
    kind = kind.lower()
    ends = re.match(r"(\d{1,3})(?:-(\d{1,3}))?\Z", which, re.ASCII)
    if kind == "signal" and colon:
        return f"signal:{signal_name(which)}"
    if kind == "exit" and ends and int(ends.group(1)) <= int(ends.group(2) or ends.group(1)) < 256:
        return f"exit:{which}"
    if kind not in RETRY_CAUSES or colon:
        raise ValueError(
            f"'{text:.40}' is no cause; write some of {', '.join(RETRY_CAUSES)}, exit:75, signal:KILL"
        )
    return kind


def read_factor(text: str) -> float:
    """Return the factor of ``x2``, ``2`` or ``1.5``, 1 to 100."""
    found = re.match(r"x?(\d{1,3}(?:\.\d{1,6})?)x?\Z", text.strip(), re.IGNORECASE | re.ASCII)
    if not found or not 1.0 <= float(found.group(1)) <= 100.0:
        raise ValueError(f"'{text:.40}' is no factor; write x2 or x1.5, from x1 to x100")
    return float(found.group(1))


def read_layout(text: str) -> str:
    """Return ``spread`` or ``pack``."""
    return _choice(text, ("spread", "pack"))


def read_open_mode(text: str) -> str:
    """Return ``append`` or ``truncate``."""
    return _choice(text, ("append", "truncate"))


def _choice(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValueError(f"'{text:.40}' is neither {' nor '.join(words)}")
    return text


def read_id(text: str) -> int:
    """Return the number of one job, ``17`` or ``17_4``."""
    from tm.model.ids import read_job, task_id

    try:
        number, tasks = read_job(text)
    except ValueError:
        raise ValueError(f"'{text:.40}' is no job id; write 17 or 17_4, 'hRunJob -l' lists them") from None
    if tasks is None:
        return number
    if len(tasks) != 1 or len(tasks[0]) != 1:
        raise ValueError(f"'{text:.40}': name one task, e.g. {number}_4")
    return task_id(number, tasks[0][0])


MOST_IDS = 10_000


def read_ids(text: str) -> list[int]:
    """Return the jobs that ``3``, ``3,5``, ``3-7``, ``17_4`` and ``17_[0-9]`` name."""
    from tm.model.ids import read_job, task_id

    found: list[int] = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\]?)+", text):
        ends = re.match(r"\s*(\d{1,10})-(\d{1,10})\s*\Z", part, re.ASCII)
        if ends and int(ends.group(2)) < int(ends.group(1)):
            raise ValueError(f"'{part:.40}': the last job comes before the first")
        number, tasks = (0, None) if ends else read_job(part)
        if ends:
            more = [range(int(ends.group(1)), int(ends.group(2)) + 1)]
        elif tasks is None:
            more = [range(number, number + 1)]
        else:
            more = [range(task_id(number, one[0]), task_id(number, one[-1]) + 1, one.step) for one in tasks]
        if len(found) + sum(map(len, more)) > MOST_IDS:
            raise ValueError(f"more than {MOST_IDS:,} jobs at once; 'hRunJob -l' lists many")
        for one in more:
            found += one
    return found


def read_may(text: str) -> str:
    """Return what a session of the web interface is to be able to do."""
    if text not in ("look", "act", "submit"):
        raise ValueError(f"'{text}': expected look, act or submit")
    return text
