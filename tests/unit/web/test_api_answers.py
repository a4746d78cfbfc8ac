"""The interface for programs before a real dispatcher: answers fit the document, and everybody may what they may."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed

from tests.support.daemons import refusal
from tests.support.documents import REFUSAL, SCHEMAS, faults
from tests.support.properties import examples
from tests.support.web import Got, Site
from tests.unit.daemon.test_web_verbs import WebCase
from tm.model.ids import task_id
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import EVERYBODY, MAY, OWNER, THROUGH_WEB, enough
from tm.web.api.document import answer_schema
from tm.web.api.endpoint import STREAM, Endpoint
from tm.web.api.table import TABLE
from tm.wire.message import Reply


class DispatcherLink:
    """The link of the web server to the dispatcher of a case."""

    def __init__(self, case: ApiCase) -> None:
        self.case = case
        self.own: Any = None

    def ask(self, verb: str, rest: str | None = None, json_wanted: bool = False) -> Deferred[Reply]:
        said = json.loads(rest or "{}") if verb == "as" else {}
        if self.own is not None and said.get("verb") == "own":
            self.hear({"number": said["number"], "body": [json.dumps(self.own)]})
            return succeed(Reply())
        line = f"{verb}.json" + ("" if rest is None else f":{rest}")
        answer = self.case.say(self.case.web, line).addErrback(refusal)
        self.case.settle()
        for event in self.case.web.heard("answer"):
            self.hear(event)
        self.case.web.told.clear()
        return answer

    def hear(self, event: dict[str, Any]) -> None:
        self.case.site.desk.hear(json.dumps(event).encode())

    def send_bulk(self, channel: int, data: bytes) -> None:
        raise AssertionError("the web server sends no raw bytes")


class ApiCase(WebCase):
    """Alice has: 1 that runs, 2 that waits, 3 an array of which a task was cancelled, 4 that failed; bob has 5."""

    def setUp(self) -> None:
        super().setUp()
        self.site = Site()
        self.link_to = DispatcherLink(self)
        self.site.desk.link = self.link_to  # type: ignore[assignment]  # it asks as a Link does
        self.tokens: dict[tuple[str, str], str] = {}
        server = self.attached()
        self.said(server, self.hello())
        self.numbered = 0
        for token, more in (
            ("a", {"name": "one"}), ("b", {"time": 600.0, "begin": 9e9}), ("c", {"array": "0-5", "array_cap": 1}),
            ("d", {"hosts": ["n1"], "priority": 9}),
        ):  # fmt: skip
            self.assertTrue(self.said(server, self.submission(token, **more)).ok)
        self.fact(server, 4, "started", pid=41)
        self.fact(server, 4, "ended", exit_code=3, cpu_seconds=1.5, max_rss=1 << 20)
        self.fact(server, 1, "started", pid=42)
        self.done("alice", f"canceljob:3_{5}")
        self.other = self.attached("bob")
        self.assertTrue(self.said(self.other, self.submission("e", user="bob")).ok)
        self.server = server

    def fact(self, server: Any, job: int, what: str, **more: object) -> None:
        self.numbered += 1
        fact = {"job": job, "attempt": 1, "what": what, "at": self.clock.seconds(), **more}
        self.said(server, self.report(self.numbered, fact))

    def token(self, user: str, may: str) -> str:
        if (user, may) not in self.tokens:
            (made,) = self.values(user, "addtoken", {"name": "t", "may": may})
            self.tokens[user, may] = made["token"]
        return self.tokens[user, may]

    def call(self, method: str, path: str, body: object = None, user: str = "alice", may: str = "submit") -> Got:
        """Return what a token of *user* that *may* gets."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"authorization": f"Bearer {self.token(user, may)}", "content_type": "application/json" if data else ""}
        self.site.clock.advance(10)
        return self.site.send(method, path, data, logged_in=False, **told)

    def fits(self, endpoint: Endpoint, path: str, body: object = None, user: str = "root") -> Any:
        """Return the answer, which is as the document says."""
        got = self.call(endpoint.method, "/api/v1" + path, body, user)
        self.assertEqual(got.status, endpoint.status, (path, got.body))
        value = json.loads(got.body)
        self.assertEqual(faults(answer_schema(endpoint), value), [], path)
        return value


