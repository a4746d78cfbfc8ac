"""The OpenAPI document, made of the table: ``python -m tm.web.api.document > docs/openapi.json`` writes it anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

import tm
from tm.web.api.endpoint import BASE, MANY, ONE, SAID, STREAM, Endpoint, Parameter
from tm.web.api.shapes_cluster import Refusal
from tm.web.api.table import TABLE

Schema = dict[str, Any]
_REF = "#/components/schemas/{name}"
_PART = re.compile(r"<([a-z_]+)>")
_PARTS = {
    "job": "the id of a job: 17, of a task 17_4", "host": "the name of a host", "user": "the name of a user",
    "group": "the name of a group", "id": "the id, as the list has it", "metric": "the name of a metric",
    "span": "1h, 24h or 30d",
}  # fmt: skip
_OPEN: dict[str, Schema] = {"LogLine": {"additionalProperties": True}}
"""What has more fields than its schema names."""
_ABOUT = """The same data as the pages show, for programs. A program says who it is by `Authorization: Bearer TOKEN`;
`tm token create` makes tokens, which may look, or also act, or also submit jobs, and never more than their user may.
A browser's session does as well; what changes something then needs the header X-CSRF.
Times are ISO 8601 in UTC, sizes bytes. Lists come as {"items", "next"}: next is the address of what comes then.
Whatever is refused is {"error": {"class", "text"}} with the status that fits; docs/protocol.md explains the classes.
"""
_REFUSED = {
    400: "what was asked is not understood; the text says where it is wrong", 401: "no token, or one that is over",
    403: "this may not be done, by you or with this token", 404: "there is no such thing",
    409: "somebody else has changed it meanwhile", 413: "too much at once", 415: "the body is no JSON",
    429: "a limit is reached", 503: "the dispatcher, or who else is needed, is not reached now",
}  # fmt: skip


def document(prefix: str = "") -> Schema:
    """Return the whole document as a value, for a web interface below *prefix* (without a slash at its end)."""
    kinds = [kind for one in TABLE for kind in (one.answer, one.body) if kind is not None]
    _, components = msgspec.json.schema_components([*dict.fromkeys(kinds), Refusal], ref_template=_REF)
    paths: dict[str, Schema] = {}
    for endpoint in TABLE:
        paths.setdefault(_PART.sub(r"{\1}", endpoint.pattern), {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "TaskManager", "version": tm.__version__, "description": " ".join(_ABOUT.split())},
        "servers": [{"url": prefix or "/", "description": "where the web interface is"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "made by tm token create"},
                "session": {"type": "apiKey", "in": "cookie", "name": "tm-…", "description": "of a browser"},
            },
            "schemas": {name: _plain(schema) | _OPEN.get(name, {}) for name, schema in sorted(components.items())},
            "responses": {str(status): _refused(text) for status, text in _REFUSED.items()},
        },
    }  # fmt: skip


@lru_cache(maxsize=2)
def document_text(prefix: str = "") -> str:
    """Return the whole document as text."""
    return json.dumps(document(prefix), indent=1, ensure_ascii=False) + "\n"


def answer_schema(endpoint: Endpoint) -> Schema:
    """Return the schema of the whole answer of *endpoint*."""
    value: Schema = {"$ref": _REF.format(name=endpoint.answer.__name__)} if endpoint.answer is not None else {}
    if endpoint.form == ONE:
        return value
    items: Schema = {"type": "array", "items": value} if value else {"type": "array", "maxItems": 0}
    if endpoint.form == MANY:
        following = {"type": ["string", "null"], "description": "the address of what comes then; null: this was all"}
        return _object({"items": items, "next": following})
    assert endpoint.form == SAID
    return _object({"text": {"type": "string", "description": "what was done, in a sentence"}, "items": items})


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _operation(endpoint: Endpoint) -> Schema:
    needs = f"The session or token must be one that may {endpoint.may}."
    right = f" Right: {endpoint.right}." if endpoint.right else ""
    said = f" Verb{'s' * (len(endpoint.verbs) > 1)}: {', '.join(endpoint.verbs)}." if endpoint.verbs else ""
    shown: Schema = {
        "operationId": endpoint.name, "summary": endpoint.summary, "description": needs + right + said,
        "parameters": [*_path_parameters(endpoint), *map(_parameter, endpoint.parameters)],
    }  # fmt: skip
    if endpoint.body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=endpoint.body.__name__)}}}
        shown["requestBody"] = {"required": True, "content": content}
    shown["responses"] = {str(endpoint.status): _done(endpoint)} | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in _statuses(endpoint)
    }
    return shown


def _done(endpoint: Endpoint) -> Schema:
    if endpoint.form == STREAM:
        return {"description": "events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {"description": "done", "content": {"application/json": {"schema": answer_schema(endpoint)}}}


def _statuses(endpoint: Endpoint) -> Iterator[int]:
    yield from (400, 401, 403)
    if "<" in endpoint.path or endpoint.body is not None:
        yield 404
    if endpoint.body is not None:
        yield from (409, 413, 415)
    yield from (429, 503)


def _path_parameters(endpoint: Endpoint) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "description": _PARTS[name], "schema": {"type": "string"}}
        for name in _PART.findall(endpoint.path)
    ]


def _parameter(one: Parameter) -> Schema:
    schema: Schema = {"type": "string"}
    if one.kind == "number":
        schema = {"type": "integer", "minimum": one.least, "maximum": one.most}
    elif one.kind == "flag":
        schema = {"type": "boolean"}
    elif one.choices:
        schema["enum"] = list(one.choices)
    return {"name": one.name, "in": "query", "description": one.meaning, "schema": schema}


def _refused(text: str) -> Schema:
    return {"description": text, "content": {"application/json": {"schema": {"$ref": _REF.format(name="Refusal")}}}}


def _plain(schema: Any) -> Any:
    """Return *schema* without defaults and titles, which say nothing here, and with descriptions on one line."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {name: _plain(value) for name, value in schema.items() if name not in ("default", "title", "properties")}
    if "properties" in schema:
        shown["properties"] = {name: _plain(value) for name, value in schema["properties"].items()}
    if "description" in schema:
        shown["description"] = " ".join(schema["description"].split())
    return shown


__all__ = ["BASE", "answer_schema", "document", "document_text"]


if __name__ == "__main__":
    print(document_text(), end="")
