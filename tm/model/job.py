"""What a job is: what its user asked for (`JobSpec`, signed, never changed) and how it goes (`Job`)."""

from __future__ import annotations

import shlex
from enum import StrEnum

import msgspec

from tm.errors import RefusedError

MOST_CORES = 100_000
MOST_MEMORY = 1 << 62
MOST_PRIORITY = 1000


class Phase(StrEnum):
    """Where a job stands in its life; the words users see, but for `unreachable`, which is a host's affair."""

    HELD = "held"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"


ACTIVE = frozenset({Phase.HELD, Phase.PENDING, Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED})
ON_HOST = frozenset({Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED})
FINAL = frozenset(Phase) - ACTIVE


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a user asked for. Its JSON text is what the user's server signs; *environment* is a SHA-256 in hex.

    *command* is shell text or an argument vector; *memory* bytes (0 = not asked); *interactive* jobs have their
    input and output on a connection and end with it; *requeue* consents to being ended and started anew elsewhere when
    others need the host, and anew when that was restarted.
    """

    user: str
    command: str | list[str]
    cwd: str
    environment: str
    name: str = ""
    umask: int = 0o022
    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    append: bool = False
    cores: int = 1
    memory: int = 0
    priority: int = 0
    hosts: list[str] = []
    interactive: bool = False
    terminal: list[int] = []
    requeue: bool = False

    def complaint(self) -> str:
        """Return what is wrong with the request as a sentence, or an empty string."""
        if not self.command or self.command == [""]:
            return "the command is empty"
        command = self.command if isinstance(self.command, str) else " ".join(self.command)
        for text in (command, self.name, self.cwd, self.stdin, self.stdout, self.stderr):
            if text and "\0" in text:
                return f"there is a NUL character in {text!r:.60}"
        if not 1 <= self.cores <= MOST_CORES:
            return f"cores must be from 1 to {MOST_CORES}, not {self.cores}"
        if not 0 <= self.memory < MOST_MEMORY:
            return f"memory must be from 0 to {MOST_MEMORY - 1} bytes, not {self.memory}"
        if abs(self.priority) > MOST_PRIORITY:
            return f"priority must be from -{MOST_PRIORITY} to {MOST_PRIORITY}, not {self.priority}"
        if not 0 <= self.umask <= 0o777:
            return f"umask must be from 0 to 0777, not {self.umask:o}"
        if not self.cwd.startswith("/"):
            return f"the working directory must be an absolute path, not '{self.cwd}'"
        if self.requeue and self.interactive:
            return "a command that runs now cannot be started anew elsewhere"
        if self.terminal and not (len(self.terminal) == 2 and all(0 <= size < 65536 for size in self.terminal)):
            return f"a terminal has rows and columns, not {self.terminal}"
        return ""

    @property
    def shown_command(self) -> str:
        """The command as one line for people."""
        return self.command if isinstance(self.command, str) else shlex.join(self.command)

    @property
    def shown_name(self) -> str:
        """The job's name, or the program's where none was given."""
        if self.name:
            return self.name
        first = self.command if isinstance(self.command, str) else shlex.join(self.command[:1])
        words = first.split(None, 1)
        return words[0].rpartition("/")[2][:32] if words else ""


_decode_spec = msgspec.json.Decoder(JobSpec).decode


def accepted_spec(text: str) -> JobSpec:
    """Return the request written in *text*, which was accepted before: what is asked of new ones is not asked again."""
    return _decode_spec(text)


def read_spec(text: str) -> JobSpec:
    """Return the request written in *text*; raise `RefusedError` (``job.invalid``) when it is none."""
    try:
        spec = _decode_spec(text)
    except msgspec.MsgspecError as error:
        raise RefusedError("job.invalid", f"the job cannot be read: {error}") from None
    complaint = spec.complaint()
    if complaint:
        raise RefusedError("job.invalid", complaint)
    return spec


class Job(msgspec.Struct):
    """One job and its current attempt. Only the brain changes it. Times are seconds since the epoch.

    *gives_way* says to whom the current attempt has been asked to, *turn* how often it was suspended and resumed.
    """

    id: int
    user: str
    spec: str
    signature: str
    cores: int
    memory: int
    priority: int
    hosts: tuple[str, ...]
    interactive: bool
    environment: str
    submitted_at: float
    phase: Phase = Phase.PENDING
    reason: str = ""
    attempt: int = 0
    host: str | None = None
    spool: str | None = None
    command_number: int = 0
    cancelled_by: str | None = None
    pid: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float | None = None
    max_rss: int | None = None
    gives_way: str | None = None
    requeue: bool = False
    turn: int = 0


def new_job(number: int, text: str, signature: str, at: float) -> tuple[Job, JobSpec]:
    """Return the job number *number* for the signed request *text*, waiting since *at*, and the request."""
    spec = read_spec(text)
    job = Job(
        number, spec.user, text, signature, spec.cores, spec.memory, spec.priority, tuple(spec.hosts),
        spec.interactive, spec.environment, at, requeue=spec.requeue,
    )  # fmt: skip
    return job, spec


def filled(pattern: str, job: int, name: str, host: str, user: str) -> str:
    """Return *pattern* with ``%j %n %h %u %%`` filled in; other letters stay as they are."""
    if "%" not in pattern:
        return pattern
    values = {"j": str(job), "n": name.replace("/", "_"), "h": host, "u": user}
    parts = pattern.split("%")
    out = [parts[0]]
    rest = iter(parts[1:])
    for part in rest:
        if part:
            out.append(values.get(part[0], "%" + part[0]) + part[1:])
        else:
            out.append("%" + next(rest, ""))
    return "".join(out)
