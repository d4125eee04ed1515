"""Schemas of the definition document for the OpenAPI document; the other modules of this package validate it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from apps.json import JsonValue
from apps.pipelines.definition.streams import MAX_CODE, MAX_KEYS, SYNC_MODES, WRITE_MODES

Schema = dict[str, JsonValue]

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
        "description": "Inline settings, according to the kind's config_schema; null with a connector.",
    },
}
_SOURCE: Schema = {
    **_CONNECTION,
    "version": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "Version of a custom source; null means the latest approved.",
    },
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
                "maxLength": MAX_CODE,
                "description": "Code that defines `transform(record)`, which returns a record, a list of records, or None.",
            },
        },
        "required": ["kind", "code"],
        "additionalProperties": False,
    },
    "description": "Transforms of the records, run in a sandbox without network access.",
}
_STREAM: Schema = {
    "stream": {"type": "string", "minLength": 1, "maxLength": 200},
    "table": {
        "type": ["string", "null"],
        "maxLength": 127,
        "description": "By default derived from the stream's name.",
    },
    "sync_mode": {"type": "string", "enum": list(SYNC_MODES)},
    "cursor_field": {"type": ["string", "null"], "maxLength": 200},
    "primary_key": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 200},
        "maxItems": MAX_KEYS,
    },
    "write_mode": {"type": "string", "enum": list(WRITE_MODES)},
    "transforms": TRANSFORMS,
}
ONE_STREAM = "What is read, and how it is written: one stream for now."
PATCHED_STREAM = (
    f"{ONE_STREAM} An element that names the pipeline's stream, or none, keeps the fields it leaves out; "
    "one that names another stream starts from the defaults."
)


def sent() -> Schema:
    """The document of a create or a replace request."""
    return _document(_streams(["stream"]), ["source", "streams", "destination"])


def patched() -> Schema:
    """The document of a patch request: any part."""
    return _document(_streams([], PATCHED_STREAM), [])


def source_only() -> Schema:
    """The document of a preview request."""
    return _document(_streams(["stream"]), ["source", "streams"])


def shown() -> Schema:
    """The document of a response: everything, each secret as `{"set": true, "last4": "…"}`."""
    streams: dict[str, Any] = _streams(list(_STREAM))
    streams["items"]["properties"]["table"]["type"] = "string"
    whole: dict[str, Any] = _document(
        streams, ["source", "streams", "destination"], list(_CONNECTION)
    )
    whole["description"] = 'Each secret is shown as {"set": true, "last4": "…"}.'
    whole["properties"]["source"]["properties"]["kind"]["type"] = "string"
    whole["properties"]["destination"]["properties"]["kind"]["type"] = "string"
    return whole


def _document(streams: Schema, needed: list[str], in_sides: Sequence[str] = ()) -> Schema:
    parts: Schema = {
        "source": _object(_SOURCE, in_sides),
        "streams": streams,
        "destination": _object(_CONNECTION, in_sides),
    }
    return _object(parts, needed)


def _streams(needed: Sequence[str], description: str = ONE_STREAM) -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": _object(_STREAM, needed),
        "description": description,
    }


def _object(properties: Schema, needed: Sequence[str]) -> Schema:
    made: Schema = {
        "type": "object",
        "properties": deepcopy(properties),
        "additionalProperties": False,
    }
    return {**made, "required": list(needed)} if needed else made
