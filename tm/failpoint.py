"""Named points at which a test can kill the process that reaches them, as ``kill -9`` would.

``TM_FAILPOINT=name[:nth[:FILE]]`` arms one point of one process: the *nth* time (first by default) it is reached, the
process is gone. With FILE, which must not exist, only the first process that gets there dies: it makes FILE, and those
that are started after it with the same environment live. Unarmed, a point costs one comparison.
"""

from __future__ import annotations

import os

_name, _, _rest = os.environ.get("TM_FAILPOINT", "").partition(":")
_nth, _, _mark = _rest.partition(":")
_left = int(_nth or 1)


def reach(name: str) -> None:
    """Die here if *name* is the armed point and this is its turn."""
    if name == _name:
        global _left
        _left -= 1
        if _left == 0 and _is_first():
            os.kill(os.getpid(), 9)


def _is_first() -> bool:
    if not _mark:
        return True
    try:
        os.close(os.open(_mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
