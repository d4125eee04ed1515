"""Separate secrets from settings before storing, mask them in responses, and merge them before use.

A path is dotted, like `auth.token` or `headers.X-Key`. A dot inside a key is written `~1`, and `~` is written `~0`.
In responses a marker replaces each secret: `{"set": true, "last4": "…"}`. A request with the marker keeps the stored
value. Below a list the marker also has the path of the secret, so that entries can be moved and removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from apps.connectors.schemas import Error, Pattern, Step
from apps.json import JsonObject, JsonValue

MIN_LENGTH_FOR_HINT = 12  # The last four characters of a shorter secret would reveal too much.
UNSET_MARKER = {"set": False}

Secrets = JsonObject  # {path: secret}
Hints = Mapping[str, str]  # {path: last four characters of the secret}


@dataclass
class MergedSettings:
    """Settings with stored secrets filled in.

    `filled_paths` has the paths of the stored secrets that were filled in. `omitted_paths` has the paths of
    those that the request left out. `stored_paths` has the former paths of those that were moved to another entry of a
    list.
    """

    config: dict[str, Any]
    filled_paths: set[str] = field(default_factory=set)
    stored_paths: dict[str, str] = field(default_factory=dict)
    omitted_paths: set[str] = field(default_factory=set)
    errors: list[Error] = field(default_factory=list)


def split(
    config: JsonObject, patterns: frozenset[Pattern]
) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return (visible settings, {path: secret}). An empty or null secret remains in the settings."""
    visible = deepcopy(dict(config))
    secrets: dict[str, JsonValue] = {}
    for pattern in patterns:
        for container, key, path in list(_matching_entries(visible, pattern)):
            if container[key] in (None, ""):
                continue
            secrets[path] = container[key]
            _remove_entry(container, key)
    return visible, secrets


def hints(secrets: Secrets) -> dict[str, str]:
    """Return {path: last four characters}. The text is empty if four characters would reveal too much."""
    return {
        path: value[-4:] if isinstance(value, str) and len(value) >= MIN_LENGTH_FOR_HINT else ""
        for path, value in secrets.items()
    }


def mask(
    visible: JsonObject, stored_hints: Hints, patterns: frozenset[Pattern]
) -> dict[str, JsonValue]:
    """Add the marker of each stored secret, and replace each empty secret by `{"set": false}`.

    A value that was stored before its setting became a secret is masked like a stored secret.
    """
    empty, visible_secrets = split(visible, patterns)
    masked = deepcopy(empty)
    for pattern in patterns:
        for container, key, _ in list(_matching_entries(masked, pattern)):
            container[key] = dict(UNSET_MARKER)
    for path, last4 in {**hints(visible_secrets), **stored_hints}.items():
        _set_value(masked, path, _marker(path, last4))
    return masked


def with_markers(visible: JsonObject, secrets: Secrets, patterns: frozenset[Pattern]) -> JsonObject:
    """Add the markers of the secrets in lists and maps, which a request keeps only by their markers."""
    marked = deepcopy(dict(visible))
    for path, last4 in hints(secrets).items():
        if tuple(_steps(path)) not in patterns:
            _set_value(marked, path, _marker(path, last4))
    return marked


def join(visible: JsonObject, secrets: Secrets) -> dict[str, JsonValue]:
    """Undo `split`: return the settings with the secrets in plain text."""
    settings = deepcopy(dict(visible))
    for path, value in secrets.items():
        _set_value(settings, path, value)
    return settings


def merge(
    sent_settings: JsonObject, stored_secrets: Secrets, patterns: frozenset[Pattern]
) -> MergedSettings:
    """Fill in the stored secrets whose marker the request sends, or whose field it leaves out.

    In lists and maps only a marker keeps a secret, because the position of an entry does not identify it.
    """
    result = MergedSettings(deepcopy(dict(sent_settings)))
    for pattern in patterns:
        for container, key, path in list(_matching_entries(result.config, pattern)):
            if is_marker(container[key]):
                _resolve_marker(result, container, key, path, stored_secrets)
    for path, value in stored_secrets.items():
        steps = tuple(_steps(path))
        has_fixed_path = "*" not in steps and steps in patterns
        if has_fixed_path and path not in result.filled_paths and _is_absent(result.config, steps):
            _set_value(result.config, path, value)
            result.filled_paths.add(path)
            result.omitted_paths.add(path)
    return result


def with_named_by_user(config: JsonObject, patterns: frozenset[Pattern]) -> JsonObject:
    """Return the plain settings without the secrets whose names are fixed. Those of headers and parameters remain."""
    fixed = frozenset(p for p in patterns if isinstance(p[-1], str) and p[-1] != "*")
    return split(config, fixed)[0]


