"""What ``tm doctor`` looks at on this machine: configuration, key, certificates, servers, local folder, leftovers.

Each function looks at one thing and returns what it found; none raises, none changes anything.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tm
from tm import places as whereabouts
from tm.cli.checks import probe
from tm.cli.checks.judging import BAD, GOOD, NOTE, Finding, judge_folder
from tm.errors import ConfigError, TaskManagerError
from tm.places import Places

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from tm.client.connection import Connection

SOON_DAYS, DAY = 30, 86400.0
OLD_SECONDS = 7 * DAY
_UNREACHED = (
    "see that it runs; on {host}: TaskDispatcher -p {port} (where it was set up by quickstart.py: quickstart.py start)"
)
_REGISTER = (
    "hand {certificate} to those who administer the cluster: tm users add {user} {user}.crt"
    " (where {user} has another: tm users change {user} --add {user}.crt)"
)
_ANOTHER = "make another: move {key} and {certificate} away, 'tm cert request', and hand the certificate over"
_REFUSALS = {
    "auth.server": "ask those who administer the cluster for a new {trusted} and put it there",
    **dict.fromkeys(("auth.unknown", "auth.forged", "auth.refused"), _REGISTER),
    **dict.fromkeys(("auth.expired", "auth.malformed"), _ANOTHER),
    **dict.fromkeys(("auth.missing", "auth.none", "auth.certificate"), "tm cert request; hand the certificate over"),
    "auth.key": "chmod 600 {key}, or 'tm cert request' if there is none",
    "auth.notyet": "compare the clocks here and there: timedatectl",
}


def judge_configuration(etc: str) -> list[Finding]:
    """Return what is found of the folder *etc*; of its tables only where they may be read."""
    try:
        info = whereabouts.read_info(os.path.join(etc, "TaskDispatcher.info"))
    except ConfigError as error:
        remedy = "tm setup, or say where it is: export TM_ETC=FOLDER"
        return [Finding("etc", BAD, "missing", text, remedy) for text in error.text.splitlines()]
    good = f"{etc}: cluster {info['cluster']}, dispatcher at {info['host']}:{info['port']}"
    return [Finding("etc", GOOD, "readable", good), *_tables(etc)]


def _tables(etc: str) -> list[Finding]:
    from tm import config

    names = [os.path.join(etc, name) for name in ("users", "groups", "ComputerCluster.config")]
    if not all(os.access(name, os.R_OK) for name in names):
        return [Finding("etc", GOOD, "not yours", "users, groups and hosts are for its administrators to read")]
    try:
        loaded = config.load(etc, os.stat(etc).st_uid)
    except ConfigError as error:
        remedy = "correct that line; what the dispatcher has read stays until 'reload'"
        return [Finding("etc", BAD, "invalid", text, remedy) for text in error.text.splitlines()]
    count = f"{len(loaded.hosts)} hosts, {len(loaded.users.by_fingerprint)} certificates of users"
    return [Finding("etc", GOOD, "valid", count)]


# -- key and certificates ---------------------------------------------------------------------------------------------


def judge_identity(where: Places, now: float) -> list[Finding]:
    """Return what is found of the user's key and certificates."""
    from tm.edge.keys import load_certificates, load_pair

    if not os.path.isdir(where.user_directory):
        text = f"there is no {where.user_directory}"
        return [Finding("key", BAD, "missing", text, "tm cert request makes key and certificate there")]
    found = []
    if os.stat(where.user_directory).st_mode & 0o022:
        text = f"others may replace what is in {where.user_directory}"
        found.append(Finding("key", BAD, "open", text, f"chmod go-w {where.user_directory}"))
    try:
        _, certificate = load_pair(where.key, where.certificate)
        found += [Finding("key", GOOD, "private", f"{where.key} is yours alone"), judge_dates(certificate, now, "your")]
    except ConfigError as error:
        found.append(Finding("key", BAD, "wrong", error.text, _said(error.text) or "tm cert request"))
    try:
        count = len(load_certificates(where.trusted))
        found.append(Finding("trust", GOOD, "there", f"{where.trusted}: {count} certificates"))
    except ConfigError as error:
        remedy = f"ask those who administer the cluster for {os.path.basename(where.trusted)}"
        found.append(Finding("trust", BAD, "missing", error.text, remedy))
    return found


