"""Grid Engine as a private cluster of one host: sge_qmaster and sge_execd below an SGE_ROOT of its own.

What Debian's packages have set up is neither read nor written, only their programs and defaults are used. The scheduler
runs once a second, which is as often as it can be told to: so it starts as many jobs a second as there are slots.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from pathlib import Path

from benchmarks import daemons
from benchmarks.peers import crashing, folder
from benchmarks.peers.contract import Crash
from benchmarks.peers.endings import Endings
from benchmarks.peers.folder import Folder

PACKAGES = "gridengine-master gridengine-exec gridengine-client"
LIBRARY = "/usr/lib/gridengine"
DEFAULTS = "/usr/share/gridengine/default-configuration"
RESOURCES = "/usr/share/gridengine/util/resources"
NEEDED = ("sge_qmaster", "sge_execd", *(f"{LIBRARY}/{name}" for name in ("qsub", "qstat", "qconf", "spooldefaults")))
HOST = "localhost"
ARCHITECTURE = "lx-amd64"
CELL = "default/common"
BOOTSTRAP = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method berkeleydb
spooling_lib libspoolb
spooling_params {folder}/spooldb
binary_path {library}
qmaster_spool_dir {folder}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
jvm_threads 0
"""
QUEUE = {
    "qname": "main.q", "hostlist": HOST, "seq_no": "0", "nsuspend": "1", "suspend_interval": "00:05:00",
    "priority": "0", "min_cpu_interval": "00:05:00", "processors": "UNDEFINED", "qtype": "BATCH", "rerun": "TRUE",
    "shell": "/bin/sh", "shell_start_mode": "unix_behavior", "notify": "00:00:60", "initial_state": "default",
    **dict.fromkeys(
        ("load_thresholds", "suspend_thresholds", "ckpt_list", "pe_list", "prolog", "epilog", "starter_method",
         "suspend_method", "resume_method", "terminate_method", "owner_list", "user_lists", "xuser_lists",
         "subordinate_list", "complex_values", "projects", "xprojects", "calendar"), "NONE"),
    **{f"{kind}_{limit}": "INFINITY" for kind in "sh" for limit in "rt cpu fsize data stack core rss vmem".split()},
}  # fmt: skip
SCHEDULER = {
    "schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1", "maxujobs": "0",
    "load_formula": "slots", "job_load_adjustments": "NONE",
}  # fmt: skip
# For an unchanged file, by the seconds of its time, qconf does nothing.
EDITOR = """\
#!/bin/sh
sed -i {changes} "$1"
touch -d '+2 seconds' "$1"
"""
GOOD = "0 0"
ENDING = re.compile(r"^(?:[^:]*:){4}([^:]*):(?:[^:]*:){6}([^:]*):([^:]*):")
START = 60.0
SLOWEST = 0.5
"""Jobs a second and slot that are waited for at least."""


