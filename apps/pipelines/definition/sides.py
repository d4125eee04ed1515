"""One side of a pipeline, its source or its destination: convert it from sent to stored form."""

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
from apps.connectors.schemas import Error, joined
from apps.pipelines.definition.document import Definition, Sent, SideName, below, uuid_of

FIELDS: Mapping[SideName, tuple[str, ...]] = {
    "source": ("connector_id", "kind", "config", "version"),
    "destination": ("connector_id", "kind", "config"),
}
HIGHEST = 2**31 - 1  # largest number of a version


class Connectors:
    """The saved connectors and the kinds that a document may name, read once."""

    def __init__(
        self, usable: Iterable[Connector], kinds: Kinds = custom_kinds.NONE_OF_ITS_OWN
    ) -> None:
        self._by_id = {(row.role, row.pk): row for row in usable}
        self.kinds = kinds

    def find(self, role: str, pk: UUID) -> Connector | None:
        return self._by_id.get((role, pk))


class Side:
    """One side of a document while it is converted from sent to stored form, with its errors.

    `streams` are the names that are known without connecting, once the side is built.
    """

    def __init__(self, side: SideName, before: Definition | None, *, patch: bool) -> None:
        self.side = side
        self.patch = patch
        self.before: dict[str, Any] = {**before.document[side]} if before else {}
        self.secrets = below(before.secrets, side) if before else {}
        self.streams: list[str] = []
        self.errors: list[Error] = []

    def fail(self, name: str, message: str, code: str = "invalid") -> None:
        self.errors.append((joined(self.side, name), message, code))

    def build(self, sent: Any, connectors: Connectors) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (the stored side, its plain secrets by path below config)."""
        if sent is None and not (self.patch and self.before):
            self.fail("", "This field is required.", "required")
            return {}, {}
        if not isinstance(sent, Mapping | None):
            self.fail("", "Must be an object.", "type")
            return {}, {}
        given = dict(sent or {})
        self.errors += schemas.unknown_fields(given, FIELDS[self.side], self.side)
        if self.patch:
            given = self._patched(given)
        part: dict[str, Any] = {"connector_id": None, "kind": None, "config": None}
        kind, plain = self._connection(given, part, connectors)
        if kind:
            self._pin(given, part, kind)
            self.streams = self._streams(kind, part, connectors)
        return part, plain

    def _pin(self, given: Sent, part: dict[str, Any], kind: Kind) -> None:
        """Return the version of a custom source, None for the latest approved; other kinds have none."""
        number = given.get("version")
        if custom_kinds.id_of(kind.name) is not None:
            part["version"] = number
        elif number is not None:
            self.fail("version", "Only a custom source has versions.", "unknown")
            return
        if number is not None and not (type(number) is int and 1 <= number <= HIGHEST):
            self.fail("version", "Must be a version number, or null.", "type")

    def _streams(self, kind: Kind, part: Mapping[str, Any], connectors: Connectors) -> list[str]:
        """Return the names known without connecting: the kind's, or those that the settings define."""
        config = part["config"]
        if part["connector_id"]:
            connector = connectors.find(self.side, UUID(part["connector_id"]))
            config = connector.config if connector else None
        defined = (config or {}).get("streams")
        listed = defined if isinstance(defined, list) else []
        named = [stream.get("name") for stream in listed if isinstance(stream, dict)]
        return kind.streams or [name for name in named if isinstance(name, str)]

    def _patched(self, given: dict[str, Any]) -> dict[str, Any]:
        """Keep values that were not sent; another connector or kind replaces all of the old one."""
        base = {k: v for k, v in self.before.items() if k != "config"}
        if given.get("connector_id"):
            base.pop("kind", None)
        elif given.get("kind") or given.get("config") is not None:
            base.pop("connector_id", None)
        base.update(given)
        if base.get("config") is None and self._same_kind(base) and not base.get("connector_id"):
            base["config"] = {}
        return base

    def _same_kind(self, given: Sent) -> bool:
        return self.before.get("config") is not None and self.before["kind"] == given.get("kind")

    def _connection(
        self, given: Sent, part: dict[str, Any], connectors: Connectors
    ) -> tuple[Kind | None, dict[str, Any]]:
        if given.get("connector_id") is not None:
            return self._saved(given, part, connectors), {}
        name = given.get("kind")
        if not isinstance(name, str) or not name:
            self.fail("kind", "Name a connector_id, or a kind with its config.", "required")
            return None, {}
        kind = connectors.kinds.find(self.side, name)
        if kind is None:
            field = joined(self.side, "kind")
            self.errors.append(custom_kinds.unknown(self.side, name[:60], field))
            return None, {}
        return kind, self._inline(kind, given, part)

    def _saved(self, given: Sent, part: dict[str, Any], connectors: Connectors) -> Kind | None:
        pk = uuid_of(given["connector_id"])
        connector = connectors.find(self.side, pk) if pk else None
        if connector is None:
            self.fail(
                "connector_id",
                f"There is no {self.side} connector with this id that you may use.",
                "unknown",
            )
            return None
        if given.get("config") is not None:
            self.fail("config", "The connector has the settings; leave this out.", "ambiguous")
        if given.get("kind") not in (None, connector.kind):
            self.fail("kind", f"The connector is of kind {connector.kind}.", "mismatch")
        part["connector_id"], part["kind"] = str(connector.pk), connector.kind
        kind = connectors.kinds.find(self.side, connector.kind)
        if kind is None:
            self.fail("connector_id", f"Its kind {connector.kind} cannot be used.", "unknown")
        return kind

    def _inline(self, kind: Kind, given: Sent, part: dict[str, Any]) -> dict[str, Any]:
        sent = given.get("config")
        if sent is None:
            sent = {}
        if not isinstance(sent, Mapping):
            self.fail("config", "Must be an object.", "type")
            return {}
        same = self._same_kind({"kind": kind.name})
        before = (
            StoredSettings(self.before["config"], self.secrets) if same else configuration.EMPTY
        )
        built, found = configuration.build(
            kind, sent, before=before, patch=self.patch and same, path=joined(self.side, "config")
        )
        self.errors += found
        part["kind"], part["config"] = kind.name, built.shown
        return built.secrets
