"""Names in braces that a parent's record fills: `{id}` in a path, and `{resources.posts.id}` anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.engine.library import paths
from apps.engine.sources.http.responses import PermanentSourceError

PLACEHOLDER = re.compile(r"\{(?:resources\.(?P<stream>[^{}.]+)\.)?(?P<field>[^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A name in braces. `stream` is empty if the text does not name it."""

    text: str
    field: str
    stream: str = ""


def find_placeholders(value: Any, *, is_path: bool) -> Iterator[Placeholder]:
    """Yield the placeholders in the text, or in all texts of a JSON value. `{id}` is one in a path only."""
    if isinstance(value, str):
        for match in PLACEHOLDER.finditer(value):
            if is_path or match["stream"]:
                yield Placeholder(match[0], match["field"], match["stream"] or "")
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from find_placeholders(inner, is_path=is_path)
    elif isinstance(value, list):
        for inner in value:
            yield from find_placeholders(inner, is_path=is_path)


def fill_path(path: str, record: Any) -> str:
    """Return the path with each placeholder replaced by its field of the record. Raises PermanentSourceError."""
    for placeholder in find_placeholders(path, is_path=True):
        value = _text(field_of(record, placeholder))
        try:
            path = path.replace(placeholder.text, paths.url_segment(value))
        except paths.UnsafeSegment as error:
            raise PermanentSourceError(str(error)) from error
    return path


def fill_values(value: Any, record: Any) -> Any:
    """Return the JSON value with its placeholders replaced. One that is a whole text keeps the type of the field."""
    if isinstance(value, Mapping):
        return {name: fill_values(inner, record) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill_values(inner, record) for inner in value]
    if not isinstance(value, str):
        return value
    for placeholder in find_placeholders(value, is_path=False):
        found = field_of(record, placeholder)
        if value == placeholder.text:
            return found
        value = value.replace(placeholder.text, _text(found))
    return value


def field_of(record: Any, placeholder: Placeholder) -> Any:
    """Return the value of the field. Raises PermanentSourceError if the record has none, or a list or an object."""
    found = paths.find(record, placeholder.field)
    if found is paths.MISSING or found is None or isinstance(found, list | dict):
        raise PermanentSourceError(
            f"a record of the parent stream has no value for {placeholder.text}",
            evidence=(f"it has {paths.describe(record)}",),
        )
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
