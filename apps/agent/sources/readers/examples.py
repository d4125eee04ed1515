"""Derive a schema from an example of a response."""

from __future__ import annotations

from typing import Any

from apps.agent.sources.descriptions import Schema
from apps.agent.sources.readers.references import Document


def schema_of_example(document: Document, value: Any, levels_left: int = 4) -> Schema:
    """Return the schema of an example value of the document, without values."""
    document.count_steps()
    if isinstance(value, dict) and levels_left:
        items = list(value.items())[:200]
        properties = {
            str(name): schema_of_example(document, part, levels_left - 1) for name, part in items
        }
        return {"type": "object", "properties": properties}
    if isinstance(value, list):
        first = value[0] if value and levels_left else None
        return {"type": "array", "items": schema_of_example(document, first, levels_left - 1)}
    if isinstance(value, str):
        is_url = value.startswith(("https://", "http://", "/"))
        return {"type": "string", **({"format": "uri"} if is_url else {})}
    return {"type": {bool: "boolean", int: "integer", float: "number"}.get(type(value), "null")}
