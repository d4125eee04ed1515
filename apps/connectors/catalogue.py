"""The engine's catalogue as this room uses it: what a kind is, what it takes, where its secrets are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache

from apps.connectors import schemas
from apps.connectors.models import ConnectorRole
from apps.connectors.schemas import Error, Pattern, Schema
from apps.engine import catalogue
from apps.engine.catalogue import ConnectorKind
from apps.json import JsonObject


@dataclass(frozen=True)
class Kind:
    """One source or destination kind."""

    entry: ConnectorKind

    @property
    def name(self) -> str:
        return self.entry.kind

    @property
    def role(self) -> str:
        return self.entry.role

    @property
    def title(self) -> str:
        return self.entry.title

    @property
    def schema(self) -> Schema:
        return self.entry.config_schema

    @cached_property
    def secrets(self) -> frozenset[Pattern]:
        """Where secrets can be: what the catalogue says, and what its schema marks."""
        listed = {tuple(path.split(".")) for path in self.entry.secret_paths}
        return frozenset(listed) | schemas.secret_patterns(self.schema)

    @property
    def streams(self) -> list[str]:
        """Names known without connecting; empty when they depend on what is connected to."""
        return [stream.name for stream in self.entry.streams]

    def sync_modes(self, stream: str) -> tuple[str, ...]:
        """What a stream can do, or what the kind can when it does not list that stream."""
        listed = (known.sync_modes for known in self.entry.streams if known.name == stream)
        return tuple(next(listed, self.entry.sync_modes))

    @property
    def write_modes(self) -> tuple[str, ...]:
        return tuple(self.entry.write_modes)

    @property
    def needs_cursor(self) -> bool:
        return self.entry.needs_cursor

    @cached_property
    def shown(self) -> JsonObject:
        """The entry as the API shows it."""
        shown = asdict(self.entry)
        return {
            "role": shown.pop("role"),
            "kind": shown.pop("kind"),
            "name": shown.pop("title"),
            **shown,
        }


def kinds(role: str) -> dict[str, Kind]:
    """Every kind of a role, by name."""
    return _kinds(ConnectorRole(role).value)


def find(role: str, name: str) -> Kind | None:
    return kinds(role).get(name)


def unknown(role: str, name: str, field: str) -> Error:
    """The error for a kind that does not exist, with the nearest one that does."""
    near = get_close_matches(name[:60], kinds(role), n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return field, f"There is no {role} of this kind{hint}", "unknown"


@lru_cache(maxsize=2)
def _kinds(role: str) -> dict[str, Kind]:
    entries = catalogue.sources() if role == "source" else catalogue.destinations()
    return {entry.kind: Kind(entry) for entry in entries}