def judge_dates(certificate: Certificate, now: float, whose: str) -> Finding:
    """Return what is found of the dates of *whose* (``your``, ``the dispatcher's``) *certificate*."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = (ends.timestamp() - now) / DAY
    if whose == "your":
        remedy = "make another: move key and certificate away, 'tm cert request', and hand the certificate over"
    else:
        remedy = "its administrators make another: move etc/certs/taskdispatcher.* away; 'tm cert create' makes it anew"
    if begins.timestamp() > now:
        text = f"{whose} certificate is valid from {begins:%Y-%m-%d %H:%M} UTC on; is the clock here right?"
        return Finding("certificate", BAD, "not yet", text, "timedatectl set-ntp true (its administrator may)")
    if left <= 0:
        return Finding("certificate", BAD, "expired", f"{whose} certificate expired on {ends:%Y-%m-%d}", remedy)
    if left < SOON_DAYS:
        text = f"{whose} certificate expires on {ends:%Y-%m-%d}, in {left:.0f} days"
        return Finding("certificate", NOTE, "soon", text, remedy)
    return Finding("certificate", GOOD, "valid", f"{whose} certificate is valid until {ends:%Y-%m-%d}")


def _said(text: str) -> str:
    return text.partition("say '")[2].partition("'")[0]


# -- servers ----------------------------------------------------------------------------------------------------------


def judge_dispatcher(where: Places, now: float) -> tuple[list[Finding], Connection | None]:
    """Return what is found of the dispatcher, and the connection to it."""
    from cryptography.x509 import load_der_x509_certificate

    from tm.client.connection import Connection

    try:
        connection = Connection.open_dispatcher(where)
        shown = json.loads(connection.ask("whoami", json=True).body[0])
        warnings = json.loads(connection.ask("status", json=True).body[0]).get("warnings", [])
    except TaskManagerError as error:
        return [Finding("dispatcher", BAD, error.word, error.text, refusal_remedy(error.word, where))], None
    found = [_version("dispatcher", f"the dispatcher at {where.host}:{where.port}", connection.version)]
    certificate = connection.socket.getpeercert(True) if hasattr(connection.socket, "getpeercert") else None
    if certificate:
        found.append(judge_dates(load_der_x509_certificate(certificate), now, "the dispatcher's"))
    rights = ", ".join(shown.get("rights", [])) or "no rights beyond your own jobs"
    found.append(Finding("dispatcher", GOOD, "known", f"it knows you as {shown.get('user', where.user)}: {rights}"))
    for text in warnings:
        if not text.startswith("the dispatcher's certificate"):
            what, _, remedy = text.partition("; ")
            found.append(Finding("dispatcher", NOTE, "warns", what, remedy))
    return found, connection


def refusal_remedy(word: str, where: Places) -> str:
    """Return what mends that the dispatcher is not reached, or refuses."""
    remedy = _REFUSALS.get(word) or (_UNREACHED if word.startswith("net.") else "tm cert show {certificate}")
    return remedy.format(
        host=where.host, port=where.port, user=where.user, key=where.key, certificate=where.certificate,
        trusted=where.trusted,
    )  # fmt: skip


def judge_tms(where: Places) -> list[Finding]:
    """Return what is found of the user's server; it is not started for that."""
    from tm.client.tms import find_tms

    try:
        connection = find_tms(where)
        if connection is None:
            text = "your server (TMS) does not run; any hRunJob COMMAND starts it"
            return [Finding("server", GOOD, "not running", text)]
        with connection:
            shown = json.loads(connection.ask("status", json=True).body[0])
            found = [_version("server", f"your server (TMS), pid {shown['pid']}", connection.version, True)]
    except (TaskManagerError, OSError) as error:
        text = error.text if isinstance(error, TaskManagerError) else str(error)
        return [Finding("server", BAD, "hangs", text, "end it; any hRunJob COMMAND starts another: hSend … retire")]
    if shown.get("dispatcher") != "connected":
        why, log = shown.get("dispatcher"), shown.get("log")
        text = f"your server (TMS) does not reach the dispatcher: {why}; its log: {log}"
        found.append(Finding("server", BAD, "alone", text, _UNREACHED.format(host=where.host, port=where.port)))
    return found


