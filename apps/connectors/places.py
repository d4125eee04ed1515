"""Detect changes of the place to which secrets are sent. Stored secrets must not be sent to another host.

Users who may edit a connector may not read its secrets. Without this rule a user could set the host to the user's own
server, start a connection check, and so receive the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apps.connectors.schemas import Schema, branches

# Words in a setting's name which suggest that it decides where the connection goes.
PLACE_WORDS = frozenset(
    [
        "account",
        "address",
        "bootstrap",
        "broker",
        "brokers",
        "domain",
        "endpoint",
        "endpoints",
        "host",
        "hostname",
        "hosts",
        "instance",
        "ip",
        "port",
        "proxy",
        "region",
        "registry",
        "server",
        "servers",
        "site",
        "slug",
        "socket",
        "subdomain",
        "uri",
        "uris",
        "url",
        "urls",
        "workspace",
    ]
)
PLACE_VALUE_PATTERN = re.compile(
    r"^\s*(?:[a-z][a-z0-9+.-]*:)?//|@[^@\s]+\.|^[\w.-]+:\d{1,5}$", re.I
)
PLACE_FORMATS = frozenset({"uri", "url", "hostname", "ipv4", "ipv6"})


def places(schema: Schema, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return {path: value} of each setting that decides where secrets are sent. A missing setting has its default."""
    return dict(_find_places(schema, [schema], settings, ""))


def changed_places(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the sorted paths of the places that differ."""
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


def _find_places(
    root: Schema, nodes: list[Schema], value: Any, path: str
) -> Iterator[tuple[str, Any]]:
    alternatives = [branch for node in nodes for branch in branches(root, node)]
    if isinstance(value, dict):
        properties: dict[str, list[Schema]] = {}
        for branch in alternatives:
            for name, inner in branch.get("properties", {}).items():
                properties.setdefault(name, []).append(inner)
        additional = [
            b["additionalProperties"] for b in alternatives if _is_schema(b, "additionalProperties")
        ]
        for name in value.keys() | properties.keys():
            nested_nodes = properties.get(name, additional)
            nested_value = value[name] if name in value else _default(root, nested_nodes)
            yield from _find_places(
                root, nested_nodes, nested_value, f"{path}.{name}" if path else name
            )
    elif isinstance(value, list):
        items = [branch["items"] for branch in alternatives if _is_schema(branch, "items")]
        for index, entry in enumerate(value):
            yield from _find_places(root, items, entry, f"{path}.{index}")
    elif value is not None and _is_place(path, alternatives, value):
        yield path, value


def _is_schema(node: Schema, keyword: str) -> bool:
    return isinstance(node.get(keyword), Mapping)


def _default(root: Schema, nodes: list[Schema]) -> Any:
    for node in nodes:
        for branch in branches(root, node):
            if "default" in branch:
                return branch["default"]
    return None


def _is_place(path: str, nodes: list[Schema], value: Any) -> bool:
    if any(node.get("x-place") or node.get("format") in PLACE_FORMATS for node in nodes):
        return True
    names = [step for step in path.split(".") if not step.isdigit()]
    if any(PLACE_WORDS & set(re.split(r"[_\W]+", step.lower())) for step in names):
        return True
    return isinstance(value, str) and PLACE_VALUE_PATTERN.search(value) is not None