def entries_of_lists(path: str, other: str) -> tuple[str, str]:
    """Return the paths of the entries that contain two secrets of the same setting, with dots between their steps."""
    steps, other_steps = _steps(path), _steps(other)
    depth = max(
        n for n, (one, two) in enumerate(zip(steps, other_steps, strict=True)) if one != two
    )
    return ".".join(steps[: depth + 1]), ".".join(other_steps[: depth + 1])


def is_marker(value: Any) -> bool:
    return isinstance(value, dict) and "set" in value and value.keys() <= {"set", "last4", "path"}


def remove(config: dict[str, Any], path: str) -> None:
    """Remove the value at `path`, if it exists."""
    *parent_steps, last = _steps(path)
    container = _find_node(config, parent_steps)
    if isinstance(container, dict):
        container.pop(last, None)


def path_of(steps: tuple[str, ...]) -> str:
    return ".".join(step.replace("~", "~0").replace(".", "~1") for step in steps)


def _marker(path: str, last4: str) -> dict[str, JsonValue]:
    is_in_list = any(step.isdigit() for step in _steps(path))
    return {"set": True, "last4": last4, **({"path": path} if is_in_list else {})}


def _stored_path(marker: Mapping[str, Any], container: Any, path: str) -> str:
    """Return the path under which the secret of the marker is stored. It may differ from `path` only in places in lists."""
    named = marker.get("path")
    if not isinstance(named, str):
        return path
    if isinstance(container, dict) and _steps(named)[-1] != _steps(path)[-1]:
        return path  # The name of a header may be a number.
    steps = list(zip(_steps(named), _steps(path), strict=False))
    is_same_setting = len(_steps(named)) == len(_steps(path)) and all(
        one == other or (one.isdigit() and other.isdigit()) for one, other in steps
    )
    return named if is_same_setting else path


def _resolve_marker(
    result: MergedSettings, container: Any, key: Any, path: str, stored_secrets: Secrets
) -> None:
    marker = container[key]
    stored_path = _stored_path(marker, container, path)
    if not marker["set"]:
        _remove_entry(container, key)
    elif stored_path not in stored_secrets:
        result.errors.append((path, "There is no saved value; send the value.", "secret_required"))
    elif marker.get("last4") not in (None, hints(stored_secrets)[stored_path]):
        message = "This marker belongs to another value; send the value."
        result.errors.append((path, message, "secret_required"))
    else:
        container[key] = stored_secrets[stored_path]
        result.filled_paths.add(path)
        if stored_path != path:
            result.stored_paths[path] = stored_path


def _matching_entries(
    node: Any, pattern: Pattern, path: tuple[str, ...] = ()
) -> Iterator[tuple[Any, Any, str]]:
    """Yield each existing (container, key, path) in `node` that matches the pattern."""
    step, *remaining_steps = pattern
    for key, inner in _matching_children(node, step):
        inner_path = (*path, str(key))
        if remaining_steps:
            yield from _matching_entries(inner, tuple(remaining_steps), inner_path)
        else:
            yield node, key, path_of(inner_path)


def _matching_children(node: Any, step: Step) -> list[tuple[Any, Any]]:
    if isinstance(node, dict):
        if step == "*":
            return list(node.items())
        if isinstance(step, re.Pattern):
            return [(key, inner) for key, inner in node.items() if step.search(str(key))]
        return [(step, node[step])] if step in node else []
    if isinstance(node, list) and step == "*":
        return list(enumerate(node))
    return []


def _remove_entry(container: Any, key: Any) -> None:
    """Remove a key of a map. In a list, replace the entry by null, so that the other entries keep their positions."""
    if isinstance(container, list):
        container[key] = None
    else:
        del container[key]


def _steps(path: str) -> list[str]:
    return [step.replace("~1", ".").replace("~0", "~") for step in path.split(".")]


def _find_node(node: Any, steps: list[str] | tuple[str, ...]) -> Any:
    for step in steps:
        if isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, dict):
            node = node.get(step)
        else:
            return None
    return node


def _set_value(config: dict[str, Any], path: str, value: Any) -> None:
    *parent_steps, last = _steps(path)
    container = _find_node(config, parent_steps)
    if isinstance(container, list):
        container[int(last)] = value
    elif isinstance(container, dict):
        container[last] = value


def _is_absent(config: dict[str, Any], steps: tuple[str, ...]) -> bool:
    container = _find_node(config, steps[:-1])
    return isinstance(container, dict) and steps[-1] not in container
