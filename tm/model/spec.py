"""What a user asked for: `JobSpec`, signed by their own server and never changed."""

from __future__ import annotations

import os.path
import re
import shlex

import msgspec

from tm.errors import RefusedError
from tm.model import retry
from tm.model.demand import LAYOUTS, Demand, one_of
from tm.model.dependency import read_dependency
from tm.model.ids import array_of, index_of, read_ranges, shown_id
from tm.model.notify_targets import MOST_TARGETS, target_complaint
from tm.model.shape import family_of

MOST_CORES = 100_000
MOST_MEMORY = 1 << 62
MOST_PRIORITY = 1000
MOST_TIME = 10 * 366 * 86400.0
MOST_RETRIES = 1000
SHARED = "#!"
"""Instead of the text of a script: it stands in the environment under this name, so that the tasks of an array, and all
jobs of a submission, share it on every way and in every store."""
LATEST = 253_402_300_799.0
MOST_LETTERS = {
    "name": 255,
    "account": 255,
    "cwd": 4096,
    "stdin": 4096,
    "stdout": 4096,
    "stderr": 4096,
    "comment": 8192,
}
MOST_ENTRIES = {"hosts": 1000, "exclude": 1000, "consumables": 100, "retry_on": 100, "notify_on": 100}
"""What is shown in lists, and what is compared with every host, is not of any length."""
NOTIFY_EVENTS = ("begin", "end", "fail", "requeue", "time_limit", "waiting", "first_fail", "all")
_CONSUMABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
_SIGNAL = re.compile(r"(B:)?[A-Z][A-Z0-9]{1,9}\Z")


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a user asked for. Its JSON text is what the user's server signs; *environment* is a SHA-256 in hex.

    *command* is shell text or an argument vector; where there is a *script*, its text is what runs (`SHARED`: the one
    in its environment) and *command* its name and arguments. *interactive* jobs have their input and output on a
    connection and end with it, unless they *detach*; *requeue* consents to being ended and started anew elsewhere when
    others need the host, and anew when that was restarted.

    What a job needs and where it may run: `Demand`. *array* names the indices of tasks (``0-99:2``), *array_cap* how
    many of them run at once (0: any). *dependency* is written like ``afterok:17,afterany:18``
    (`tm.model.dependency`). *begin* and *deadline* are seconds since the epoch, 0 for none: not before, and in vain
    after. *warn_signal* (``B:USR1``: to the first process alone) is sent *warn_seconds* before the wall time is over.
    *processes* and *output_limit* (bytes) bound the job's tree and each of its output files, 0: as the host does.

    An ending of which *retry_on* speaks is followed by another attempt, *retries* times at most, after *retry_delay*
    seconds, with *retry_memory* times the memory after one for lack of it. *notify* are addresses that hear of
    *notify_on*; *notify_after* is how many seconds of waiting are told. *account* is the group it counts for.
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
    gpus: int = 0
    time: float = 0.0
    exclude: list[str] = []
    constraint: str = ""
    prefer: str = ""
    exclusive: bool = False
    layout: str = ""
    consumables: dict[str, int] = {}
    scavenge: bool = False
    array: str = ""
    array_cap: int = 0
    dependency: str = ""
    begin: float = 0.0
    deadline: float = 0.0
    hold: bool = False
    warn_signal: str = ""
    warn_seconds: float = 60.0
    processes: int = 0
    output_limit: int = 0
    script: str = ""
    detach: bool = False
    beside: str = ""
    bundle: bool = False
    retries: int = 0
    retry_on: list[str] = []
    retry_delay: float = 0.0
    retry_memory: float = 1.0
    notify: list[str] = []
    notify_on: list[str] = []
    notify_after: float = 0.0
    comment: str = ""
    account: str = ""

    def complaint(self) -> str:
        """Return what is wrong with the request as a sentence, or an empty string."""
        parts = (self._unfit_size, self._unfit_text, self._unfit_demand, self._unfit_times, self._unfit_rules)
        return next(filter(None, (part() for part in parts)), "")

    def _unfit_size(self) -> str:
        for field, most in MOST_LETTERS.items():
            if len(getattr(self, field) or "") > most:
                return f"its {field} may have {most:,} characters"
        for field, most in MOST_ENTRIES.items():
            if len(getattr(self, field)) > most:
                return f"its {field} may have {most:,} entries"
        return ""

    def _unfit_text(self) -> str:
        if not self.command or self.command == [""]:
            return "the command is empty"
        command = self.command if isinstance(self.command, str) else " ".join(self.command)
        texts = (command, self.name, self.cwd, self.stdin, self.stdout, self.stderr, self.script, self.comment)
        for text in texts:
            if text and "\0" in text:
                return f"there is a NUL character in {text!r:.60}"
        if not self.cwd.startswith("/"):
            return f"the working directory must be an absolute path, not '{self.cwd}'"
        if self.script and isinstance(self.command, str):
            return "a script is run with an argument vector, the name it is to have first"
        if not 0 <= self.umask <= 0o777:
            return f"umask must be from 0 to 0777, not {self.umask:o}"
        return ""

    def _unfit_demand(self) -> str:
        if not 1 <= self.cores <= MOST_CORES:
            return f"cores must be from 1 to {MOST_CORES}, not {self.cores}"
        if not 0 <= self.memory < MOST_MEMORY:
            return f"memory must be from 0 to {MOST_MEMORY - 1} bytes, not {self.memory}"
        if abs(self.priority) > MOST_PRIORITY:
            return f"priority must be from -{MOST_PRIORITY} to {MOST_PRIORITY}, not {self.priority}"
        if not 0 <= self.gpus <= MOST_CORES:
            return f"gpus must be from 0 to {MOST_CORES}, not {self.gpus}"
        if self.layout not in LAYOUTS:
            return f"the layout must be spread or pack, not '{self.layout:.40}'"
        for name, count in self.consumables.items():
            if not _CONSUMABLE.match(name) or not 0 < count <= MOST_CORES:
                return f"consumables are written NAME:COUNT, e.g. matlab:2, not '{name:.40}:{count}'"
        if not (0 <= self.processes < MOST_MEMORY and 0 <= self.output_limit < MOST_MEMORY):
            return "the limits of processes and output must be 0 (none of its own) or more"
        return ""

    def _unfit_times(self) -> str:
        if not 0 <= self.time <= MOST_TIME:
            return f"the wall time must be from 0 to {MOST_TIME:.0f} seconds, not {self.time:g}"
        if not (0 <= self.begin <= LATEST and 0 <= self.deadline <= LATEST):
            return "the times before which and after which it must not begin are seconds since the epoch"
        if self.deadline and self.begin + self.time > self.deadline:
            return "it cannot be done by its deadline: it may not begin early enough"
        if self.warn_signal and not _SIGNAL.match(self.warn_signal):
            return f"the warning signal must be a name like USR1, not '{self.warn_signal:.20}'"
        if not 0 <= self.warn_seconds <= MOST_TIME:
            return "the warning comes 0 or more seconds before the end"
        if not (0 <= self.retry_delay <= MOST_TIME and 0 <= self.notify_after <= MOST_TIME):
            return f"a time to wait must be from 0 to {MOST_TIME:.0f} seconds"
        return ""

    def _unfit_rules(self) -> str:
        if self.requeue and self.interactive:
            return "a command that runs now cannot be started anew elsewhere"
        if self.terminal and not (len(self.terminal) == 2 and all(0 <= size < 65536 for size in self.terminal)):
            return f"a terminal has rows and columns, not {self.terminal}"
        if self.array_cap < 0 or (self.array_cap and not self.array):
            return "only an array has a number of tasks that may run at once"
        if self.bundle and not self.array:
            return "only the outputs of an array are bundled"
        if self.array:
            if self.interactive:
                return "a command that runs now cannot be an array"
            try:
                read_ranges(self.array)
            except ValueError as error:
                return str(error)
        if not 0 <= self.retries <= MOST_RETRIES or not 1.0 <= self.retry_memory <= 100.0:
            return f"retries must be from 0 to {MOST_RETRIES}, the factor of memory from 1 to 100"
        if self.interactive and (self.retries or self.dependency or self.begin or self.hold):
            return "a command that runs now cannot wait for others, for a time, or be tried again"
        try:
            read_dependency(self.dependency)
        except ValueError as error:
            return str(error)
        for cause in self.retry_on:
            complaint = retry.complaint(cause)
            if complaint:
                return complaint
        if len(self.notify) > MOST_TARGETS:
            return f"at most {MOST_TARGETS} addresses can be told of a job"
        for target in self.notify:
            if target_complaint(target):
                return target_complaint(target)
        for event in self.notify_on:
            if event not in NOTIFY_EVENTS:
                return f"notices are for {', '.join(NOTIFY_EVENTS)}, not '{event:.40}'"
        return ""

    def demand(self) -> Demand:
        """Return what it asks of a host."""
        return one_of(
            Demand(
                self.cores, self.memory, self.gpus, self.time, tuple(self.hosts), tuple(self.exclude), self.constraint,
                self.prefer, self.exclusive, self.layout, tuple(sorted(self.consumables.items())), self.scavenge,
            )
        )  # fmt: skip

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

    @property
    def family(self) -> str:
        """The kind of job it is, whose run times and memory are alike."""
        return family_of(self.user, self.name, self.shown_command)


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


