"""The kinds of sources and destinations that the engine offers, with their settings schemas and secret paths."""

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
        listed_paths = {tuple(path.split(".")) for path in self.entry.secret_paths}
        return frozenset(listed_paths) | schemas.secret_patterns(self.schema)

    @property
    def stream_names(self) -> list[str]:
        """The names of streams known without connecting; empty if they depend on the connection."""
        return [stream.name for stream in self.entry.streams]

    def sync_modes(self, stream: str) -> tuple[str, ...]:
        """Return the sync modes of a stream, or of the kind if it does not list that stream."""
        modes = (listed.sync_modes for listed in self.entry.streams if listed.name == stream)
        return tuple(next(modes, self.entry.sync_modes))

    @property
    def write_modes(self) -> tuple[str, ...]:
        return tuple(self.entry.write_modes)

    @property
    def needs_cursor(self) -> bool:
        return self.entry.needs_cursor

    @property
    def shares_snapshots(self) -> bool:
        return self.entry.shares_snapshots

    @cached_property
    def api_entry(self) -> JsonObject:
        """The entry as the API returns it. There, `kind` is our `name`, and `name` is our `title`."""
        fields = asdict(self.entry)
        return {
            "role": fields.pop("role"),
            "kind": fields.pop("kind"),
            "name": fields.pop("title"),
            **fields,
        }


def kinds(role: str) -> dict[str, Kind]:
    """Return every kind of a role, by name."""
    return _load_kinds(ConnectorRole(role).value)


def find(role: str, name: str) -> Kind | None:
    return kinds(role).get(name)


def unknown_kind_error(role: str, name: str, field: str) -> Error:
    """Return the error for an unknown kind, with the most similar known kind."""
    similar = get_close_matches(name[:60], kinds(role), n=1)
    hint = f"; did you mean {similar[0]}?" if similar else "."
    return field, f"There is no {role} of this kind{hint}", "unknown"


@lru_cache(maxsize=2)
def _load_kinds(role: str) -> dict[str, Kind]:
    entries = catalogue.sources() if role == "source" else catalogue.destinations()
    return {entry.kind: Kind(entry) for entry in entries}
