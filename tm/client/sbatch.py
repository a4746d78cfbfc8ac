"""Lines ``#SBATCH`` of scripts: what they mean here, and what of them means nothing here.

Their letters are sbatch's, not ours. A job runs on one host: ``--ntasks N`` with ``--cpus-per-task M`` asks for N*M
cores of it.
"""

from __future__ import annotations

import re

from tm.client.choices import SUBMISSION
from tm.client.options import ATTACHED, FLAG, Option, Options, Reader
from tm.client.program import UsageError
from tm.model import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LETTERS = {
    "name": "-J", "cores": "-c", "gpus": "-G", "licenses": "-L", "time": "-t", "constraint": "-C", "host": "-w",
    "exclude": "-x", "account": "-A", "array": "-a", "dependency": "-d", "begin": "-b", "hold": "-H", "chdir": "-D",
    "output": "-o", "error": "-e", "input": "-i", "wait": "-W", "licences": "-L",
}  # fmt: skip
_OURS = {
    "mem", "mem_per_cpu", "gres", "signal", "prefer", "nice", "deadline", "requeue", "mail_type",
    "comment", "open_mode", "export",
}  # fmt: skip
_VALUED = """-p --partition -q --qos -M --clusters --cluster --clusters-constraint --acctg-freq --batch --bb --bbf
--cluster-constraint --container --container-id --core-spec -S --cores-per-socket --cpu-freq --delay-boot
-m --distribution --export-file -F --nodefile --get-user-env --gid --gpu-bind --gpu-freq
--gpus-per-socket --hint -B --extra-node-info --extra --ignore-pbs --kill-on-invalid-dep --mcs-label
--mem-bind --mincpus --network --ntasks-per-core --ntasks-per-gpu --ntasks-per-socket --power --priority
--profile --propagate --reservation --resv-ports --segment --sockets-per-node --spank --switches
--thread-spec --threads-per-core --time-min --tmp --tres-per-task --tres-bind --uid --wait-all-nodes
--wckey -I --mem-per-gpu --cpus-per-gpu --stepmgr --oom-kill-step""".split()
_ALONE = """-k --no-kill --contiguous --overcommit -O --oversubscribe -s --reboot --use-min-nodes --parsable --quiet
-Q --verbose -v --wait-all --test-only --exact --spread-job --no-bell --external-launcher""".split()

_ALSO = [
    Option("-N --nodes", "nodes"),
    Option("--mail-user", "mailed"),
    Option("-n --ntasks", "ntasks", read=values.read_count(1, 100_000, "tasks")),
    Option("--ntasks-per-node", "ntasks_per_node", read=values.read_count(1, 100_000, "tasks")),
    Option("--gpus-per-task", "gpus_per_task", read=values.read_count(0, 100_000, "gpus")),
    Option("--mem-per-node", "mem", read=values.read_size),
    Option("--exclusive", "exclusive_of", ATTACHED),
]


def _table() -> list[Option]:
    found = []
    for option in SUBMISSION:
        names = [name for name in option.names if name.startswith("--")]
        letter = _LETTERS.get(option.dest)
        if letter or option.dest in _OURS:
            names += [letter] if letter else []
            found.append(Option(" ".join(names), option.dest, option.kind, option.read, option.alone))
    ignored = [Option(name, "ignored " + name) for name in _VALUED]
    return [*_ALSO, *found, *ignored, *(Option(name, "ignored " + name, FLAG) for name in _ALONE)]


def foreign(name: str) -> str:
    """Return what to say of an option that is sbatch's and unknown here, else an empty text."""
    if name.startswith("--") and name in (*_VALUED, *_ALONE, "--nodes", "--ntasks", "--ntasks-per-node"):
        return f"{name} is an option of sbatch that has no meaning here; docs/jobs.md has the table of those that have"
    return ""


class _Lines(Reader):
    """Reads lines ``#SBATCH``, and puts options that not even we know of to those that are *ignored*."""

    def __init__(self, table: list[Option], ignored: list[str]) -> None:
        super().__init__(table)
        self._ignored = ignored

    def strange(self, name: str, argv: list[str], at: int) -> int:
        """Note the option, and what looks like its value, and go on behind it."""
        self._ignored.append(argv[at])
        at += 1
        return at + (at < len(argv) and "=" not in argv[at - 1] and not argv[at].startswith("-"))


def read_lines(lines: Iterable[tuple[int, list[str]]], path: str) -> tuple[Options, list[str]]:
    """Return what the *lines* (number, words) ask for, and in words what of them is ignored.

    Raises `UsageError` with *path* and line for a value that cannot be read.
    """
    table = _table()
    found = Options(table)
    ignored: list[str] = []
    reader = _Lines(table, ignored)
    for number, words in lines:
        try:
            later, rest, _ = reader.read(_without_types(words, ignored))
        except UsageError as error:
            raise UsageError(f"{path}:{number}: {error.text}") from None
        ignored += rest[:1]
        later.under(found)
        found = later
    ignored += [_shown(found, dest) for dest in found.given if dest.startswith("ignored ")]
    _translate(found, ignored, path)
    return found, list(dict.fromkeys(ignored))


def _shown(found: Options, dest: str) -> str:
    value = getattr(found, dest)
    return found.given[dest] + ("" if value is True else f"={value}")


_OF_GPUS = {"--gres": 3, "--gpus": 2, "-G": 2, "--gpus-per-node": 2, "--gpus-per-task": 2}
"""How many parts between colons what they take has where a kind is among them."""


def _without_types(words: list[str], ignored: list[str]) -> list[str]:
    """Return *words* without kinds of gpus, which are said by ``--constraint`` here, and note that they are."""
    out: list[str] = []
    for word in words:
        before = out.pop() + "=" if out and out[-1] in _OF_GPUS else ""
        name, equals, value = (before + word).partition("=")
        parts = value.split(":")
        if equals and name in _OF_GPUS and len(parts) == _OF_GPUS[name] and "," not in value:
            ignored.append(f"the kind '{parts[-2]}' in {name}={value}")
            value = ":".join([*parts[:-2], parts[-1]])
        out.append(name + equals + value)
    return out


def _translate(found: Options, ignored: list[str], path: str) -> None:
    """Let what several options say together be what we know: cores of one host."""
    nodes = str(found.nodes or "1")
    if nodes not in ("1", "1-1"):
        ignored.append(f"{found.given['nodes']}={nodes} (a job runs on one host)")
    if found.mailed is not None:
        if re.match(r"[A-Za-z_][\w.-]*\Z", found.mailed):
            ignored.append(f"--mail-user={found.mailed} (no address)")
        else:
            try:
                found.put("mail_user", values.read_addresses(found.mailed), "--mail-user")
            except ValueError as error:
                raise UsageError(f"{path}: --mail-user: {error}") from None
    tasks = found.ntasks or found.ntasks_per_node or 1
    if tasks > 1:
        found.put("cores", tasks * (found.cores or 1), "--ntasks")
    if found.gpus_per_task:
        found.put("gpus", tasks * found.gpus_per_task, "--gpus-per-task")
    if found.exclusive_of:
        found.put("exclusive", True, "--exclusive")
        if found.exclusive_of is not True:
            ignored.append(f"the value of --exclusive={found.exclusive_of}")
