"""Validate one side of a pipeline (its source or destination), and convert it to its stored form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from apps.connectors import configuration, schemas
from apps.connectors.catalogue import Kind
from apps.connectors.configuration import StoredSettings
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.custom_sources.kinds import Kinds
from apps.connectors.models import Connector
from apps.connectors.schemas import Error, join_path
from apps.orgs.principals import Principal
from apps.pipelines.definition.document import (
    Definition,
    RequestDocument,
    SideName,
    entries_of_side,
    parse_uuid,
)

FIELDS: Mapping[SideName, tuple[str, ...]] = {
    "source": ("connector_id", "kind", "config", "version"),
    "destination": ("connector_id", "kind", "config"),
}
MAX_VERSION_NUMBER = 2**31 - 1  # the largest number that the database column can store


class Connectors:
    """The saved connectors and the kinds that a document of the principal `by` may name. They are read once."""

    def __init__(
        self,
        connectors: Iterable[Connector],
        kinds: Kinds = custom_kinds.BUILT_IN_KINDS,
        *,
        by: Principal,
    ) -> None:
        self._by_id = {(row.role, row.pk): row for row in connectors}
        self.kinds = kinds
        self.by = by

    def find(self, role: str, pk: UUID) -> Connector | None:
        return self._by_id.get((role, pk))


class Side:
    """Validates one side of a document, converts it to its stored form, and collects its errors.

    After `build`, `streams` has the stream names that are known without connecting to the source.
    """

    def __init__(self, side: SideName, previous: Definition | None, *, patch: bool) -> None:
        self.side = side
        self.patch = patch
        self.previous: dict[str, Any] = {**previous.document[side]} if previous else {}
        self.secrets = entries_of_side(previous.secrets, side) if previous else {}
        self.streams: list[str] = []
        self.errors: list[Error] = []

    def add_error(self, name: str, message: str, code: str = "invalid") -> None:
        self.errors.append((join_path(self.side, name), message, code))

    def build(
        self, request_side: Any, connectors: Connectors
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (the stored side, its plain secrets by path inside `config`)."""
        if request_side is None and not (self.patch and self.previous):
            self.add_error("", "This field is required.", "required")
            return {}, {}
        if not isinstance(request_side, Mapping | None):
            self.add_error("", "Must be an object.", "type")
            return {}, {}
        values = dict(request_side or {})
        self.errors += schemas.unknown_fields(values, FIELDS[self.side], self.side)
        if self.patch:
            values = self._merge_with_previous(values)
        stored_side: dict[str, Any] = {"connector_id": None, "kind": None, "config": None}
        kind, plain_secrets = self._build_settings(values, stored_side, connectors)
        if kind:
            self._set_version(values, stored_side, kind)
            self.streams = self._known_streams(kind, stored_side, connectors)
        return stored_side, plain_secrets

    def _set_version(
        self, values: RequestDocument, stored_side: dict[str, Any], kind: Kind
    ) -> None:
        """Set the version of a custom source; None means the latest approved version. Other kinds have no versions."""
        number = values.get("version")
        if custom_kinds.custom_source_id(kind.name) is not None:
            stored_side["version"] = number
        elif number is not None:
            self.add_error("version", "Only a custom source has versions.", "unknown")
            return
        if number is not None and not (type(number) is int and 1 <= number <= MAX_VERSION_NUMBER):
            self.add_error("version", "Must be a version number, or null.", "type")

    def _known_streams(
        self, kind: Kind, stored_side: Mapping[str, Any], connectors: Connectors
    ) -> list[str]:
        """Return the stream names that the kind lists, or else those that the settings define."""
        config = stored_side["config"]
        if stored_side["connector_id"]:
            connector = connectors.find(self.side, UUID(stored_side["connector_id"]))
            config = connector.config if connector else None
        defined_streams = (config or {}).get("streams")
        streams = defined_streams if isinstance(defined_streams, list) else []
        names = [stream.get("name") for stream in streams if isinstance(stream, dict)]
        return kind.stream_names or [name for name in names if isinstance(name, str)]

    def _merge_with_previous(self, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in missing values from the previous side. A new connector or kind replaces the old one completely."""
        merged = {k: v for k, v in self.previous.items() if k != "config"}
        if values.get("connector_id"):
            merged.pop("kind", None)
        elif values.get("kind") or values.get("config") is not None:
            merged.pop("connector_id", None)
        merged.update(values)
        if (
            merged.get("config") is None
            and self._has_same_kind(merged)
            and not merged.get("connector_id")
        ):
            merged["config"] = {}
        return merged

    def _has_same_kind(self, values: RequestDocument) -> bool:
        return self.previous.get("config") is not None and self.previous["kind"] == values.get(
            "kind"
        )

    def _build_settings(
        self, values: RequestDocument, stored_side: dict[str, Any], connectors: Connectors
    ) -> tuple[Kind | None, dict[str, Any]]:
        if values.get("connector_id") is not None:
            return self._use_saved_connector(values, stored_side, connectors), {}
        name = values.get("kind")
        if not isinstance(name, str) or not name:
            self.add_error("kind", "Set connector_id, or kind and config.", "required")
            return None, {}
        kind = connectors.kinds.find(self.side, name)
        if kind is None:
            field = join_path(self.side, "kind")
            self.errors.append(custom_kinds.unknown_kind_error(self.side, name[:60], field))
            return None, {}
        return kind, self._build_inline_settings(kind, values, stored_side, connectors.by)

    def _use_saved_connector(
        self, values: RequestDocument, stored_side: dict[str, Any], connectors: Connectors
    ) -> Kind | None:
        pk = parse_uuid(values["connector_id"])
        connector = connectors.find(self.side, pk) if pk else None
        if connector is None:
            self.add_error(
                "connector_id",
                f"There is no {self.side} connector with this id that you may use.",
                "unknown",
            )
            return None
        if values.get("config") is not None:
            self.add_error(
                "config", "The connector contains the settings; leave this field out.", "ambiguous"
            )
        if values.get("kind") not in (None, connector.kind):
            self.add_error("kind", f"The connector is of kind {connector.kind}.", "mismatch")
        stored_side["connector_id"], stored_side["kind"] = str(connector.pk), connector.kind
        kind = connectors.kinds.find(self.side, connector.kind)
        if kind is None:
            self.add_error(
                "connector_id", f"The connector's kind {connector.kind} cannot be used.", "unknown"
            )
        return kind

    def _build_inline_settings(
        self, kind: Kind, values: RequestDocument, stored_side: dict[str, Any], by: Principal
    ) -> dict[str, Any]:
        settings = values.get("config")
        if settings is None:
            settings = {}
        if not isinstance(settings, Mapping):
            self.add_error("config", "Must be an object.", "type")
            return {}
        is_same_kind = self._has_same_kind({"kind": kind.name})
        previous = (
            StoredSettings(self.previous["config"], self.secrets)
            if is_same_kind
            else configuration.NO_SETTINGS
        )
        path = join_path(self.side, "config")
        built, errors = configuration.build(
            kind, settings, previous=previous, patch=self.patch and is_same_kind, path=path
        )
        self.errors += errors or configuration.hidden_file_errors(by, kind, built, previous, path)
        stored_side["kind"], stored_side["config"] = kind.name, built.visible
        return built.secrets