def filled(pattern: str, job: int, name: str, host: str, user: str) -> str:
    """Return *pattern* with ``%j %A %a %n %x %h %N %u %%`` filled in; other letters stay as they are.

    ``%j`` is the job as it is shown (``17``, ``17_4``), ``%A`` its array (or itself), ``%a`` the index of the task;
    ``%x`` and ``%N`` are other people's letters for ``%n`` and ``%h``.
    """
    if "%" not in pattern:
        return pattern
    shown, index = str(shown_id(job)), index_of(job)
    plain = name.replace("/", "_")
    values = {
        "j": shown, "A": str(array_of(job)), "a": "" if index is None else str(index), "n": plain, "x": plain,
        "h": host, "N": host, "u": user,
    }  # fmt: skip
    parts = pattern.split("%")
    out = [parts[0]]
    rest = iter(parts[1:])
    for part in rest:
        if part:
            out.append(values.get(part[0], "%" + part[0]) + part[1:])
        else:
            out.append("%" + next(rest, ""))
    return "".join(out)


def bundle_path(spec: JobSpec, array: int) -> str:
    """Return the file into which the outputs of the tasks of *array* go."""
    pattern = spec.stdout or f"tm-{array}.bundle"
    return os.path.normpath(os.path.join(spec.cwd, filled(pattern, array, spec.shown_name, "", spec.user)))


def output_paths(spec: JobSpec, job: int, host: str | None) -> tuple[str | None, str | None]:
    """Return the files to which *job* writes stdout and stderr: names are filled in once its *host* is known."""
    if spec.bundle:
        path = bundle_path(spec, array_of(job))
        return path, path

    def path_of(pattern: str | None) -> str | None:
        if pattern is None:
            return None
        name = pattern if host is None else filled(pattern, job, spec.shown_name, host, spec.user)
        return os.path.normpath(os.path.join(spec.cwd, name))

    return path_of(spec.stdout), path_of(spec.stderr or spec.stdout)
