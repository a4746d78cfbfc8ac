"""Which files a launch may use.

Options come from the dispatcher, which is not trusted with the user's rights. A file that it names may hold
commands (``config``) or decide whom to trust (``known_hosts``), so it must be one that only the user and root
can write, in folders of which the same is true.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tm.errors import LaunchError

if TYPE_CHECKING:
    from tm.ports import Target


def trusted_file(target: Target, option: str, path: str) -> str:
    """Return the true path of *path*; raise `LaunchError` (``ssh.config``) when others can write it."""
    real = place = os.path.realpath(path)
    try:
        while _only_ours(os.stat(place)):
            if place == "/":
                return real
            place = os.path.dirname(place)
    except OSError as error:
        raise LaunchError(
            "ssh.config", f"{target.host}: option {option}: {place}: {error.strerror}"
        ) from None
    raise LaunchError(
        "ssh.config",
        f"{target.host}: option {option} = {path}: others may write {place}; "
        "name a file that only you can write, in a folder that only you can write",
    )


def _only_ours(entry: os.stat_result) -> bool:
    if entry.st_uid not in (0, os.getuid()):
        return False
    sticky_folder = stat.S_ISDIR(entry.st_mode) and entry.st_mode & stat.S_ISVTX
    return bool(sticky_folder) or not entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
