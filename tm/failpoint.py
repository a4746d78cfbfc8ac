"""Named points at which a test can kill the process that reaches them, as ``kill -9`` would.

``TM_FAILPOINT=name[:nth[:FILE]]`` arms one point of one process: the *nth* time (first by default) it is reached, the
process is gone. With FILE, only visits while FILE is not there count, and only the first process that has come so often
dies: it makes FILE, and all others with the same environment live until somebody removes it. Unarmed, a point costs one
comparison.
"""

from __future__ import annotations

import os

_name, _, _rest = os.environ.get("TM_FAILPOINT", "").partition(":")
_nth, _, _mark = _rest.partition(":")
_left = int(_nth or 1)


def reach(name: str) -> None:
    """Die here if *name* is the armed point and this is its turn."""
    if name == _name and not (_mark and os.path.exists(_mark)):
        global _left
        _left -= 1
        if _left <= 0 and _is_first():
            os.kill(os.getpid(), 9)


def _is_first() -> bool:
    if not _mark:
        return True
    try:
        os.close(os.open(_mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
