"""Compare two documents field by field, and streams by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

from apps.json import JsonObject, JsonValue


class Change(TypedDict):
    """The value of a field before and after, None if it is absent. If `secret` is set, the values are markers.

    `stream` is the name of the stream to which the field belongs, if there are several.
    """

    field: str
    before: JsonValue
    after: JsonValue
    secret: bool
    stream: NotRequired[str]


def flatten(
    document: Mapping[str, object], numbers: Mapping[str, int] | None = None
) -> dict[str, JsonValue]:
    """Return {path: value}. Nested objects and the list of streams are flattened.

    Other lists, empty objects and markers of secrets are values. `numbers` has the number of each stream in the
    paths, by name. By default it is its position.
    """
    return dict(_leaves(document, "", numbers or {}))


def diff(
    before: Mapping[str, object],
    after: Mapping[str, object],
    *,
    changed_secrets: frozenset[str] = frozenset(),
) -> list[Change]:
    """Return every field that differs, sorted by path.

    A stream has the number of its position in `after`. Streams that are not in `after` have higher numbers. Two
    different secrets can have the same marker, so `changed_secrets` has the paths of changed secrets.
    """
    numbers = _numbers_of_streams(before, after)
    names = {str(number): name for name, number in numbers.items()} if len(numbers) > 1 else {}
    old, new = flatten(before, numbers), flatten(after, numbers)
    changed_paths = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    return [
        {
            "field": path,
            "before": old.get(path),
            "after": new.get(path),
            "secret": path in changed_secrets
            or _is_marker(old.get(path))
            or _is_marker(new.get(path)),
            **_stream_of(path, names),
        }
        for path in sorted(changed_paths | (changed_secrets & (old.keys() | new.keys())))
    ]


def find_changed_secrets(before: JsonObject, after: JsonObject) -> frozenset[str]:
    """Return the paths of secrets whose plain values differ."""
    return frozenset(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))


def _is_marker(value: Any) -> bool:
    return isinstance(value, Mapping) and "set" in value


def _numbers_of_streams(
    before: Mapping[str, object], after: Mapping[str, object]
) -> dict[str, int]:
    """Return a number for each stream of both documents, by name."""
    names = dict.fromkeys([*_stream_names(after), *_stream_names(before)])
    return {name: number for number, name in enumerate(names)}


def _stream_names(document: Mapping[str, Any]) -> list[str]:
    streams = document.get("streams")
    return [stream["stream"] for stream in streams] if isinstance(streams, list) else []


class _StreamName(TypedDict, total=False):
    stream: str


def _stream_of(path: str, names: Mapping[str, str]) -> _StreamName:
    """Return the name of the stream of a path such as `streams.2.table`, if the stream is one of `names`."""
    start, _, rest = path.partition(".")
    number = rest.partition(".")[0]
    return {"stream": names[number]} if start == "streams" and number in names else {}


def _leaves(
    node: Mapping[str, Any], path: str, numbers: Mapping[str, int]
) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        inner_path = f"{path}.{name}" if path else name
        if inner_path == "streams" and isinstance(value, list):
            value = {
                str(numbers.get(stream["stream"], position)): stream
                for position, stream in enumerate(value)
            }
        if isinstance(value, Mapping) and value and not _is_marker(value):
            yield from _leaves(value, inner_path, numbers)
        else:
            yield inner_path, value
