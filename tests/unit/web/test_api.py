"""The interface for programs: what is asked of the dispatcher for it, what comes back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Got, Site
from tm.daemon.info_server import METRICS
from tm.model.rights import THROUGH_WEB, enough
from tm.model.selection import STATES
from tm.model.spec import JobSpec
from tm.places import find_root
from tm.web.api import bodies, shapes, table_cluster
from tm.web.api.document import document, document_text
from tm.web.api.table import TABLE
from tm.wire.message import Reply

OPENAPI = Path(find_root(), "docs", "openapi.json")


class ApiCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(may="submit")
        self.link = self.site.link

    def get(self, path: str, **headers: str) -> Got:
        bearer = {"authorization": f"Bearer {self.site.session['secret']}"}
        return self.site.get("/api/v1" + path, logged_in=False, **bearer, **headers)

    def send(self, method: str, path: str, body: object, **headers: str) -> Got:
        """Return what a program gets for *body*, as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {
            "authorization": f"Bearer {self.site.session['secret']}", "content_type": "application/json", **headers,
        }  # fmt: skip
        return self.site.send(method, "/api/v1" + path, data, logged_in=False, **told)

    def asked(self) -> tuple[str, Any]:
        """Return what the dispatcher was asked last."""
        verb, rest = self.link.asked[-1]
        return verb, rest

    def refused(self, got: Got, status: int, *parts: str) -> None:
        self.assertEqual(got.status, status, got.body)
        error = json.loads(got.body)["error"]
        for part in parts:
            self.assertIn(part, f"{error['class']} {error['text']}")


