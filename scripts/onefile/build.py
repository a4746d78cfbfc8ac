"""Make the one-file programs: the clients for any Python; everything, for this minor version of Python and processor.

The libraries are those that are installed for the Python that runs this, in the same versions; nothing is fetched.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import marshal
import os
import platform
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHEBANG = b"#!/usr/bin/env python3\n"
CLIENT_PARTS = ("client", "wire")
CLIENT_MODULES = (
    "__init__.py", "errors.py", "failpoint.py", "lineage.py", "places.py", "model/__init__.py", "model/command_line.py",
    "model/dates.py", "model/ids.py", "model/values.py",
)  # fmt: skip
COMPILED = (
    "errors.py", "places.py", "client/program.py", "client/connection.py", "client/hrunjob.py",
    "client/options.py", "model/values.py", "client/choices.py", "client/request.py", "client/jobspec.py",
    "wire/dialogue.py", "wire/frames.py", "wire/message.py",
)  # fmt: skip
PROGRAMS = ("TaskDispatcher", "TMS", "TMMS", "InfoServer", "TaskWeb", "tm", "hRunJob", "hRun", "hSend", "hListen")
LEFT_OUT = re.compile(
    r"(.*/)?(tests?|__pycache__|include)/|.*\.(pyc|pyi|h|c|rst|html)$|[^/]*dist-info/(RECORD|INSTALLER)$"
)
PLUGINS_LEFT_OUT = re.compile(r"twisted/plugins/(?!__init__|tm_plugins|twisted_core|twisted_reactors)")
DATE = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Make them; say what was made."""
    parser = argparse.ArgumentParser(prog="mkDist.sh", description=__doc__)
    parser.add_argument("--into", default=os.path.join(ROOT, "dist"), help="folder for the files (%(default)s)")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="also the extra NAME, e.g. conch")
    parser.add_argument("--clients", action="store_true", help="only the clients")
    arguments = parser.parse_args()
    os.makedirs(arguments.into, exist_ok=True)
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)
    made = [write(os.path.join(arguments.into, "tm-clients.pyz"), client_members(), "clients.py")]
    if not arguments.clients:
        members = dict(server_members(project, arguments.extra))
        version = _version()
        build = {
            "version": version, "python": sys.version_info[:2], "machine": platform.machine(),
            "digest": _digest(members),
        }  # fmt: skip
        members["BUILD"] = json.dumps(build).encode()
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"
        made.append(write(os.path.join(arguments.into, f"tm-{version}-{tag}.pyz"), members, "servers.py"))
    for path in made:
        with open(path, "rb") as file:
            print(f"{hashlib.sha256(file.read()).hexdigest()}  {os.path.getsize(path):>10,}  {path}")


def write(path: str, members: dict[str, bytes], main: str) -> str:
    """Write the archive that runs *main* and holds *members*; return its path."""
    with open(os.path.join(HERE, main), "rb") as file:
        members = {"__main__.py": file.read(), **members}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    with open(path + ".new", "wb") as file:
        file.write(SHEBANG + content.getvalue())
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
    return path


def client_members() -> dict[str, bytes]:
    """Return what the clients need; what every start needs also compiled, which other Pythons than this ignore."""
    members = {"LICENSE": _read(os.path.join(ROOT, "LICENSE"))}
    for name in [*CLIENT_MODULES, *(f"{part}/{file}" for part in CLIENT_PARTS for file in _modules(part))]:
        text = _bare(_read(os.path.join(ROOT, "tm", name)))
        members[f"tm/{name}"] = text
        if name in COMPILED:
            members[f"tm/{name}c"] = _compiled(text, f"tm/{name}")
    return members


def _bare(text: bytes) -> bytes:
    """Return the code of a module without what is only read by people."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).encode() + b"\n"


def _modules(part: str) -> list[str]:
    return sorted(name for name in os.listdir(os.path.join(ROOT, "tm", part)) if name.endswith(".py"))


def _compiled(text: bytes, name: str) -> bytes:
    code = compile(text, name, "exec", dont_inherit=True, optimize=2)
    flags = (0b01).to_bytes(4, "little")  # by hash, not checked
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(text) + marshal.dumps(code)


def server_members(project: dict[str, object], extras: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of all files that an installation has."""
    tables: dict[str, dict[str, object]] = project  # type: ignore[assignment]
    for name in PROGRAMS:
        yield f"site/bin/{name}", _read(os.path.join(ROOT, "bin", name))
    setuptools: dict[str, list[str]] = tables["tool"]["setuptools"]  # type: ignore[assignment]
    for package in setuptools["packages"]:
        yield from _folder(os.path.join(ROOT, *package.split(".")), f"site/{package.replace('.', '/')}")
    for folder in ("tm/store/sql", "tm/web/templates", "tm/web/static"):
        yield from _folder(os.path.join(ROOT, folder), f"site/{folder}")
    wanted: list[str] = list(tables["project"]["dependencies"])  # type: ignore[call-overload]
    optional: dict[str, list[str]] = tables["project"]["optional-dependencies"]  # type: ignore[assignment]
    for extra in extras:
        wanted += optional[extra]
    for distribution in closure(wanted):
        for file in distribution.files or ():
            name = file.as_posix()
            if not name.startswith(("../", "/")) and not LEFT_OUT.match(name) and not PLUGINS_LEFT_OUT.match(name):
                yield f"site/{name}", _read(str(distribution.locate_file(file)))


def _folder(path: str, inside: str) -> Iterator[tuple[str, bytes]]:
    for name in sorted(os.listdir(path)):
        if name.endswith((".py", ".sql", ".html", ".css", ".js", ".svg", ".txt")):
            yield f"{inside}/{name}", _read(os.path.join(path, name))


def closure(wanted: list[str]) -> list[importlib.metadata.Distribution]:
    """Return the installed distributions that *wanted* and what these need in turn name; leave when one is missing."""
    from packaging.requirements import Requirement  # one of Twisted's own needs

    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(Requirement(text), frozenset[str]()) for text in wanted]
    seen = set()
    while waiting:
        requirement, extras = waiting.pop()
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        if not applies or (key, frozenset(requirement.extras)) in seen:
            continue
        seen.add((key, frozenset(requirement.extras)))
        try:
            found[key] = importlib.metadata.distribution(key)
        except importlib.metadata.PackageNotFoundError:
            sys.exit(f"mkDist.sh: {sys.executable} has no {requirement}; say 'python3 quickstart.py', or set TM_PYTHON")
        waiting += [(Requirement(text), frozenset(requirement.extras)) for text in found[key].requires or ()]
    return [found[key] for key in sorted(found)]


def _digest(members: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(name.encode() + b"\0" + hashlib.sha256(members[name]).digest())
    return digest.hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _version() -> str:
    found = re.search(r'__version__ = "([^"]+)"', _read(os.path.join(ROOT, "tm", "__init__.py")).decode())
    assert found is not None
    return found[1]


if __name__ == "__main__":
    main()
