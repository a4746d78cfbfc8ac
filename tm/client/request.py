"""What a command line asks to be submitted: a command, a script, many commands, or one for many values."""

from __future__ import annotations

import os

from tm.client.jobspec import make_common
from tm.client.program import UsageError
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tm.client.options import Options

    Command = str | list[str]

MOST_TEXT = 1_020_000
"""Bytes that a job and its environment may take in one line between servers, where quotes are written twice."""


class Request:
    """The *commands* to submit, and what all of them have in *common*; *tasks* each has that is an array, else 0.

    *texts* returns what the first tasks run where that is not the command.
    """

    def __init__(self, commands: list[Command], common: dict[str, Any]) -> None:
        self.commands = commands
        self.common = common
        self.tasks = 0
        self.texts: Callable[[int], list[str]] | None = None
        if "array" in common:
            from tm.model.ids import read_ranges

            self.tasks = sum(map(len, read_ranges(common["array"])))

    def shown(self, most: int) -> list[str]:
        """Return the first *most* commands as people write them."""
        import shlex

        words = self.texts(most) if self.texts is not None else self.commands[:most]
        return [" ".join(map(shlex.quote, word)) if isinstance(word, list) else word for word in words]


def make_request(options: Options, words: list[str], verbatim: bool, say: Callable[[str], None]) -> Request:
    """Return what *options* and the *words* behind them ask for; *say* hears what of a script is ignored.

    *verbatim*: the words stood behind ``--``. Raises `UsageError`, `TaskManagerError`.
    """
    request = _made(options, words, verbatim, say)
    if request.common.get("notify_on") and not request.common.get("notify"):
        say("nobody will be told of it: --mail-user ADDRESS says whom")
    return request


def _made(options: Options, words: list[str], verbatim: bool, say: Callable[[str], None]) -> Request:
    ways = {"--wrap": options.wrap is not None, "--from": options.source is not None}
    ways["--map"] = options.map is not None or options.map_file is not None
    used = [name for name, given in ways.items() if given]
    if len(used) > 1:
        raise UsageError(f"{' and '.join(used)} exclude each other")
    if used == ["--map"]:
        return _mapped(options, words)
    if used and words:
        raise UsageError(f"{used[0]} takes no command")
    if options.wrap is not None:
        return Request([options.wrap], make_common(options, os.environ))
    if options.source is not None:
        return _listed(options)
    if not words:
        raise UsageError("name a command, or a file of commands with --from")
    if not verbatim:
        from tm.client.script import script_of

        script = script_of(words)
        if script is not None:
            options.under(script.directives(say))
            common = make_common(options, os.environ)
            if script.travels:
                common.setdefault("name", script.name)
                common["script"] = script.text
                return Request([[script.name, *words[1:]]], common)
            return Request([words[0] if len(words) == 1 else words], common)
    return Request(
        [words[0] if len(words) == 1 and not verbatim else words], make_common(options, os.environ)
    )


def _listed(options: Options) -> Request:
    commands: list[Command] = list(read_commands(options.source))
    if not commands:
        raise TaskManagerError("job.invalid", f"there is no command in {options.source}")
    return Request(commands, make_common(options, os.environ))


def _mapped(options: Options, words: list[str]) -> Request:
    from tm.client.mapping import Map, read_sources

    if options.array is not None:
        raise UsageError(
            "--map makes the array itself, one task for each value; how many run at once says --cap N"
        )
    marks = [at for at, word in enumerate(words) if word in (":::", "::::", ":::+", "::::+")]
    first = marks[0] if marks else len(words)
    template: Command = words[0] if first == 1 else words[:first]
    if options.map is not None:
        if first:
            raise UsageError("the command stands behind --map as one word, and then ::: with values")
        template = options.map
    if not template:
        raise UsageError("name the command of --map-file, e.g. hRunJob --map-file names.txt 'gzip {}'")
    made = Map(
        template, read_sources(words[first:], [options.map_file] if options.map_file is not None else [])
    )
    common = make_common(options, os.environ)
    common.setdefault("name", made.name)
    common.update(array=made.array, script=made.script())
    if options.cap:
        common["array_cap"] = options.cap
    if _cost(common) > MOST_TEXT:
        raise TaskManagerError(
            "limit.line",
            f"{made.count:,} values of this length do not fit into one job ({_cost(common):,} bytes, at most"
            f" {MOST_TEXT:,}): submit them in parts, or let the command read line $TM_ARRAY_TASK_ID of a file itself",
        )
    request = Request([[made.shown]], common)
    request.texts = made.commands
    return request


def _cost(common: dict[str, Any]) -> int:
    from tm.client.submit import encode_json

    script, environment = encode_json(common["script"]), encode_json(common["environment"])
    marks = (b'"', b"\\")
    return sum(len(text) + sum(map(text.count, marks)) for text in (script, environment)) + 8192


def read_commands(source: str) -> Iterator[str]:
    """Yield the commands, a line each, in the file *source* (``-``: stdin); raise `TaskManagerError`."""
    try:
        with open(0 if source == "-" else source, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode().strip("\r\n")
                except UnicodeDecodeError as error:
                    raise TaskManagerError(
                        "job.invalid", f"{source}:{number}: byte {error.start + 1} of the line is not UTF-8"
                    ) from None
                if text.strip() and not text.lstrip().startswith("#"):
                    yield text
    except OSError as error:
        raise TaskManagerError("job.invalid", f"{source}: cannot be read: {error.strerror}") from None