def find(method: str, path: str) -> Endpoint:
    return next(one for one in TABLE if (one.method, one.path) == (method, path))


class Answers(ApiCase):
    """What the dispatcher really answers."""

    def test_every_question_is_answered_as_the_document_says(self) -> None:
        asked: list[tuple[str, str]] = [
            ("/jobs", "/jobs?user=all"), ("/jobs", "/jobs?user=all&state=ended"), ("/jobs", "/jobs?array=3&user=all"),
            ("/jobs", "/jobs?user=all&order=start"), ("/jobs", "/jobs?user=all&tasks=each&order=-started&limit=2"),
            ("/jobs/count", "/jobs/count?user=all"), ("/jobs/count", "/jobs/count?user=all&tasks=each"),
            *(("/jobs/<job>", f"/jobs/{job}") for job in ("1", "2", "3", "4", "5", "3_5", "3_0")),
            *(("/jobs/<job>/why", f"/jobs/{job}/why") for job in ("1", "2", "3", "5")),
            ("/jobs/<job>/events", "/jobs/4/events"), ("/jobs/<job>/tasks", "/jobs/3/tasks"),
            ("/hosts", "/hosts"), ("/hosts/<host>", "/hosts/n1"), ("/whoami", "/whoami"), ("/shares", "/shares"),
            ("/usage", "/usage?by=user,group,month"), ("/users", "/users"), ("/groups", "/groups"),
            ("/sessions", "/sessions"), ("/status", "/status"), ("/properties", "/properties"), ("/audit", "/audit"),
            ("/log", "/log"),
        ]  # fmt: skip
        for path, address in asked:
            self.fits(find("GET", path), address)

    def test_every_order_is_answered_as_the_document_says(self) -> None:
        orders = find("POST", "/jobs/actions")
        for order in (
            {"verb": "cancel", "ids": "2,99", "dry_run": True}, {"verb": "hold", "ids": "2", "reason": "wait"},
            {"verb": "release", "ids": "2"}, {"verb": "suspend", "ids": "1,2"}, {"verb": "resume", "ids": "1"},
            {"verb": "signal", "ids": "1", "signal": "USR1"}, {"verb": "change", "ids": "2", "set": {"priority": 3}},
            {"verb": "cancel", "ids": "1-3", "reason": "over"},
        ):  # fmt: skip
            done = self.fits(orders, "/jobs/actions", order)
            self.assertTrue(any(one["done"] for one in done["items"]), order)
        self.fits(find("POST", "/fits"), "/fits", {"cores": 1, "memory": 1 << 40})

    def test_changes_are_answered_with_their_records(self) -> None:
        more = self.pem(self.identity("carol"))
        (record,) = self.fits(
            find("POST", "/hosts"), "/hosts", {"name": "n2", "values": {"address": "n2", "cores": 2}}
        )["items"]
        self.assertEqual((record["verb"], record["name"]), ("addhost", "n2"))
        self.fits(find("PUT", "/hosts/<host>"), "/hosts/n2", {"set": {"cores": 4}, "was": {"cores": 2}})
        late = self.call("PUT", "/api/v1/hosts/n2", {"set": {"cores": 8}, "was": {"cores": 2}}, "root")
        self.assertEqual(late.status, 409, late.body)
        self.assertEqual(faults(REFUSAL, json.loads(late.body)), [])
        actions = find("POST", "/hosts/<host>/actions")
        for order in ("deactivate", "activate", "drain", "leave", "return", "declarelost"):
            self.fits(actions, "/hosts/n2/actions", {"verb": order})
        self.fits(find("DELETE", "/hosts/<host>"), "/hosts/n2")
        self.fits(find("POST", "/users"), "/users", {"name": "carol", "certificate": more, "groups": ["physics"]})
        self.fits(find("PUT", "/users/<user>"), "/users/carol", {"email": "c@example.org"})
        self.fits(find("POST", "/groups"), "/groups", {"name": "new", "members": ["carol"], "limits": {"cores": 4}})
        self.fits(find("PUT", "/groups/<group>"), "/groups/new", {"add": ["bob"], "set": {"shares": 2}})
        self.fits(find("DELETE", "/groups/<group>"), "/groups/new")
        self.fits(find("DELETE", "/users/<user>"), "/users/carol")
        changed = self.fits(find("PUT", "/properties"), "/properties", {"set": {"scheduling.half_life": "3d"}})
        number = changed["items"][0]["id"]
        self.fits(find("POST", "/audit/<id>/undo"), f"/audit/{number}/undo")
        self.fits(find("POST", "/reload"), "/reload")

    def test_what_the_own_server_says_is_as_the_document_says(self) -> None:
        file = {"path": "/home/alice/tm-1.out", "from": 0, "at": 3, "text": "abc"}
        self.link_to.own = {
            "state": "running", "host": "n1", "stdout": file, "more": False, "over": False,
            "stderr": {"path": None, "from": None, "at": None, "text": ""},
        }  # fmt: skip
        self.fits(find("GET", "/jobs/<job>/output"), "/jobs/1/output")
        self.link_to.own = {"ids": [9], "advice": ["less would do"]}
        self.fits(find("POST", "/jobs"), "/jobs", {"job": {"command": "date"}})
        self.fits(find("POST", "/jobs/actions"), "/jobs/actions", {"verb": "rerun", "ids": "4"})

    def test_pages_one_after_the_other_are_the_whole_list(self) -> None:
        self.assertTrue(self.said(self.server, self.submission("more", count=20)).ok)
        for more in ("order=-id", "order=id", "order=-started", "order=start", "order=host&tasks=each", "array=3"):
            seen: list[Any] = []
            path: str | None = f"/api/v1/jobs?limit=1&{more}"
            while path is not None:
                page = json.loads(self.call("GET", path).body)
                self.assertLessEqual(len(page["items"]), 1)
                seen += [job["id"] for job in page["items"]]
                path = page["next"]
            whole = json.loads(self.call("GET", f"/api/v1/jobs?limit=999&{more}").body)["items"]
            self.assertEqual(seen, [job["id"] for job in whole], more)
            self.assertGreater(len(seen), 1, more)

    def test_a_task_is_called_as_everywhere(self) -> None:
        shown = self.fits(find("GET", "/jobs/<job>"), "/jobs/3_5")
        self.assertEqual((shown["id"], shown["array"], shown["task"]), ("3_5", 3, 5))
        self.assertEqual(task_id(3, 5), task_id(shown["array"], shown["task"]))


