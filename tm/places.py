"""Where things are: the installation, its ``etc``, the user's own folder, the local folder of the daemons.

Standard library only; clients and servers share it. ``etc/TaskDispatcher.info`` holds ``key = value`` lines:
``cluster`` ``host`` ``port``, and where they differ from the defaults ``user_directory`` and ``local_directory``.
"""

from __future__ import annotations

import os
import pwd
import re
import sys

from tm.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")
INFO_KEYS = ("cluster", "host", "port", "user_directory", "local_directory")
"""What may stand in ``TaskDispatcher.info``."""


def valid_name(name: str) -> bool:
    """Whether *name* may name a user, a host or a cluster: ``[A-Za-z0-9_.-]``, 64 at most, no dot or dash in front."""
    return _NAME.match(name) is not None


class Places:
    """The paths of one user of one cluster on this machine; nothing is created here."""

    __slots__ = ("cluster", "etc", "host", "local_directory", "port", "python", "root", "user", "user_directory")

    def __init__(
        self,
        *,
        root: str,
        etc: str,
        cluster: str,
        host: str,
        port: int,
        user: str,
        user_directory: str,
        local_directory: str,
        python: str,
    ) -> None:
        self.root = root
        self.etc = etc
        self.cluster = cluster
        self.host = host
        self.port = port
        self.user = user
        self.user_directory = user_directory
        self.local_directory = local_directory
        self.python = python

    @property
    def key(self) -> str:
        """The user's private key."""
        return os.path.join(self.user_directory, self.user + ".key")

    @property
    def certificate(self) -> str:
        """The user's certificate."""
        return os.path.join(self.user_directory, self.user + ".crt")

    @property
    def trusted(self) -> str:
        """The certificates the user trusts: the dispatcher's and their own."""
        return os.path.join(self.user_directory, f"ca_certs.{self.user}.crt")

    @property
    def address_file(self) -> str:
        """Where the user's server (TMS) says how it is reached, a JSON object."""
        return os.path.join(self.user_directory, f"TMS.{self.cluster}.address")

    @property
    def tms_directory(self) -> str:
        """The local folder of the user's server: lock, ``tms.sock``, ``tms.pid``, ``tms.log``, and ``starts``."""
        return os.path.join(self.local_directory, "tms")

    @property
    def tms_socket(self) -> str:
        """The Unix socket of the user's server, for clients on its machine."""
        return os.path.join(self.tms_directory, "tms.sock")

    def program(self, name: str) -> str:
        """The path of our program *name*, to be run by `python`."""
        return find_program(name, self.root, self.python)

    def spool(self, host: str) -> str:
        """The local folder of the user's server on *host* (TMMS) and its keepers."""
        return os.path.join(self.local_directory, "hosts", host)


def find(environ: Mapping[str, str] = os.environ) -> Places:
    """Return the places of the calling user; raise `ConfigError` when ``TaskDispatcher.info`` is absent or wrong.

    ``TM_ETC``, ``TM_USER``, ``TM_USER_DIRECTORY``, ``TM_LOCAL_DIRECTORY`` and ``TM_PYTHON`` override.
    """
    root = find_root()
    etc = find_etc(environ)
    info = read_info(os.path.join(etc, "TaskDispatcher.info"))
    user = find_user(environ)
    local = environ.get("TM_LOCAL_DIRECTORY") or info.get("local_directory")
    return Places(
        root=root,
        etc=etc,
        cluster=info["cluster"],
        host=info["host"],
        port=int(info["port"]),
        user=user,
        user_directory=find_user_directory(environ, info),
        local_directory=local or f"/var/tmp/taskmanager-{os.getuid()}/{info['cluster']}",
        python=find_python(root, environ),
    )


def find_root() -> str:
    """Return the folder that holds the package ``tm``: the checkout, or where it has been installed."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def is_one_file(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether we run from a one-file program: an archive, or what one has unpacked."""
    return "TM_ONE_FILE" in environ or not os.path.isdir(find_root())


def find_etc(environ: Mapping[str, str] = os.environ) -> str:
    """Return ``TM_ETC``, or the first usual folder with a ``TaskDispatcher.info``, or the checkout's ``etc``.

    A one-file program has no folder of its own: where there is none of these, ``~/.taskManager/etc``.
    """
    beside, own = os.path.join(find_root(), "etc"), os.path.expanduser("~/.taskManager/etc")
    candidates = [own, "/etc/taskmanager"] if is_one_file(environ) else [beside, own, "/etc/taskmanager"]
    found = (etc for etc in candidates if os.path.exists(os.path.join(etc, "TaskDispatcher.info")))
    return environ.get("TM_ETC") or next(found, candidates[0])


def find_user(environ: Mapping[str, str] = os.environ) -> str:
    """Return the name of the calling user in TaskManager: ``TM_USER``, or that of the account."""
    try:
        return environ.get("TM_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def find_user_directory(environ: Mapping[str, str], info: Mapping[str, str]) -> str:
    """Return the folder of the calling user's key and certificates; *info* is what `read_info` gave, or empty."""
    named = environ.get("TM_USER_DIRECTORY") or info.get("user_directory")
    return os.path.expanduser(named or "~/.taskManager")


def find_python(root: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the Python that has the servers' libraries: ``TM_PYTHON``, the checkout's ``.venv``, or this one."""
    beside = os.path.join(root, ".venv", "bin", "python")
    return environ.get("TM_PYTHON") or (beside if os.path.exists(beside) else sys.executable)


def find_program(name: str, root: str, python: str) -> str:
    """Return the path of our program *name*: the checkout's ``bin/NAME``, else what pip put beside *python*.

    Where neither is, e.g. after ``pip install --user``, it is beside the program that runs, or in
    ``~/.taskManager/bin``.
    """
    beside = os.path.join(os.path.dirname(python), name)
    ours = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), name)
    own = os.path.join(os.path.expanduser("~/.taskManager/bin"), name)
    candidates = (os.path.join(root, "bin", name), beside, ours, own)
    return next((path for path in candidates if os.path.exists(path)), beside)


def read_info(path: str) -> dict[str, str]:
    """Return the values of ``TaskDispatcher.info``; raise `ConfigError` with file and line."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
    except OSError as error:
        raise ConfigError(
            [
                f"{path}: {error.strerror}; it says where the TaskDispatcher is:"
                " 'tm setup' writes it, TM_ETC names its folder"
            ],
            "config.missing",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: expected UTF-8 text"]) from None
    return info_of(path, lines)


def info_of(path: str, lines: Sequence[str]) -> dict[str, str]:
    """Return the values that the *lines* of ``TaskDispatcher.info`` give; raise `ConfigError` with file and line."""
    values: dict[str, str] = {}
    complaints = []
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or key not in INFO_KEYS:
            complaints.append(f"{path}:{number}: expected 'key = value' with a key of {', '.join(sorted(INFO_KEYS))}")
        values[key] = value
    for key in ("cluster", "host", "port"):
        if key not in values:
            complaints.append(f"{path}: no line '{key} = …'")
    if not complaints and not (values["port"].isdigit() and 0 < int(values["port"]) < 65536):
        complaints.append(f"{path}: port must be a number from 1 to 65535, not '{values['port']}'")
    if not complaints and not valid_name(values["cluster"]):
        complaints.append(f"{path}: cluster must be a name of letters, digits, '_', '.' and '-'")
    if complaints:
        raise ConfigError(complaints)
    return values
