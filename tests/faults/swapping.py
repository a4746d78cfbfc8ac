"""Races for a folder where everybody may make one: a victim has `private_directory` make it, a swapper is there first.

Run as a program it is one of the two: ``victim FOLDER FIRST LAST`` or ``swapper FOLDER TARGET``. Both lower themselves
to accounts of their own, so root has to start them; the folder has the sticky bit, as ``/var/tmp`` has.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tm.edge.spool import private_directory
from tm.errors import ConfigError
from tm.places import find_root

VICTIM, SWAPPER = 61_001, 61_002
"""Accounts that nobody has."""


def race(first: int, last: int) -> tuple[int, int, list[str]]:
    """Let both run for rounds *first* to *last*; return how often the folder was made, how often refused, and what
    came to lie where it should not."""
    above = Path(tempfile.mkdtemp(prefix="tm-race-", dir="/tmp"))
    folder, target = above / "tmp", above / "home"
    try:
        above.chmod(0o755)
        folder.mkdir()
        folder.chmod(0o1777)
        target.mkdir(mode=0o700)
        os.chown(target, VICTIM, VICTIM)
        swapper = _start("swapper", str(folder), str(target))
        try:
            victim = _start("victim", str(folder), str(first), str(last))
            said, _ = victim.communicate(timeout=600)
        finally:
            swapper.terminate()
            swapper.communicate()
        if victim.returncode:
            raise AssertionError(said)
        made, refused = map(int, said.split()[-2:])
        return made, refused, _strays(folder, target)
    finally:
        shutil.rmtree(above, ignore_errors=True)


def _start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults.swapping", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=find_root(), stdout=pipe, stderr=subprocess.STDOUT, text=True)


def _strays(folder: Path, target: Path) -> list[str]:
    """Return what the victim wrote into its other folder, and where somebody else owns what is above it."""
    found = [str(path) for path in target.iterdir()]
    for path in folder.rglob("written"):
        above = path.parent
        while above != folder:
            status = above.lstat()
            if status.st_uid != VICTIM or status.st_mode & 0o077:
                found.append(str(path))
            above = above.parent
    return found


def _be(account: int) -> None:
    os.setgroups([])
    os.setresgid(account, account, account)
    os.setresuid(account, account, account)
    os.umask(0)


def _victim(folder: str, first: int, last: int) -> None:
    made = refused = 0
    for number in range(first, last):
        path = os.path.join(folder, f"r{number}", "spool") if number % 2 else os.path.join(folder, f"r{number}")
        Path(folder, f"at-{number + 1}").touch()
        try:
            private_directory(path)
        except ConfigError:
            refused += 1
            continue
        made += 1
        Path(path, "written").touch()
    print(made, refused)


def _swapper(folder: str, target: str) -> None:
    """Put links, folders and files in the place of those to come, and swap them as long as they are there."""
    turn = number = 0
    while True:
        while os.path.lexists(os.path.join(folder, f"at-{number + 2}")):
            number += 1
        path = os.path.join(folder, f"r{number + turn % 2}")
        with contextlib.suppress(OSError):
            if turn % 5 == 0:
                os.symlink(target, path)
            elif turn % 5 == 1:
                os.mkdir(path, 0o777)
            elif turn % 5 == 2:
                os.rename(path, path + ".away")
            elif turn % 5 == 3:
                os.unlink(path)
            else:
                os.rmdir(path)
        turn += 1


if __name__ == "__main__":
    _be(VICTIM if sys.argv[1] == "victim" else SWAPPER)
    if sys.argv[1] == "victim":
        _victim(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        _swapper(sys.argv[2], sys.argv[3])