def _version(topic: str, whose: str, version: str, ours: bool = False) -> Finding:
    if version == tm.__version__:
        return Finding(topic, GOOD, version, f"{whose} runs, version {version}")
    remedy = "end it; any hRunJob COMMAND starts another" if ours else "install the dispatcher's version here"
    return Finding(topic, NOTE, version, f"{whose} is of version {version}, this is {tm.__version__}", remedy)


# -- local folder and leftovers ---------------------------------------------------------------------------------------


def judge_disks(folders: Iterable[str]) -> list[Finding]:
    """Return what is found of the local *folders*."""
    found = []
    for path in folders:
        one = judge_folder(probe.folder(path))
        found.append(one if one.text else one._replace(text=f"{path}: {one.short} free"))
    return found


def judge_leftovers(spools: Sequence[Mapping[str, Any]], hosts: Iterable[str], local: str, now: float) -> list[Finding]:
    """Return which of *spools*, found here, are nobody's: of no host of ours, nobody works there, long quiet."""
    own = {os.path.join(local, "hosts", host) for host in hosts}
    strange = [one for one in spools if not one["running"] and one["path"] not in own]
    old = [one for one in strange if now - one["changed"] > OLD_SECONDS]
    return [
        Finding(
            "left", NOTE, "spool",
            f"{one['path']} is of no host of this cluster, and quiet for {(now - one['changed']) / DAY:.0f} days",
            f"rm -r {one['path']}",
        )
        for one in old
    ]  # fmt: skip


def judge_daemons(processes: Iterable[tuple[int, list[str]]], exists: Callable[[str], bool]) -> list[Finding]:
    """Return which daemons of this account run from an installation that has gone."""
    found = []
    for pid, words in processes:
        program = next((word for word in words[1:5] if os.path.basename(word) in probe.DAEMONS), "")
        if program.startswith("/") and not exists(program):
            text = f"{os.path.basename(program)}, pid {pid}, runs from {program}, which is not there any more"
            found.append(Finding("left", NOTE, "daemon", text, f"kill {pid}"))
    return found


def leftovers(where: Places, hosts: Iterable[str]) -> list[Finding]:
    """Return what old installations have left on this machine."""
    processes = list(probe.processes())
    found = judge_leftovers(probe.spools(where.local_directory), hosts, where.local_directory, time.time())
    return [*found, *judge_daemons(processes, os.path.exists), *judge_unpacked(_unpacked(), processes, where.root)]


def judge_unpacked(folders: Iterable[str], processes: Iterable[tuple[int, list[str]]], root: str) -> list[Finding]:
    """Return which *folders*, where one-file programs were unpacked, nobody runs from."""
    used = {word for _, words in processes for word in words[1:5]} | {root + "/"}
    return [
        Finding("left", NOTE, "program", f"{path} holds a one-file program that does not run", f"rm -r {path}")
        for path in folders if not any(word.startswith(path + "/") for word in used)
    ]  # fmt: skip


def _unpacked() -> list[str]:
    base = os.environ.get("TM_PROGRAMS") or f"/var/tmp/taskmanager-{os.getuid()}/.programs"
    try:
        return [os.path.join(base, name) for name in sorted(os.listdir(base)) if name.startswith("tm-")]
    except OSError:
        return []
