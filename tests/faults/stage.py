"""A stage for what needs root and mounts: a play runs as first process of namespaces that end with it, mounts and all.

``python3 -m tests.faults.stage MODULE PLAY SEED`` is such a process, put there by `played`: it calls the function
``play_PLAY(chance)`` of the module, which says lines of JSON with `say`, and fails by raising.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from tm.places import find_root

SEARCHED = "/usr/sbin:/sbin:/usr/bin:/bin:" + os.environ.get("PATH", "")
NEEDED = ("unshare", "mount", "umount", "mkfs.ext4")


def obstacle() -> str:
    """Return why there can be no stage here; empty when there can."""
    if os.getuid() != 0:
        return "only root can mount file systems"
    missing = [name for name in NEEDED if shutil.which(name, path=SEARCHED) is None]
    if missing:
        return f"needs {', '.join(missing)}, of util-linux and e2fsprogs"
    tried = subprocess.run(["unshare", "-mpf", "--mount-proc", "true"], capture_output=True, text=True, check=False)
    return f"only a machine that allows namespaces can play this: {tried.stderr.strip()}" if tried.returncode else ""


def loop_obstacle() -> str:
    """Return why no file can be mounted here; empty when one can."""
    why = obstacle()
    if why or not os.path.exists("/dev/loop-control"):
        return why or "only a machine with loop devices can mount a file"
    with tempfile.TemporaryDirectory(prefix="tm-faults-") as folder:
        image = os.path.join(folder, "image")
        script = f"truncate -s 4m {image} && mkfs.ext4 -q -F {image} && mount --no-mtab -o loop {image} {folder}"
        tried = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script],
            env={"PATH": SEARCHED}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return f"only a machine that mounts files can play this: {tried.stderr.strip()}" if tried.returncode else ""


def played(module: str, play: str, seed: int = 0, seconds: float = 120.0) -> list[dict[str, Any]]:
    """Return what the play says; raise `AssertionError` when it fails."""
    root = find_root()
    apart = ["unshare", "-m", "-p", "-f", "--kill-child", "--propagation", "private", "--mount-proc"]
    done = subprocess.run(
        [*apart, sys.executable, "-m", "tests.faults.stage", module, play, str(seed)], cwd=root,
        env={**os.environ, "PYTHONPATH": root, "PATH": SEARCHED}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", timeout=seconds, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{play}, seed {seed}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def say(**values: object) -> None:
    """Say *values* to whoever has this played."""
    print(json.dumps(values), flush=True)


def main(arguments: list[str]) -> None:
    """Be the first process of a stage."""
    module, play, seed = arguments
    getattr(importlib.import_module(module), f"play_{play}")(random.Random(int(seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
