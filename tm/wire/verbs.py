"""What each server's verbs are called and which arguments they take: the grammar, with a line of help for each.

A right is not grammar: who may say what stands in `tm.model.rights`.
"""

from __future__ import annotations

from tm.errors import RefusedError
from tm.wire.message import Request, unquote

SIGNALS = ("INT", "TERM", "KILL", "HUP", "QUIT", "USR1", "USR2", "STOP", "CONT", "TSTP")
"""The names that ``runsignal`` takes."""


class Verb:
    """*required* and *optional* plain arguments; *tail* says how the last one is written.

    ``text`` takes the rest of the line as it is, ``json`` one JSON value, ``many`` any number of plain arguments.
    """

    __slots__ = ("help", "name", "optional", "required", "tail")

    def __init__(self, name: str, grammar: str, help: str) -> None:
        self.name = name
        self.help = help
        words = grammar.split()
        self.tail = ""
        if words and words[-1].startswith("*"):
            self.tail = words.pop()[1:]
        self.required = [word for word in words if not word.startswith("[")]
        self.optional = [word.strip("[]") for word in words if word.startswith("[")]

    @property
    def usage(self) -> str:
        """The verb as ``help`` shows it, e.g. ``deactivatehost:HOST[:REASON]``."""
        shown = self.name + "".join(":" + word.upper() for word in self.required)
        shown += "".join(f"[:{word.upper()}]" for word in self.optional)
        return shown + {"": "", "text": ":TEXT", "json": ":JSON", "many": "[:ARGUMENT…]"}[self.tail]

    def arguments(self, request: Request) -> list[str]:
        """Return the decoded arguments; raise `RefusedError` (``proto.arguments``) when they do not fit."""
        if self.tail in ("text", "json"):
            if not request.rest:
                raise RefusedError("proto.arguments", f"{self.name} needs an argument: {self.usage}")
            return [request.rest]
        given = [unquote(part) for part in request.rest.split(":")] if request.rest else []
        most = len(self.required) + len(self.optional)
        if len(given) < len(self.required) or (len(given) > most and self.tail != "many"):
            raise RefusedError("proto.arguments", f"{self.name} is written {self.usage}")
        return given


def _table(*verbs: Verb) -> dict[str, Verb]:
    return {verb.name: verb for verb in verbs}


_EVERY_SERVER = (
    Verb("help", "[verb]", "what can be said here, or how one verb is written"),
    Verb("version", "", "program and protocol version"),
    Verb("whoami", "", "your name, groups and rights"),
    Verb("status", "", "how the server is"),
)

