"""What can be given any bytes: each target takes them and raises where something comes out that must not.

A target is a function of bytes that returns nothing; `WORDS` has what each of them understands, so that who searches
need not spell it.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise

from tests.fuzz import NAMES
from tests.fuzz.houses import FILES, USERS, DispatcherHouse, House, InfoServerHouse, UserHouse, certificates
from tests.support.web import COOKIE, SECRET, Site
from tm import config
from tm.config.files import HostsFile
from tm.config.info_file import InfoFile
from tm.config.people_files import PeopleFiles
from tm.errors import ConfigError, RefusedError, WireError
from tm.model.rights import RIGHTS
from tm.places import find_root
from tm.wire.dialogue import ClientDialogue, ServerDialogue
from tm.wire.message import Reply
from tm.wire.verbs import DISPATCHER, INFO_SERVER, USER_SERVER

SAID_BY = (*USERS, "infoserver@n1", "web@physics")
LISTS = set("lsjobs lshosts lsusers lsgroups lssessions lsproperties lsshares audit usage log".split())
SAMPLES = ("users", "groups", "ComputerCluster.config", "TaskDispatcher.info")


def lines(data: bytes) -> None:
    """Framing and parsing, either side: the same messages however the bytes are cut, or the same end."""
    cuts, raw = data[:3], data[3:]
    for make in (ServerDialogue, ClientDialogue):
        whole = _received(make(), [raw])
        places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
        assert _received(make(), [raw[low:high] for low, high in pairwise(places)]) == whole, (
            "cut otherwise, read otherwise"
        )


def _received(dialogue: ServerDialogue | ClientDialogue, pieces: list[bytes]) -> list[str]:
    heard = []
    try:
        for piece in pieces:
            for message in dialogue.receive(piece):
                heard.append(f"{message.word} {message.text}" if isinstance(message, RefusedError) else repr(message))
    except WireError as error:
        heard.append(f"{error.word} {error.text}")
    return heard


def dispatcher(data: bytes) -> None:
    """The first byte says who speaks; the rest is what they say to a dispatcher with jobs."""
    house = DispatcherHouse()
    try:
        _spoken(house, SAID_BY[data[0] % len(SAID_BY)] if data else "alice", data[1:], house.furnish)
    finally:
        house.close()


def users_server(data: bytes) -> None:
    """What clients and hosts say to a user's server."""
    _spoken(UserHouse(), "alice", data)


def info_server(data: bytes) -> None:
    """What users say to an InfoServer."""
    house = InfoServerHouse()
    try:
        _spoken(house, "alice", data)
    finally:
        house.close()


def _spoken(house: House, user: str, data: bytes, furnish: Callable[[], object] = lambda: None) -> None:
    furnish()
    talk = house.talk(user)
    talk.send(data + b"\n")
    talk.check()


def files(data: bytes) -> None:
    """The first byte says which file of ``etc`` the rest is: it is read and edited, or there are complaints."""
    name = SAMPLES[data[0] % len(SAMPLES)] if data else SAMPLES[0]
    with tempfile.TemporaryDirectory(prefix="tm-fuzz-") as etc:
        shutil.copytree(certificates(), os.path.join(etc, "certs"))
        for other, text in FILES.items():
            with open(os.path.join(etc, other), "wb") as file:
                file.write(data[1:] if other == name else text.encode())
        for step in (
            lambda: config.load(etc),
            lambda: InfoFile(etc).table(),
            lambda: InfoFile(etc).edit({"host": "there"}),
            lambda: HostsFile(etc).edit("host", "n1", {"cores": 3, "features": ["a"]}),
            lambda: HostsFile(etc).edit("scheduling", "", {"processes": 77}),
            lambda: PeopleFiles(etc).read().changed([("group", "admins", {"members": ["bob"]})]).write(),
        ):
            _complained(step)


def _complained(step: Callable[[], object]) -> None:
    try:
        step()
    except ConfigError as error:
        assert error.text, "a complaint without words"


def web(data: bytes) -> None:
    """Bytes that come to the web server; CSRF and SECRET in them stand for those of a visitor who has logged in."""
    site = Site(rights=list(RIGHTS))
    for verb in set(DISPATCHER) - LISTS:
        site.link.replies.setdefault(verb, Reply("there is none", word="job.unknown"))
    protocol, transport = site.connect()
    raw = data.replace(b"CSRF", site.csrf.encode()).replace(b"SECRET", SECRET.encode())
    protocol.dataReceived(raw)
    site.clock.advance(1.0)
    said = transport.value()
    assert not said or said.startswith(b"HTTP/1."), said[:200]
    assert b"HTTP/1.1 500" not in said and b"internal.error" not in said, said[:2000]
    site.clock.advance(3600.0)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "lines": lines, "dispatcher": dispatcher, "users_server": users_server, "info_server": info_server,
    "files": files, "web": web,
}  # fmt: skip
assert tuple(TARGETS) == NAMES


def seeds(name: str) -> list[bytes]:
    """Return what a guided search of the target *name* may begin with."""
    if name == "files":
        return list(samples())
    if name == "web":
        posts = [request("POST", path, [], [b"csrf=CSRF", *FIELDS[1:9]]) for path in PATHS]
        return [*(request("GET", path, [], []) for path in PATHS), *posts]
    before = {"dispatcher": b"\x02", "lines": b"\x01\x05\x09"}.get(name, b"")
    return [before + word + b"\n" for word in WORDS[name]]


