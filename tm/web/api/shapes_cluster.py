"""What answers look like that tell of the cluster and its people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct, field

from tm.web.api.meaning import Time, of

May = Literal["look", "act", "submit"]


class Store(Struct):
    """How large the dispatcher's store is."""

    bytes: Annotated[int, of("its size on disk, in bytes")]
    wal: Annotated[int, of("of that the log ahead of it, in bytes")]
    archive_bytes: Annotated[int, of("the size of the archive, in bytes")]
    jobs: Annotated[int, of("jobs in it")]


class Status(Struct):
    """How the dispatcher is."""

    server: Annotated[str, of("TaskDispatcher")]
    pid: Annotated[int, of("the number of its process")]
    version: Annotated[str, of("its version")]
    cluster: Annotated[str, of("the name of the cluster")]
    since: Annotated[str, of("when it was started", Time)]
    jobs: Annotated[dict[str, int], of("how many jobs that have not ended are in which state")]
    hosts: Annotated[dict[str, int], of("how many hosts are in which state")]
    users: Annotated[int, of("how many users' servers are attached")]
    epoch: Annotated[int, of("how often its store has been opened")]
    web: Annotated[str | None, of("where the web interface is")]
    warnings: Annotated[list[str], of("what you should know, a sentence each")]
    store: Annotated[Store | None, of("how large its store is")] = None


class Amounts(Struct):
    """What somebody has at once."""

    running: Annotated[int, of("running jobs")]
    cores: Annotated[int, of("their cores")]
    memory: Annotated[int, of("their memory, in bytes")]
    queued: Annotated[int, of("waiting jobs")]


class Bound(Struct):
    """A limit, and how much of it is used."""

    group: Annotated[str, of("whose limit it is")]
    of: Annotated[Literal["group", "member"], of("whether it holds for the group together or for each member")]
    what: Annotated[Literal["running", "cores", "memory", "queued"], of("what it limits")]
    limit: Annotated[int, of("the most there may be; memory in bytes")]
    used: Annotated[int, of("how much there is")]


class Who(Struct):
    """Who you are."""

    user: Annotated[str, of("your name")]
    groups: Annotated[list[str], of("your groups")]
    rights: Annotated[list[str], of("your rights that are of use here")]
    shares: Annotated[dict[str, int], of("the shares of your groups")]
    used: Annotated[Amounts, of("what you have now")]
    limits: Annotated[list[Bound], of("what limits you")]
    warnings: Annotated[list[str], of("what you should know, a sentence each")]


class Share(Struct):
    """Somebody's part of the cluster."""

    user: Annotated[str, of("who")]
    groups: Annotated[list[str], of("their groups that have shares")]
    share: Annotated[float, of("the part of the cluster that is theirs, 0 to 1")]
    used: Annotated[float, of("what they used, in core-seconds, of which half is forgotten after each half-life")]
    part: Annotated[float, of("that as a part of all that was used, 0 to 1")]
    cores: Annotated[int, of("cores they use now")]
    factor: Annotated[float, of("what that makes of their jobs; 1: the best")]


class Use(Struct, kw_only=True):
    """What jobs that have ended have used; of user, group and month only those that were asked for are there."""

    user: Annotated[str, of("whose jobs")] = ""
    group: Annotated[str, of("the group they counted for")] = ""
    month: Annotated[str, of("when they ended, e.g. 2026-11")] = ""
    jobs: Annotated[int, of("how many they were")]
    completed: Annotated[int, of("how many succeeded")]
    failed: Annotated[int, of("how many did not")]
    core_hours: Annotated[float, of("hours times cores they had")]
    cpu_hours: Annotated[float, of("hours of processor time they used")]
    gpu_hours: Annotated[float, of("hours times graphics processors they had")]
    mean_wait: Annotated[float | None, of("how long they waited on average, in seconds")]
    max_rss: Annotated[int | None, of("the most memory one of them had, in bytes")]


class Certificate(Struct):
    """A registered certificate."""

    fingerprint: Annotated[str, of("its SHA-256, in hexadecimal digits")]
    file: Annotated[str, of("its file below etc")]
    until: Annotated[str, of("when it ends", Time)]
    days_left: Annotated[int, of("in how many days that is")]