class Questions(ApiCase):
    def test_a_list_is_the_values_of_the_dispatcher_as_they_are(self) -> None:
        self.link.replies["lshosts"] = [{"name": "n1"}, {"name": "n2"}]
        got = self.get("/hosts")
        self.assertEqual((got.status, got.headers["content-type"]), (200, "application/json"))
        self.assertEqual(json.loads(got.body), {"items": [{"name": "n1"}, {"name": "n2"}], "next": None})
        self.assertEqual(self.asked(), ("lshosts", None))

    def test_arguments_become_those_of_the_verb_each_escaped(self) -> None:
        self.get("/jobs?user=all&state=running,held&name=a%3Ab%25&limit=5")
        self.assertEqual(self.asked(), ("lsjobs", "order=-id:user=all:state=running,held:name=a%3Ab%25:limit=6"))

    def test_a_page_says_where_the_next_one_is(self) -> None:
        jobs = [{"id": n, "cursor": f"c{n}"} for n in (9, 8, 7)]
        self.link.replies["lsjobs"] = lambda rest: jobs if "from=" not in rest else jobs[2:]
        first = json.loads(self.get("/jobs?limit=2&state=ended").body)
        self.assertEqual([job["id"] for job in first["items"]], [9, 8])
        self.assertEqual(first["next"], "/api/v1/jobs?limit=2&state=ended&from=c8")
        last = json.loads(self.get(first["next"].removeprefix("/api/v1")).body)
        self.assertEqual((last["items"], last["next"]), (jobs[2:], None))
        self.assertEqual(self.asked(), ("lsjobs", "order=-id:limit=3:state=ended:from=c8"))

    def test_the_tasks_of_an_array_come_ten_thousand_at_a_time(self) -> None:
        self.link.replies["joblog"] = [{"seq": number} for number in range(10_000)]
        self.assertEqual(json.loads(self.get("/jobs/17/tasks").body)["next"], "/api/v1/jobs/17/tasks?after=9999")
        self.link.replies["joblog"] = [{"seq": 10_000}]
        self.assertIsNone(json.loads(self.get("/jobs/17/tasks?after=9999").body)["next"])
        self.assertEqual(self.asked(), ("joblog", "17:9999"))

    def test_the_next_page_is_below_the_prefix_too(self) -> None:
        self.site = Site(url="https://web.test/tm/", may="look")
        self.site.link.replies["lsjobs"] = [{"id": n, "cursor": f"c{n}"} for n in (9, 8)]
        got = self.get("/jobs?limit=1", host="web.test")
        self.assertEqual(json.loads(got.body)["next"], "/tm/api/v1/jobs?limit=1&from=c9")

    def test_parts_of_the_path_are_arguments(self) -> None:
        for path, said in (
            ("/jobs/17_4", ("jobinfo", "17_4")),
            ("/jobs/17/why", ("whyjob", "17")),
            ("/jobs/17/tasks?after=5", ("joblog", "17:5")),
            ("/hosts/a%3Ab", ("hostinfo", "a%3Ab")),
            ("/hosts/n1/processes?user=bob&limit=7", ("hostask", "n1:processes:user=bob:limit=7")),
            ("/hosts/n1/history/cpu_ours/24h", ("hostask", "n1:history:cpu_ours:24h")),
            ("/usage?by=group,month&from=2026-01", ("usage", "by=group,month:from=2026-01")),
            ("/audit?lines=3", ("audit", "3")),
        ):
            self.get(path)
            self.assertEqual(self.asked(), said)

    def test_the_story_of_a_job_is_a_list(self) -> None:
        self.link.replies["jobinfo"] = {"id": 17, "events": [{"at": "t", "what": "held", "text": ""}]}
        self.assertEqual(json.loads(self.get("/jobs/17/events").body)["items"][0]["what"], "held")

    def test_the_log_goes_back_page_by_page(self) -> None:
        self.link.replies["log"] = [{"time": "t1"}, {"time": "t2"}]
        first = json.loads(self.get("/log?lines=2&level=warn&text=a%3Ab").body)
        self.assertEqual(self.asked(), ("log", "2:level=warn:text=a%3Ab"))
        self.assertEqual(first["next"], "/api/v1/log?lines=2&level=warn&text=a%3Ab&before=t1")
        self.assertIsNone(json.loads(self.get("/log").body)["next"])
        self.assertEqual(self.asked(), ("log", "50"))

    def test_a_check_has_a_name_to_go_on_with(self) -> None:
        self.link.replies["own"] = {"host": "n7", "over": False}
        body = {"name": "n7", "values": {"cores": 4}, "new": True}
        seen = json.loads(self.send("POST", "/hosts/checks", body).body)
        argument = {"check": seen["check"], "name": "n7", "table": {"cores": 4}, "new": True}
        self.assertEqual(json.loads(self.asked()[1]), {"verb": "checkhost", "argument": argument})
        self.assertEqual(json.loads(self.send("POST", "/hosts/checks", {**body, "check": seen["check"]}).body), seen)

    def test_output_goes_on_where_it_ended(self) -> None:
        seen = {"state": "running", "stdout": {"at": 5, "text": "a"}, "stderr": {"at": None, "text": ""}, "over": False}
        self.link.replies["own"] = seen
        first = json.loads(self.get("/jobs/17/output?lines=3").body)
        asked = json.loads(self.asked()[1])
        self.assertEqual((asked["verb"], asked["argument"]["job"], asked["argument"]["lines"]), ("output", 17, 3))
        look = asked["argument"]["look"]
        self.assertEqual(first["next"], f"/api/v1/jobs/17/output?look={look}&stdout_at=5")
        self.link.replies["own"] = {**seen, "over": True}
        last = json.loads(self.get(first["next"].removeprefix("/api/v1")).body)
        self.assertEqual(json.loads(self.asked()[1])["argument"], {"job": 17, "look": look, "at": {"1": 5}})
        self.assertIsNone(last["next"])

    def test_the_document_is_served_to_who_may_look(self) -> None:
        got = self.site.get("/api/openapi.json")
        self.assertEqual(json.loads(got.body)["openapi"], "3.1.0")
        self.assertEqual(self.site.get("/api/openapi.json", logged_in=False).status, 401)
        below = Site(url="https://web.test/tm/").get("/api/openapi.json", host="web.test")
        self.assertEqual(json.loads(below.body)["servers"][0]["url"], "/tm")

    def test_a_session_of_a_browser_will_do(self) -> None:
        self.link.replies["whoami"] = {"user": "alice"}
        self.assertEqual(json.loads(self.site.get("/api/v1/whoami").body), {"user": "alice"})


