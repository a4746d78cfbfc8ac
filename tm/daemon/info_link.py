"""One InfoServer as the dispatcher sees it: how it is, since when, and when it is to be started again."""

from __future__ import annotations

from dataclasses import dataclass, field

from tm.model.condition import Info
from tm.model.host import HostConfig
from tm.model.infoserver import Started
from tm.model.report import About
from tm.ports import Peer


@dataclass(slots=True, eq=False)
class InfoLink:
    """The InfoServer of one host."""

    config: HostConfig
    started: Started | None = None
    peer: Peer | None = None
    about: About | None = None
    state: str = "off"
    reason: str = ""
    lost: bool = False
    launching: bool = False
    wanted: bool = False
    heard: float = 0.0
    joined_at: float = 0.0
    due: float = 0.0
    failures: int = 0
    complaint: str = ""
    credit: float = 0.0
    told_jobs: list[tuple[int, str, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The host's name."""
        return self.config.name

    @property
    def info(self) -> Info:
        """How it is, for those who look at the host."""
        about, started = self.about, self.started
        port = about.port if about is not None else started.port if started is not None else 0
        version = about.version if about is not None else started.version if started is not None else ""
        return Info(self.state, self.reason, port, version, about.survives if about is not None else "", self.lost)
