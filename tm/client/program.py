"""The frame around every client: one sentence for each failure, the documented exit status, a quiet end on a
closed pipe."""

from __future__ import annotations

import os
import sys

import tm
from tm.errors import EXIT_INTERNAL, EXIT_USAGE, TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_INTERRUPTED = 130
EXIT_PIPE = 141


class UsageError(TaskManagerError):
    """The command line is wrong."""

    def __init__(self, text: str) -> None:
        super().__init__("usage.wrong", text)

    @property
    def exit_status(self) -> int:
        """The exit status for wrong usage."""
        return EXIT_USAGE


class Manner:
    """How a client speaks: *json* one object a line, *quiet* ids alone; ``TM_OUTPUT`` is the default."""

    __slots__ = ("json", "name", "quiet")

    def __init__(self, name: str) -> None:
        self.name = name
        wanted = os.environ.get("TM_OUTPUT", "")
        self.json = wanted == "json"
        self.quiet = wanted == "quiet"

    def choose(self, json: bool, quiet: bool) -> None:
        """Take over what the options say; one that was given wins over the environment."""
        if json or quiet:
            self.json = json
            self.quiet = quiet and not json

    def say(self, text: str) -> None:
        """Tell the person at the terminal *text*, on stderr."""
        sys.stderr.write(f"{self.name}: {text}\n")
        sys.stderr.flush()


def version_line(name: str) -> str:
    """Return what ``--version`` prints."""
    return f"{name} {tm.__version__} protocol={tm.PROTOCOL}"


def run(name: str, body: Callable[[list[str], Manner], int], argv: Sequence[str] | None) -> int:
    """Run *body* with the arguments and return the exit status of the process."""
    _open_standard()
    manner = Manner(name)
    try:
        return _guarded(manner, body, list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        _abandon_output()
        return EXIT_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        manner.say(f"{where}{error.strerror or error}")
        _abandon_output()
        return EXIT_INTERNAL


def _guarded(manner: Manner, body: Callable[[list[str], Manner], int], arguments: list[str]) -> int:
    try:
        status = body(arguments, manner)
        sys.stdout.flush()
        return status
    except UsageError as error:
        manner.json = manner.json or "--json" in arguments
        return _complain(manner, error, f"{error.text}; '{manner.name} --help' shows how it is used")
    except TaskManagerError as error:
        return _complain(manner, error, error.text)


def _abandon_output() -> None:
    """Throw away what stdout would not take, or Python tries again when it ends, and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard() -> None:
    """See that descriptors 0 to 2 are open, lest a connection becomes one, and that all can be printed."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  open as long as the program runs
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  open as long as the program runs
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  open as long as the program runs
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and sys.stdout.errors == "strict":
        reconfigure(errors="backslashreplace")


def _complain(manner: Manner, error: TaskManagerError, text: str) -> int:
    if manner.json:
        import json

        print(json.dumps({"error": {"code": error.word, "message": text}}, ensure_ascii=False))
        sys.stdout.flush()
    manner.say(text)
    return error.exit_status
