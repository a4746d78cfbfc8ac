"""Which launcher stands behind a name of the cluster's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tm.edge.launch_local import LocalLauncher
from tm.edge.launch_openssh import OpenSSHLauncher
from tm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tm.ports import Launcher

NAMES = ("local", "openssh", "conch")
LOGINS_AT_ONCE = 64
"""Most of a start is waiting for the other machine, so 64 hosts can take little longer than one. Here an ``ssh`` takes
8 MB, and up to 0.1 s of a processor for its key exchange, which must be over 10 s after it began (ConnectTimeout): one
core manages 64."""
STARTS_HERE_AT_ONCE = 8
"""Starts on this machine are all work of its own processors."""


def launcher(
    name: str, reactor: Any, environment: Mapping[str, str], bound: float = 30.0, at_once: int = LOGINS_AT_ONCE
) -> Launcher:
    """Return the launcher called *name*; a launch may take *bound* seconds, *at_once* logins go on together.

    Raises `ConfigError` for an unknown name, and where ``conch`` is asked for but not installed.
    """
    if name == "local":
        return LocalLauncher(reactor, environment, bound, STARTS_HERE_AT_ONCE)
    if name == "openssh":
        return OpenSSHLauncher(reactor, environment, bound, at_once)
    if name == "conch":
        return _conch(reactor, environment, bound, at_once)
    raise ConfigError([f"unknown launcher {name!r}: it must be one of {', '.join(NAMES)}"], "config.launcher")


def _conch(reactor: Any, environment: Mapping[str, str], bound: float, at_once: int) -> Launcher:
    try:
        from tm.edge.launch_conch import (
            ConchLauncher,
        )  # only here: an extra of the installation, and 0.3 s to load
    except ImportError as error:
        raise ConfigError(
            [
                f'launcher = "conch" needs a library that is not installed ({error.name}): '
                'pip install taskmanager[conch], or use launcher = "openssh"'
            ],
            "config.launcher",
        ) from None
    return ConchLauncher(reactor, environment, bound, at_once)
