"""Describe one kind of connector: the schema of its settings, with the secret settings marked."""

from __future__ import annotations

import orjson

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.describe_connector_kind.arguments import DescribeConnectorKind
from apps.connectors import services
from apps.json import JsonObject, JsonValue
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission

IS_SHORTENED = (
    "Parts of the schema are left out, because it is long. Send the name of a setting or of a schema in $defs as"
    " `part` to get that part with all descriptions."
)
MAX_SCHEMA = 10_000  # characters; the other fields of the answer need up to 2,000
# Keywords of a schema that its form and its checks need, but not a reader.
FORM_KEYWORDS = frozenset(
    {
        "title", "examples", "default", "pattern", "x-pattern-message", "minLength", "maxLength", "minimum", "maximum",
        "exclusiveMinimum", "minItems", "maxItems", "uniqueItems", "additionalProperties",
    }
)  # fmt: skip
NAMED_SCHEMAS = frozenset({"properties", "$defs"})  # Their keys are names and no keywords.


def perform(context: ToolContext, arguments: DescribeConnectorKind) -> Answer:
    kind = services.known_kind(context.org, arguments.role, arguments.kind)
    content = {
        "role": kind.role,
        "kind": kind.name,
        "name": kind.title,
        "description": kind.entry.description,
        "secret_settings": sorted(kind.entry.secret_paths),
        "streams": kind.stream_names,
        "sync_modes": list(kind.entry.sync_modes),
        "write_modes": list(kind.write_modes),
        "needs_cursor": kind.needs_cursor,
        **_schema(kind.schema, arguments.part),
    }
    return Answer(content, f"Read the settings of {kind.title}.")


def _schema(schema: JsonObject, part: str | None) -> JsonObject:
    """Return the whole schema, or one part of it, each as short as an answer has to be. Raises Invalid for `part`."""
    if part is not None:
        return {"part": part, "schema": _shortened(_find_part(schema, part))}
    shorter = _shortened(schema)
    return {"schema": shorter} if shorter == schema else {"schema": shorter, "note": IS_SHORTENED}


def _find_part(schema: JsonObject, part: str) -> JsonObject:
    parts: dict[str, JsonValue] = {}
    for group in sorted(NAMED_SCHEMAS):
        named = schema.get(group)
        parts |= named if isinstance(named, dict) else {}
    found = parts.get(part)
    if not isinstance(found, dict):
        raise Invalid(
            [("part", f"There is no such part. The parts are {', '.join(parts)}.", "unknown")]
        )
    return found


def _shortened(schema: JsonObject) -> JsonObject:
    """Leave out what a reader needs least, until the schema is short enough for an answer."""
    for keywords in (frozenset[str](), FORM_KEYWORDS, FORM_KEYWORDS | {"description"}):
        shorter = without_keywords(schema, keywords)
        if len(orjson.dumps(shorter)) <= MAX_SCHEMA:
            break
    return shorter


def without_keywords(schema: JsonObject, keywords: frozenset[str]) -> JsonObject:
    """Return the schema without these keywords, at every depth. Settings that are named like a keyword stay."""
    return {
        key: {name: _without_in_value(inner, keywords) for name, inner in value.items()}
        if key in NAMED_SCHEMAS and isinstance(value, dict)
        else _without_in_value(value, keywords)
        for key, value in schema.items()
        if key not in keywords
    }


def _without_in_value(value: JsonValue, keywords: frozenset[str]) -> JsonValue:
    if isinstance(value, dict):
        return without_keywords(value, keywords)
    return (
        [_without_in_value(item, keywords) for item in value] if isinstance(value, list) else value
    )


TOOL = Tool(
    name="describe_connector_kind",
    title="Describe a kind of connector",
    description=(
        "Describe the settings of a kind of connector as a JSON Schema. Never ask the user for the secret settings:"
        " request_connector shows a form for them."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=DescribeConnectorKind,
    perform=perform,
)
