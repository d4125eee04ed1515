"""The engine's catalogue as this room uses it: what a kind is, what it takes, where its secrets are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any

from apps.connectors import schemas
from apps.connectors.models import ConnectorRole
from apps.connectors.schemas import Error, Pattern


@dataclass(frozen=True)
class Kind:
    """One source or destination kind. `entry` is the catalogue's own description, as the API shows it."""

    role: str
    name: str
    entry: Mapping[str, Any]

    @property
    def title(self) -> str:
        return str(self.entry["title"])

    @property
    def schema(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.entry["config_schema"]
        return found

    @cached_property
    def secrets(self) -> frozenset[Pattern]:
        return schemas.secret_patterns(self.schema)

    @property
    def streams(self) -> list[str]:
        """Names known without connecting; empty when they depend on what is connected to."""
        return [stream["name"] for stream in self.entry.get("streams", ())]

    def sync_modes(self, stream: str) -> list[str]:
        """What a stream can do, or the kind when it does not list its streams."""
        listed = (item for item in self.entry.get("streams", ()) if item["name"] == stream)
        modes = next(listed, {}).get("sync_modes") or self.entry.get("sync_modes")
        return list(modes or ("full_refresh",))

    @property
    def write_modes(self) -> list[str]:
        return list(self.entry.get("write_modes", ("replace", "append", "merge")))


def kinds(role: str) -> dict[str, Kind]:
    """Every kind of a role, by name."""
    return _kinds(ConnectorRole(role).value)


def find(role: str, name: str) -> Kind | None:
    return kinds(role).get(name)


def unknown(role: str, name: str, field: str) -> Error:
    """The error for a kind that does not exist, with the nearest one that does."""
    near = get_close_matches(name, kinds(role), n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return field, f"There is no {role} of this kind{hint}", "unknown"


@lru_cache(maxsize=2)
def _kinds(role: str) -> dict[str, Kind]:
    return {entry["kind"]: Kind(role, entry["kind"], entry) for entry in _entries(role)}


def _entries(role: str) -> list[dict[str, Any]]:
    from apps.engine import destinations, sources

    names = sources.SOURCES if role == "source" else destinations.DESTINATIONS
    room: Any = sources if role == "source" else destinations
    found = []
    for name in names:
        try:
            module = room.load(name)
        except ImportError:
            continue
        found.append(
            {
                "kind": name,
                "title": module.TITLE,
                "config_schema": module.Config.model_json_schema(),
                "description": module.DESCRIPTION,
                "icon": module.ICON,
                "docs_url": module.DOCS_URL,
                "sync_modes": ["full_refresh", "incremental"],
            }
        )
    return found
