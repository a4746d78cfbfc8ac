"""Answers held against the OpenAPI document: a field that it does not name is as wrong as one that is missing."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from tm.web.api.document import document

SCHEMAS: dict[str, Any] = document()["components"]["schemas"]
REFUSAL = {"$ref": "#/components/schemas/Refusal"}


def strict(schema: Any) -> Any:
    """Return *schema* with nothing permitted that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(value) for name, value in schema.items()}
    if "properties" in found and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def faults(schema: Any, value: Any) -> list[str]:
    """Return how *value* is other than *schema* says."""
    whole = {**strict(schema), "components": {"schemas": strict(SCHEMAS)}}
    found = Draft202012Validator(whole).iter_errors(value)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]
