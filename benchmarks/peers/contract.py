"""What a scheduler must be able to do to be measured: the same questions to each, ours among them.

None as an answer says that it has no such thing. A peer leaves by `SystemExit` with a text when what it was asked did
not come out: an ending that is missing, an exit code that is not 0.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Crash(NamedTuple):
    """What a ``kill -9`` of the server in the middle of jobs came to.

    *lost* jobs were accepted and never ran, *doubled* ones ran more than once; *next_start* is the seconds from the
    restart to the next job that starts, None where none does; *disturbed* are those that ran then and did not end by
    themselves.
    """

    lost: int
    doubled: int
    next_start: float | None
    disturbed: int
    note: str = ""


class Peer(Protocol):
    """A scheduler; `start` and `stop` may follow one another more than once."""

    name: str
    """With the version that runs: ``Slurm 22.05.8``."""
    ways: tuple[str, ...]
    """Of submission, those it has of ``bulk``, ``array`` and ``singly``."""

    notes: str
    """How it is set up, and what is to be known of its figures."""

    def missing(self) -> str:
        """Return what it needs and does not find, and how to get that; "" when it can start."""

    def start(self, slots: int) -> None:
        """Start a private one with so many slots, in a temporary folder of its own, on free loopback ports."""

    def throughput(self, way: str, jobs: int) -> float:
        """Return the seconds from the first submission of *jobs* times ``true`` to the last ending the server knows.

        All exit codes have been looked at.
        """

    def submit_once(self) -> float | None:
        """Return the seconds of one submission by the client of the command line."""

    def wait_once(self) -> float | None:
        """Return the seconds of one waited-for ``true`` on an idle cluster."""

    def fill(self, waiting: int, array: bool) -> float | None:
        """Submit so many jobs that wait, as an *array* or as single ones; return the seconds."""

    def list_once(self) -> float | None:
        """Return the seconds of its command that lists all waiting jobs."""

    def server_memory(self) -> int | None:
        """Return the resident bytes of its servers together, as they are now."""

    def idle_memory(self) -> int | None:
        """Return the same right after the start, before any job."""

    def crash(self, jobs: int) -> Crash | None:
        """Kill the server with SIGKILL in the middle of so many jobs, start it again, and say what came of them.

        Each job sleeps for 0.05 s and appends its number to a file.
        """

    def stop(self) -> None:
        """End what it started, by process id, and remove its folder."""


@runtime_checkable
class Connected(Protocol):
    """A peer to which a connection can be kept open."""

    def accept_once(self) -> float:
        """Return the seconds of one submission over the open connection, until it is accepted."""