class Orders(ApiCase):
    def test_each_verb_is_said_with_what_belongs_to_it(self) -> None:
        for order, said in (
            ({"verb": "cancel", "ids": "17,20-22", "reason": "a:b"}, ("canceljob", "17,20-22:a%3Ab")),
            ({"verb": "hold", "ids": "state=pending name=s*"}, ("holdjob", "state=pending name=s*")),
            ({"verb": "release", "ids": "17"}, ("releasejob", "17")),
            ({"verb": "suspend", "ids": "17"}, ("suspendjob", "17")),
            ({"verb": "resume", "ids": "17"}, ("resumejob", "17")),
            ({"verb": "signal", "ids": "17", "signal": "USR1"}, ("signaljob", "17:USR1")),
            ({"verb": "requeue", "ids": "17", "reason": "bad"}, ("requeuejob", "17:bad")),
            ({"verb": "cancel", "ids": "17", "dry_run": True}, ("tryjobs", "canceljob:17")),
            (
                {"verb": "change", "ids": "17", "set": {"time": 60}, "reason": "r"},
                ("changejob", '{"ids":"17","set":{"time":60.0},"reason":"r"}'),
            ),
        ):
            self.link.replies[said[0]] = Reply("done 1", ['{"ids":"17","jobs":1,"done":true,"why":""}'])
            got = self.send("POST", "/jobs/actions", order)
            self.assertEqual(self.asked(), said)
            self.assertEqual(got.status, 200, got.body)
            self.assertEqual(json.loads(got.body)["text"], "done 1")

    def test_what_does_not_belong_to_a_verb_is_refused_with_its_place(self) -> None:
        for order, place in (
            ({"verb": "release", "ids": "17", "reason": "x"}, "$.reason"),
            ({"verb": "cancel", "ids": "17", "set": {"time": 1}}, "$.set"),
            ({"verb": "signal", "ids": "17"}, "$.signal"),
            ({"verb": "change", "ids": "17"}, "$.set"),
            ({"verb": "rerun", "ids": "17", "dry_run": True}, "$.dry_run"),
            ({"verb": "launch", "ids": "17"}, "$.verb"),
            ({"verb": "cancel", "ids": 17}, "$.ids"),
            ({"verb": "change", "ids": "17", "set": {"cores": "many"}}, "$.set.cores"),
        ):
            self.refused(self.send("POST", "/jobs/actions", order), 400, "proto.arguments", place)
        self.assertEqual([verb for verb, _ in self.link.asked if verb != "checksessions"], [])

    def test_a_job_goes_to_the_own_server_with_a_token(self) -> None:
        self.link.replies["own"] = {"ids": [17], "advice": []}
        got = self.send("POST", "/jobs", {"job": {"command": "date", "cores": 2}, "token": "t"})
        self.assertEqual((got.status, json.loads(got.body)["ids"]), (201, [17]))
        argument = {
            "token": "t", "job": {"stdout": "tm-%j.out", "command": "date", "cores": 2}, "environment": {},
        }  # fmt: skip
        self.assertEqual(json.loads(self.asked()[1]), {"verb": "submit", "argument": argument})
        self.send("POST", "/jobs", {"job": {"command": "date"}})
        self.assertGreater(len(json.loads(self.asked()[1])["argument"]["token"]), 16)
        self.send("POST", "/jobs", {"job": {"command": "date", "stdout": None}})
        self.assertIsNone(json.loads(self.asked()[1])["argument"]["job"]["stdout"])

    def test_variables_that_no_process_can_have_are_refused(self) -> None:
        for environment in ({"": "x"}, {"A=B": "x"}, {"A": "\0"}, {"\0": "x"}):
            got = self.send("POST", "/jobs", {"job": {"command": "date"}, "environment": environment})
            self.refused(got, 400, "$.environment")

    def test_running_again_needs_what_submitting_needs(self) -> None:
        order = {"verb": "rerun", "ids": "17", "failed": True, "token": "t"}
        self.link.replies["own"] = {"ids": [18, 19], "advice": ["less"]}
        got = self.send("POST", "/jobs/actions", order)
        self.assertEqual(json.loads(got.body)["items"], [{"ids": "18,19", "jobs": 2, "done": True, "why": "less"}])
        self.site.session["may"] = "act"
        self.site.clock.advance(5)
        self.refused(self.send("POST", "/jobs/actions", order), 403, "perm.session", "submit")

    def test_hosts_users_groups_and_properties_are_changed(self) -> None:
        pem = "-----BEGIN\n\x7f"
        for method, path, body, verb, rest in (
            ("POST", "/hosts", {"name": "n2", "values": {"cores": 4}}, "addhost", {"cores": 4, "name": "n2"}),
            ("PUT", "/hosts/n2", {"set": {"cores": 8}, "was": {"cores": None}}, "changehost",
             {"name": "n2", "set": {"cores": 8}, "was": {"cores": None}}),
            ("POST", "/users", {"name": "bob", "certificate": pem}, "adduser", {"name": "bob", "certificate": pem}),
            ("PUT", "/users/bob", {"email": ""}, "changeuser", {"name": "bob", "email": ""}),
            ("POST", "/groups", {"name": "g", "shares": 3}, "addgroup", {"name": "g", "shares": 3}),
            ("PUT", "/groups/g", {"add": ["bob"]}, "changegroup", {"name": "g", "add": ["bob"]}),
            ("PUT", "/properties", {"set": {"a.b": 1}}, "changeproperties", {"set": {"a.b": 1}}),
        ):  # fmt: skip
            self.send(method, path, body)
            self.assertEqual(self.asked()[0], verb)
            self.assertEqual(json.loads(self.asked()[1]), rest)
        for path, said in (
            ("/hosts/n2", ("removehost", "n2")), ("/users/bob", ("removeuser", "bob")),
            ("/groups/g", ("removegroup", "g")), ("/sessions/s1", ("endsession", "s1")),
        ):  # fmt: skip
            self.send("DELETE", path, b"")
            self.assertEqual(self.asked(), said)

    def test_hosts_are_drained_left_and_returned(self) -> None:
        for order, said in (
            ({"verb": "activate"}, ("activatehost", "n1")),
            ({"verb": "deactivate", "reason": "a fan"}, ("deactivatehost", "n1:a fan")),
            ({"verb": "drain", "reason": "a disk"}, ("drainhost", "n1::a disk")),
            ({"verb": "drain", "within": "2h"}, ("drainhost", "n1:2h")),
            ({"verb": "leave", "within": "4h"}, ("leavehost", "n1:4h")),
            ({"verb": "return"}, ("returnhost", "n1")), ({"verb": "declarelost"}, ("declarelost", "n1")),
        ):  # fmt: skip
            self.send("POST", "/hosts/n1/actions", order)
            self.assertEqual(self.asked(), said)
        self.refused(self.send("POST", "/hosts/n1/actions", {"verb": "return", "reason": "x"}), 400, "$.reason")

    def test_a_difference_somebody_else_made_is_shown(self) -> None:
        lines = ['{"key":"cores","seen":4,"now":8}']
        self.link.replies["changehost"] = Reply("n2 was changed", lines, word="conflict.changed")
        got = self.send("PUT", "/hosts/n2", {"set": {"cores": 6}, "was": {"cores": 4}})
        self.refused(got, 409, "conflict.changed", "n2 was changed")
        self.assertEqual(json.loads(got.body)["error"]["details"], [{"key": "cores", "seen": 4, "now": 8}])


