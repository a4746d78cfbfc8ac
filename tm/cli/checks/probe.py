"""The small program that looks at a host: sent there as an argument, it prints one line and leaves nothing behind.

Standard library alone, for any Python from 3.6. What it is asked is one JSON object, its only argument.
"""

import json
import os
import pwd
import socket
import subprocess
import sys
import time

MARK = "TMPROBE "
CONNECT_SECONDS = 4.0
START_SECONDS = 15.0
ENOUGH_SECONDS = 22.0
MOST = 8
LIBRARIES = ("twisted", "OpenSSL", "service_identity", "psutil", "cryptography", "msgspec")
DAEMONS = ("TaskDispatcher", "TMS", "TMMS", "InfoServer", "TaskWeb")


def main(asked):
    """Return the answer to what is asked."""
    home = os.path.expanduser("~")
    local = asked["local"].replace("{uid}", str(os.getuid()))
    begun = time.time()
    started = start(asked.get("command"))
    wrong = started is None or started["said"] != asked.get("expected")
    return {
        "python": sys.executable,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "host": socket.gethostname(),
        "system": " ".join((os.uname().sysname, os.uname().release, os.uname().machine)),
        "uid": os.getuid(),
        "user": account(),
        "start": started,
        "pythons": pythons(asked.get("pythons", []), begun + ENOUGH_SECONDS) if wrong else [],
        "local": folder(local),
        "programs": folder("/var/tmp/taskmanager-%d/.programs" % os.getuid()),
        "home": dict(folder(home), same=is_shared(asked.get("shared"))),
        "missing": [paths[-1] for paths in asked.get("files", []) if not any(map(is_there, paths))],
        "ways": {name: way(*place) for name, place in asked.get("ways", {}).items()},
        "cores": cores(),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "gpus": gpus(),
        "load": os.getloadavg()[0],
        "running": running(),
        "spools": spools(local),
        "survival": survival(),
        "clock": time.time(),
    }


def is_there(path):
    """Return whether there is something under a path, which may begin with ``~``."""
    return os.path.exists(os.path.expanduser(path))


def account():
    """Return the name of the account."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def start(command):
    """Return how the command ends that says the version of our server here."""
    if not command:
        return None
    status, said = said_by(command, START_SECONDS)
    return {"status": status, "said": said[-300:]}


def said_by(command, seconds):
    """Return exit status and the last line that a command says; 127 where it cannot be started."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        )
    except OSError as error:
        return 127, "%s: %s" % (command[0], error.strerror)
    try:
        output = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return 124, "it does not end within %d s" % seconds
    lines = output.decode("utf-8", "replace").strip().splitlines() or [""]
    return process.returncode, lines[-1]


def pythons(names, until):
    """Return path, version and missing libraries of each Python that is found under these names in time."""
    code = "import sys, importlib.util as u, json; print(json.dumps([list(sys.version_info[:3]), [n for n in %r if " % (
        LIBRARIES,
    ) + "u.find_spec(n) is None]]))"
    found = []  # type: list
    seen = set()
    for name in names:
        path = located(os.path.expanduser(name))
        if path is None or path in seen or len(found) == MOST or time.time() > until:
            continue
        seen.add(path)
        said = said_by([path, "-c", code], CONNECT_SECONDS)[1]
        try:
            version, missing = json.loads(said)
        except ValueError:
            continue
        found.append({"path": path, "version": ".".join(map(str, version)), "missing": missing})
    return found


def located(name):
    """Return the path of a program, as the shell would find it."""
    folders = [""] if "/" in name else os.environ.get("PATH", os.defpath).split(os.pathsep)
    paths = [os.path.join(one, name) if one else name for one in folders]
    return next((path for path in paths if os.access(path, os.X_OK) and not os.path.isdir(path)), None)


def folder(path):
    """Return on which file system a folder is or would be, what is free there, and whether it can be used."""
    there = path
    while not os.path.isdir(there) and there != "/":
        there = os.path.dirname(there)
    answer = {"path": path, "exists": there == path}
    try:
        size, status = os.statvfs(there), os.stat(there)
    except OSError as error:
        return dict(answer, error=error.strerror)
    mount, kind, flags = mounted(os.path.realpath(there))
    owner = status.st_uid
    return dict(
        answer,
        mount=mount,
        kind=kind,
        readonly="ro" in flags,
        noexec="noexec" in flags,
        free=size.f_bavail * size.f_frsize,
        inodes=size.f_favail if size.f_files else None,
        writable=os.access(there, os.W_OK | os.X_OK),
        private=there != path or (owner == os.getuid() and not status.st_mode & 0o077),
    )


