"""Separate secrets from settings before storing, mask them in responses, and merge them before use.

A path is dotted, like `auth.token` or `headers.X-Key`; a dot inside a key is written `~1` and `~` is `~0`.
In responses a secret is `{"set": true, "last4": "…"}`; sending that back keeps the stored value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject, JsonValue

HINT_FROM = 12  # characters; the last four of a shorter secret would reveal too much of it
UNSET = {"set": False}

Secrets = JsonObject  # by path
Hints = Mapping[str, str]


@dataclass
class Merged:
    """Settings with stored secrets filled in.

    `kept` are the paths of those, `omitted` those of them that were not sent.
    """

    config: dict[str, Any]
    kept: set[str] = field(default_factory=set)
    omitted: set[str] = field(default_factory=set)
    errors: list[Error] = field(default_factory=list)


def split(
    config: JsonObject, patterns: frozenset[Pattern]
) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return (visible settings, {path: secret}). An empty or null secret stays in the settings."""
    shown = deepcopy(dict(config))
    found: dict[str, JsonValue] = {}
    for pattern in patterns:
        for holder, key, path in list(_places(shown, pattern)):
            if holder[key] in (None, ""):
                continue
            found[path] = holder[key]
            _take_out(holder, key)
    return shown, found


def hints(secrets: Secrets) -> dict[str, str]:
    """Return {path: last four characters}; empty if four characters would reveal too much."""
    return {
        path: value[-4:] if isinstance(value, str) and len(value) >= HINT_FROM else ""
        for path, value in secrets.items()
    }


def mask(shown: JsonObject, hint: Hints, patterns: frozenset[Pattern]) -> dict[str, JsonValue]:
    """Replace each stored secret by its marker, and each empty one by `{"set": false}`."""
    masked = deepcopy(dict(shown))
    for pattern in patterns:
        for holder, key, path in list(_places(masked, pattern)):
            if path not in hint:
                holder[key] = dict(UNSET)
    for path, last4 in hint.items():
        _put(masked, path, {"set": True, "last4": last4})
    return masked


def join(shown: JsonObject, secrets: Secrets) -> dict[str, JsonValue]:
    """Undo `split`: return the plain settings."""
    plain = deepcopy(dict(shown))
    for path, value in secrets.items():
        _put(plain, path, value)
    return plain


def merge(sent: JsonObject, stored: Secrets, patterns: frozenset[Pattern]) -> Merged:
    """Return `sent` with the stored secrets that it keeps, by their marker or by leaving the field out.

    In lists and maps only a marker keeps a secret, because an entry's position does not identify it.
    """
    result = Merged(deepcopy(dict(sent)))
    for pattern in patterns:
        for holder, key, path in list(_places(result.config, pattern)):
            if is_marker(holder[key]):
                _resolve(result, holder, key, path, stored)
    for path, value in stored.items():
        steps = tuple(_steps(path))
        fixed = "*" not in steps and steps in patterns
        if fixed and path not in result.kept and _absent(result.config, steps):
            _put(result.config, path, value)
            result.kept.add(path)
            result.omitted.add(path)
    return result


def is_marker(value: Any) -> bool:
    return isinstance(value, dict) and "set" in value and value.keys() <= {"set", "last4"}


def forget(config: dict[str, Any], path: str) -> None:
    """Remove the value at `path`, if it exists."""
    *above, last = _steps(path)
    holder = _walk(config, above)
    if isinstance(holder, dict):
        holder.pop(last, None)


def path_of(steps: tuple[str, ...]) -> str:
    return ".".join(step.replace("~", "~0").replace(".", "~1") for step in steps)


def _resolve(result: Merged, holder: Any, key: Any, path: str, stored: Secrets) -> None:
    marker = holder[key]
    if not marker["set"]:
        _take_out(holder, key)
    elif path not in stored:
        result.errors.append((path, "There is no saved value; send the value.", "secret_required"))
    elif marker.get("last4") not in (None, hints({path: stored[path]})[path]):
        message = "This marker belongs to another value; send the value."
        result.errors.append((path, message, "secret_required"))
    else:
        holder[key] = stored[path]
        result.kept.add(path)


def _places(
    node: Any, pattern: Pattern, path: tuple[str, ...] = ()
) -> Iterator[tuple[Any, Any, str]]:
    """Yield each existing (container, key, path) in `node` that matches the pattern."""
    step, *rest = pattern
    for key, inner in _children(node, step):
        here = (*path, str(key))
        if rest:
            yield from _places(inner, tuple(rest), here)
        else:
            yield node, key, path_of(here)


def _children(node: Any, step: str) -> list[tuple[Any, Any]]:
    if isinstance(node, dict):
        if step == "*":
            return list(node.items())
        return [(step, node[step])] if step in node else []
    if isinstance(node, list) and step == "*":
        return list(enumerate(node))
    return []


def _take_out(holder: Any, key: Any) -> None:
    """Remove a key of a map; in a list, replace the entry by null, so that positions stay the same."""
    if isinstance(holder, list):
        holder[key] = None
    else:
        del holder[key]


def _steps(path: str) -> list[str]:
    return [step.replace("~1", ".").replace("~0", "~") for step in path.split(".")]


def _walk(node: Any, steps: list[str] | tuple[str, ...]) -> Any:
    for step in steps:
        if isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, dict):
            node = node.get(step)
        else:
            return None
    return node


def _put(config: dict[str, Any], path: str, value: Any) -> None:
    *above, last = _steps(path)
    holder = _walk(config, above)
    if isinstance(holder, list):
        holder[int(last)] = value
    elif isinstance(holder, dict):
        holder[last] = value


def _absent(config: dict[str, Any], steps: tuple[str, ...]) -> bool:
    holder = _walk(config, steps[:-1])
    return isinstance(holder, dict) and steps[-1] not in holder
