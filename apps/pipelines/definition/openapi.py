"""Schemas of the definition for the OpenAPI document. The other modules of this package validate definitions."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from apps.engine.field_rules import CAST_TYPES, OTHER_FIELDS, PROTECTIONS
from apps.json import JsonValue
from apps.pipelines.definition.building import ON_FAILURE_CHOICES
from apps.pipelines.definition.fields import MAX_FIELD_LENGTH, MAX_RULES
from apps.pipelines.definition.names import MAX_NAMING_LENGTH
from apps.pipelines.definition.patterns import (
    MAX_PATTERN_LENGTH,
    MAX_PATTERNS,
    NEW_STREAMS,
    OPTIONAL_SETTINGS,
)
from apps.pipelines.definition.snapshot import CHOICES
from apps.pipelines.definition.streams import (
    CONTRACTS,
    MAX_CODE_LENGTH,
    MAX_KEY_COLUMNS,
    MAX_STREAMS,
    SYNC_MODES,
    WRITE_MODES,
)

Schema = dict[str, JsonValue]

_SIDE_PROPERTIES: Schema = {
    "connector_id": {
        "type": ["string", "null"],
        "format": "uuid",
        "description": "Id of a saved connector. Without it, set `kind` and `config`.",
    },
    "kind": {"type": ["string", "null"], "maxLength": 60},
    "config": {
        "type": ["object", "null"],
        "additionalProperties": True,
        "description": "Inline settings, according to the kind's config_schema; null with a connector.",
    },
}
_SOURCE_PROPERTIES: Schema = {
    **_SIDE_PROPERTIES,
    "version": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "Version of a custom source; null means the latest approved version.",
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
                "maxLength": MAX_CODE_LENGTH,
                "description": "Code that defines `transform(record)`, which returns a record, a list of records, or None.",
            },
        },
        "required": ["kind", "code"],
        "additionalProperties": False,
    },
    "description": "Transforms of the records, run in a sandbox without network access.",
}
_FIELD_RULE: Schema = {
    "type": "object",
    "properties": {
        "field": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_FIELD_LENGTH,
            "description": "The name of a field at the source.",
        },
        "drop": {"type": "boolean", "description": "Whether the field is left out."},
        "name": {
            "type": "string",
            "maxLength": MAX_FIELD_LENGTH,
            "description": "The name with which the field arrives, if it is another one.",
        },
        "type": {
            "type": "string",
            "enum": list(CAST_TYPES),
            "description": "The type with which the values arrive. A record with a value that is not of this type is rejected.",
        },
        "protect": {
            "type": "string",
            "enum": list(PROTECTIONS),
            "description": "`hash` replaces each value by its keyed hash, which is the same for equal values in all "
            "pipelines of the organization. `redact` replaces all values by the same text.",
        },
    },
    "required": ["field"],
    "additionalProperties": False,
}
FIELDS: Schema = {
    "type": "object",
    "properties": {
        "others": {
            "type": "string",
            "enum": list(OTHER_FIELDS),
            "default": "keep",
            "description": "What happens to the fields without a rule.",
        },
        "rules": {"type": "array", "maxItems": MAX_RULES, "items": _FIELD_RULE},
    },
    "additionalProperties": False,
    "description": "Which fields arrive, with which names and types, and which of them are unreadable. The rules apply "
    "before the transforms. A response has them only if they change something.",
}
_STREAM_PROPERTIES: Schema = {
    "stream": {"type": "string", "minLength": 1, "maxLength": 200},
    "table": {
        "type": ["string", "null"],
        "maxLength": 127,
        "description": "By default the stream's name with its schema. No other pipeline may write the same table of the "
        "same destination.",
    },
    "sync_mode": {"type": "string", "enum": list(SYNC_MODES)},
    "cursor_field": {"type": ["string", "null"], "maxLength": 200},
    "primary_key": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 200},
        "maxItems": MAX_KEY_COLUMNS,
    },
    "write_mode": {"type": "string", "enum": list(WRITE_MODES)},
    "transforms": TRANSFORMS,
}
# A response has these only if they differ from their defaults.
_OPTIONAL_STREAM_PROPERTIES: Schema = {
    "allow_empty": {
        "type": "boolean",
        "default": False,
        "description": "Whether a run that has read nothing may replace existing rows. Otherwise it fails.",
    },
    "max_rejected_share": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0,
        "description": "Largest share of rejected records among the records read. With more, a run fails.",
    },
    "fields": {**FIELDS, "type": ["object", "null"]},
    "contract": {
        "type": "string",
        "enum": list(CONTRACTS),
        "default": CONTRACTS[0],
        "description": "What happens to new columns, and to values that are not of the type of their column. `evolve`: new "
        "columns arrive, and a value that does not fit rejects its record. `freeze`: the run fails before it publishes. "
        "`drop_columns`: new columns are left out. `drop_rows`: records with such values are skipped.",
    },
}
SNAPSHOT: Schema = {
    "type": "object",
    "properties": {
        "scope": {
            "type": "string",
            "enum": list(CHOICES["scope"]),
            "default": "auto",
            "description": "`run`: all streams of a run are read in one snapshot, so rows that refer to each other agree. "
            "`stream`: each stream is read for itself. `auto`: `run` if the source has snapshots and reading takes less "
            "than 15 minutes.",
        },
        "retry": {
            "type": "string",
            "enum": list(CHOICES["retry"]),
            "default": "remaining",
            "description": "What another attempt reads in its new snapshot: the streams that are not published, or all.",
        },
    },
    "additionalProperties": False,
    "description": "In which snapshots a run reads several streams. A response has it only if it differs from its default.",
}
_PATTERNS_PROPERTIES: Schema = {
    "match": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_LENGTH},
        "maxItems": MAX_PATTERNS,
        "description": "Patterns of full names, such as public.* and !*_tmp. * stands for any characters and ? for one. A "
        "stream is read if a pattern includes it and none that begins with ! excludes it, in any order.",
    },
    "sync_mode": {
        **_STREAM_PROPERTIES["sync_mode"],  # type: ignore[dict-item]
        "description": "A stream that cannot be read incrementally by the cursor field is read completely and replaced.",
    },
    "cursor_field": _STREAM_PROPERTIES["cursor_field"],
    "write_mode": {"type": ["string", "null"], "enum": [*WRITE_MODES, None]},
    **{name: _OPTIONAL_STREAM_PROPERTIES[name] for name in OPTIONAL_SETTINGS},
    "transforms": TRANSFORMS,
}
_PATTERNS_DESCRIPTION = (
    "Chooses further streams at each run, with the same settings for all. A stream that is also in `streams` has its "
    "own settings. The primary key of each stream is that of the source."
)
_NAMING: Schema = {
    "type": ["string", "null"],
    "maxLength": MAX_NAMING_LENGTH,
    "description": "The tables of streams without a table of their own, such as {schema}_{table}, raw_{table} with a "
    "prefix, or raw.{schema}_{table} in the schema raw. Must contain {table}.",
}
_NEW_STREAMS: Schema = {
    "type": ["string", "null"],
    "enum": [*NEW_STREAMS, None],
    "description": "What happens to a stream that is new in the source and matches the patterns: it is added (the "
    "default), it waits until somebody decides, or it is ignored.",
}
_ON_STREAM_FAILURE: Schema = {
    "type": ["string", "null"],
    "enum": [*ON_FAILURE_CHOICES, None],
    "description": "Whether a run begins further streams after one has failed. `continue` is the default, and a response "
    "has only `stop`. With `stop`, streams that are being read are finished, those that have not begun are cancelled, and a "
    "retry goes on with all that are not published.",
}
STREAM_DESCRIPTION = (
    "The streams to read, and how to write the records of each. A run reads them side by side. The list may be empty, or "
    "be left out, only if there are patterns."
)
PATCH_STREAM_DESCRIPTION = (
    f"{STREAM_DESCRIPTION} The list replaces the pipeline's list. Missing fields of a stream that the pipeline has keep "
    "their values; those of another stream get their default values. If the pipeline has one stream, an element without a "
    "name means that stream."
)


def create_request_schema() -> Schema:
    """Return the schema of the definition in a create or replace request."""
    return _document(_streams(["stream"]), ["source", "destination"])


def patch_request_schema() -> Schema:
    """Return the schema of the definition in a patch request, in which every part is optional."""
    return _document(_streams([], PATCH_STREAM_DESCRIPTION), [])


def preview_request_schema() -> Schema:
    """Return the schema of the definition in a preview request, which has no destination."""
    return _document(_streams(["stream"]), ["source"])


def response_schema() -> Schema:
    """Return the schema of the definition in a response, with masked secrets."""
    streams: dict[str, Any] = _streams(list(_STREAM_PROPERTIES))
    streams["items"]["properties"]["table"]["type"] = "string"
    document: dict[str, Any] = _document(
        streams, ["source", "streams", "destination"], list(_SIDE_PROPERTIES)
    )
    document["description"] = 'Each secret is shown as {"set": true, "last4": "…"}.'
    document["properties"]["source"]["properties"]["kind"]["type"] = "string"
    document["properties"]["destination"]["properties"]["kind"]["type"] = "string"
    return document


def _document(
    streams: Schema, required: list[str], required_in_sides: Sequence[str] = ()
) -> Schema:
    parts: Schema = {
        "source": _object(_SOURCE_PROPERTIES, required_in_sides),
        "streams": streams,
        "destination": _object(_SIDE_PROPERTIES, required_in_sides),
        "snapshot": SNAPSHOT,
        "patterns": _patterns(),
        "naming": _NAMING,
        "new_streams": _NEW_STREAMS,
        "on_stream_failure": _ON_STREAM_FAILURE,
    }
    return _object(parts, required)


def _streams(required: Sequence[str], description: str = STREAM_DESCRIPTION) -> Schema:
    return {
        "type": "array",
        "maxItems": MAX_STREAMS,
        "items": _object({**_STREAM_PROPERTIES, **_OPTIONAL_STREAM_PROPERTIES}, required),
        "description": description,
    }


def _patterns() -> Schema:
    schema = _object(_PATTERNS_PROPERTIES, [])
    return {**schema, "type": ["object", "null"], "description": _PATTERNS_DESCRIPTION}


def _object(properties: Schema, required: Sequence[str]) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": deepcopy(properties),
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema
