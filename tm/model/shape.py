"""What kind of command a command is: the name of the family of jobs it belongs to.

``/opt/bin/sim --seed 17 run4.dat`` and ``sim --seed=3 run12.dat`` are of one kind: the same program with the same
options. A job with a name is of the kind of its name; digits do not tell names apart.
"""

from __future__ import annotations

import re
from functools import lru_cache

MOST_READ = 400
MOST_OPTIONS = 8
MOST_LETTERS = 100
_DIGITS = re.compile(r"\d+")
_SEPARATORS = re.compile(r"&&|\|\||[;\n|]")
_PREPARES = frozenset("cd export source . module set ulimit umask echo true mkdir".split())
_SETTING = re.compile(r"[A-Za-z_]\w*=")
_RUNNERS = re.compile(
    r"(python|pypy|perl|ruby|node|julia|Rscript|java|bash|sh|zsh|env|nice|time|mpirun|mpiexec|srun)[\d.#]*\Z"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{1,19}\Z")


@lru_cache(maxsize=1024)
def family_of(user: str, name: str, command: str) -> str:
    """Return the family of the job of *user* with this *name* (where one was given) and *command*."""
    if name:
        return f"{user}/{_DIGITS.sub('#', name[:MOST_LETTERS])}"
    return f"{user}${shape_of(command)}"


def shape_of(command: str) -> str:
    """Return what commands that do alike things have in common with *command*."""
    text = command[:MOST_READ]
    for part in _SEPARATORS.split(text):
        words = [word.strip("'\"") for word in part.split()]
        while words and _SETTING.match(words[0]):
            del words[0]
        if words and words[0] not in _PREPARES:
            return _shape(words)
    return _DIGITS.sub("#", text.strip().partition(" ")[0])[:MOST_LETTERS]


def _shape(words: list[str]) -> str:
    shape = [_plain(words[0])]
    rest = words[1:]
    runner = _RUNNERS.match(shape[0])
    if runner is not None:
        shape[0] = runner[1]
        at = next((at for at, word in enumerate(rest) if not word.startswith("-")), None)
        if at is not None:
            shape.append(_plain(rest[at]))
            rest = rest[at + 1 :]
    if rest and _WORD.match(rest[0]):
        shape.append(rest[0])
    options = [word.partition("=")[0] for word in rest if word.startswith("-") and not word[1:2].isdigit()]
    shape += [_DIGITS.sub("#", option) for option in options[:MOST_OPTIONS]]
    return " ".join(shape)[:MOST_LETTERS]


def _plain(word: str) -> str:
    return _DIGITS.sub("#", word.rpartition("/")[2]) or word[:MOST_LETTERS]
