"""The first process of a machine of the bench: it makes the machine's own view of files, waits for its end, and is
what the kernel ends a whole machine with.

As ``unshare … python3 -I -S -c`` it reads a plan, one line of JSON, from its input:
``{"name", "masks": [[FOLDER, OPTIONS, [SHOWN…]]…], "copies": [[SOURCE, TARGET]…], "files": {PATH: [TEXT, MODE]},
"binds": [[SOURCE, TARGET]…]}``. A mask puts an empty file system over FOLDER in which only the paths SHOWN are seen;
copies, files and binds are made in this order. It says ``ready``, reaps whoever
dies here, and ends at the end of its input: when whoever holds the other side is gone, however that came about, the
kernel kills everything in this machine and removes its mounts and its network.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STAGE = "/proc/tty"  # a folder that is everywhere; file systems are prepared there before they are moved
REAP_SECONDS = 0.2


def main() -> int:
    """Be the first process; return the exit status."""
    try:
        _make(json.loads(sys.stdin.readline()))
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None)
        print(f"{error} {said or ''}".replace("\n", " "), flush=True)
        return 1
    print("ready", flush=True)
    while not select.select([0], [], [], REAP_SECONDS)[0] or os.read(0, 4096):
        _reap()
    return 0


def _make(plan: dict[str, Any]) -> None:
    _mount("-t", "proc", "proc", "/proc")
    socket.sethostname(plan["name"])
    for folder, options, shown in plan["masks"]:
        _mask(folder, options, shown)
    for source, target in plan["copies"]:
        os.makedirs(target)
        subprocess.run(["cp", "--archive", source, target], capture_output=True)  # but for what goes away meanwhile
    for path, (text, mode) in plan["files"].items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
    for source, target in plan["binds"]:
        _mount("--rbind", source, target)


def _mask(folder: str, options: str, shown: list[str]) -> None:
    _mount("-t", "tmpfs", "-o", options, "tm-bench", STAGE)
    for path in shown:
        target = os.path.join(STAGE, os.path.relpath(path, folder))
        os.makedirs(target, exist_ok=True)
        _mount("--rbind", path, target)
    _mount("--move", STAGE, folder)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", "--no-mtab", *arguments], check=True, capture_output=True, text=True)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main())
