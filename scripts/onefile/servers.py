"""All of TaskManager in one file, for one kind of Python and processor.

``python3 tm-VERSION.pyz TMMS --host n1``, or a link to it that is named TMMS. What it holds is unpacked once, to a
folder of this account on a local disk (TM_PROGRAMS, or .programs in /var/tmp/taskmanager-UID), and run from there;
what is missing there is unpacked again. Others can write neither that folder nor any above it. Any Python 3 can read
this part: it looks for the right one.
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
import zipfile

SERVERS = ("TaskDispatcher", "TMS", "TMMS", "InfoServer", "TaskWeb")
NAMES = SERVERS + ("tm", "hRunJob", "hRun", "hSend", "hListen", "keeper")
EXIT_USAGE, EXIT_CONFIG = 2, 78


class RefusedError(Exception):
    """What is said, and that it ends here."""


def main(argv):
    """Unpack if need be, and become the program that is asked for."""
    archive = os.path.realpath(argv[0])
    name, arguments = os.path.basename(argv[0]), argv[1:]
    if name not in NAMES:
        name, arguments = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name not in NAMES:
        print("usage: %s %s ..." % (argv[0], "|".join(NAMES)), file=sys.stderr)
        return EXIT_USAGE
    try:
        with zipfile.ZipFile(archive) as file:
            build = json.loads(file.read("BUILD").decode())
            python = fitting(build, argv)
            root = unpacked(file, build, programs())
    except RefusedError as refused:
        print("config.program: %s: %s" % (archive, refused), file=sys.stderr)
        return EXIT_CONFIG
    except OSError as error:
        where = error.filename or "the local disk"
        print(
            "config.program: %s: cannot be unpacked: %s: %s; TM_PROGRAMS names another folder"
            % (archive, where, error.strerror),
            file=sys.stderr,
        )
        return EXIT_CONFIG
    program = [os.path.join(root, "bin", name)]
    if name == "keeper":
        program = ["-I", "-S", os.path.join(root, "tm", "keeper", "__main__.py")]
    sys.stdout.flush()
    os.execve(python, [python] + program + arguments, dict(os.environ, TM_ONE_FILE=archive))


def fitting(build, argv):
    """Return this Python; with another one that does not fit start again with one from the PATH that does."""
    wanted = tuple(build["python"])
    name = "python%d.%d" % wanted
    if platform.machine() != build["machine"]:
        raise RefusedError(
            "it is for %s, this machine is %s; make one here with scripts/mkDist.sh"
            % (build["machine"], platform.machine())
        )
    if sys.version_info[:2] == wanted:
        return sys.executable
    other = os.environ.get("TM_PYTHON") or shutil.which(name)
    if not other or "TM_ONE_FILE" in os.environ:
        raise RefusedError("it needs %s, this is %s %d.%d" % ((name, sys.executable) + sys.version_info[:2]))
    os.execve(other, [other] + argv, dict(os.environ, TM_ONE_FILE=argv[0]))


def programs():
    """Return the folder where programs are unpacked, made if need be."""
    base = os.environ.get("TM_PROGRAMS") or "/var/tmp/taskmanager-%d/.programs" % os.getuid()
    os.makedirs(os.path.dirname(base), 0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(base, 0o700)
    place = base = os.path.realpath(base)
    while True:
        found = os.stat(place)
        open_to_all = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (0, os.getuid()) or open_to_all or (place == base and found.st_uid != os.getuid()):
            raise RefusedError("others could replace what is in %s; TM_PROGRAMS names another folder" % place)
        if place == "/":
            break
        place = os.path.dirname(place)
    if os.statvfs(base).f_flag & getattr(os, "ST_NOEXEC", 8):
        raise RefusedError("%s is on a file system without programs (noexec); TM_PROGRAMS names another folder" % base)
    return base


def unpacked(file, build, base):
    """Return the folder with all that *file* holds; what a cleaner of temporary files took is there again."""
    root = os.path.join(base, "tm-%s-%s" % (build["version"], build["digest"][:16]))
    names = [name for name in file.namelist() if name.startswith("site/")]
    if _whole(root, names):
        return root
    with open(os.path.join(base, "lock"), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _whole(root, names):
            new = tempfile.mkdtemp(prefix="new-", dir=base)
            try:
                file.extractall(new, names)
                if os.path.exists(root):
                    os.rename(root, os.path.join(new, "old"))
                os.rename(os.path.join(new, "site"), root)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    return root


def _whole(root, names):
    try:
        for name in names:
            os.stat(root + name[4:])
        os.utime(root)
    except FileNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv))
