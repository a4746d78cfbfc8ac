"""Disks of a test: a file system in a file that hangs, fails, loses its power and comes back; small ones in memory.

Only for a process in a mount namespace of its own (`tests.faults.stage`), so that nothing of it is left outside.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_JOURNAL = 2  # what is not synced is gone, as when the power fails
FREEZE, THAW = 0xC0045877, 0xC0045878
BUSY_SECONDS = 20.0


def run(*argv: str) -> None:
    """Run a command as root; fail with what it says."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.returncode} {done.stderr.strip()}")


def small(target: str, size: str, inodes: int = 0) -> None:
    """Put an empty file system of *size* (as ``4m``) and at most so many *inodes* (0: any) over the folder *target*."""
    options = f"mode=700,size={size}" + (f",nr_inodes={inodes}" if inodes else "")
    run("mount", "--no-mtab", "-t", "tmpfs", "-o", options, "tm-faults", target)


def unmount(target: str) -> None:
    """Take the file system at *target* away; whoever has used it must have ended."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            run("umount", "--no-mtab", target)
            return
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def fill(target: str, name: str = "filler") -> str:
    """Fill the file system of the folder *target*; return the file that holds the space."""
    path = os.path.join(target, name)
    with open(path, "ab", buffering=0) as file:
        for piece in (1 << 16, 1 << 9, 1):
            try:
                while True:
                    file.write(bytes(piece))
            except OSError:
                continue
    return path


def empty_files(target: str) -> list[str]:
    """Make files in the folder *target* until there can be no more; return them."""
    made: list[str] = []
    while True:
        path = os.path.join(target, f"filler-{len(made)}")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError:
            return made
        made.append(path)


class Disk:
    """An ext4 file system in the file *image*, mounted at *target*."""

    def __init__(self, image: str, target: str, megabytes: int = 24) -> None:
        self.image = image
        self.target = target
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-O", "has_journal", "-E", "lazy_itable_init=0", "-m", "0", image)
        os.makedirs(target, mode=0o700, exist_ok=True)
        self.mount()
        os.chmod(target, 0o700)

    def mount(self, *options: str) -> None:
        """Mount it; the file system repairs itself by its journal, as after a power failure."""
        run("mount", "--no-mtab", "-o", ",".join(["loop", "commit=300", *options]), self.image, self.target)

    def unmount(self) -> None:
        """Take it away; whoever has used it must have ended."""
        unmount(self.target)

    def vanish(self) -> None:
        """Take it out of sight; who has it open keeps it open."""
        run("umount", "--no-mtab", "--lazy", self.target)

    def fail(self) -> None:
        """Let every access fail from now on, and lose what was not synced."""
        self._control(SHUTDOWN, struct.pack("I", WITHOUT_JOURNAL))

    def lose_power(self) -> None:
        """Fail, and come back with what was synced; nobody may use it meanwhile."""
        self.fail()
        self.unmount()
        self.mount()

    def freeze(self) -> None:
        """Let who writes there hang, as at a dead network file system."""
        self._control(FREEZE, bytes(4))

    def thaw(self) -> None:
        """Let them go on."""
        self._control(THAW, bytes(4))

    def _control(self, request: int, argument: bytes) -> None:
        number = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(number, request, argument)
        finally:
            os.close(number)