class User(Struct):
    """A user."""

    name: Annotated[str, of("the name")]
    email: Annotated[str, of("the address of mail; empty for none")]
    groups: Annotated[list[str], of("groups")]
    rights: Annotated[list[str], of("rights")]
    used: Annotated[Amounts, of("what they have now")]
    certificates: Annotated[list[Certificate], of("their certificates")]


class Group(Struct):
    """A group."""

    name: Annotated[str, of("its name")]
    members: Annotated[list[str], of("its members; * is everybody")]
    rights: Annotated[list[str], of("the rights it gives")]
    limits: Annotated[dict[str, int], of("what all members may have together: running, cores, memory (bytes), queued")]
    user_limits: Annotated[dict[str, int], of("what each member may have")]
    shares: Annotated[int, of("its shares of the cluster; 0: it takes no part in sharing")]
    used: Annotated[Amounts, of("what its members have together")]


class Record(Struct):
    """A record of the audit log."""

    id: Annotated[int, of("its number, counted from 1")]
    at: Annotated[str, of("when it was done", Time)]
    user: Annotated[str, of("who did it")]
    verb: Annotated[str, of("what was done")]
    kind: Annotated[str, of("to what kind of thing: host, user, group, …")]
    name: Annotated[str, of("to which")]
    before: Annotated[dict[str, Any] | None, of("its table before; null: it was not there")]
    after: Annotated[dict[str, Any] | None, of("its table after; null: it is gone")]
    reason: Annotated[str, of("why, or more of it, in a sentence")]
    undoes: Annotated[int | None, of("the record that this takes back")]


class Property(Struct):
    """Something that can be set of the cluster."""

    name: Annotated[str, of("its name, TABLE.KEY")]
    value: Annotated[Any, of("what is said of it, else its default")]
    default: Annotated[Any, of("what holds where nothing is said")]
    unit: Annotated[str, of("the unit of its value")]
    meaning: Annotated[str, of("what it does")]
    origin: Annotated[Literal["file", "default"], of("whether its value is said in a file")]
    effect: Annotated[Literal["now", "restart"], of("when another value counts")]
    when: Annotated[str, of("the same in a sentence")]
    kind: Annotated[str, of("number, text, duration, size, flag, choice, list or table")]
    choices: Annotated[list[str], of("the values there are, of a choice")]
    changeable: Annotated[bool, of("whether it can be changed here")]
    running: Annotated[Any, of("what the dispatcher goes by now")]
    text: Annotated[str, of("its value as people write it")]


class Session(Struct):
    """A link, a session of a browser, or a token."""

    id: Annotated[str, of("its id, no secret")]
    kind: Annotated[Literal["link", "session", "token"], of("what it is")]
    user: Annotated[str, of("whose it is")]
    may: Annotated[May, of("what it may: look, act on what is there, submit jobs")]
    name: Annotated[str, of("of a token: its name")]
    made: Annotated[str, of("when it was made", Time)]
    until: Annotated[str, of("when it ends", Time)]
    used: Annotated[str | None, of("when it was used last, exact to an hour", Time)]
    agent: Annotated[str, of("the program that uses it")]
    address: Annotated[str, of("where that is")]


class LogLine(Struct):
    """A line of the dispatcher's log; other fields say more."""

    time: Annotated[str, of("when", Time)]
    level: Annotated[str, of("debug, info, warn, error or critical")]
    event: Annotated[str, of("what kind of thing happened, in a word")]
    text: Annotated[str, of("what happened, in a sentence")]


class Fault(Struct):
    """What is wrong."""

    class_: Annotated[str, of("a stable word: job.unknown; docs/protocol.md lists them")] = field(name="class")
    text: Annotated[str, of("what failed, where, and what to do, in a sentence")]
    details: Annotated[list[Any], of("what there is more to say, e.g. what somebody else has changed meanwhile")] = []


class Refusal(Struct):
    """The answer to what was not done."""

    error: Fault