_BODIES: dict[str, list[Any]] = {
    "post_jobs": [{"job": {"command": "date"}}],
    "post_jobs_actions": [
        {"verb": verb, "ids": "5", **({"signal": "USR1"} if verb == "signal" else {}), **more}
        for verb, more in (
            ("cancel", {}), ("hold", {}), ("release", {}), ("suspend", {}), ("resume", {}), ("signal", {}),
            ("requeue", {}), ("change", {"set": {"priority": 1}}), ("cancel", {"dry_run": True}),
        )
    ],
    "post_fits": [{}],
    "post_hosts": [{"name": "n7", "values": {"address": "n7"}}], "put_hosts_host": [{"set": {"cores": 3}}],
    "post_hosts_host_actions": [
        {"verb": verb} for verb in ("activate", "deactivate", "drain", "declarelost", "leave", "return")
    ],
    "post_users": [{"name": "eve", "certificate": "-----BEGIN CERTIFICATE-----"}],
    "put_users_user": [{"email": "x@y.z"}],
    "post_groups": [{"name": "g7"}], "put_groups_group": [{"add": ["bob"]}],
    "put_properties": [{"set": {"scheduling.half_life": "3d"}}],
}  # fmt: skip
_PARTS = {"job": "5", "host": "n1", "user": "bob", "group": "physics", "metric": "load", "span": "1h", "id": "1"}


