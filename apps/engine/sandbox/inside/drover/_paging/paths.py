"""Paths into a JSON document, such as `meta.next_cursor`, `data.-1.id` or `'@odata.nextLink'`.

A path has names joined by dots. A name in quotes may contain dots. A number is an index of a list, and counts from
the end if it is negative. `[0]` and `['name']` are other spellings of `.0` and `.'name'`. `$.` may stand in front.
In the path of records, `[]` stands for each item of a list, and `*` also for each value of an object:
`edges[].node`, `users.*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote as urlquote
from urllib.parse import unquote

from drover._failures import ConfigurationError

STEP = re.compile(
    r"""\[\s*(?:'(?P<single>[^']+)'|"(?P<double>[^"]+)"|(?P<index>-?\d+)|(?P<each>\*?))\s*\]"""
    r"""|'(?P<quoted>[^']+)'|"(?P<other_quoted>[^"]+)\"|(?P<name>[^.\[\]'"]+)"""
)
# The same as a pattern of JSON Schema, which forms check.
_ANY_STEP = r"""(\[\s*('[^']+'|"[^"]+"|-?\d+|\*?)\s*\]|'[^']+'|"[^"]+"|[^.\[\]'"]+)"""
PATTERN = rf"^(\$\.?)?({_ANY_STEP}((\.|(?=\[)){_ANY_STEP})*)?$"
INDEX = re.compile(r"-?\d{1,9}")
MAX_DEPTH = 4  # levels that `describe` shows
MAX_PLACES = 12
MAX_DECODINGS = 5  # of a value that was encoded several times


class InvalidPath(ConfigurationError, ValueError):
    """The text is not a path."""


class UnsafeSegment(ConfigurationError):
    """The value would change the path of a URL instead of filling its place."""


class KeyFieldTaken(ConfigurationError):
    """The records have another value in the field for their names."""


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()  # what is found at a path that the document does not have


@dataclass(frozen=True)
class Step:
    """One name or index of a path."""

    text: str
    is_quoted: bool = False
    is_each: bool = False

    @property
    def index(self) -> int | None:
        return int(self.text) if not self.is_quoted and INDEX.fullmatch(self.text) else None


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """Return the steps of the path; none for an empty path. Raises InvalidPath."""
    rest = path.removeprefix("$").removeprefix(".") if path.startswith("$") else path
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        match = STEP.match(rest, position)
        if match is None:
            raise InvalidPath(
                f"{path!r} is not a path, because of {rest[position : position + 20]!r}"
            )
        text = next(value for value in match.groups() if value is not None)
        is_quoted = match.lastgroup not in ("name", "index", "each")
        is_each = match.lastgroup == "each" or (text == "*" and not is_quoted)
        steps.append(Step(text, is_quoted, is_each))
        position = _after_separator(rest, match.end())
    return tuple(steps)


def _after_separator(path: str, position: int) -> int:
    if position == len(path) or path[position] == "[":
        return position
    if path[position] != "." or position + 1 == len(path):
        raise InvalidPath(f"{path!r} is not a path, because of {path[position : position + 20]!r}")
    return position + 1


def find(document: Any, path: str) -> Any:
    """Return the value at the path, or MISSING. Raises InvalidPath.

    Unquoted names that contain dots are found too if no shorter name fits: `@odata.nextLink`.
    """
    return _find(document, parse(path))


def find_or_null(document: Any, path: str) -> Any:
    """Return the value at the path, null if a part of the way to it is null (`next_page: null`), or MISSING."""
    return _find(document, parse(path), through_null=True)


def _find(value: Any, steps: tuple[Step, ...], *, through_null: bool = False) -> Any:
    while steps:
        found, count = _descend(value, steps)
        if found is MISSING:
            return MISSING
        if found is None and through_null:
            return None
        value, steps = found, steps[count:]
    return value


def _descend(value: Any, steps: tuple[Step, ...]) -> tuple[Any, int]:
    """Return what the first steps lead to, and the number of steps that this took."""
    first = steps[0]
    if isinstance(value, Mapping):
        for count in range(1, len(steps) + 1):
            if any(step.is_quoted for step in steps[:count]) and count > 1:
                break
            name = ".".join(step.text for step in steps[:count])
            if name in value:
                return value[name], count
    elif isinstance(value, list) and first.index is not None:
        is_in_list = -len(value) <= first.index < len(value)
        return (value[first.index], 1) if is_in_list else (MISSING, 0)
    return MISSING, 0


def find_records(document: Any, path: str, key_field: str = "") -> Any:
    """Return what the path of records leads to: the list of all records if it has `[]` or `*`, or MISSING.

    With `key_field`, the records of an object get their names in it as this field.
    """
    return _find_records(document, parse(path), key_field)


