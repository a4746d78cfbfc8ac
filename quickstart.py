#!/usr/bin/env python3
"""TaskManager on this machine, with nothing to edit:

python3 quickstart.py                    set up, start, and compute a real example
python3 quickstart.py status [--json]    the daemons: pid, port, log
python3 quickstart.py start              start what is missing
python3 quickstart.py stop               end all daemons and what they run
python3 quickstart.py clean              stop, then remove what was set up (etc/, var/)
python3 quickstart.py test [NAME...]     check the code, run all tests (or the named ones)

Everything is below this folder: the libraries in .venv, the configuration in etc, all else in var.
"""

from __future__ import annotations

import os
import shutil
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
LEAST = (3, 11)


def find_newer() -> str:
    """Return a Python on the PATH that is new enough, or nothing."""
    names = ["python3.%d" % minor for minor in range(20, LEAST[1] - 1, -1)]
    return next((path for path in map(shutil.which, names) if path), "")


if sys.version_info < LEAST:
    newer = find_newer()
    if newer and "TM_QUICKSTART" not in os.environ:
        program = [newer, os.path.join(ROOT, "quickstart.py"), *sys.argv[1:]]
        os.execve(newer, program, {**os.environ, "TM_QUICKSTART": "1"})
    sys.exit(
        "quickstart: TaskManager needs Python 3.11 or newer, this is %d.%d (%s); install a newer one, e.g. "
        "'apt install python3.11 python3.11-venv', and say 'python3.11 quickstart.py'"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

from tm.cli.quick.main import main  # noqa: E402  only now can it be read

if __name__ == "__main__":
    sys.exit(main(ROOT, sys.argv[1:], __doc__ or ""))
