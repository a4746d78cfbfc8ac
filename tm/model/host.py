"""What the configuration says about a host. How it is at the moment is not configuration."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

LAUNCHERS = ("openssh", "local", "conch")


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[hosts.NAME]`` of ``ComputerCluster.config``.

    *address* is what the launcher dials; *cores* is None when the machine is to be asked, *memory* (bytes) is
    None when it is not limited; nothing starts on a host that is not *active*.
    """

    name: str
    address: str
    launcher: str = "openssh"
    options: Mapping[str, str | int | bool] = {}
    cores: int | None = None
    memory: int | None = None
    active: bool = True
