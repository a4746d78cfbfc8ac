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


def launcher(
    name: str, reactor: Any, environment: Mapping[str, str], bound: float = 30.0, at_once: int = 8
) -> Launcher:
    """Return the launcher called *name*; a launch may take *bound* seconds, *at_once* go on together.

    Raises `ConfigError` for an unknown name, and where ``conch`` is asked for but not installed.
    """
    if name == "local":
        return LocalLauncher(reactor, environment, bound, at_once)
    if name == "openssh":
        return OpenSSHLauncher(reactor, environment, bound, at_once)
    if name == "conch":
        return _conch(reactor, environment, bound)
    raise ConfigError([f"unknown launcher {name!r}: it must be one of {', '.join(NAMES)}"], "config.launcher")


def _conch(reactor: Any, environment: Mapping[str, str], bound: float) -> Launcher:
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
    return ConchLauncher(reactor, environment, bound)
