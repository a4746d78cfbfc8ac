"""Two calls of the Linux kernel that the standard library lacks. Life goes on where they are missing."""

from __future__ import annotations

try:
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
except (ImportError, OSError):
    _libc = None  # type: ignore[assignment]  # a Python without ctypes has neither call

_PR_SET_CHILD_SUBREAPER = 36
_KEEP_SIZE = 1


def become_subreaper(wanted: bool = True) -> bool:
    """Let orphaned descendants become this process's children; return whether the kernel agreed."""
    call = getattr(_libc, "prctl", None)
    return call is not None and call(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0


def reserve(file: int, offset: int, length: int) -> bool:
    """Reserve disk space of *file* from *offset* on, its size unchanged; return whether there was space."""
    call = getattr(_libc, "fallocate", None)
    return call is not None and call(file, _KEEP_SIZE, ctypes.c_long(offset), ctypes.c_long(length)) == 0
