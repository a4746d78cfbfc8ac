"""How the cluster schedules: what stands in ``[scheduling]`` and ``[licenses]`` of ``ComputerCluster.config``."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

DAY = 86400.0


class Scheduling(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the scheduler; times in seconds.

    *half_life* is when what somebody used counts half, *age_weight* how many seconds of waiting outweigh the whole
    range of the fair share, *reservations* how many blocked classes of jobs have a host kept for them, *default_time*
    the wall time of a job that asks for none (0: without limit), *processes* the most a job's tree may have that asks
    for no other number, *archive_months* how many whole months of ended jobs stay in the store beside the present one
    (0: all), *licenses* how many of each named thing the cluster as a whole has.
    """

    half_life: float = 7 * DAY
    age_weight: float = DAY
    reservations: int = 8
    default_time: float = 0.0
    processes: int = 4096
    archive_months: int = 3
    licenses: Mapping[str, int] = {}


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes the letters to owners of jobs: what stands in ``[mail]``. *sender* is the address they come from; empty
    is the dispatcher's account on its machine."""

    host: str = "localhost"
    port: int = 25
    sender: str = ""
