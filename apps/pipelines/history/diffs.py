"""Compare two documents field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from apps.json import JsonObject, JsonValue


class Change(TypedDict):
    """The value of a field before and after, None if it is absent. If `secret` is set, the values are markers."""

    field: str
    before: JsonValue
    after: JsonValue
    secret: bool


def flatten(document: Mapping[str, object], path: str = "") -> dict[str, JsonValue]:
    """Return {path: value}. Nested objects and the list of streams are flattened.

    Other lists, empty objects and markers of secrets are values.
    """
    return dict(_leaves(document, path))


def diff(
    before: Mapping[str, object],
    after: Mapping[str, object],
    *,
    changed_secrets: frozenset[str] = frozenset(),
) -> list[Change]:
    """Return every field that differs, sorted by path.

    Two different secrets can have the same marker, so `changed_secrets` has the paths of changed secrets.
    """
    old, new = flatten(before), flatten(after)
    changed_paths = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    return [
        {
            "field": path,
            "before": old.get(path),
            "after": new.get(path),
            "secret": path in changed_secrets
            or _is_marker(old.get(path))
            or _is_marker(new.get(path)),
        }
        for path in sorted(changed_paths | (changed_secrets & (old.keys() | new.keys())))
    ]


def find_changed_secrets(before: JsonObject, after: JsonObject) -> frozenset[str]:
    """Return the paths of secrets whose plain values differ."""
    return frozenset(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))


def _is_marker(value: Any) -> bool:
    return isinstance(value, Mapping) and "set" in value


def _leaves(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        inner_path = f"{path}.{name}" if path else name
        if inner_path == "streams" and isinstance(value, list):
            value = {str(number): stream for number, stream in enumerate(value)}
        if isinstance(value, Mapping) and value and not _is_marker(value):
            yield from _leaves(value, inner_path)
        else:
            yield inner_path, value