def requests(endpoint: Endpoint) -> list[tuple[str, Any]]:
    """Return addresses and bodies that mean something at *endpoint*, of what is not alice's."""
    path = endpoint.pattern
    for name, value in _PARTS.items():
        path = path.replace(f"<{name}>", value)
    return [(path, body) for body in _BODIES.get(endpoint.name, [None])]


class Rights(ApiCase):
    """Every endpoint, with each of the ranks of a token, for what is somebody else's."""

    def state(self) -> Any:
        """Return all that could have been changed."""
        jobs = [re.sub(r"0x[0-9a-f]+", "", str(job)) for job in self.store.load().jobs]
        return jobs, self.text("users"), self.text("groups"), self.text("ComputerCluster.config"), self.records()

    def test_a_token_that_looks_changes_nothing_whoever_has_made_it(self) -> None:
        sessions = {one["id"] for one in self.values("root", "lssessions")}
        before = self.state()
        for endpoint in TABLE:
            if endpoint.may == "look":
                continue
            for user in ("alice", "root"):
                for path, body in requests(endpoint):
                    got = self.call(endpoint.method, path, body, user, "look")
                    self.assertEqual(got.status, 403, (endpoint.name, path, got.body))
                    self.assertIn("perm.session", got.body)
        made = [record for record in self.records() if record["verb"] == "addtoken"]
        jobs, users, groups, config, records = self.state()
        self.assertEqual((jobs, users, groups, config), before[:4])
        self.assertEqual([record for record in records if record not in made], [r for r in before[4] if r not in made])
        self.assertLessEqual(sessions, {one["id"] for one in self.values("root", "lssessions")})

    def test_what_asks_by_post_changes_nothing_either(self) -> None:
        before = self.state()[:4]
        for endpoint in TABLE:
            if endpoint.may == "look" and endpoint.form != STREAM:
                for path, body in requests(endpoint):
                    self.call(endpoint.method, path, body, "root", "look")
        self.assertEqual(self.state()[:4], before)

    def test_what_needs_submitting_is_refused_to_who_may_only_act(self) -> None:
        for body, path in (({"job": {"command": "x"}}, "/jobs"), ({"verb": "rerun", "ids": "4"}, "/jobs/actions")):
            got = self.call("POST", "/api/v1" + path, body, "alice", "act")
            self.assertEqual(got.status, 403, got.body)

    def test_nobody_gets_at_what_is_anothers_without_the_right_to_it(self) -> None:
        before = self.state()[:4]
        for endpoint in TABLE:
            if endpoint.form == STREAM or not self.closed(endpoint):
                continue
            for path, body in requests(endpoint):
                got = self.call(endpoint.method, path, body, "alice", "submit")
                self.assertIn(got.status, (403, 404), (endpoint.name, path, body, got.body))
        got = self.call("GET", "/api/v1/jobs?user=bob")
        self.assertEqual(got.status, 403, got.body)
        self.assertEqual(self.call("GET", "/api/v1/jobs/count?user=all").status, 403)
        self.assertEqual(self.state()[:4], before)

    @staticmethod
    def closed(endpoint: Endpoint) -> bool:
        """Whether what *endpoint* is about, as `requests` asks for it, is not open to everybody."""
        verbs = set(endpoint.verbs) - {"own"}
        if endpoint.path in ("/jobs", "/jobs/count", "/sessions"):
            return False  # of one's own where nobody is named
        return bool(verbs) and all(RULES[verb] is not EVERYBODY for verb in verbs)

    def test_every_rank_opens_what_is_said_of_it(self) -> None:
        for endpoint in TABLE:
            for may in MAY:
                for verb in endpoint.verbs:
                    if enough(may, endpoint.may):
                        self.assertTrue(enough(may, THROUGH_WEB[verb]))
        self.assertTrue(any(RULES[verb] is OWNER for one in TABLE for verb in one.verbs))

    def test_a_token_that_is_revoked_is_out_within_two_seconds(self) -> None:
        self.assertEqual(self.call("GET", "/api/v1/whoami").status, 200)
        (one,) = self.values("alice", "lssessions")
        self.done("alice", f"endsession:{one['id']}")
        self.assertEqual(self.call("GET", "/api/v1/whoami").status, 401)


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from((2**63, 2**64, -(2**63), 10**40, 0, -1)),
    st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12),
    st.sampled_from(("17", "3_[0-2]", "state=all", "\x7f", "é\u2028", "%", "a:b", "n1", "1-100000", "*", "9" * 20)),
)  # fmt: skip
_JSON = st.recursive(
    _SCALARS,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=6), one, max_size=3),
    max_leaves=6,
)


