"""JSON of a type, as its own code describes it, right and nearly right: each value fits, or one somewhere does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from tm.wire.message import quote

WORDS = (
    "alice", "bob", "root", "nobody", "infoserver@n1", "web@physics", "n1", "n2", "*", "all", "1", "2", "2_0",
    "2_[0-1]", "0", "-1", "9" * 30, "0.5", "1e999", "2h", "2026-11-23", "state=pending", "user=all", "limit=1",
    "order=-ended", "1-3", "../../etc/passwd", "/tmp", "~", "-oProxyCommand=x", "$(id)", "a:b", "a%3Ab", "%", "%00",
    "%0a", ".", "* {}", "look", "submit", "environment", "mail:a@b.c", "t", "{}", "[]", "null", "n1 && !gpu",
    "afterok:1", "ä\u202e\u2028", "lsjobs", "canceljob", "jobs", "hosts", "log", "load", "1h", "USR1", "SIGKILL",
    "failed", "a" * 300, "true", "\x7f", "= 1 1",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 7, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**40)
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
INTEGERS = st.one_of(st.sampled_from(NUMBERS), st.integers(-3, 300))
FLOATS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from((0.0, -1.0, 1e308, 1e-300)))
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
DEEP = st.sampled_from(
    ["[" * 5000, '{"a":' * 5000, '{"a":1e400}', "{", "NaN", '"\\ud800"', "[1,]", "\ufeff{}", '{"a":1,"a":2}']
)


def json_of(kind: Any) -> st.SearchStrategy[str]:
    """Return a strategy of JSON texts: of *kind*, of *kind* but for one part, or of something else."""
    fitting = _values(inspect.type_info(kind))
    broken = st.builds(_broken, fitting, ANYTHING, st.integers(0, 40))
    values = st.one_of(fitting, broken, ANYTHING)
    return st.one_of(values.map(lambda value: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")), DEEP)


def kinds_said(say: Callable[[str], object], verbs: Iterable[str]) -> dict[str, list[Any]]:
    """Return for each of *verbs* the types as which its JSON argument is read, found out by saying it."""
    kinds: dict[str, list[Any]] = {}
    heard: list[Any] = []
    plain = msgspec.json.decode

    def noted(text: Any, *, type: Any = Any, **more: Any) -> Any:
        heard.append(type)
        return plain(text, type=type, **more)

    msgspec.json.decode = noted  # type: ignore[assignment]  # the one place where arguments become values
    try:
        for verb in verbs:
            heard.clear()
            say(f"{verb}:[[[]]]")
            kinds[verb] = [kind for kind in heard if kind is not Any]
    finally:
        msgspec.json.decode = plain
    return kinds


def arguments(kinds: Iterable[Any]) -> st.SearchStrategy[str]:
    """Return a strategy of what may stand behind the colon of a verb that takes JSON of one of *kinds*, if any."""
    plain = st.lists(TEXTS.map(quote), max_size=4).map(":".join)
    one_of_them = [json_of(kind) for kind in kinds]
    return st.one_of(*one_of_them, *one_of_them, plain, ANYTHING.map(json.dumps))


def _values(info: Any) -> st.SearchStrategy[Any]:
    if isinstance(info, inspect.StructType):
        return st.deferred(lambda: _struct(info))
    if isinstance(info, inspect.UnionType):
        return st.one_of(*map(_values, info.types))
    if isinstance(info, inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType):
        return st.lists(_values(info.item_type), max_size=3)
    if isinstance(info, inspect.TupleType):
        return st.tuples(*map(_values, info.item_types)).map(list)
    if isinstance(info, inspect.DictType):
        return st.dictionaries(TEXTS, _values(info.value_type), max_size=3)
    if isinstance(info, inspect.LiteralType | inspect.EnumType):
        return st.sampled_from(
            info.values if isinstance(info, inspect.LiteralType) else [one.value for one in info.cls]
        )
    simple = {
        inspect.BoolType: st.booleans(), inspect.IntType: INTEGERS, inspect.FloatType: FLOATS, inspect.StrType: TEXTS,
        inspect.NoneType: st.none(),
    }  # fmt: skip
    return simple.get(type(info), ANYTHING)  # type: ignore[call-overload]  # any type may be asked for


def _struct(info: inspect.StructType) -> st.SearchStrategy[dict[str, Any]]:
    needed = {one.encode_name: _values(one.type) for one in info.fields if one.required}
    others = {one.encode_name: _values(one.type) for one in info.fields if not one.required}
    if info.tag_field is not None:
        needed[info.tag_field] = st.just(info.tag)
    return st.fixed_dictionaries(needed, optional=others)


def _broken(value: Any, other: Any, place: int) -> Any:
    """Return *value* with *other* in one *place* of it."""
    if isinstance(value, dict) and value:
        name = sorted(value)[place % len(value)]
        return {**value, name: _broken(value[name], other, place // 2)}
    if isinstance(value, list) and value:
        at = place % len(value)
        return [*value[:at], _broken(value[at], other, place // 2), *value[at + 1 :]]
    return other
