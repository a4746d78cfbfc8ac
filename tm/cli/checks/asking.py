"""Asking hosts, all at once: the probe by each host's own launcher, and copying the one-file program there.

What is asked is what a user's server will do: the same ssh, the same command that starts a server there.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from tm.cli.checks.judging import Finding, Place, judge, judge_failure
from tm.edge.own_installation import HANDED_DOWN, own_installation
from tm.errors import LaunchError, TaskManagerError
from tm.model.installed import Paths, shell_command, start_command
from tm.places import Places
from tm.ports import Target

BOUND, AT_ONCE = 40.0, 16
COPY_SECONDS = 300.0
MARK = "TMPROBE "
SERVER = "TMMS"
PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "~/venv/bin/python", "~/.venv/bin/python")
FIND = r"""
probe=$1 asked=$2; shift 2
for p; do
  case $p in "~/"*) p=$HOME/${p#??};; esac
  p=$(command -v "$p") && "$p" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null &&
    exec "$p" -I -c "$probe" "$asked"
done
echo "TMPROBE {\"python\": null, \"system\": \"$(uname -srm)\"}"
"""
RECEIVE = r"""
umask 077
name=$1 sum=$2 dir=$HOME/.taskManager/bin
is() { [ "$(sha256sum < "$1")" = "$sum  -" ]; }
mkdir -p "$dir" && cd "$dir" || exit 1
if [ -f "$name" ] && is "$name"; then echo there; exit 0; fi
cat > ".$name.$$" && is ".$name.$$" && chmod 700 ".$name.$$" && mv -f ".$name.$$" "$name" && echo copied && exit 0
rm -f ".$name.$$"; echo "$dir/$name: it did not arrive whole" >&2; exit 1
"""

Told = Callable[[str, list[Finding], Mapping[str, Any]], None]


class Question(NamedTuple):
    """A host to be asked, and the JSON of what."""

    place: Place
    asked: str


class Asking:
    """Asks for the user of *where*; *ways* are the servers to be reached from there, by name."""

    def __init__(self, where: Places, environ: Mapping[str, str], ways: Mapping[str, tuple[str, int]]) -> None:
        self._where = where
        self._environ = environ
        self._ways = ways

    def ask(self, places: Sequence[Place], told: Told) -> dict[str, list[Finding]]:
        """Ask all of *places* at once; *told* hears of each as it has answered. Return what was found of each."""
        from twisted.internet.task import react

        found: dict[str, list[Finding]] = {}

        def hear(place: Place, findings: list[Finding], said: Mapping[str, Any]) -> None:
            found[place.name] = findings
            told(place.name, findings, said)

        with self._shared_file() as shared:
            questions = [Question(place, json.dumps(self._question(place, shared))) for place in places]
            try:
                react(lambda reactor: _ask_all(reactor, questions, dict(self._environ), hear))
            except SystemExit as left:
                if left.code:
                    raise
        return found

    def _question(self, place: Place, shared: Mapping[str, str] | None) -> dict[str, Any]:
        where = self._where
        own = own_installation(SERVER, where.root, where.python, self._environ)
        handed = {name: self._environ[name] for name in HANDED_DOWN if name in self._environ}
        paths = Paths(place.python, place.root, place.program)
        directory = self._there(where.user_directory)
        own_files = (f"{where.user}.key", f"{where.user}.crt", f"ca_certs.{where.user}.crt")
        etcs = (where.etc, "~/.taskManager/etc", "/etc/taskmanager")
        return {
            "local": where.local_directory.replace(f"/taskmanager-{os.getuid()}/", "/taskmanager-{uid}/"),
            "expected": f"{SERVER} {place.version}",
            "command": start_command(paths, own, SERVER, ["--version"], handed),
            "pythons": [name for name in (place.python, where.python, *PYTHONS) if name],
            "files": [
                *([f"{directory}/{name}"] for name in own_files), [f"{etc}/TaskDispatcher.info" for etc in etcs],
            ],
            "ways": self._ways,
            "shared": shared,
        }

    def _there(self, path: str) -> str:
        """Return *path* as a server on a host looks for it: below its home where it is below ours, unless told."""
        home = os.path.expanduser("~")
        if "TM_USER_DIRECTORY" in self._environ:
            return path
        return "~" + path[len(home) :] if path.startswith(home + os.sep) else path

    @contextmanager
    def _shared_file(self) -> Iterator[dict[str, str] | None]:
        """Put a file beside the user's key as long as hosts are asked whether they see it."""
        content = secrets.token_hex(16)
        path = os.path.join(self._where.user_directory, f".probe-{secrets.token_hex(8)}")
        try:
            with open(path, "x", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(content)
        except OSError:
            yield None
            return
        try:
            yield {"path": self._there(path), "content": content}
        finally:
            os.unlink(path)


async def _ask_all(
    reactor: Any, questions: Sequence[Question], environ: dict[str, str],
    hear: Callable[[Place, list[Finding], Mapping[str, Any]], None],
) -> None:  # fmt: skip
    from twisted.internet.defer import Deferred, gatherResults

    launchers: dict[str, Any] = {}
    waiting = [
        Deferred.fromCoroutine(_ask_one(reactor, launchers, question, environ, hear)) for question in questions
    ]
    await gatherResults(waiting, consumeErrors=True)


async def _ask_one(
    reactor: Any, launchers: dict[str, Any], question: Question, environ: dict[str, str],
    hear: Callable[[Place, list[Finding], Mapping[str, Any]], None],
) -> None:  # fmt: skip
    from tm.edge.launchers import launcher

    place, before = question.place, time.time()
    said: Mapping[str, Any] = {}
    try:
        if place.launcher not in launchers:
            launchers[place.launcher] = launcher(place.launcher, reactor, environ, BOUND, AT_ONCE)
        pythons = [name for name in (place.python, *PYTHONS) if name]
        argv = shell_command(FIND, probe(), question.asked, *pythons)
        target = Target(place.name, place.address, argv, place.options)
        said = answer_of(place, await launchers[place.launcher].launch(target))
        findings = judge(place, said, before, time.time())
    except TaskManagerError as error:
        findings = judge_failure(place, error.word, error.text)
    hear(place, findings, said)


def probe() -> str:
    """Return the text of the program that looks at a host."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe.py"), encoding="utf-8") as file:
        return file.read()


def answer_of(place: Place, output: str) -> dict[str, Any]:
    """Return what the probe says in *output*, whatever a noisy shell says before; raise `LaunchError`."""
    lines = [line.partition(MARK)[2] for line in output.splitlines() if line.startswith(MARK)]
    try:
        said: dict[str, Any] = json.loads(lines[-1])
    except (ValueError, IndexError):
        last = output.strip()[-200:]
        raise LaunchError("ssh.command", f"{place.name}: it answered what was not asked: {last!r}") from None
    return said


# -- copying ----------------------------------------------------------------------------------------------------------


def copy_all(places: Sequence[Place], path: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Copy the one-file program *path* to ``~/.taskManager/bin`` on all of *places*, where it is not there already.

    Return what went wrong, by host. It counts only when its SHA-256 is right there.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with ThreadPoolExecutor(max_workers=8) as pool:
        said = pool.map(lambda place: _copy(place, path, digest, environ), places)
        return {place.name: text for place, text in zip(places, said, strict=True) if text}


def _copy(place: Place, path: str, digest: str, environ: Mapping[str, str]) -> str:
    from tm.edge.launch_openssh import OpenSSHLauncher

    argv = shell_command(RECEIVE, os.path.basename(path), digest)
    try:
        if place.launcher != "local":
            target = Target(place.name, place.address, argv, place.options)
            argv = OpenSSHLauncher(None, environ).command_line(target)
        with open(path, "rb") as file:
            done = subprocess.run(
                argv, env=dict(environ), stdin=file, capture_output=True, timeout=COPY_SECONDS, check=False
            )
    except TaskManagerError as error:
        return error.text
    except subprocess.TimeoutExpired:
        return f"copying takes longer than {COPY_SECONDS:.0f} s"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return "" if done.returncode == 0 else (done.stderr.decode(errors="replace").strip() or "it was not copied")
