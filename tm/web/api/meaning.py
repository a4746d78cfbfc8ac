"""What a field means: words and units that go into the OpenAPI document."""

from __future__ import annotations

from msgspec import Meta

Time = {"format": "date-time"}
"""Of a text that is a time: ISO 8601 in UTC, e.g. ``2026-11-22T14:02:03.123Z``."""


def of(meaning: str, more: dict[str, str] | None = None) -> Meta:
    """Return the note that a field has this *meaning*; *more* goes into its schema."""
    return Meta(description=meaning, extra_json_schema=more)
