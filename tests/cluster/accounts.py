"""The accounts of a bench: in its own ``/etc`` alone, so that the machine it runs on never hears of them.

That is a whole folder: a file that is bound over ``/etc/passwd`` is gone when somebody outside replaces theirs.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

BASE = "/run/tm-bench"  # below a file system that only the bench sees
FIRST_NUMBER = 47301
DISPATCHER = "tmdisp"
USERS = ("tmann", "tmbob", "tmcid")
STRANGER = "tmzoe"
NAMES = (DISPATCHER, *USERS, STRANGER)
NUMBER = {name: FIRST_NUMBER + place for place, name in enumerate(NAMES)}


def home(name: str) -> str:
    """Return the home folder of an account."""
    return f"{BASE}/home/{name}"


def files() -> dict[str, tuple[str, int]]:
    """Return the files of accounts in the bench's own ``/etc``: path, content, mode."""
    lines = {"passwd": "{name}:x:{number}:{number}::{home}:/bin/bash", "group": "{name}:x:{number}:",
             "shadow": "{name}:*:19000:0:99999:7:::"}  # fmt: skip
    made = {}
    for file, line in lines.items():
        known = Path("/etc", file).read_text(encoding="utf-8").splitlines()
        own = [line.format(name=name, number=number, home=home(name)) for name, number in NUMBER.items()]
        kept = [one for one in known if one.split(":", 1)[0] not in NUMBER]
        made[f"{BASE}/etc/{file}"] = ("\n".join([*kept, *own, ""]), 0o600 if file == "shadow" else 0o644)
    return made


def clash() -> str:
    """Return what of this machine has a name or number of ours already; empty when nothing has."""
    text = Path("/etc/passwd").read_text(encoding="utf-8")
    entries = [line.split(":") for line in text.splitlines()]
    found = [entry for entry in entries if entry[0] in NUMBER or entry[2:3] in [[str(one)] for one in NUMBER.values()]]
    return ":".join(found[0]) if found else ""


def make_homes(root: str, hosts: str) -> None:
    """Make the homes below *root* (where the bench's files are seen from here), each with a key that lets it in.

    *hosts* are the lines of known_hosts.
    """
    for name in NAMES:
        folder = Path(root + home(name))
        ssh = folder / ".ssh"
        ssh.mkdir(parents=True)
        make_key(str(ssh / "id_ed25519"), name)
        (ssh / "authorized_keys").write_text((ssh / "id_ed25519.pub").read_text())
        (ssh / "known_hosts").write_text(hosts)
        for path in (folder, ssh, *ssh.iterdir()):
            os.chown(path, NUMBER[name], NUMBER[name])
            path.chmod(0o700 if path.is_dir() else 0o600)


def make_key(path: str, comment: str) -> str:
    """Make a key pair without a passphrase; return the public half, as it stands in known_hosts."""
    for old in (path, path + ".pub"):
        Path(old).unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=30)
    return " ".join(Path(path + ".pub").read_text().split()[:2])