def mounted(path):
    """Return mount point, kind and flags of the file system that holds *path*."""
    best = ("", "", [])  # type: tuple
    try:
        with open("/proc/self/mountinfo") as file:
            lines = file.readlines()
    except OSError:
        return best
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        point = fields[4].encode().decode("unicode_escape")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, after.split()[0], fields[5].split(",") + after.split()[-1].split(","))
    return best


def is_shared(shared):
    """Return whether the file that was put into the home of who asks is there; None where none was put."""
    if not shared:
        return None
    try:
        with open(os.path.expanduser(shared["path"])) as file:
            return file.read() == shared["content"]
    except OSError:
        return False


def way(host, port):
    """Return why a server is not reached from here, nothing if it is."""
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or "it does not answer"
    return ""


def cores():
    """Return the cores that may be used."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def gpus():
    """Return the models of the graphics processors that can be named."""
    if located("nvidia-smi"):
        status, _ = said_by(["nvidia-smi", "-L"], CONNECT_SECONDS)
        if status == 0:
            said = subprocess.check_output(["nvidia-smi", "-L"], stderr=subprocess.DEVNULL).decode("utf-8", "replace")
            return [line.partition(": ")[2].partition(" (")[0] for line in said.splitlines()][:MOST]
    return []


def processes():
    """Yield pid and command line of the processes of this account."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat("/proc/" + name).st_uid == os.getuid():
                with open("/proc/%s/cmdline" % name, "rb") as file:
                    yield int(name), file.read().decode("utf-8", "replace").split("\0")[:-1]
        except OSError:
            continue


def running():
    """Return the daemons of ours that this account runs here."""
    found = []
    for pid, words in processes():
        for word in words[1:5]:
            name = os.path.basename(word)
            if name in DAEMONS:
                host = words[words.index("--host") + 1] if "--host" in words[:-1] else ""
                found.append({"name": name, "pid": pid, "host": host})
                break
    return found[:MOST]


def spools(local):
    """Return the folders of hosts beside and in the local folder, with the pids of those that work there."""
    above = os.path.dirname(local)
    found = []
    commands = [" ".join(words) for _, words in processes()]
    for cluster in sorted(os.listdir(above)) if os.path.isdir(above) else []:
        hosts = os.path.join(above, cluster, "hosts")
        for host in sorted(os.listdir(hosts)) if os.path.isdir(hosts) else []:
            path = os.path.join(hosts, host)
            pids = [pid for pid in pids_in(path) if os.path.exists("/proc/%d" % pid)]
            used = any(path in command for command in commands)
            found.append({"path": path, "running": bool(pids) or used, "changed": changed(path)})
    return found[:MOST]


def pids_in(path):
    """Yield what stands in the pidfiles of a folder."""
    for name in os.listdir(path):
        if name.endswith(".pid"):
            try:
                with open(os.path.join(path, name)) as file:
                    yield int(file.read())
            except (OSError, ValueError):
                continue


def changed(path):
    """Return when something in a folder was last written."""
    times = [os.lstat(path).st_mtime]
    for name in os.listdir(path):
        try:
            times.append(os.lstat(os.path.join(path, name)).st_mtime)
        except OSError:
            continue
    return max(times)


def survival():
    """Return whether logind ends what an account leaves when it logs out, and whether this account is spared."""
    kills = False
    files = ["/etc/systemd/logind.conf"]
    for one in ("/usr/lib/systemd/logind.conf.d", "/run/systemd/logind.conf.d", "/etc/systemd/logind.conf.d"):
        if os.path.isdir(one):
            files += sorted(os.path.join(one, name) for name in os.listdir(one) if name.endswith(".conf"))
    for path in files:
        try:
            with open(path) as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.replace(" ", "").partition("=")
            if key == "KillUserProcesses":
                kills = value.lower() in ("yes", "true", "1", "on")
    runs = os.path.isdir("/run/systemd/system")
    return {"logind": runs, "kills": kills and runs, "lingers": os.path.exists("/var/lib/systemd/linger/" + account())}


if __name__ == "__main__":
    print(MARK + json.dumps(main(json.loads(sys.argv[1]))))
