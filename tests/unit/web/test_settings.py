"""The TaskDispatcher's pages, and those that add or change a computer, with answers as the dispatcher gives them."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Got, Site
from tm.model.properties import HOST_KEYS, PROPERTIES, find, text_of
from tm.web.views import computers, properties, settings
from tm.wire.message import Reply

CONFLICT = ['{"key":"scheduling.processes","seen":512,"now":64}']
STATUS = {
    "server": "TaskDispatcher", "pid": 7, "version": "1.0.0", "cluster": "physics", "since": "2027-01-01T00:00:00.000Z",
    "jobs": {"running": 2}, "hosts": {"up": 1}, "users": 1, "epoch": 3, "web": "http://web.test/",
    "warnings": ["<b>it ends</b>"], "store": {"bytes": 4096, "wal": 0, "archive_bytes": 0, "jobs": 12},
}  # fmt: skip
RECORD = {
    "id": 17, "at": "2027-01-02T00:00:00.000Z", "user": "carol", "verb": "changeproperties", "kind": "scheduling",
    "name": "cluster", "before": {"processes": 4096}, "after": {"processes": 512}, "reason": "", "undoes": None,
}  # fmt: skip
OWN = {"cores": 8, "features": ["gpu", "avx"], "options": {"port": 2222}}
CONFIG = {**OWN, "memory": "64G", "policy": "suspend"}
HOST = {"name": "n1", "state": "up", "own": OWN, "config": CONFIG}
FINDINGS = [
    {"topic": "ssh", "level": "good", "short": "", "text": "n1 lets us in", "remedy": ""},
    {"topic": "python", "level": "bad", "short": "", "text": "there is no <Python>", "remedy": "install it"},
]


def listed(**said: Any) -> list[dict[str, Any]]:
    """Return an answer to ``lsproperties`` in which the file says what is *said*, by names with ``__`` for a dot."""
    there = {name.replace("__", "."): value for name, value in said.items()}
    names = [name for name in PROPERTIES if name != "licenses.*"] + [name for name in there if name not in PROPERTIES]
    found = []
    for one in filter(None, map(find, names)):
        value = there.get(one.name, one.default)
        found.append({
            "name": one.name, "value": value, "default": one.default, "unit": one.unit, "meaning": one.meaning,
            "origin": "file" if one.name in there else "default", "effect": one.effect, "when": one.when,
            "kind": one.kind, "choices": list(one.choices), "changeable": one.changeable, "running": value,
            "text": text_of(one, value),
        })  # fmt: skip
    return found


GIVEN = listed(scheduling__processes=512, licenses__ansys=10, dispatcher__port=10101, defaults__memory="64G")


def form_of(page: Got) -> dict[str, str]:
    """Return what a browser would send of the form on *page* that is not about the session."""
    main = page.body.partition("<main")[2]
    fields = {}
    for tag in re.findall(r"<input [^>]*>", main):
        name, value = (re.search(rf' {word}="([^"]*)"', tag) for word in ("name", "value"))
        if name is not None:
            fields[html.unescape(name.group(1))] = html.unescape(value.group(1)) if value else ""
    for name, area in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', main, re.DOTALL):
        fields[html.unescape(name)] = html.unescape(area)
    for name, options in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', main, re.DOTALL):
        chosen = re.search(r"<option selected>([^<]*)", options)
        fields[html.unescape(name)] = chosen.group(1) if chosen else ""
    return {name: value for name, value in fields.items() if name != "csrf"}


class WantedTests(SynchronousTestCase):
    def test_a_form_sent_as_it_was_shown_asks_for_nothing(self) -> None:
        found = settings.wanted(properties.said(GIVEN), properties.seen(GIVEN), properties.known(GIVEN))
        self.assertEqual((found.set, found.unset, found.was, found.changes), ({}, [], {}, []))

    def test_only_what_was_typed_otherwise_is_asked_for_with_what_was_seen(self) -> None:
        texts = {**properties.said(GIVEN), "scheduling.processes": "64", "defaults.memory": "", "mail.host": "mx"}
        found = settings.wanted(texts, properties.seen(GIVEN), properties.known(GIVEN))
        self.assertEqual(
            (found.set, found.unset), ({"scheduling.processes": 64, "mail.host": "mx"}, ["defaults.memory"])
        )
        self.assertEqual(found.was, {"scheduling.processes": 512, "mail.host": "localhost", "defaults.memory": "64G"})
        told = {one.name: (one.old, one.new) for one in found.changes}
        self.assertEqual(told["scheduling.processes"], ("512", "64"))
        self.assertEqual(told["defaults.memory"], ("64G", "(not said)"))
        again = settings.wanted(settings.typed({k: [v] for k, v in found.fields.items()}), found.fields["seen"],
                                properties.known(GIVEN))  # fmt: skip
        self.assertEqual((again.set, again.unset, again.was), (found.set, found.unset, found.was))

    def test_what_is_not_changed_here_is_not_asked_for(self) -> None:
        seen = settings.seen_text({"dispatcher.cluster": "a"}, {"dispatcher.cluster": "a"})
        self.assertEqual(settings.wanted({"dispatcher.cluster": "b"}, seen, properties.known(GIVEN)).changes, [])

    def test_a_broken_form_is_a_sentence(self) -> None:
        for seen in ("", "[]", '{"a":1}', '{"a":[1,2]}', "{"):
            self.assertRaises(ValueError, settings.wanted, {}, seen, {})

    def test_faults_stand_beside_their_fields(self) -> None:
        lines = ["scheduling.half_life: expected a time; nothing was changed", "etc/x:3: expected TOML"]
        self.assertEqual(
            settings.faults(lines, ["scheduling.half_life"]),
            {"scheduling.half_life": "expected a time", "": "etc/x:3: expected TOML"},
        )
        told = settings.faults(["host n1: cores expected a number; nothing was changed"], HOST_KEYS, "host n1: ")
        self.assertEqual(told, {"cores": "expected a number"})

    def test_the_form_of_a_computer_has_every_key(self) -> None:
        self.assertEqual(sorted(key for _, keys in computers.GROUPS for key in keys), sorted(HOST_KEYS))

    def test_what_is_checked_is_what_differs(self) -> None:
        texts = {**computers.said(OWN), "cores": "4", "memory": "1G", "features": ""}
        self.assertEqual(computers.changed(texts, OWN), {"cores": 4, "memory": "1G", "features": None})


class PropertyPages(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(rights=["properties", "audit", "reload", "shutdown", "hosts"])
        self.site.link.replies.update(status=STATUS, lsproperties=GIVEN, audit=[RECORD])

    def said(self, verb: str) -> list[Any]:
        return [json.loads(rest) for said, rest in self.site.link.asked if said == verb]

    def test_the_dispatcher_is_shown(self) -> None:
        page = self.site.get("/dispatcher")
        self.assertEqual(page.status, 200, page.body)
        for part in ("physics", "&lt;b&gt;it ends", "10101", "Read etc/ again", "Stop it"):
            self.assertIn(part, page.body)

    def test_every_property_is_shown_with_meaning_and_default(self) -> None:
        page = self.site.get("/dispatcher/properties")
        self.assertEqual(page.status, 200, page.body)
        for one in PROPERTIES.values():
            self.assertIn(one.meaning[1:], html.unescape(page.body), one.name)
        self.assertIn("processes 4096 → 512", page.body)

    def test_who_may_not_change_them_sees_them_all_the_same(self) -> None:
        site = Site(rights=[])
        site.link.replies.update(lsproperties=GIVEN)
        page = site.get("/dispatcher/properties")
        self.assertEqual((page.status, "<fieldset" in page.body, "512" in page.body), (200, False, True))

    def test_the_difference_is_shown_before_it_is_saved(self) -> None:
        form = form_of(self.site.get("/dispatcher/properties"))
        shown = self.site.post("/dispatcher/properties", form={**form, "p.scheduling.processes": "64"})
        self.assertEqual(shown.status, 200, shown.body)
        self.assertIn("<del>512</del>", shown.body)
        self.assertEqual(self.said("changeproperties"), [])
        self.site.link.replies["changeproperties"] = Reply("scheduling.processes 512 → 64; recorded as 18")
        saved = self.site.post("/dispatcher/properties", form={**form_of(shown), "sure": "1"})
        self.assertEqual(saved.status, 303, saved.body)
        self.assertEqual(self.said("changeproperties"), [
            {"set": {"scheduling.processes": 64}, "unset": [], "was": {"scheduling.processes": 512}}
        ])  # fmt: skip

    def test_a_new_license_is_typed_in(self) -> None:
        form = form_of(self.site.get("/dispatcher/properties"))
        shown = self.site.post(
            "/dispatcher/properties", form={**form, "new.name.0": "matlab", "new.count.0": "4", "p.licenses.ansys": ""}
        )
        self.site.post("/dispatcher/properties", form={**form_of(shown), "sure": "1"})
        was = {"licenses.ansys": 10, "licenses.matlab": None}
        wanted = {"set": {"licenses.matlab": 4}, "unset": ["licenses.ansys"], "was": was}
        self.assertEqual(self.said("changeproperties"), [wanted])
        wrong = self.site.post("/dispatcher/properties", form={**form, "new.name.1": "matlab"})
        self.assertEqual((wrong.status, "how many of matlab" in wrong.body), (400, True))

    def test_nothing_typed_is_nothing_changed(self) -> None:
        form = form_of(self.site.get("/dispatcher/properties"))
        self.assertIn("Nothing+was+changed", self.site.post("/dispatcher/properties", form=form).headers["location"])

    def test_a_fault_comes_back_with_what_was_typed(self) -> None:
        form = form_of(self.site.get("/dispatcher/properties"))
        shown = self.site.post("/dispatcher/properties", form={**form, "p.scheduling.half_life": "soon <x>"})
        self.site.link.replies["changeproperties"] = Reply(
            "scheduling.half_life: expected a time; nothing was changed", word="config.invalid"
        )
        wrong = self.site.post("/dispatcher/properties", form={**form_of(shown), "sure": "1"})
        self.assertEqual(wrong.status, 400)
        self.assertIn('value="soon &lt;x&gt;"', wrong.body)
        self.assertIn('role="alert">expected a time', wrong.body)
        again = self.site.post("/dispatcher/properties", form={**form_of(wrong), "p.scheduling.half_life": "3d"})
        self.assertIn("<ins>3d</ins>", again.body)

    def test_the_second_of_two_sees_the_difference(self) -> None:
        form = form_of(self.site.get("/dispatcher/properties"))
        shown = self.site.post("/dispatcher/properties", form={**form, "p.scheduling.processes": "128"})
        self.site.link.replies["changeproperties"] = Reply("changed", CONFLICT, word="conflict.changed")
        late = self.site.post("/dispatcher/properties", form={**form_of(shown), "sure": "1"})
        self.assertEqual(late.status, 409)
        self.assertIn("<ins>64</ins>", late.body)
        self.site.link.replies["changeproperties"] = Reply("done")
        self.site.post("/dispatcher/properties", form={**form_of(late), "sure": "1"})
        self.assertEqual(self.said("changeproperties")[-1]["was"], {"scheduling.processes": 64})

    def test_a_change_is_taken_back_after_a_question(self) -> None:
        asked = self.site.post("/dispatcher/properties/undo/17")
        self.assertIn("processes 4096 → 512", asked.body)
        self.site.link.replies["undo"] = Reply("back")
        self.assertEqual(self.site.post("/dispatcher/properties/undo/17", form={"sure": "1"}).status, 303)
        self.assertIn(("undo", "17"), self.site.link.asked)
        self.assertEqual(self.site.post("/dispatcher/properties/undo/9").status, 404)

    def test_etc_is_read_again_and_the_dispatcher_stopped_after_a_question(self) -> None:
        self.site.link.replies.update(reload=Reply("3 users"), shutdown=Reply("stopping"))
        self.assertIn("3+users", self.site.post("/dispatcher/reload").headers["location"])
        self.assertIn("Running jobs go on", self.site.post("/dispatcher/stop").body)
        self.assertNotIn(("shutdown", None), self.site.link.asked)
        self.site.post("/dispatcher/stop", form={"sure": "1"})
        self.assertIn(("shutdown", None), self.site.link.asked)
        self.site.link.replies["reload"] = Reply("etc/users:3: expected", ["etc/groups:1: x"], word="config.invalid")
        wrong = self.site.post("/dispatcher/reload")
        self.assertEqual((wrong.status, "etc/groups:1" in wrong.body), (400, True))

    def test_a_malformed_form_is_a_page(self) -> None:
        for seen in ("", "x", '{"scheduling.processes":3}'):
            got = self.site.post("/dispatcher/properties", form={"seen": seen, "p.scheduling.processes": "1"})
            self.assertEqual((got.status, "cannot be read" in got.body), (400, True))


class ComputerPages(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(rights=["hosts"], may="submit")
        self.site.link.replies.update(
            hostinfo=lambda rest: HOST if rest == "n1" else Reply("there is no host", word="host.unknown"),
            lsproperties=GIVEN,
            own=lambda rest: {"host": "n1", "over": True, "good": False, "findings": FINDINGS, "error": None},
        )

    def said(self, verb: str) -> list[Any]:
        return [json.loads(rest) for said, rest in self.site.link.asked if said == verb]

    def test_a_computer_is_added_after_the_difference_was_shown(self) -> None:
        page = self.site.get("/hosts/add")
        self.assertEqual(page.status, 200, page.body)
        form = {**form_of(page), "name": "n2", "p.cores": "4", "p.features": "gpu, avx"}
        shown = self.site.post("/hosts/add", form=form)
        self.assertIn("<ins>gpu, avx</ins>", shown.body)
        self.assertEqual(self.said("addhost"), [])
        added = self.site.post("/hosts/add", form={**form_of(shown), "sure": "1"})
        self.assertTrue(added.headers["location"].startswith("/hosts/n2?notice="), added.headers)
        self.assertEqual(self.said("addhost"), [{"name": "n2", "cores": 4, "features": ["gpu", "avx"]}])

    def test_what_is_wrong_stands_beside_its_field(self) -> None:
        for name in ("", "a b", "../x"):
            wrong = self.site.post("/hosts/add", form={"name": name, "p.cores": "7"})
            self.assertEqual(
                (wrong.status, 'value="7"' in wrong.body, 'id="name-wrong"' in wrong.body), (400, True, True)
            )
        self.site.link.replies["addhost"] = Reply(
            "host n2: cores expected a number of cores; nothing was changed", word="config.invalid"
        )
        wrong = self.site.post("/hosts/add", form={"name": "n2", "p.cores": "many", "sure": "1"})
        self.assertIn('role="alert">expected a number of cores', wrong.body)
        self.site.link.replies["addhost"] = Reply("there is a host 'n2' already", word="host.exists")
        wrong = self.site.post("/hosts/add", form={"name": "n2", "sure": "1"})
        self.assertEqual((wrong.status, 'id="name-wrong"' in wrong.body), (409, True))

    def test_a_computer_is_changed_and_what_it_takes_over_is_shown(self) -> None:
        page = self.site.get("/hosts/n1/change")
        self.assertEqual(page.status, 200, page.body)
        self.assertIn("as usual: suspend", page.body)
        form = {**form_of(page), "p.cores": "16", "p.options": "", "p.memory": "128G"}
        shown = self.site.post("/hosts/n1/change", form=form)
        self.assertIn("<del>8</del>", shown.body)
        self.site.post("/hosts/n1/change", form={**form_of(shown), "sure": "1"})
        self.assertEqual(self.said("changehost"), [{
            "name": "n1", "set": {"cores": 16, "memory": "128G"}, "unset": ["options"],
            "was": {"cores": 8, "memory": "64G", "options": {"port": 2222}},
        }])  # fmt: skip

    def test_the_second_of_two_sees_the_difference(self) -> None:
        form = {**form_of(self.site.get("/hosts/n1/change")), "p.cores": "16", "sure": "1"}
        self.site.link.replies["changehost"] = Reply(
            "x", ['{"key":"cores","seen":8,"now":12}'], word="conflict.changed"
        )
        late = self.site.post("/hosts/n1/change", form=form)
        self.assertEqual((late.status, "<ins>12</ins>" in late.body), (409, True))

    def test_checks_run_at_an_address_of_their_own_until_they_are_over(self) -> None:
        form = {**form_of(self.site.get("/hosts/add")), "name": "n2", "p.cores": "4", "act": "check"}
        to = self.site.post("/hosts/add", form=form).headers["location"]
        self.site.link.replies["own"] = {
            "host": "n2",
            "over": False,
            "good": None,
            "findings": FINDINGS[:1],
            "error": None,
        }
        page = self.site.get(to)
        self.assertEqual(page.status, 200, page.body)
        self.assertIn('data-every="1"', page.body)
        self.assertIn('http-equiv="refresh"', page.body)
        wish = self.said("own")[-1]
        self.assertEqual(
            (wish["verb"], wish["argument"]["new"], wish["argument"]["table"]), ("checkhost", True, {"cores": 4})
        )
        self.site.link.replies["own"] = {"host": "n2", "over": True, "good": False, "findings": FINDINGS, "error": None}
        page = self.site.get(to)
        self.assertNotIn("data-every", page.body)
        self.assertIn("there is no &lt;Python&gt;", page.body)
        again = self.site.post("/hosts/add", form=form_of(page))
        self.assertIn("<ins>4</ins>", again.body)
        back = self.site.post("/hosts/add", form={**form_of(page), "act": "edit"})
        self.assertIn('value="4"', back.body)

    def test_a_host_is_checked_as_it_would_be(self) -> None:
        form = {**form_of(self.site.get("/hosts/n1/change")), "p.cores": "4", "p.features": "", "act": "check"}
        to = self.site.post("/hosts/n1/change", form=form).headers["location"]
        self.assertEqual(self.site.get(to).status, 200)
        wish = self.said("own")[-1]["argument"]
        self.assertEqual((wish["new"], wish["table"]), (False, {"cores": 4, "features": None}))

    def test_a_link_runs_no_check(self) -> None:
        form = {**form_of(self.site.get("/hosts/add")), "name": "n2", "p.options": "config=/theirs", "act": "check"}
        to = self.site.post("/hosts/add", form=form).headers["location"]
        links = (
            "/hosts/n1/check", "/hosts/n1/check?check=0123456789abcdef", "/hosts/n1/check?check=", "/hosts/add/check",
            "/hosts/add/check?check=0123456789abcdef&name=n2&p.options=config%3D%2Ftheirs",
            to.replace("theirs", "others"), to.replace("n2", "n3"), to.replace("/hosts/add/", "/hosts/n1/"),
        )  # fmt: skip
        for link in links:
            got = self.site.get(link)
            self.assertIn(got.status, (400, 403), link)
            self.assertIn('value="check"', got.body, link)
        self.assertEqual(self.said("own"), [])
        self.assertEqual(self.site.get(to).status, 200)
        self.assertEqual(len(self.said("own")), 1)

    def test_without_a_server_of_ones_own_it_is_said_what_starts_one(self) -> None:
        self.site.link.replies["own"] = Reply("any hRunJob command starts it", word="web.server")
        got = self.site.get(self.site.post("/hosts/n1/change", form={"act": "check"}).headers["location"])
        self.assertEqual((got.status, "any hRunJob command" in got.body), (503, True))

    def test_who_may_not_submit_is_told_how_to_check(self) -> None:
        site = Site(rights=["hosts"])
        site.link.replies.update(lsproperties=GIVEN, hostinfo=HOST)
        self.assertIn("hRunJob --web submit", site.get("/hosts/n1/change").body)
        self.assertEqual(site.get("/hosts/n1/check?check=0123456789abcdef").status, 403)
        self.assertEqual(self.site.get("/hosts/n9/change").status, 404)
