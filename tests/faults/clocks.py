"""A time of day that a test sets: every daemon of a cluster sees another one from one moment to the next.

libfaketime plays it; what counts seconds steadily is left alone, as on a real machine. Certificates are valid from a
day before they are made, and for 60 days.
"""

from __future__ import annotations

import glob
import os

from tests.support.cluster import Cluster

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")


def lacking() -> str:
    """Return what is not here to fake a clock with."""
    return "" if LIBRARY else "needs the Debian package libfaketime"


class FakedClocks:
    """The clock that the daemons of *cluster* see from their start on."""

    def __init__(self, cluster: Cluster) -> None:
        self._file = os.path.join(cluster.folder, "clock")
        self.set("+0")
        cluster.more = {
            "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": self._file, "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1",
        }  # fmt: skip

    def set(self, offset: str) -> None:
        """Set it to the true time and *offset*, as ``-1h`` or ``+10y``."""
        with open(self._file + ".new", "w", encoding="ascii") as file:
            file.write(offset + "\n")
        os.rename(self._file + ".new", self._file)
