"""Slurm as a private cluster of one node: munged, slurmctld and slurmd with a key, a socket and settings of their own.

The settings are the quickest that keep exit codes. The decisive one is ``Epilog``: without one slurmd says that a job
is "already complete", which frees the processor but does not make slurmctld schedule, so the next job waits for a timer
of whole seconds. That submissions are saved only every few seconds is how Slurm is, and not a setting.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time

from benchmarks import daemons
from benchmarks.peers import crashing, folder
from benchmarks.peers.contract import Crash
from benchmarks.peers.endings import Endings
from benchmarks.peers.folder import Folder

PACKAGES = "slurmctld slurmd slurm-client munge"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo")
SETTINGS = """\
ClusterName=peer
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={server_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,ttl=300
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldDebug=error
SlurmdDebug=error
Epilog=/bin/true
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=2000,sched_interval=1,default_queue_depth=10
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PriorityType=priority/basic
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/endings
SlurmdParameters=config_overrides
ReturnToService=2
MaxJobCount=250000
MaxArraySize=200001
MinJobAge=2
KillWait=5
CompleteWait=0
InactiveLimit=0
PropagateResourceLimits=NONE
NodeName={host} NodeAddr=127.0.0.1 CPUs={slots} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
SUBMIT = ("sbatch", "--parsable", "--output=/dev/null")
BUSY = ("squeue", "-h", "-t", "R,CG", "-o", "%i")
GOOD = "COMPLETED 0:0"
ENDING = re.compile(r"^JobId=.*?\bName=(\S+) JobState=(\S+) .*\bExitCode=(\S+)")
START = 30.0
SLOWEST = 4.0
"""Jobs a second that are waited for at least."""
SAVED = 10.0
"""Seconds after which slurmctld has saved what it was told."""
AT_ONCE = 500


class Slurm:
    """Slurm as Debian has it; usable between `start` and `stop`."""

    ways: tuple[str, ...] = ("array", "singly")
    notes = (
        "slurmctld, slurmd and munged; Epilog=/bin/true (else the next job waits for a timer of a second), "
        "sched/builtin, cons_tres, no accounting but jobcomp/filetxt; saves what is submitted every few seconds"
    )

    _folder: Folder
    _endings: Endings
    _daemons: dict[str, subprocess.Popen[bytes]]

    def __init__(self) -> None:
        self.name = f"Slurm {folder.version('slurmctld')}".strip()
        self._listing: list[str] = []
        self._idle = 0
        self._round = 0
        self._started = False

    def missing(self) -> str:
        """Return what it needs and does not find, and how to get that."""
        return folder.needs(PROGRAMS, PACKAGES, root=True)

    def start(self, slots: int) -> None:
        """Start the three daemons, and run one job: the first that is measured is not the first at all."""
        self._folder = here = Folder("slurm")
        self._started = True
        self._listing = ["squeue"]
        self._configure(slots)
        self._endings = Endings(here.path("endings"), ENDING)
        self._daemons = {"munged": here.start(_munged(here), "munged.log")}
        here.wait_for(lambda: os.path.exists(here.path("munge.socket")), "munged", START, self._daemons["munged"])
        self._start_server()
        self._start_node()
        here.wait_for(
            lambda: "idle" in here.ask(["sinfo", "-h", "-o", "%T"]), "an idle node", START, self._daemons["slurmd"]
        )
        self._idle = self.server_memory()
        self.throughput("singly", 1)

    def _configure(self, slots: int) -> None:
        here = self._folder
        here.make("state", "spool")
        here.write("munge.key", os.urandom(128), 0o600)
        here.write("true.sh", "#!/bin/true\n", 0o755)
        server_port, node_port = folder.free_ports(2)
        values = {"server_port": server_port, "node_port": node_port}
        settings = SETTINGS.format(folder=here.folder, host=_host(), slots=slots, **values)
        here.environment["SLURM_CONF"] = here.write("slurm.conf", settings)

    def _start_server(self) -> None:
        command = ["slurmctld", "-D", "-f", self._folder.path("slurm.conf")]
        self._daemons["slurmctld"] = self._folder.start(command, "slurmctld.log")

    def _start_node(self) -> None:
        command = ["slurmd", "-D", "-N", _host(), "-f", self._folder.path("slurm.conf")]
        self._daemons["slurmd"] = self._folder.start(command, "slurmd.log")

    def throughput(self, way: str, jobs: int) -> float:
        """Measure *jobs* jobs as one array, or each submitted when the one before is accepted."""
        here = self._folder
        self._rest()
        self._round += 1
        name = f"round{self._round}"
        begin = time.perf_counter()
        if way == "array":
            here.run([*SUBMIT, f"--job-name={name}", f"--array=1-{jobs}", here.path("true.sh")])
        else:
            here.repeat([*SUBMIT, f"--job-name={name}", here.path("true.sh")], jobs)
        here.wait_for(lambda: self._endings.of(name).total() >= jobs, f"{jobs} endings", START + jobs / SLOWEST)
        seconds = time.perf_counter() - begin
        self._endings.check(name, jobs, GOOD)
        return seconds

    def _rest(self) -> None:
        """Wait until nothing runs and nothing is still being cleaned up."""
        self._folder.wait_for(lambda: not self._folder.ask(BUSY).strip(), "the end of all that runs", START)

    def submit_once(self) -> float:
        """Measure one ``sbatch``, of a job that is held: it shall not run beside the next."""
        return self._folder.measure([*SUBMIT, "--hold", self._folder.path("true.sh")])

    def wait_once(self) -> float:
        """Measure ``srun true``."""
        self._rest()
        return self._folder.measure(["srun", "--quiet", "/bin/true"])

    def fill(self, waiting: int, array: bool) -> float:
        """Submit held jobs, single ones by four clients at once."""
        here = self._folder
        begin = time.perf_counter()
        if array:
            here.run([*SUBMIT, "--hold", f"--array=1-{waiting}", here.path("true.sh")])
            self._listing = ["squeue", "--array"]
        else:
            here.repeat([*SUBMIT, "--hold", here.path("true.sh")], waiting, folder.CLIENTS)
        return time.perf_counter() - begin

    def list_once(self) -> float:
        """Measure ``squeue``, with a line for each task where there are arrays."""
        return self._folder.measure(self._listing)

    def server_memory(self) -> int:
        """Return the resident bytes of slurmctld, slurmd and munged."""
        return sum(daemons.resident(daemon.pid) for daemon in self._daemons.values())

    def idle_memory(self) -> int:
        """Return the same before the first job."""
        return self._idle

    def crash(self, jobs: int) -> Crash:
        """Kill slurmctld; all jobs are accepted and saved before the first begins. slurmd goes on, as on a host."""
        here = self._folder
        book = here.path("book")
        job = here.write("book.sh", crashing.script("SLURM_JOB_ID", book), 0o755)
        accepted = here.repeat([*SUBMIT, "--hold", job], jobs, folder.CLIENTS)
        time.sleep(SAVED)
        for first in range(0, jobs, AT_ONCE):
            here.run(["scontrol", "release", ",".join(accepted[first : first + AT_ONCE])])
        kill = self._daemons["slurmctld"]
        server = crashing.Server(
            lambda: folder.kill(kill), self._start_server, self._unfinished, self._state, self._help
        )
        return crashing.kill_and_restart(book, accepted, server)

    def _unfinished(self) -> set[str]:
        return set(self._folder.ask(["squeue", "-h", "-r", "-o", "%A"]).split())

    def _state(self) -> str:
        """Return in words that the node takes no more jobs, "" if it does."""
        told = " ".join(self._folder.ask(["sinfo", "-h", "-o", "%T %E"]).split())
        return f"the node is {told}" if told.startswith(("drain", "down", "fail")) else ""

    def _help(self) -> str:
        """Restart slurmd, so that slurmctld learns which jobs do not run, and resume the node where it is drained."""
        folder.kill(self._daemons["slurmd"])
        self._start_node()
        self._folder.ask(["scontrol", "update", f"nodename={_host()}", "state=resume"])
        return "a restart of slurmd and a resume of the node"

    def stop(self) -> None:
        """End the daemons and what they have started, and remove the folder."""
        if self._started:
            self._started = False
            self._folder.stop()


def _munged(here: Folder) -> list[str]:
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "munged.seed"}
    return ["munged", "--foreground", "--force", *(f"--{name}={here.path(file)}" for name, file in files.items())]


def _host() -> str:
    return socket.gethostname().partition(".")[0]