@functools.cache
def samples() -> tuple[bytes, ...]:
    """Return the samples of the files of ``etc``, as `files` takes them."""
    found = [bytes([number]) + text.encode() for number, text in enumerate(FILES[name] for name in SAMPLES)]
    for number, name in enumerate(SAMPLES):
        with open(os.path.join(find_root(), "etc", name + ".sample"), "rb") as file:
            found.append(bytes([number]) + file.read())
    return tuple(found)


def _of_verbs(verbs: Mapping[str, object]) -> tuple[bytes, ...]:
    return (*(verb.encode() for verb in verbs), *(f"{verb}.json:".encode() for verb in verbs), *_MARKS)


_MARKS = (
    b"\n", b"\r\n", b":", b".json", b"{}", b"[]", b'"', b"%3A", b"%00", b"= 1 3\nabc", b"= 0 0\n", b"* {}", b"OK x",
    b"ERR a.b c", b".", b"..", b'{"token":"t","orders":[["{}","s"]],"environments":{}}',
    b'{"ids":"1","set":{"priority":1}}', b"1", b"2_0", b'{"job":1,"lines":3}', b'{"name":"n3","address":"n3"}',
    b'"set":{"cores":3}', b"state=pending", b"n1", b"alice", b"2h",
)  # fmt: skip
PATHS = (
    "/", "/jobs", "/jobs?user=all&order=-ended&from=x", "/jobs.csv?state=ended&limit=x", "/jobs/pending",
    "/jobs/finished?since=2026", "/jobs/1", "/jobs/2_0", "/jobs/act", "/jobs/1/output?places=x",
    "/hosts?view=table&state=trouble", "/hosts/n1", "/hosts/add", "/hosts/n1/change", "/hosts/n1/processes",
    "/timeline?span=7d&until=x", "/plots/cluster/jobs/1h?as=csv", "/plots/hosts/n1/load/24h", "/submit?like=17",
    "/dispatcher", "/dispatcher/properties", "/dispatcher/log?lines=x", "/admin", "/admin/users", "/sessions",
    "/login", "/login/x", "/events", "/static/style.css", "/api/v1/jobs?limit=2", "/api/v1/jobs/1", "/api/v1/hosts",
    "/api/v1/events?topics=jobs", "/api/v1/openapi.json", "/metrics", "//[", "/%00", "/../etc", "*", "http://[",
    "/\xff", "/?a=%ff&a",
)  # fmt: skip
FIELDS = (
    b"csrf=CSRF", b"act=cancel", b"act=change", b"ids=1", b"ids=1-3,2_[0-1]", b"all=1", b"back=/jobs", b"back=//[",
    b"command=true", b"cores=x", b"name=%00%ff", b"seen={}", b"seen=[[", b"before={}", b"set=x", b"member=alice",
    b"right=all", b"limit=-1", b"token=t", b"=", b"%", b"{}", b'{"command":"true"}', b'{"ids":"1"}', b"[" * 3000,
    b"a=1&" * 300,
)  # fmt: skip
_WEB = (
    b"GET / HTTP/1.1\r\n", b"HEAD /hosts HTTP/1.0\r\n", b"Host: web.test:1234\r\n",
    b"Cookie: " + COOKIE.encode() + b"=SECRET\r\n", b"Origin: http://web.test:1234\r\n",
    b"Content-Type: application/x-www-form-urlencoded\r\n", b"Content-Length: 9\r\n", b"\r\n",
    b"Content-Type: application/json\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n",
    b"Accept: application/json\r\n", b"Authorization: Bearer SECRET\r\n", b"Accept-Encoding: gzip;q=x\r\n",
    b"Expect: 100-continue\r\n", b"Last-Event-ID: 5\r\n", b"Range: bytes=0-\r\n", b"X-Live: 1\r\n",
    b"X-Csrf: CSRF\r\n", b"Sec-Fetch-Site: same-origin\r\n", b"%00", b"%ff", b"\xff", b"?", b"&", b"=",
)  # fmt: skip


def request(method: str, path: str, headers: list[bytes], fields: list[bytes]) -> bytes:
    """Return a request of somebody who has logged in, with more *headers*, and *fields* as its body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: web.test:1234\r\nCookie: {COOKIE}=SECRET\r\n".encode("latin-1")
    body = b"&".join(fields).replace(b"CSRF", Site().csrf.encode())
    if method == "POST":
        head += b"Origin: http://web.test:1234\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        head += b"Content-Length: %d\r\n" % len(body)
    return head + b"".join(headers) + b"\r\n" + body


_FILES = (
    b"\n", b"[hosts.n1]", b"[defaults]", b"[users.bob]", b"[groups.x]", b"[[hosts]]", b"cores = ", b"certificates = ",
    b"members = ", b'"', b"[", b"]", b"{", b"}", b"=", b".", b"0x", b"1e999", b"nan", b"inf", b"true", b"1979-05-27",
    b'"""', b"'''", b"\\u0000", b"limits = {", b"rights = [", b"owners = [", b"hours = [", b"options = {", b"-1",
    b"9" * 40, b"\xff", b"\x00", b"\r", b"#", b"[scheduling]", b"[mail]", b"[licenses]", b"memory = ", b"cluster = ",
    b"port = ", b"[hosts.n1.options]", b"[a.b.c]", b"[[" * 300,
)  # fmt: skip
WORDS: Mapping[str, tuple[bytes, ...]] = {
    "lines": (*_MARKS, b"submit:", b"= 1 262145\n", b"= 999999999 1\n"), "dispatcher": _of_verbs(DISPATCHER),
    "users_server": _of_verbs({**DISPATCHER, **USER_SERVER}), "info_server": _of_verbs(INFO_SERVER), "files": _FILES,
    "web": _WEB,
}  # fmt: skip
"""What each target understands."""
