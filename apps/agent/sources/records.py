"""Find in the schema of a response where the records are, which fields identify them, and which field grows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from apps.agent.sources.descriptions import Endpoint, Schema

USUAL_LIST_NAMES = (
    "data",
    "items",
    "results",
    "records",
    "value",
    "values",
    "entries",
    "rows",
    "list",
)
KEY_NAMES = ("id", "uuid", "guid", "_id", "key", "slug", "code", "number")
# For each kind of parameter that selects newer records: the fields with which it is compared.
UPDATED_FIELDS = (
    *("updated_at", "updatedat", "updated", "updated_on", "modified_at", "modifiedat", "modified"),
    *("last_modified", "lastmodified", "last_updated", "lastupdated", "changed_at", "updated_time"),
    *("update_time", "updatetime", "modified_on", "modifiedon", "date_modified", "date_updated"),
)
CREATED_FIELDS = (
    "created_at",
    "createdat",
    "created",
    "created_on",
    "createdon",
    "date",
    "timestamp",
)
SINCE_PARAMETER = re.compile(
    r"(?P<verb>updated?|modified|changed|last_?modified|last_?updated|created?)?[_.\[]*(at|on|date|time)?"
    r"[_.\[]*(since|after|from|gte?|gt|min)\]?"
)


def find_records(response: Schema, stream: str) -> tuple[str, Schema] | None:
    """Return the place of the list of records, as names joined by dots, and the schema of a record.

    Returns None if the response is one object.
    """
    if response.get("type") == "array":
        return "", response.get("items", {})
    lists = list(_lists_of_objects(response, "", 3))
    if not lists:
        return None
    names = [*USUAL_LIST_NAMES, stream.lower()]
    usual = [found for found in lists if found[0].rpartition(".")[2].lower() in names]
    if usual:
        return usual[0]
    return lists[0] if len(lists) == 1 and not _has_key(response) else None


def _lists_of_objects(
    schema: Schema, prefix: str, levels_left: int
) -> Iterator[tuple[str, Schema]]:
    """Yield the lists of objects, first those of the outer levels. A name with a dot cannot be part of a place."""
    properties = [(n, p) for n, p in schema.get("properties", {}).items() if "." not in n]
    for name, part in properties:
        if part.get("type") == "array" and _may_be_object(part.get("items", {})):
            yield f"{prefix}{name}", part["items"]
    for name, part in properties:
        if part.get("type") == "object" and levels_left > 1:
            yield from _lists_of_objects(part, f"{prefix}{name}.", levels_left - 1)


def _may_be_object(schema: Schema) -> bool:
    return schema.get("type") in (None, "", "object")


def _has_key(schema: Schema) -> bool:
    """Whether an object looks like one record: then a list inside it is one of its fields."""
    return any(name in schema.get("properties", {}) for name in ("id", "uuid", "guid", "_id"))


def find_primary_key(record: Schema, stream: str) -> list[str]:
    """Return the field that identifies a record, or an empty list if no field certainly does."""
    by_lower_name = {name.lower(): name for name in record.get("properties", {})}
    one = singular(stream).lower()
    for name in (*KEY_NAMES[:4], f"{one}_id", f"{one}id", *KEY_NAMES[4:]):
        if name in by_lower_name:
            return [by_lower_name[name]]
    return []


def find_cursor(endpoint: Endpoint, record: Schema) -> tuple[str, str]:
    """Return the field that grows and the query parameter that selects newer records, or two empty texts."""
    by_lower_name = {name.lower(): name for name in record.get("properties", {})}
    for name in endpoint.query_names():
        match = SINCE_PARAMETER.fullmatch(_snake(name))
        if match is None:
            continue
        is_created = (match["verb"] or "").startswith("creat")
        fields = CREATED_FIELDS if is_created else UPDATED_FIELDS
        found = next((by_lower_name[field] for field in fields if field in by_lower_name), "")
        if found:
            return found, name
    return "", ""


def singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _snake(name: str) -> str:
    """Return updatedSince as updated_since, and filter[updated_since] as updated_since."""
    inner = re.sub(r"^filter\[(.*)\]$", r"\1", name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", inner).replace("-", "_").lower()
