"""What answers look like that tell of hosts. Sizes are bytes; processor use is in cores busy on average."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct

from tm.web.api.meaning import Time, of


class Gpu(Struct):
    """A graphics processor."""

    index: Annotated[int, of("its number on the host")]
    model: Annotated[str, of("what it is")]
    memory: Annotated[int, of("its memory, in bytes")]
    memory_used: Annotated[int, of("how much of that is used, in bytes")]
    use: Annotated[float, of("how busy it is, 0 to 1")]
    users: Annotated[list[str], of("who has processes on it")]


class UserServer(Struct):
    """A user's server on a host."""

    user: Annotated[str, of("whose")]
    link: Annotated[Literal["up", "starting", "down", "failed", "stale"], of("how it is reached")]
    reason: Annotated[str, of("why it is so")]
    survives: Annotated[str, of("what keeps jobs there when their user logs out")]


class Consumable(Struct):
    """Something that is counted on a host."""

    whole: Annotated[int, of("how many there are")]
    used: Annotated[int, of("how many jobs have")]


class HostInfo(Struct):
    """How the InfoServer of a host is."""

    state: Annotated[str, of("up, starting, failed, bad (what it says cannot be true) or off (none is wanted)")]
    reason: Annotated[str, of("why")]
    port: Annotated[int | None, of("where it listens")]
    version: Annotated[str, of("its version")]
    survives: Annotated[str, of("what keeps jobs there when their user logs out")]


HostState = Literal["unknown", "starting", "up", "busy", "draining", "drained", "unreachable", "down", "refused"]


class Host(Struct, kw_only=True):
    """A host; what its InfoServer measures is null where there is none that can be believed."""

    name: Annotated[str, of("its name")]
    state: Annotated[HostState, of("how it is")]
    reason: Annotated[str, of("why it is so, in a sentence")]
    address: Annotated[str, of("its address")]
    launcher: Annotated[str, of("how servers are started there: local, openssh, conch")]
    cores: Annotated[int, of("processor cores there are for jobs")]
    used_cores: Annotated[int, of("cores that jobs have")]
    memory: Annotated[int | None, of("memory there is for jobs, in bytes; null: not limited")]
    used_memory: Annotated[int, of("memory that jobs have asked for, in bytes")]
    jobs: Annotated[int, of("jobs on it")]
    servers: Annotated[list[UserServer], of("the users' servers there")]
    remedy: Annotated[str, of("what brings it back, in a sentence")]
    since: Annotated[str | None, of("since when its state is so", Time)]
    vacant: Annotated[bool, of("whether a core is free for a job")]
    free_cores: Annotated[int, of("cores free of those offered now")]
    offered_cores: Annotated[int, of("cores that others leave of it now")]
    offered_memory: Annotated[int | None, of("memory that others leave of it now, in bytes")]
    group: Annotated[str, of("its group of hosts in the configuration; empty for none")]
    features: Annotated[list[str], of("what it is called in constraints")]
    policy: Annotated[str, of("what becomes of jobs when others need it: ignore, no-new-jobs, nice, suspend, give-way")]
    gpu_count: Annotated[int | None, of("its graphics processors; null: not known yet")]
    free_gpus: Annotated[int, of("graphics processors that nobody has")]
    consumables: Annotated[dict[str, Consumable], of("what is counted there, by name")]
    exclusive: Annotated[bool, of("whether one job has it for itself")]
    gpus: Annotated[list[Gpu], of("its graphics processors")]
    memory_total: Annotated[int | None, of("memory the machine has, in bytes")]
    load: Annotated[list[float] | None, of("its load over 1, 5 and 15 minutes")]
    cpu_ours: Annotated[float | None, of("cores that jobs and our servers keep busy")]
    cpu_others: Annotated[float | None, of("cores that others keep busy")]
    memory_available: Annotated[int | None, of("memory that is available, in bytes")]
    logged_in: Annotated[list[str] | None, of("who is logged in")]
    console_idle: Annotated[float | None, of("seconds since somebody touched the console; null: nobody is there")]
    info: Annotated[HostInfo, of("how its InfoServer is")]


class HostDetail(Host, kw_only=True):
    """A host and its configuration."""

    config: Annotated[dict[str, Any] | None, of("what ComputerCluster.config says of it; null: unreadable")]
    own: Annotated[dict[str, Any] | None, of("those of them that are said of this host alone")]
    config_error: Annotated[str, of("why the configuration cannot be read")] = ""


class Process(Struct):
    """A process of a host; they come as a tree, parents before children."""

    pid: Annotated[int, of("its number")]
    ppid: Annotated[int, of("that of its parent")]
    depth: Annotated[int, of("how deep in the tree it is")]
    user: Annotated[str, of("whose it is")]
    cpu: Annotated[float, of("cores it keeps busy")]
    cpu_seconds: Annotated[float, of("processor time it has used, in seconds")]
    memory: Annotated[int, of("its resident memory, in bytes")]
    ours: Annotated[bool, of("whether it belongs to a job or a server of ours")]
    job: Annotated[int | str | None, of("the job it belongs to")]
    name: Annotated[str, of("the name of its program")]
    command: Annotated[str, of("its command line where it is the asker's own, else the name")]


