"""The definition document described for readers of the OpenAPI document; `definition` is what checks it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from apps.pipelines.definition import MOST_CODE, MOST_KEYS, SYNC_MODES, WRITE_MODES

Schema = dict[str, Any]

_CONNECTION: Schema = {
    "connector_id": {
        "type": ["string", "null"],
        "format": "uuid",
        "description": "A saved connector; else `kind` with `config`.",
    },
    "kind": {"type": ["string", "null"], "maxLength": 60},
    "config": {
        "type": ["object", "null"],
        "additionalProperties": True,
        "description": "Inline settings, as the kind's config_schema says; null with a connector.",
    },
}
_COLUMN: Schema = {"type": ["string", "null"], "maxLength": 200}
_SOURCE: Schema = {
    **_CONNECTION,
    "version": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "Of a custom source: the version that runs; null is the latest approved.",
    },
    "stream": {"type": "string", "minLength": 1, "maxLength": 200},
    "sync_mode": {"type": "string", "enum": list(SYNC_MODES)},
    "cursor_field": _COLUMN,
    "primary_key": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 200},
        "maxItems": MOST_KEYS,
    },
}
_DESTINATION: Schema = {
    **_CONNECTION,
    "table": {
        "type": ["string", "null"],
        "maxLength": 127,
        "description": "Made from the stream's name when left out.",
    },
    "write_mode": {"type": "string", "enum": list(WRITE_MODES)},
}


TRANSFORMS: Schema = {
    "type": "array",
    "maxItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["python"]},
            "code": {
                "type": "string",
                "minLength": 1,
                "maxLength": MOST_CODE,
                "description": "Defines `transform(record)`, which answers a record, a list of them, or None.",
            },
        },
        "required": ["kind", "code"],
        "additionalProperties": False,
    },
    "description": "What changes the records on their way, in a sandbox without a network.",
}


def sent() -> Schema:
    """What a create or a replace takes."""
    return _document(source=["stream"], destination=[], needed=["source", "destination"])


def patched() -> Schema:
    """What a patch takes: any part."""
    return _document(source=[], destination=[], needed=[])


def source_only() -> Schema:
    """What a preview takes."""
    return _document(source=["stream"], destination=[], needed=["source"])


def shown() -> Schema:
    """What an answer holds: everything, each secret as `{"set": true, "last4": "…"}`."""
    whole = _document(
        source=[name for name in _SOURCE if name != "version"],
        destination=list(_DESTINATION),
        needed=["source", "destination"],
    )
    whole["description"] = 'Each secret reads {"set": true, "last4": "…"}.'
    whole["properties"]["source"]["properties"]["kind"]["type"] = "string"
    whole["properties"]["destination"]["properties"]["kind"]["type"] = "string"
    whole["properties"]["destination"]["properties"]["table"]["type"] = "string"
    return whole


def _document(*, source: list[str], destination: list[str], needed: list[str]) -> Schema:
    parts = {
        "source": _side(_SOURCE, source),
        "destination": _side(_DESTINATION, destination),
        "transforms": TRANSFORMS,
    }
    return _side(parts, needed)


def _side(properties: Schema, needed: list[str]) -> Schema:
    made: Schema = {
        "type": "object",
        "properties": deepcopy(properties),
        "additionalProperties": False,
    }
    return {**made, "required": needed} if needed else made
