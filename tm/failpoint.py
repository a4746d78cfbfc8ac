"""Named points at which a test can kill the process that reaches them, as ``kill -9`` would.

``TM_FAILPOINT=name[:nth]`` arms one point of one process: the *nth* time (first by default) it is reached, the
process is gone. Unarmed, a point costs one comparison.
"""

from __future__ import annotations

import os

_name, _, _nth = os.environ.get("TM_FAILPOINT", "").partition(":")
_left = int(_nth or 1)


def reach(name: str) -> None:
    """Die here if *name* is the armed point and this is its turn."""
    if name == _name:
        global _left
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), 9)
