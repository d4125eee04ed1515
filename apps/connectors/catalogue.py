"""The engine's catalogue for this app: each kind, its settings schema, and the paths of its secrets."""

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
    """A kind of source or destination."""

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
        """The paths of possible secrets, from the catalogue and from marks in the schema."""
        listed = {tuple(path.split(".")) for path in self.entry.secret_paths}
        return frozenset(listed) | schemas.secret_patterns(self.schema)

    @property
    def streams(self) -> list[str]:
        """The names of streams known without connecting; empty if they depend on the connection."""
        return [stream.name for stream in self.entry.streams]

    def sync_modes(self, stream: str) -> tuple[str, ...]:
        """Return the sync modes of a stream, or of the kind if it does not list that stream."""
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
        """Return the entry as the API shows it."""
        shown = asdict(self.entry)
        return {
            "role": shown.pop("role"),
            "kind": shown.pop("kind"),
            "name": shown.pop("title"),
            **shown,
        }


def kinds(role: str) -> dict[str, Kind]:
    """Return every kind of a role, by name."""
    return _kinds(ConnectorRole(role).value)


def find(role: str, name: str) -> Kind | None:
    return kinds(role).get(name)


def unknown(role: str, name: str, field: str) -> Error:
    """Return the error for an unknown kind, with the most similar known one."""
    near = get_close_matches(name[:60], kinds(role), n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return field, f"There is no {role} of this kind{hint}", "unknown"


@lru_cache(maxsize=2)
def _kinds(role: str) -> dict[str, Kind]:
    entries = catalogue.sources() if role == "source" else catalogue.destinations()
    return {entry.kind: Kind(entry) for entry in entries}
