"""What a host's answer means: findings, each with the command or change that mends it. Pure; no host is asked here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Said = Mapping[str, Any]

BIN = "~/.taskManager/bin"
"""Where one-file programs are copied to."""
GOOD, NOTE, BAD = "good", "note", "bad"
TOPICS = ("ssh", "program", "disk", "clock", "home", "way", "size", "running", "logout")
LEAST_PYTHON = (3, 11)
LITTLE, FEW = 16 << 20, 1000
SHORT_OF = 1 << 30
CLOCK_NOTE, CLOCK_BAD = 1.0, 30.0
NETWORK = frozenset(
    "nfs nfs4 nfs3 cifs smb3 smbfs afs auristorfs ceph lustre gpfs glusterfs beegfs pvfs2 orangefs 9p ncpfs"
    " coda ocfs2 gfs2 fuse.sshfs fuse.glusterfs fuse.ceph fuse.s3fs fuse.rclone panfs wekafs".split()
)
_SSH = {
    "ssh.auth": "let the host know your key: {copy}",
    "ssh.hostkey": "compare the host's key with its owner's word, then log in once by hand: {login}",
    "ssh.unreachable": "see that the host is up and this works: {login}",
    "ssh.config": "correct ~/.ssh/config until this works: {login}",
    "ssh.command": "see what the host says to: {login} true",
}


class Finding(NamedTuple):
    """What was found of one *topic*: *level*, a few words, a sentence, and what mends it."""

    topic: str
    level: str
    short: str
    text: str = ""
    remedy: str = ""


class Place(NamedTuple):
    """The host as it is, or is to be, configured; *added* whether it is; *version* ours, *user* who asks."""

    name: str
    address: str
    launcher: str = "openssh"
    options: Mapping[str, Any] = {}
    python: str = ""
    root: str = ""
    program: str = ""
    cores: int | None = None
    tunnel: bool = False
    added: bool = False
    version: str = ""
    user: str = ""

    def change(self, text: str) -> str:
        """Return the command that gives the host another value, e.g. ``tunnel=true``."""
        return f"tm hosts change {self.name} {text}" if self.added else f"tm hosts add {self.name} --set {text}"

    def ssh(self, program: str = "ssh") -> str:
        """Return the command that logs in as the checks do."""
        words = [program]
        for option, key in (("-P" if program == "scp" else "-p", "port"), ("-F", "config"), ("-i", "identity")):
            if self.options.get(key):
                words += [option, str(self.options[key])]
        if self.options.get("known_hosts"):
            words += ["-o", f"UserKnownHostsFile={self.options['known_hosts']}"]
        user = self.options.get("user")
        return shlex.join([*words, f"{user}@{self.address}" if user else self.address])


def judge_failure(place: Place, word: str, text: str) -> list[Finding]:
    """Return what is found of a host that gave no answer: the failure *word* of the launcher, and its *text*."""
    remedy = _SSH.get(word, "").format(login=place.ssh(), copy=place.ssh("ssh-copy-id"))
    shown = text.removeprefix(f"{place.name}: ").removeprefix("ssh failed: ")
    return [Finding("ssh", BAD, word.partition(".")[2], shown.partition("; ")[0] if remedy else shown, remedy)]


def judge(place: Place, said: Said, before: float, after: float) -> list[Finding]:
    """Return what is found of a host that answered *said* between the times *before* and *after*."""
    found = [Finding("ssh", GOOD, place.launcher)]
    if said.get("python") is None:
        text = f"there is no Python 3 ({said.get('system', '')})"
        return [*found, Finding("program", BAD, "no Python", text, _python_to_install(place))]
    found += [
        _program(place, said), _disk(place, said), _clock(place, float(said["clock"]), before, after),
        _home(place, said), *_ways(place, said), _size(place, said), *_running(said), *_logout(said),
    ]  # fmt: skip
    return found


def is_bad(findings: Sequence[Finding]) -> bool:
    """Whether something must be mended first."""
    return any(one.level == BAD for one in findings)


# -- program ----------------------------------------------------------------------------------------------------------


def _program(place: Place, said: Said) -> Finding:
    start = said.get("start")
    if start is None:
        return Finding("program", NOTE, "not tried", "no start of our server was tried there")
    words = str(start["said"]).split()
    if start["status"] == 0 and words[:1] == ["TMMS"]:
        version = words[1] if len(words) > 1 else "?"
        if version == place.version:
            programs = said.get("programs") or {}
            if place.program and programs.get("noexec"):
                text = f"{programs['path']} is on {programs['mount']}, where programs cannot be unpacked (noexec)"
                return Finding("program", BAD, "noexec", text, "name another folder in TM_PROGRAMS there")
            return Finding("program", GOOD, version)
        text = f"our server there is of version {version}, here it is {place.version}"
        return Finding("program", BAD, version, text, _copy(place, said))
    return _no_program(place, said, str(start["said"]))


def _no_program(place: Place, said: Said, why: str) -> Finding:
    if "others may write" in why or "belongs to" in why:
        return Finding("program", BAD, "not trusted", why, _after(why, "say '", "'") or "install it as yourself there")
    able = [one for one in said.get("pythons", ()) if _version(one["version"]) >= LEAST_PYTHON]
    whole = [one for one in able if not one["missing"]]
    if not able:
        text = f"no Python {_dotted(LEAST_PYTHON)} or newer is there (python3 is {said['version']})"
        return Finding("program", BAD, "old Python", text, _python_to_install(place))
    text = f"our server does not start there: {why}"
    if whole and not (place.python or place.program):
        return Finding("program", BAD, "not there", text, place.change(f"python={whole[0]['path']}"))
    return Finding("program", BAD, "not there", text, _copy(place, said))


def _copy(place: Place, said: Said) -> str:
    versions = sorted({_version(one["version"])[:2] for one in said.get("pythons", ())} or {LEAST_PYTHON})
    best = next((one for one in versions if one >= LEAST_PYTHON), LEAST_PYTHON)
    machine = str(said.get("system", "")).rpartition(" ")[2] or "x86_64"
    file = f"dist/tm-{place.version}-cp{best[0]}{best[1]}-{machine}.pyz"
    return f"scripts/mkDist.sh with python{_dotted(best)}, then: tm hosts add {place.name} --program {file}"


def _python_to_install(place: Place) -> str:
    wanted = _dotted(LEAST_PYTHON)
    return (
        f"install one there (apt install python{wanted}), or one of your own and name it:"
        f" {place.change(f'python=~/python/bin/python{wanted}')}"
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version[:2]))


def _after(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]


# -- disk, clock, home ------------------------------------------------------------------------------------------------


def judge_folder(said: Said, where: str = "") -> Finding:
    """Return what is found of the local folder *said* describes; *where* is put before commands, e.g. ``ssh n2 ``."""
    path, another = said["path"], "name a folder on a local disk: local_directory = … in etc/TaskDispatcher.info"
    if said.get("error"):
        return Finding("disk", BAD, "error", f"{path}: {said['error']}", another)
    kind, mount, free = said["kind"], said["mount"], int(said["free"])
    if kind in NETWORK:
        text = f"{path} is on the network file system {mount} ({kind}); what is kept there could be lost or doubled"
        return Finding("disk", BAD, kind, text, another)
    if said["readonly"] or not said["writable"]:
        why = f"{mount} is read-only" if said["readonly"] else "you may not write there"
        return Finding("disk", BAD, "not writable", f"{path} cannot be used: {why}", another)
    if not said["private"]:
        text = f"{path} must be yours alone: mode 0700"
        return Finding("disk", BAD, "not private", text, f"{where}chmod 700 {path}, if it is yours")
    few = said["inodes"] is not None and said["inodes"] < FEW
    if free < LITTLE or few:
        what = f"{said['inodes']} files" if few and free >= LITTLE else size(free)
        text = f"{mount}, where {path} is, is full: {what} left; no job can be taken there"
        return Finding("disk", BAD, "full", text, f"{where}du -xhd1 {mount} shows what takes it; or {another}")
    if free < SHORT_OF:
        text = f"{mount}, where {path} is, has only {size(free)} left"
        return Finding("disk", NOTE, size(free), text, f"{where}du -xhd1 {mount} shows what takes it")
    if kind in ("tmpfs", "ramfs", "overlay"):
        text = f"{path} is on {kind}: endings that were not yet told are lost when the machine is restarted"
        return Finding("disk", NOTE, f"{size(free)} {kind}", text, another)
    return Finding("disk", GOOD, f"{size(free)} {kind}")


def _disk(place: Place, said: Said) -> Finding:
    return judge_folder(said["local"], "" if place.launcher == "local" else place.ssh() + " ")


def _clock(place: Place, there: float, before: float, after: float) -> Finding:
    off = there - after if there > after else min(0.0, there - before)
    if abs(off) < CLOCK_NOTE:
        return Finding("clock", GOOD, "right")
    shown = f"{off:+.0f} s"
    text = f"its clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours"
    remedy = f"set it by the network: {place.ssh()} timedatectl set-ntp true (its administrator may)"
    if abs(off) < CLOCK_BAD:
        return Finding("clock", NOTE, shown, text + "; times of jobs are off by that", remedy)
    return Finding("clock", BAD, shown, text + "; certificates and times of jobs go wrong", remedy)


def _home(place: Place, said: Said) -> Finding:
    home, missing = said["home"], said.get("missing", [])
    same = home.get("same")
    short = "?" if same is None else "same" if same else "its own"
    if not missing:
        return Finding("home", GOOD, short)
    text = f"{'there' if same else 'its home is not yours here, and there'} is no {', no '.join(missing)}"
    to = place.ssh("scp").rpartition(" ")
    remedy = f"bring it there: {to[0]} -p FILE… {to[2]}:PLACE, for you alone (mode 600), or mount your home there"
    return Finding("home", BAD, short, text, remedy)


# -- the rest ---------------------------------------------------------------------------------------------------------


def _ways(place: Place, said: Said) -> list[Finding]:
    blocked = {name: why for name, why in said.get("ways", {}).items() if why}
    if place.tunnel:
        return [Finding("way", GOOD, "tunnel")]
    if not blocked:
        return [Finding("way", GOOD, "open")] if said.get("ways") else []
    text = "; ".join(f"{name} is not reached from there ({why})" for name, why in sorted(blocked.items()))
    remedy = f"open the port in the firewall, or go through ssh: {place.change('tunnel=true')}"
    return [Finding("way", BAD, "blocked", text, remedy)]


def _size(place: Place, said: Said) -> Finding:
    cores, memory, gpus = said["cores"], size(int(said["memory"])), list(said.get("gpus", ()))
    shown = f"{cores} cores, {memory}" + (f", {len(gpus)} GPU" if gpus else "")
    if place.cores and place.cores > cores:
        text = f"cores = {place.cores} is configured, {cores} may be used there"
        return Finding("size", NOTE, shown, text, place.change(f"cores={cores}"))
    return Finding("size", GOOD, shown)


def _running(said: Said) -> Iterator[Finding]:
    names = [f"{one['name']} {one['pid']}" for one in said.get("running", ())]
    if names:
        yield Finding("running", GOOD, f"{len(names)} daemons", "runs there already: " + ", ".join(names))


def _logout(said: Said) -> Iterator[Finding]:
    survival = said.get("survival") or {}
    if survival.get("kills") and not survival.get("lingers"):
        text = "logind there ends what an account leaves behind when it logs out (KillUserProcesses=yes)"
        yield Finding("logout", NOTE, "ended", text, f"loginctl enable-linger {said['user']}")


def size(count: int) -> str:
    """Return a size for people, e.g. ``12 GB``."""
    for unit, one in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20)):
        if count >= one:
            return f"{count / one:.0f} {unit}" if count >= 10 * one else f"{count / one:.1f} {unit}"
    return f"{count >> 10} kB"
