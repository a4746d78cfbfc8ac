"""Why a job waits: a sentence, a verdict for every host, and what would start it now."""

from __future__ import annotations

from tm.client.connection import Connection, read_object, refusal
from tm.client.story import expected_start
from tm.client.table import Column, plain, render
from tm.model.ids import shown_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.client.program import Manner

MOST_HOSTS = 40
_COLUMNS = (Column("HOST", least=6), Column("VERDICT"), Column("WHY", least=20))


def show_why(connection: Connection, numbers: list[int], manner: Manner, width: int | None) -> int:
    """Print why each of the jobs *numbers* waits; raise `TaskManagerError` for one that is unknown."""
    asked = iter(numbers)
    for reply in connection.ask_all((("whyjob", str(shown_id(one))) for one in numbers), json=True):
        number = next(asked)
        if not reply.ok:
            raise refusal(reply)
        for line in reply.body:
            if manner.json:
                print(line)
            else:
                print("\n".join(why_lines(number, read_object(line, "the dispatcher said why by something"), width)))
    return 0


def why_lines(number: int, why: dict[str, Any], width: int | None = None) -> list[str]:
    """Return what *why* says of job *number*; keys that are missing are passed over."""
    lines = [
        f"job {shown_id(number)}: {plain(str(why.get('sentence') or 'nothing is known of why it waits'))}"
    ]
    if why.get("change"):
        lines.append(
            f"to start it now: {plain(str(why['change']))}{_as_command(number, why.get('change_set'))}"
        )
    if why.get("expected_start"):
        lines.append(f"expected start: {expected_start(why['expected_start'])}")
    counts = why.get("counts")
    if isinstance(counts, dict) and counts:
        lines.append("hosts: " + ", ".join(f"{count} {plain(str(word))}" for word, count in counts.items()))
    hosts = why.get("hosts")
    if isinstance(hosts, list) and hosts:
        keys = ("host", "verdict", "reason")
        rows = [[str(host.get(key) or "-") for key in keys] for host in hosts[:MOST_HOSTS]]
        lines += render(_COLUMNS, rows, width)
        if len(hosts) > MOST_HOSTS:
            lines.append(f"and {len(hosts) - MOST_HOSTS:,} more; --json has all")
    return lines


def _as_command(number: int, wanted: Any) -> str:
    """Return the command that makes the change *wanted*, in brackets; an empty text where there is none."""
    if not isinstance(wanted, dict) or not wanted:
        return ""
    words = [_setting(name, value) for name, value in wanted.items()]
    return f" (hRunJob --change {shown_id(number)} {plain(' '.join(words))})"


def _setting(name: str, value: Any) -> str:
    import shlex

    if name == "memory":
        return f"mem={-(-int(value) >> 20)}M"
    if name == "time":
        return f"time={int(value)}s"
    if name in ("begin", "deadline") and not value:
        return f"{name}=none"
    if isinstance(value, bool):
        return f"{name}={'yes' if value else 'no'}"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{name}={shlex.quote(text or 'none')}"