class GridEngine:
    """Son of Grid Engine as Debian has it; usable between `start` and `stop`."""

    ways: tuple[str, ...] = ("array", "singly")
    notes = (
        "sge_qmaster and sge_execd; schedule_interval, flush_submit_sec and flush_finish_sec 1 s (the least: so many "
        "jobs a second start as there are slots), Berkeley DB spooling, accounting written at once"
    )

    _folder: Folder
    _endings: Endings
    _daemons: dict[str, subprocess.Popen[bytes]]

    def __init__(self) -> None:
        self.name = f"Grid Engine {folder.version('gridengine-master')}".strip()
        self._listing: list[str] = []
        self._slots = 0
        self._idle = 0
        self._round = 0
        self._started = False
        self._starts: str | None = None

    def missing(self) -> str:
        """Return what it needs and does not find; where all is there, it is started once to see that it does start."""
        if lacking := folder.needs(NEEDED, PACKAGES, root=True):
            return lacking
        if self._starts is None:
            try:
                self.start(1)
                self._starts = ""
            except (SystemExit, OSError, subprocess.SubprocessError) as refused:
                self._starts = f"does not start here: {refused}"
            finally:
                self.stop()
        return self._starts

    def start(self, slots: int) -> None:
        """Make an SGE_ROOT, start both daemons, and run one job: the first that is measured is not the first at all."""
        self._folder = here = Folder("gridengine")
        self._started = True
        self._listing = ["qstat"]
        self._slots = slots
        self._daemons = {}
        self._configure()
        self._endings = Endings(here.path(CELL, "accounting"), ENDING)
        self._start_server()
        here.run(["qconf", "-as", HOST])
        here.run(["qconf", "-ah", HOST])
        changes = " ".join(f"-e 's/^{name} .*/{name} {value}/'" for name, value in SCHEDULER.items())
        here.environment["EDITOR"] = here.write("editor", EDITOR.format(changes=changes), 0o755)
        here.run(["qconf", "-msconf"])
        self._daemons["sge_execd"] = here.start(["sge_execd"], "execd.log")
        queue = {**QUEUE, "slots": str(slots), "tmpdir": here.path("tmp")}
        here.run(["qconf", "-Aq", here.write("queue", "".join(f"{key} {value}\n" for key, value in queue.items()))])
        here.wait_for(lambda: ARCHITECTURE in here.ask(["qstat", "-f"]), "the host", START)
        self._idle = self.server_memory()
        self.throughput("singly", 1)

    def _configure(self) -> None:
        here = self._folder
        here.make(CELL, "qmaster", "execd", "spooldb", "bin", "lib", "tmp")
        for name in ("bin", "lib"):
            os.symlink(LIBRARY, here.path(name, ARCHITECTURE))
        os.symlink(LIBRARY, here.path("utilbin"))
        os.symlink(os.path.dirname(RESOURCES), here.path("util"))
        here.write(f"{CELL}/bootstrap", BOOTSTRAP.format(folder=here.folder, library=LIBRARY))
        here.write(f"{CELL}/act_qmaster", HOST + "\n")
        here.write(f"{CELL}/host_aliases", f"{HOST} {socket.gethostname()}\n")
        here.write("true.sh", "#!/bin/true\n", 0o755)
        self._port, node_port = folder.free_ports(2)
        here.environment.update(
            PATH=f"{LIBRARY}:{here.environment['PATH']}", SGE_ROOT=here.folder, SGE_CELL="default", SGE_ND="1",
            SGE_ARCH=ARCHITECTURE, SGE_QMASTER_PORT=str(self._port), SGE_EXECD_PORT=str(node_port),
        )  # fmt: skip
        here.run(["spoolinit", "berkeleydb", "libspoolb", here.path("spooldb"), "init"])
        settings = here.write("configuration", configuration(Path(DEFAULTS).read_text(), here.path("execd")))
        here.run(["spooldefaults", "configuration", settings])
        here.run(["spooldefaults", "complexes", f"{RESOURCES}/centry"])
        here.run(["spooldefaults", "usersets", f"{RESOURCES}/usersets"])
        here.run(["spooldefaults", "managers", "root"])

    def _start_server(self) -> None:
        self._daemons["sge_qmaster"] = server = self._folder.start(["sge_qmaster"], "qmaster.log")
        self._folder.wait_for(lambda: folder.is_open(self._port), "sge_qmaster", START, server)

    def throughput(self, way: str, jobs: int) -> float:
        """Measure *jobs* jobs as one array, or each submitted when the one before is accepted."""
        here = self._folder
        self._rest()
        self._round += 1
        name = f"round{self._round}"
        begin = time.perf_counter()
        if way == "array":
            here.run([*self._submit(), "-N", name, "-t", f"1-{jobs}", here.path("true.sh")])
        else:
            here.repeat([*self._submit(), "-N", name, here.path("true.sh")], jobs)
        patience = START + jobs / self._slots / SLOWEST
        here.wait_for(lambda: self._endings.of(name).total() >= jobs, f"{jobs} endings", patience)
        seconds = time.perf_counter() - begin
        self._endings.check(name, jobs, GOOD)
        return seconds

    def _submit(self) -> list[str]:
        return ["qsub", "-terse", "-j", "y", "-o", "/dev/null"]

    def _rest(self) -> None:
        """Wait until nothing runs."""
        self._folder.wait_for(lambda: not self._folder.ask(["qstat", "-s", "r"]).strip(), "the end of all", START)

    def submit_once(self) -> float:
        """Measure one ``qsub`` (the program, not Debian's shell script around it), of a job that is held."""
        return self._folder.measure([*self._submit(), "-h", self._folder.path("true.sh")])

    def wait_once(self) -> float:
        """Measure ``qsub -sync y``."""
        self._rest()
        return self._folder.measure([*self._submit(), "-sync", "y", self._folder.path("true.sh")])

    def fill(self, waiting: int, array: bool) -> float:
        """Submit held jobs, single ones by four clients at once."""
        here = self._folder
        begin = time.perf_counter()
        if array:
            here.run([*self._submit(), "-h", "-t", f"1-{waiting}", here.path("true.sh")])
            self._listing = ["qstat", "-g", "d"]
        else:
            here.repeat([*self._submit(), "-h", here.path("true.sh")], waiting, folder.CLIENTS)
        return time.perf_counter() - begin

    def list_once(self) -> float:
        """Measure ``qstat``, with a line for each task where there are arrays."""
        return self._folder.measure(self._listing)

    def server_memory(self) -> int:
        """Return the resident bytes of sge_qmaster and sge_execd."""
        return sum(daemons.resident(daemon.pid) for daemon in self._daemons.values())

    def idle_memory(self) -> int:
        """Return the same before the first job."""
        return self._idle

    def crash(self, jobs: int) -> Crash:
        """Kill sge_qmaster; all jobs are accepted before the first begins."""
        here = self._folder
        book = here.path("book")
        job = here.write("book.sh", crashing.script("JOB_ID", book), 0o755)
        accepted = here.repeat([*self._submit(), "-h", job], jobs, folder.CLIENTS)
        here.run(["qrls", "-u", "root"])
        killed = self._daemons["sge_qmaster"]
        server = crashing.Server(lambda: folder.kill(killed), self._start_server, self._unfinished)
        return crashing.kill_and_restart(book, accepted, server)

    def _unfinished(self) -> set[str]:
        return set(re.findall(r"^ *(\d+) ", self._folder.ask(["qstat"]), re.MULTILINE))

    def stop(self) -> None:
        """End the daemons and what they have started, and remove the folder."""
        if self._started:
            self._started = False
            self._folder.stop()


def configuration(defaults: str, spool: str) -> str:
    """Return Debian's settings of a cluster as they are needed here; hosts keep what they work on in *spool*."""
    changes = {
        r"^execd_spool_dir\s+\S+": f"execd_spool_dir {spool}",
        r"^min_uid\s+\d+": "min_uid 0",
        r"^min_gid\s+\d+": "min_gid 0",
        r"^max_aj_tasks\s+\d+": "max_aj_tasks 250000",
        r"\bflush_time=00:00:15": "accounting_flush_time=00:00:00 flush_time=00:00:01",
        r"^administrator_mail\s+\S+": "administrator_mail none",
        r"^shell_start_mode\s+\w+": "shell_start_mode unix_behavior",
    }
    for pattern, wanted in changes.items():
        defaults = re.sub(pattern, wanted, defaults, flags=re.MULTILINE)
    return defaults