DISPATCHER = _table(
    *_EVERY_SERVER,
    Verb("runjob", "*text", "run a shell command; must be signed, so say it to your own server (hRunJob does)"),
    Verb("submit", "*json", "accept signed job orders"),
    Verb("lsjobs", "*many", "list jobs; user=NAME|all state=S,… limit=N name=PATTERN text=TEXT order=-ended"),
    Verb("countjobs", "*many", "how many jobs are how; filters as lsjobs has them"),
    Verb("jobinfo", "id [what]", "all that is known of one job; WHAT environment: and its environment"),
    Verb("canceljob", "ids [reason]", "end jobs; IDS such as 17, 3,5-7, 17_[0-9] or state=pending name=sim*"),
    Verb("holdjob", "ids [reason]", "let waiting jobs not start"),
    Verb("releasejob", "ids", "let held jobs start"),
    Verb("suspendjob", "ids [reason]", "stop running jobs where they are"),
    Verb("resumejob", "ids", "let suspended jobs go on"),
    Verb("signaljob", "ids signal", "send a signal to running jobs"),
    Verb("requeuejob", "ids [reason]", "end running jobs and let them wait for another start"),
    Verb("changejob", "*json", 'change jobs: {"ids":"17","set":{"time":3600,…}}'),
    Verb("tryjobs", "verb ids", "which jobs VERB would touch, and which not and why; nothing is done"),
    Verb("jobtexts", "ids [what]", "the signed requests of your jobs, for your own server; WHAT failed or read"),
    Verb("whyjob", "id", "why a job waits, for every host, and when it will start"),
    Verb("fits", "*json", "which hosts would fit a job, and why others do not; nothing is submitted"),
    Verb("lsshares", "", "the shares of users and groups, what they have used, and what that makes of their jobs"),
    Verb("usage", "*many", "what was used: by=user,group,month from=2026-01-01 to=… user=NAME group=NAME"),
    Verb("joblog", "id [after]", "the tasks of an array in the form of GNU parallel's joblog"),
    Verb("lshosts", "", "list the hosts and how they are"),
    Verb("hostinfo", "host", "all that is known of one host"),
    Verb("activatehost", "host", "let jobs start on a host"),
    Verb("deactivatehost", "host [reason]", "start nothing more on a host"),
    Verb("drainhost", "host [deadline] [reason]", "start nothing more; what can be repeated leaves by DEADLINE (2h)"),
    Verb("addhost", "*json", 'take a host into the configuration: {"name":…,"address":…,…}'),
    Verb("changehost", "*json", 'change a host: {"name":…,"set":{…},"unset":[…]}'),
    Verb("removehost", "host", "take a host on which nothing runs out of the configuration"),
    Verb("declarelost", "host", "a host will not come back: its running jobs are lost"),
    Verb("leavehost", "host [duration]", "leave my machine now; for 8h where no duration is said"),
    Verb("returnhost", "host", "jobs may use my machine again"),
    Verb("whois", "fingerprint", "whose certificate that is"),
    Verb("lsusers", "", "list the users and their certificates"),
    Verb("adduser", "*json", 'register a user: {"name":…,"certificate":PEM,"email":…,"groups":[…]}'),
    Verb("changeuser", "*json", 'change a user: {"name":…,"add":PEM,"drop":FINGERPRINT,"email":…}'),
    Verb("removeuser", "user", "let a user in no longer"),
    Verb("lsgroups", "", "list the groups, their members, rights, limits and shares"),
    Verb("addgroup", "*json", 'make a group: {"name":…,"members":[…],"rights":[…],"limits":{…},"shares":N}'),
    Verb("changegroup", "*json", 'change a group: {"name":…,"add":[…],"drop":[…],"give":[…],"take":[…],"set":{…}}'),
    Verb("removegroup", "group", "take a group out"),
    Verb("lsproperties", "", "what can be set of the cluster: values, defaults, meanings, and when they count"),
    Verb("changeproperties", "*json", 'set properties: {"set":{"scheduling.half_life":"14d"},"unset":[NAME]}'),
    Verb("audit", "[lines]", "who changed what, when, from what to what"),
    Verb("undo", "id", "take a change back, if nothing has changed there since"),
    Verb("subscribe", "*many", "send event lines of these topics: jobs hosts log"),
    Verb("unsubscribe", "*many", "send no more of them; without a topic, none"),
    Verb("reload", "", "read etc/ again"),
    Verb("log", "*many", "the last lines of the dispatcher's log: LINES level=warn text=TEXT before=TIME"),
    Verb("shutdown", "", "stop the dispatcher; running jobs go on"),
    Verb("attach", "*json", "a user's server takes its place"),
    Verb("hello", "*json", "a user's server on a host says what it holds"),
    Verb("report", "*json", "a user's server on a host says what happened"),
    Verb("told", "*json", "a user's server has told its user something, or could not"),
    Verb("hostnews", "*json", "a user's server says how the start of a host went"),
    Verb("infojoin", "*json", "an InfoServer takes its place and says what its host is"),
    Verb("info", "*json", "an InfoServer says how its host is"),
    Verb("hostask", "host question *many", "ask a host's InfoServer: info load users processes gpus history"),
    Verb("infoanswer", "*json", "an InfoServer answers what it was asked"),
    Verb("own", "*json", "ask your own server, through a session: output submit rerun checkhost"),
    Verb("answered", "*json", "a user's server answers what it was asked"),
    Verb("weblogin", "*json", 'a link that opens the web interface once: {"may":"look|act|submit","grant":…,"sig":…}'),
    Verb("addtoken", "*json", 'a token for a program: {"name":…,"may":…,"days":90,"grant":…,"sig":…}'),
    Verb("lssessions", "", "list your links, sessions and tokens"),
    Verb("endsession", "id", "end a link, session or token"),
    Verb("webjoin", "*json", "the web server takes its place and says where people reach it"),
    Verb("webredeem", "*json", "the web server opens the session of a link"),
    Verb("webcertificate", "*json", "the web server opens the session of a browser's certificate"),
    Verb("checksessions", "*json", "the web server asks which sessions are still good"),
    Verb("as", "*json", 'the web server says what somebody said: {"secret":…,"verb":…,"rest":…}'),
)

INFO_SERVER = _table(
    *_EVERY_SERVER,
    Verb("info", "", "what this computer is: system, processor, memory, disks, graphics"),
    Verb("load", "", "how busy it is: ours, others', memory, swap, disk and network"),
    Verb("users", "", "who is logged in, and when they last touched the console"),
    Verb("processes", "*many", "its processes as a tree; user=NAME job=ID limit=N"),
    Verb("gpus", "", "its graphics processors and who uses them"),
    Verb("history", "metric span", "a metric's past: METRIC of 'history' in status, SPAN 1h, 24h or 30d"),
    Verb("subscribe", "*many", "send event lines of these topics: load"),
    Verb("unsubscribe", "*many", "send no more of them; without a topic, none"),
)

USER_SERVER = _table(
    *_EVERY_SERVER,
    Verb("runjob", "*text", "run a shell command as a job"),
    Verb("submit", "*json", "sign jobs and hand them to the dispatcher"),
    Verb("rerun", "*json", 'submit jobs again as they were: {"token":…,"ids":"17","failed":true}'),
    Verb("run", "*json", "run a command now, with its input and output on this connection"),
    Verb("retire", "", "stop this server; running jobs go on"),
    Verb("join", "*json", "a server on a host takes its place"),
    Verb("report", "*json", "a server on a host says what happened"),
    Verb("stream", "job [number]", "a server on a host brings the input and output of a visit to a job"),
    Verb("runstate", "*json", "a server on a host says how a command that runs now is"),
    Verb("runsignal", "name", "send a signal to the command that runs now"),
    Verb("runsize", "rows columns", "the terminal of the command that runs now has another size"),
    Verb("rundetach", "", "leave the command that runs now alone; it goes on"),
    Verb("runattach", "*json", 'look at a command that runs now again: {"job":17,"tty":{…}|null,"watch":false}'),
    Verb("runbeside", "*json", 'run a command beside a job, within its limits: {"job":17,"command":…,"tty":{…}}'),
    Verb("follow", "*json", 'send the output of a job as it is written: {"job":17,"lines":10}'),
    Verb("weblogin", "*json", 'a link to the web interface: {"may":"look|act|submit"}'),
    Verb("addtoken", "*json", 'make a token for a program: {"name":…,"may":"look|act|submit","days":90}'),
)