def split_at_each(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps before the first `[]` or `*`, and those after it."""
    each = next((number for number, step in enumerate(steps) if step.is_each), len(steps))
    return steps[:each], steps[each + 1 :]


def items_at(value: Any, steps: tuple[Step, ...]) -> list[Any] | None:
    """Return the items of the list or object that the steps lead to, or None if there is neither."""
    container = _find(value, steps)
    if isinstance(container, Mapping):
        return list(container.values())
    return container if isinstance(container, list) else None


def find_inner(item: Any, steps: tuple[Step, ...]) -> Any:
    """Return what the steps lead to: all records if they have `[]` or `*`, or MISSING."""
    return _find_records(item, steps, "")


def _find_records(value: Any, steps: tuple[Step, ...], key_field: str) -> Any:
    each = next((number for number, step in enumerate(steps) if step.is_each), None)
    if each is None:
        return _find(value, steps)
    container = _find(value, steps[:each])
    if isinstance(container, Mapping):
        items = [_with_key(item, name, key_field) for name, item in container.items()]
    elif isinstance(container, list):
        items = container
    else:
        return container
    if each == len(steps) - 1:
        return items
    found = [_find_records(item, steps[each + 1 :], key_field) for item in items]
    has_lists = any(isinstance(part, list) for part in found)
    if found and not has_lists and MISSING in found:
        return MISSING
    records: list[Any] = []
    for part in found:
        is_absent = part is MISSING or (part is None and has_lists)
        records += part if isinstance(part, list) else [] if is_absent else [part]
    return records


def find_container(document: Any, path: str) -> Any:
    """Return the list or object that has the records, or MISSING. Names after the first `[]` or `*` do not count."""
    return _find(document, split_at_each(parse(path))[0])


def _with_key(item: Any, name: str, key_field: str) -> Any:
    if not key_field:
        return item
    if not isinstance(item, Mapping):
        return {key_field: name, "value": item}
    own = item.get(key_field, name)
    if str(own) != name:
        raise KeyFieldTaken(
            f"the records have a field {key_field!r} of their own, so it cannot be the field for their names;"
            " choose another `key_field`"
        )
    return {key_field: name, **item}


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of the document with the value at the path. Objects on the way are created."""
    name, *others = [step.text for step in parse(path)]
    inner = document.get(name)
    if others:
        rest = ".".join(quote(other) for other in others)
        value = put(inner if isinstance(inner, dict) else {}, rest, value)
    return {**document, name: value}


def url_segment(value: str) -> str:
    """Return the value quoted for its place in the path of a URL.

    Raises UnsafeSegment for an empty value, and for `.` or `..` in it, also encoded, which servers and clients resolve.
    """
    decoded = value
    for _ in range(MAX_DECODINGS):
        decoded = unquote(decoded)
    if not value.strip() or {".", ".."} & set(re.split(r"[/\\]", decoded)):
        raise UnsafeSegment(
            f"a record of the parent stream has {value[:80]!r} for the path of its children, which would lead to"
            " another path; leave out such records at the parent, or use another field"
        )
    return urlquote(value, safe="")


def plain_place(path: str) -> str:
    """Return the names of the path joined by dots, without quotes."""
    return ".".join(step.text for step in parse(path))


def leads_into_list(path: str) -> bool:
    """Whether the path has an index, so that it leads to a field of a record."""
    return any(step.index is not None for step in parse(path))


def leads_through(path: str, name: str) -> bool:
    """Whether the path begins at the field with this name."""
    place = plain_place(path)
    return place == name or place.startswith(f"{name}.")


def places_around(path: str) -> list[str]:
    """Return the places of the objects around the records, each with a dot at its end: `data.`, `data.issues.`"""
    names = [quote(step.text) for step in split_at_each(parse(path))[0]]
    return [".".join(names[:count]) + "." for count in range(1, len(names))]


def parent_of(path: str) -> tuple[Step, ...]:
    return parse(path)[:-1]


def find_parent(document: Any, path: str) -> Any:
    """Return the value that contains the last name of the path, or MISSING."""
    return _find(document, parent_of(path))


def find_beside(document: Any, path: str, name: str) -> Any:
    """Return the field of this name in the object that has the last name of the path, or MISSING."""
    parent = find_parent(document, path)
    return parent.get(name, MISSING) if isinstance(parent, Mapping) else MISSING


def describe(document: Any) -> str:
    """Name what the document has, without values: `data (a list of 3), meta.next, has_more`."""
    if isinstance(document, list):
        return f"a list of {len(document):,}"
    if not isinstance(document, Mapping):
        return describe_type(document)
    places = []
    for place, value in walk_objects(document):
        if not isinstance(value, Mapping):
            places.append(
                f"{place} (a list of {len(value):,})" if isinstance(value, list) else place
            )
        if len(places) > MAX_PLACES:
            places[-1] = "…"
            break
    return ", ".join(places) or "nothing"


def walk_objects(document: Any, depth: int = MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    """Yield the place and value of each field of the object and of the objects in it, but not of those in lists."""
    if not isinstance(document, Mapping) or depth == 0:
        return
    for name, value in document.items():
        place = quote(str(name))
        yield place, value
        for inner_place, inner_value in walk_objects(value, depth - 1):
            yield f"{place}.{inner_place}", inner_value


def quote(name: str) -> str:
    """Return the name as a part of a path, without characters that cannot be shown."""
    plain = "".join(char if char.isprintable() else "?" for char in name[:80])
    return f"'{plain}'" if re.search(r"[.\[\]'\"\s]", plain) else plain


def describe_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"{str(value).lower()}"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "text" if isinstance(value, str) else "a number"
