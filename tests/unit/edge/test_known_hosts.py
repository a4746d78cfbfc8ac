"""Reading OpenSSH's known_hosts, and the lines of a configuration that decide where a connection goes."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.known_hosts import look_up, matches_pattern
from tm.edge.ssh_config import deciding_lines


def key(kind: str, number: int) -> bytes:
    """A blob that looks like a public key of *kind*."""
    return len(kind).to_bytes(4, "big") + kind.encode() + bytes([number]) * 32


def line(names: str, blob: bytes, marker: str = "") -> str:
    kind = blob[4 : 4 + blob[3]].decode()
    return f"{marker}{names} {kind} {base64.b64encode(blob).decode()} a comment\n"


def hashed(name: str) -> str:
    digest = hmac.new(b"salt", name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(b'salt').decode()}|{base64.b64encode(digest).decode()}"


ED, ED2, RSA = key("ssh-ed25519", 1), key("ssh-ed25519", 2), key("ssh-rsa", 3)


class KnownHostsTests(SynchronousTestCase):
    """`tm.edge.known_hosts.look_up`."""

    def test_a_host_is_found_by_each_of_its_names_in_any_case(self) -> None:
        lines = [line("n1,N1.lab,10.0.0.1", ED), line("n2", RSA)]
        for name in ("n1", "n1.LAB", "10.0.0.1"):
            self.assertEqual(look_up(lines, name).keys, [ED])
        self.assertEqual(look_up(lines, "n3").keys, [])

    def test_another_port_has_entries_of_its_own(self) -> None:
        lines = [line("n1", ED), line("[n1]:2222", ED2)]
        self.assertEqual(look_up(lines, "n1", 2222).keys, [ED2])
        self.assertEqual(look_up(lines, "n1", 22).keys, [ED])

    def test_another_port_without_an_entry_falls_back_to_the_bare_name(self) -> None:
        self.assertEqual(look_up([line("n1", ED)], "n1", 2222).keys, [ED])

    def test_patterns_match_and_a_negated_one_takes_back(self) -> None:
        lines = [line("*.lab,!bad.lab,n?", ED)]
        found = [name for name in ("a.lab", "bad.lab", "n1", "n12", "lab") if look_up(lines, name).keys]
        self.assertEqual(found, ["a.lab", "n1"])

    def test_hashed_names_are_found(self) -> None:
        lines = [line(hashed("n1"), ED), line(hashed("[n1]:2222"), ED2)]
        self.assertEqual(look_up(lines, "n1").keys, [ED])
        self.assertEqual(look_up(lines, "n1", 2222).keys, [ED2])

    def test_revoked_keys_and_authorities_are_told_apart_from_trusted_keys(self) -> None:
        lines = [line("*", ED2, "@revoked "), line("*", RSA, "@cert-authority "), line("n1", ED)]
        found = look_up(lines, "n1", 2222)
        self.assertEqual((found.keys, set(found.revoked), found.authority), ([ED], {ED2}, True))

    def test_the_types_of_the_keys_are_given_in_the_order_of_the_file(self) -> None:
        self.assertEqual(
            look_up([line("n1", RSA), line("n1", ED), line("n1", ED2)], "n1").kinds(),
            ["ssh-rsa", "ssh-ed25519"],
        )

    def test_a_line_whose_type_is_not_that_of_its_key_is_skipped(self) -> None:
        self.assertEqual(look_up([line("n1", ED).replace("ssh-ed25519", "ssh-rsa")], "n1").keys, [])

    @given(st.lists(st.text(max_size=60), max_size=5))
    def test_no_text_makes_a_host_trusted_or_raises(self, lines: list[str]) -> None:
        self.assertEqual(look_up([*lines, line("n1", ED)], "n1").keys, [ED])

    @given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
    def test_a_pattern_behaves_like_its_definition(self, pattern: str, name: str) -> None:
        def fits(pattern: str, name: str) -> bool:
            if not pattern:
                return not name
            if pattern[0] == "*":
                return fits(pattern[1:], name) or bool(name and fits(pattern, name[1:]))
            return bool(name) and pattern[0] in ("?", name[0]) and fits(pattern[1:], name[1:])

        self.assertEqual(matches_pattern(pattern, name), fits(pattern, name))


class DecidingLinesTests(SynchronousTestCase):
    """`tm.edge.ssh_config.deciding_lines`."""

    def found(self, text: str, host: str = "n1") -> dict[str, str]:
        return deciding_lines(text.splitlines(), host)

    def test_lines_before_any_host_hold_for_all(self) -> None:
        self.assertEqual(self.found("ProxyJump gate\nHost n2\n"), {"ProxyJump": "gate"})

    def test_the_first_value_that_applies_counts(self) -> None:
        text = (
            "Host n2\n User bob\nHost n* !n3\n  User=alice\n  ForwardX11 no\nHost *\n User carol\n Port 2222"
        )
        self.assertEqual(self.found(text), {"User": "alice", "Port": "2222"})
        self.assertEqual(self.found(text, "n3"), {"User": "carol", "Port": "2222"})

    def test_what_changes_nothing_is_left_away(self) -> None:
        self.assertEqual(
            self.found("ProxyJump none\nProxyCommand none\nHostName %h\n# User x\n\nCompression yes"), {}
        )

    def test_quotes_and_signs_are_read_as_ssh_does(self) -> None:
        self.assertEqual(
            self.found('host "n1"\nPROXYCOMMAND  =  nc -X "a b" %h'), {"ProxyCommand": "nc -X a b %h"}
        )

    def test_match_blocks_are_not_looked_at(self) -> None:
        self.assertEqual(self.found("Match host n1\n ProxyJump gate\nHost n1\n User a"), {"User": "a"})