def _names(kind: Any) -> list[str]:
    schema = SCHEMAS.get(kind.__name__, {})
    return list(schema.get("properties", {}))


_WILD_PARTS = ("1", "3_5", "3_[0-1]", "%00", "%7F", "x%2Fy", "%C3%A9", "..", "9" * 20)
_WILD_ARGUMENTS = ("1", "", "-1", "x", "%0A", "%25", "a%3Ab", "9" * 25, "2026-11", "2026-11..", "..", "*", "user,group")


@st.composite
def wild_requests(draw: st.DrawFn) -> tuple[Endpoint, str, bytes]:
    """Return an endpoint with parts, arguments and a body that are mostly no good."""
    endpoint = draw(st.sampled_from([one for one in TABLE if one.form != STREAM and one.path != "/shutdown"]))
    path = endpoint.pattern
    for name, usual in _PARTS.items():
        part = draw(st.sampled_from((usual, *_WILD_PARTS)))
        path = path.replace(f"<{name}>", part)
    arguments = [
        f"{one.name}={draw(st.sampled_from((*one.choices, *_WILD_ARGUMENTS)))}"
        for one in endpoint.parameters
        if draw(st.integers(0, 3)) == 0
    ]
    if arguments:
        path += "?" + "&".join(arguments)
    if endpoint.body is None:
        return endpoint, path, b""
    return endpoint, path, draw(wild_bodies(endpoint))


@st.composite
def wild_bodies(draw: st.DrawFn, endpoint: Endpoint) -> bytes:
    """Return a body for *endpoint*: something near what it takes, twice the same key, deep, or no JSON at all."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=30))
    if kind == 1:
        depth = draw(st.sampled_from((10, 900, 100_000)))
        name = draw(st.sampled_from(_names(endpoint.body)))
        return b'{"%s":' % name.encode() + b"[" * depth + b"]" * depth + b"}"
    whole = dict(draw(st.sampled_from(_BODIES.get(endpoint.name, [{}]))))
    for name in draw(st.lists(st.sampled_from(_names(endpoint.body)), max_size=3)):
        whole[name] = draw(_JSON)
    inner = draw(st.sampled_from([name for name, value in whole.items() if isinstance(value, dict)] or [""]))
    if inner:
        whole[inner] = {**whole[inner], **draw(st.dictionaries(st.sampled_from(_INNER), _JSON, max_size=3))}
    text = json.dumps(whole)
    if kind == 2 and text != "{}":
        text = text[:-1] + "," + text[1:]
    return text.encode()


_INNER = (
    "cores", "memory", "time", "hosts", "array", "dependency", "begin", "priority", "consumables", "retries", "address",
    "policy", "options", "command", "running", "limits", "rights", "scheduling.half_life", "mail.from", "licenses.x",
    "cap", "notify", "constraint", "gpus", "deadline",
)  # fmt: skip


class BadInput(ApiCase):
    def setUp(self) -> None:
        super().setUp()
        for server in (self.server, self.other):
            server.lost()  # it would not answer

    @given(wild_requests(), st.sampled_from(("alice", "root")))
    @examples(400)
    def test_whatever_is_said_is_understood_or_refused(self, said: tuple[Endpoint, str, bytes], user: str) -> None:
        endpoint, path, body = said
        got = self.call(endpoint.method, path, body or None, user)
        self.assertNotIn(got.status, (500, 502), (endpoint.name, path, body[:200], got.body))
        value = json.loads(got.body)
        if got.status >= 400:
            self.assertEqual(faults(REFUSAL, value), [], got.body)
        else:
            self.assertEqual(faults(answer_schema(endpoint), value), [], (path, body))
        self.assertEqual(self.flushLoggedErrors(), [])