class Refusals(ApiCase):
    def test_unknown_parameters_are_refused_with_those_that_are_known(self) -> None:
        self.refused(self.get("/jobs?colour=red"), 400, "'colour'", "state", "order")
        self.refused(self.get("/hosts?state=up"), 400, "there are none here")

    def test_values_that_are_none_are_refused(self) -> None:
        for path in (
            "limit=0",
            "limit=1000",
            "limit=ten",
            "limit=-1",
            "limit=1%C2%B2",
            "order=colour",
            "tasks=x",
            "array=a",
        ):
            self.refused(self.get("/jobs?" + path), 400, path.partition("=")[0] + "=")

    def test_addresses_methods_and_bodies_have_their_status(self) -> None:
        self.refused(self.get("/nothing"), 404, "openapi.json")
        self.refused(self.send("DELETE", "/jobs", b""), 405)
        self.refused(self.send("POST", "/fits", b"cores=1", content_type="text/plain"), 415, "application/json")
        form = "application/x-www-form-urlencoded"
        self.refused(self.send("POST", "/fits", b"cores=1", content_type=form), 415)
        self.refused(self.send("POST", "/fits", b" " * 1_100_000), 413)
        self.refused(self.send("POST", "/fits", b""), 400, "empty")
        self.refused(self.send("POST", "/fits", b"  "), 400, "empty")
        self.refused(self.send("POST", "/reload", b"{}"), 400, "no body")

    def test_a_body_that_is_too_long_once_written_as_a_line_is_refused(self) -> None:
        job = {"job": {"command": '"' * 300_000}}
        self.refused(self.send("POST", "/jobs", json.dumps(job).encode()), 413, "web.large")

    def test_bodies_that_do_not_fit_are_refused_with_their_place(self) -> None:
        for body, place in (
            (b'{"cores":"4"}', "$.cores"), (b'{"core":4}', "core"), (b"[]", "object"), (b"{", "truncated"),
            (b'{"hosts":[1]}', "$.hosts[0]"), (b'{"cores":1e400}', ""),
            (b'{"constraint":"\xff"}', ""), (b"[" * 100_000, ""), (b'{"consumables":' + b'{"a":' * 90_000, ""),
        ):  # fmt: skip
            self.refused(self.send("POST", "/fits", body), 400, "proto.arguments", place)

    def test_without_a_token_or_with_a_wrong_one_nothing_is_said(self) -> None:
        nobody = self.site.get("/api/v1/jobs", logged_in=False)
        self.refused(nobody, 401, "auth.session")
        self.assertEqual(nobody.headers["www-authenticate"], "Bearer")
        wrong = self.site.get("/api/v1/jobs", logged_in=False, authorization="Bearer tm_x")
        self.refused(wrong, 401, "tm token create")

    def test_a_browser_needs_the_word_of_its_session_and_our_origin(self) -> None:
        body, kind = b'{"verb":"release","ids":"1"}', {"content_type": "application/json"}
        ours = {"origin": "http://web.test:1234", "x_csrf": self.site.csrf}
        for more, status in (
            ({}, 403), ({"origin": ours["origin"]}, 403), ({"x_csrf": ours["x_csrf"]}, 403), (ours, 200),
            ({**ours, "origin": "http://evil.test"}, 403),
        ):  # fmt: skip
            got = self.site.send("POST", "/api/v1/jobs/actions", body, **kind, **more)
            self.assertEqual(got.status, status, (more, got.body))

    def test_an_empty_authorization_lifts_nothing(self) -> None:
        request = (
            "POST /api/v1/reload HTTP/1.1\r\nHost: web.test:1234\r\nAuthorization: \r\n"
            f"Cookie: tm-test={self.site.session['secret']}\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertIn(b" 403 ", self.site.raw(request.encode()).split(b"\r\n")[0])

    def test_the_dispatcher_away_is_503(self) -> None:
        self.get("/hosts")
        self.site.desk.link = None
        self.refused(self.get("/hosts"), 503, "net.dispatcher")


class TheTable(SynchronousTestCase):
    def test_the_metrics_of_hosts_are_those_there_are(self) -> None:
        self.assertEqual(table_cluster.METRICS, METRICS)

    def test_a_session_that_may_what_is_needed_may_say_each_verb(self) -> None:
        for endpoint in TABLE:
            for verb in endpoint.verbs:
                self.assertTrue(enough(endpoint.may, THROUGH_WEB[verb]), (endpoint.name, verb))

    def test_what_only_looks_says_no_verb_that_acts(self) -> None:
        for endpoint in TABLE:
            if endpoint.method == "GET":
                self.assertEqual({THROUGH_WEB[verb] for verb in endpoint.verbs} - {"look"}, set(), endpoint.name)
                self.assertEqual(endpoint.may, "look")

    def test_every_verb_of_the_web_interface_has_an_endpoint(self) -> None:
        apart = {"help", "version", "whois"}
        self.assertEqual(THROUGH_WEB.keys() - {verb for one in TABLE for verb in one.verbs} - apart, set())

    def test_every_field_of_a_request_has_its_meaning_here(self) -> None:
        self.assertEqual(set(JobSpec.__struct_fields__), {*bodies.MEANINGS} | bodies.NOT_ASKED)

    def test_the_states_are_those_there_are(self) -> None:
        self.assertEqual(set(shapes.State.__args__), set(STATES))


class TheDocument(SynchronousTestCase):
    def test_the_file_is_current(self) -> None:
        written = OPENAPI.read_text(encoding="utf-8")
        self.assertTrue(written == document_text(), "write it anew: python -m tm.web.api.document > docs/openapi.json")

    def test_its_schemas_are_schemas_and_its_references_lead_somewhere(self) -> None:
        whole = document()
        for name, schema in whole["components"]["schemas"].items():
            Draft202012Validator.check_schema(schema)
            self.assertTrue(schema["description"], name)
        for reference in references(whole):
            self.assertIsNotNone(found(whole, reference), reference)

    def test_every_field_says_what_it_means(self) -> None:
        silent = [
            f"{name}.{field}" for name, schema in document()["components"]["schemas"].items()
            for field, one in schema.get("properties", {}).items() if "description" not in one and "$ref" not in one
        ]  # fmt: skip
        self.assertEqual([one for one in silent if not one.startswith("Wanted.")], [])

    def test_every_endpoint_is_in_it_once(self) -> None:
        operations = [one["operationId"] for path in document()["paths"].values() for one in path.values()]
        self.assertEqual(sorted(operations), sorted({endpoint.name for endpoint in TABLE}))
        self.assertEqual(len(operations), len(TABLE))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        here = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return here.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def found(whole: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        whole = whole.get(part) if whole is not None else None
    return whole
