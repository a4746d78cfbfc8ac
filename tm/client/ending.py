"""What a job's state means to who waits for it: whether it has ended, the exit status, a sentence."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FINAL = frozenset(("completed", "failed", "cancelled", "timeout", "out_of_memory", "output_limit", "lost"))
EXIT_TIMEOUT = 124
EXIT_INTERNAL = 125
EXIT_CANCELLED = 143


def has_ended(view: Mapping[str, Any]) -> bool:
    """Whether the job of *view* has reached its last state."""
    return view.get("state") in FINAL


def exit_status(view: Mapping[str, Any]) -> int:
    """Return the exit status of a client that waited for the job: the job's own wherever it has one."""
    state = view.get("state")
    code = view.get("exit_code")
    signal = signal_number(view.get("signal"))
    if state == "timeout":
        return EXIT_TIMEOUT
    if signal:
        return 128 + signal
    if state == "completed":
        return int(code or 0)
    if code:
        return int(code)
    return {"cancelled": EXIT_CANCELLED, "out_of_memory": 137, "output_limit": 153}.get(str(state), EXIT_INTERNAL)


def signal_number(signal: int | str | None) -> int:
    """Return the number of a signal given as a number or as a name such as ``KILL``; 0 for none."""
    if signal is None or isinstance(signal, int):
        return signal or 0
    import signal as signals

    name = signal if signal.startswith("SIG") else "SIG" + signal
    return int(getattr(signals, name, 0))


def sentence(view: Mapping[str, Any]) -> str:
    """Return how the job of *view* is, in one sentence."""
    text = f"job {view.get('id')} {str(view.get('state')).replace('_', ' ')}"
    signal = signal_number(view.get("signal"))
    details = []
    if view.get("host"):
        details.append(f"on {view['host']}")
    if signal:
        details.append(f"signal {signal}")
    elif view.get("exit_code") is not None:
        details.append(f"exit code {view['exit_code']}")
    if view.get("reason"):
        details.append(str(view["reason"]))
    return f"{text} ({', '.join(details)})" if details else text
