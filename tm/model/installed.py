"""Where TaskManager is on a host, and the command that starts one of its programs there.

The law: what a configuration, which the dispatcher may write, says about paths can choose between programs that are
trusted already, and never make one so. On the host a program is only started when it, its Python and every folder
above them belong to the account itself, to root, or to who owns the installation that asks, and nobody else can write
there. Their names must be those of a Python and of ours, so that nothing else of the account's is run by them.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tm.errors import ConfigError

ONE_FILE = re.compile(r"tm[A-Za-z0-9_.+-]{0,120}\.pyz\Z")
PYTHON = re.compile(r"python(?:3(?:\.\d{1,3})?)?\Z")
_PIECE = 900
_DECODE = 'eval "$(printf %s "$@" | base64 -d)"'
_PATH = re.compile(r"(?:/|~/)[^\x00-\x1f\x7f\"\\$%]*\Z")

SCRIPT = r"""
say() { echo "$1" >&2; exit 78; }
full() { case $1 in "~/"*) echo "$HOME/${1#??}";; /*) echo "$1";; *) command -v "$1";; esac; }
trusted() {
  for p in "$1" "$(readlink -f -- "$1")"; do
    while :; do
      s=$(stat -Lc '%u %U %a' -- "$p" 2>/dev/null) || say "$p: is not there"
      set -- $s
      [ "$1" = 0 ] || [ "$1" = "$(id -u)" ] || [ "$2" = "$owner" ] ||
        say "$p: belongs to $2; what is started must belong to $(id -un) or root${owner:+ or $owner}"
      [ $((0$3 & 022)) -eq 0 ] || { [ -d "$p" ] && [ $((0$3 & 01000)) -ne 0 ]; } ||
        say "$p: others may write it; say 'chmod go-w $p' there"
      [ "$p" != / ] || break
      p=$(dirname -- "$p")
    done
  done
}
owner=$1 pythons=$2 program=$(full "$3")
shift 3
if [ ! -e "$program" ]; then
  case $program in *.pyz) say "$program: is not there; 'tm hosts add HOST --program FILE' copies it";; esac
  say "$program: is not there"
fi
python= IFS='
'
for one in $pythons; do
  one=$(full "$one") && [ -x "$one" ] && python=$one && break
done
unset IFS
[ "$python" ] || say "no Python is there: $(echo $pythons)"
trusted "$python"; trusted "$program"
[ -e "$TM_ETC/TaskDispatcher.info" ] || unset TM_ETC
[ -d "$TM_USER_DIRECTORY" ] || unset TM_USER_DIRECTORY
TM_PYTHON=$python; export TM_PYTHON
exec "$python" "$program" "$@"
"""
"""What `sh` does on the host: *owner*, *pythons* (a line each), *program*, then the program's arguments."""


class Paths(NamedTuple):
    """What the configuration of a host says: its Python, the folder of the installation, or the one-file program."""

    python: str = ""
    root: str = ""
    program: str = ""


class Own(NamedTuple):
    """The installation that asks: its *python*, its *script* for the program, the account that *owner* names (or "").

    *version* is that of its Python, like ``3.11``; *one_file* the one-file program that it runs from, if it does.
    """

    python: str
    script: str
    owner: str
    version: str
    one_file: str = ""


def check(paths: Paths) -> None:
    """Raise `ConfigError` ``config.host`` for paths that no installation of ours has."""
    complaints = []
    if paths.python and not (
        PYTHON.match(paths.python.rpartition("/")[2]) and ("/" not in paths.python or _PATH.match(paths.python))
    ):
        complaints.append(f"python = {paths.python!r}: expected a Python, like python3.11 or ~/venv/bin/python")
    if paths.root and not _PATH.match(paths.root):
        complaints.append(f"root = {paths.root!r}: expected a path that begins with '/' or '~/'")
    if paths.program and not (_PATH.match(paths.program) and ONE_FILE.match(paths.program.rpartition("/")[2])):
        complaints.append(f"program = {paths.program!r}: expected a one-file program, like ~/.taskManager/bin/tm.pyz")
    if complaints:
        raise ConfigError(complaints, "config.host")


def start_command(
    paths: Paths, own: Own, name: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """Return what starts our program *name* on a host; raise `ConfigError` as `check` does.

    Where *paths* says nothing that is what *own* is: the same paths must be there. *variables* are added to its
    environment.
    """
    check(paths)
    if not any(paths):
        program = [own.one_file, name] if own.one_file else [own.script]
        return [*_env(variables), own.python, *program, *arguments]
    pythons = [paths.python] if paths.python else _pythons(paths, own)
    program = [paths.program or f"{paths.root}/bin/{name}" if paths.program or paths.root else own.script]
    if paths.program:
        program.append(name)
    handed = {key: value for key, value in variables.items() if key != "TM_PYTHON"}
    return [*_env(handed), *shell_command(SCRIPT, own.owner, "\n".join(pythons), *program, *arguments)]


def shell_command(script: str, *words: str) -> list[str]:
    """Return what has `sh` run *script* with *words*, in words that every login shell passes on as they are.

    A csh takes no line ends, no ``!`` and no long words, so script and words are sent as short pieces of base64.
    """
    text = base64.b64encode(f"set -- {shlex.join(words)}\n{script}".encode()).decode()
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    return ["sh", "-c", _DECODE, "sh", *pieces]


def _pythons(paths: Paths, own: Own) -> list[str]:
    named = [f"python{own.version}", "python3"]
    return [own.python, *named] if paths.program else [f"{paths.root}/.venv/bin/python", own.python, *named]


def _env(variables: Mapping[str, str]) -> list[str]:
    return ["env", *(f"{key}={value}" for key, value in variables.items())] if variables else []