class JobUse(Struct):
    """What a job uses on a host."""

    job: Annotated[int | str, of("the job")]
    cpu: Annotated[float, of("cores it keeps busy")]
    memory: Annotated[int, of("its resident memory, in bytes")]
    processes: Annotated[int, of("its processes")]


class Load(Struct):
    """How busy a host is; rates are bytes a second over the last ten seconds."""

    host: Annotated[str, of("its name")]
    at: Annotated[str, of("when it was looked at", Time)]
    load: Annotated[list[float], of("its load over 1, 5 and 15 minutes")]
    cores: Annotated[int, of("cores it schedules on")]
    cpu_ours: Annotated[float, of("cores that jobs and our servers keep busy")]
    cpu_others: Annotated[float, of("cores that others keep busy")]
    cpu_by_user: Annotated[dict[str, float], of("which of the others keeps how many cores busy")]
    jobs: Annotated[list[JobUse], of("what each job uses")]
    memory: Annotated[int, of("its memory, in bytes")]
    memory_available: Annotated[int, of("what of it is available, in bytes")]
    memory_ours: Annotated[int, of("what of it jobs and our servers have, in bytes")]
    swap: Annotated[int, of("its swap space, in bytes")]
    swap_used: Annotated[int, of("what of it is used, in bytes")]
    network_in: Annotated[float, of("bytes received a second")]
    network_out: Annotated[float, of("bytes sent a second")]
    disk_read: Annotated[float, of("bytes read a second")]
    disk_write: Annotated[float, of("bytes written a second")]
    logged_in: Annotated[list[str], of("who is logged in")]
    console_idle: Annotated[float | None, of("seconds since somebody touched the console")]
    processes: Annotated[int, of("its processes")]
    uptime: Annotated[int, of("seconds since it was booted")]
    gpus: Annotated[list[Gpu], of("its graphics processors")]


class Point(Struct):
    """What a metric was like."""

    at: Annotated[str, of("the beginning of the time of which this is the mean", Time)]
    value: Annotated[float | None, of("the mean, in the unit of the metric; null: nothing is known")]


class Disk(Struct):
    """A local file system."""

    path: Annotated[str, of("where it is mounted")]
    kind: Annotated[str, of("its kind: ext4, xfs, …")]
    size: Annotated[int, of("its size, in bytes")]
    free: Annotated[int, of("what of it is free, in bytes")]


class System(Struct):
    """What a computer is."""

    host: Annotated[str, of("its name")]
    boot: Annotated[str, of("an id that is another after each boot")]
    version: Annotated[str, of("the version of its InfoServer")]
    pid: Annotated[int, of("the number of that one's process")]
    port: Annotated[int, of("where that one listens")]
    fingerprint: Annotated[str, of("the SHA-256 of that one's certificate")]
    certificate_until: Annotated[str | None, of("the end of that certificate; it is made anew before", Time)]
    booted_at: Annotated[str, of("when it was booted", Time)]
    system: Annotated[str, of("its operating system")]
    kernel: Annotated[str, of("its kernel")]
    cpu_model: Annotated[str, of("its processor")]
    cores: Annotated[int, of("cores that its kernel schedules on")]
    sockets: Annotated[int, of("its processors")]
    threads: Annotated[int, of("how many of the cores share a core of the chip")]
    memory: Annotated[int, of("its memory, in bytes")]
    swap: Annotated[int, of("its swap space, in bytes")]
    gpus: Annotated[list[Gpu], of("its graphics processors")]
    survives: Annotated[str, of("what keeps jobs there when their user logs out")]
    disks: Annotated[list[Disk], of("its local file systems")]


class Login(Struct):
    """Somebody who is logged in."""

    user: Annotated[str, of("who")]
    terminal: Annotated[str, of("where, e.g. pts/3")]
    origin: Annotated[str, of("from where")]
    since: Annotated[str | None, of("since when", Time)]
    idle: Annotated[float | None, of("seconds since they touched it; null: nobody knows")]
    console: Annotated[bool, of("whether they sit at the machine")]
    seen: Annotated[str, of("what told the idle time: tty, logind, keys, or nothing")]


class Finding(Struct):
    """What a check found."""

    topic: Annotated[str, of("what was looked at")]
    level: Annotated[Literal["good", "note", "bad"], of("how it is")]
    short: Annotated[str, of("the same in a few words")]
    text: Annotated[str, of("the same in a sentence")]
    remedy: Annotated[str, of("what mends it")]


class HostCheck(Struct):
    """How the check of a computer goes; one that nobody asks for for 20 seconds ends."""

    check: Annotated[str, of("its name: say the same again with it, until it is over")]
    host: Annotated[str, of("the computer")]
    over: Annotated[bool, of("whether all was looked at")]
    good: Annotated[bool | None, of("whether jobs can run there")]
    findings: Annotated[list[Finding], of("what was found")]
    error: Annotated[str | None, of("why it could not be checked")]
