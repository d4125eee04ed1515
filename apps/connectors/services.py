"""Actions on connectors. Each change by a principal is one transaction with one audit event.

Each action takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks the
permission in the object's domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from apps.auth.constraints import refused_as
from apps.connectors import catalogue, configuration, secrets, storage
from apps.connectors.catalogue import Kind
from apps.connectors.configuration import NO_SETTINGS, StoredSettings
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.exceptions import ConnectorInUse, ConnectorNameTaken
from apps.connectors.models import Connector, ConnectorQuerySet
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject, JsonValue
from apps.orgs import audit, vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import can_see, find_object, require_placement, visible_objects
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match

SEAL_KIND = "connector"

SettingsWatcher = Callable[[Org, Principal, Connector], list[Error]]
_settings_watchers: list[SettingsWatcher] = []


@dataclass(frozen=True, slots=True)
class Usage:
    """The pipelines with a connector that a principal can see: how many, and when one of them last succeeded."""

    pipeline_count: int = 0
    succeeded_at: datetime | None = None

    def worked_at(self, changed_at: datetime) -> datetime | None:
        """Return when the settings worked in a run, or None if they were changed after it."""
        worked = self.succeeded_at is not None and self.succeeded_at > changed_at
        return self.succeeded_at if worked else None


UsageReader = Callable[[Org, Principal, Sequence[UUID]], Mapping[UUID, Usage]]
_usage_readers: list[UsageReader] = []


def watch_settings(watcher: SettingsWatcher) -> SettingsWatcher:
    """Register a function of another app. It is called after a change of settings, in the same transaction.

    The change is refused if the function returns errors.
    """
    _settings_watchers.append(watcher)
    return watcher


def read_usage_with(reader: UsageReader) -> UsageReader:
    """Register the function of another app that knows the pipelines of connectors that the principal can see."""
    _usage_readers.append(reader)
    return reader


@cache
def _import_registrations() -> None:
    """Import every app's `connector_settings.py` once."""
    autodiscover_modules("connector_settings")


class ConnectorChanges(TypedDict, total=False):
    """Changes of a connector. A value that is left out does not change."""

    name: str
    description: str
    domain_id: UUID | None
    config: JsonObject


def create(
    *,
    org: Org,
    by: Principal,
    role: str,
    kind: str,
    name: str,
    config: JsonObject,
    description: str = "",
    domain_id: UUID | None = None,
) -> Connector:
    """Create a connector.

    Raises Invalid naming `kind`, `domain_id` or fields below `config`, and ConnectorNameTaken.
    """
    _require_edit_in_domain(org, by, domain_id)
    settings = checked_settings(known_kind(org, role, kind), config, by=by)
    connector = Connector(
        org=org,
        role=role,
        kind=kind,
        custom_source_id=custom_kinds.custom_source_id(kind),
        name=name,
        description=description,
        domain_id=domain_id,
        created_by_id=by.user_id,
    )
    _set_settings(org, connector, settings)
    _save(connector, new=True)
    audit.record(
        org=org,
        by=by,
        action="connector.create",
        object_kind="connector",
        object_id=connector.pk,
        object_label=name,
        changes={"config": [None, masked_config(connector)], "kind": [None, kind]},
    )
    return connector


def update(
    *,
    org: Org,
    by: Principal,
    connector_id: UUID,
    changes: ConnectorChanges,
    patch: bool = True,
    match: Match = None,
) -> Connector:
    """Apply `changes` (name, description, domain_id, config).

    Stored secrets that `config` leaves out are kept, unless they would be sent to another server. Raises
    ChangedMeanwhile, Invalid and ConnectorNameTaken.
    """
    connector = _lock_editable(org, by, connector_id, match)
    if changes.get("domain_id", connector.domain_id) != connector.domain_id:
        _require_edit_in_domain(org, by, changes["domain_id"])
    kind = known_kind(org, connector.role, connector.kind)
    before = _audited_fields(connector)
    stored = stored_settings(org, connector)
    for name in ("name", "description", "domain_id"):
        if name in changes:
            setattr(connector, name, changes[name])
    replaced_secrets: set[str] = set()
    if "config" in changes:
        settings = checked_settings(kind, changes["config"], by=by, previous=stored, patch=patch)
        replaced_secrets = {
            path for path, value in settings.secrets.items() if stored.secrets.get(path) != value
        }
        # Also if nothing has changed: secrets that were stored in plain text are encrypted now.
        _set_settings(org, connector, settings)
        if settings != stored:
            connector.checked_at, connector.check_ok = None, None
    audited_changes: dict[str, JsonValue] = {
        field: [before[field], value]
        for field, value in _audited_fields(connector).items()
        if before[field] != value
    }
    if replaced_secrets:
        audited_changes["secrets_replaced"] = [None, sorted(replaced_secrets)]
    if not audited_changes:
        return connector
    connector.version += 1
    _save(connector, new=False)
    if "config" in audited_changes:
        _call_settings_watchers(org, by, connector)
    audit.record(
        org=org,
        by=by,
        action="connector.update",
        object_kind="connector",
        object_id=connector.pk,
        object_label=connector.name,
        changes=audited_changes,
    )
    return connector


def delete(*, org: Org, by: Principal, connector_id: UUID, match: Match = None) -> None:
    """Delete the connector. Raises ChangedMeanwhile, and ConnectorInUse which names the pipelines that `by` can see."""
    connector = _lock_editable(org, by, connector_id, match)
    masked = masked_config(connector)
    try:
        connector.delete()
    except ProtectedError as error:
        raise _in_use_error(by, error) from None
    audit.record(
        org=org,
        by=by,
        action="connector.delete",
        object_kind="connector",
        object_id=connector_id,
        object_label=connector.name,
        changes={"config": [masked, None]},
    )
    if connector.kind == "duckdb":
        storage.request_database_removal(org.pk, connector_id)


def connectors(org: Org, by: Principal) -> ConnectorQuerySet:
    """Return the connectors of the org that the principal can see."""
    return visible_objects(Connector.objects.for_org(org), by)


def find_connector(*, org: Org, by: Principal, connector_id: UUID) -> Connector:
    """Return the connector with its domain. Raises NotFound."""
    connector: Connector = find_object(connectors(org, by).select_related("domain"), connector_id)
    return connector


def usage_of(org: Org, by: Principal, connector_ids: Sequence[UUID]) -> Mapping[UUID, Usage]:
    """Return the usage of each of these connectors, as far as the principal can see it. Makes one query."""
    _import_registrations()
    found = {connector_id: Usage() for connector_id in connector_ids}
    for reader in _usage_readers:
        found.update(reader(org, by, connector_ids))
    return found


def store_check_result(*, org: Org, connector_id: UUID, version: int, ok: bool) -> None:
    """Store the result of a check, unless the settings have changed since this version."""
    Connector.objects.for_org(org).filter(pk=connector_id, version=version).update(
        checked_at=timezone.now(), check_ok=ok
    )


def kind_and_settings(org: Org, connector: Connector) -> tuple[str, dict[str, JsonValue]]:
    """Return (kind, plain settings with secrets). Never show, log or store these settings."""
    return connector.kind, stored_settings(org, connector).plain


def stored_settings(org: Org, connector: Connector) -> StoredSettings:
    plain_secrets = (
        vault.unseal(org, SEAL_KIND, connector.pk, connector.sealed) if connector.sealed else {}
    )
    settings = StoredSettings(dict(connector.config), plain_secrets)
    return settings.with_secrets_apart(_secret_patterns(connector))


def masked_config(connector: Connector) -> dict[str, JsonValue]:
    """Return the settings with `{"set": true, "last4": …}` in place of each secret."""
    return secrets.mask(connector.config, connector.secret_hints, _secret_patterns(connector))


def _secret_patterns(connector: Connector) -> frozenset[Pattern]:
    kind = catalogue.find(connector.role, connector.kind)
    return kind.secrets if kind else frozenset()


def known_kind(org: Org, role: str, kind: str, field: str = "kind") -> Kind:
    """Return the kind. Raises Invalid with an error of `field` if the org has no such kind."""
    known = custom_kinds.load_kinds(org, [kind]).find(role, kind)
    if known is None:
        raise Invalid([custom_kinds.unknown_kind_error(role, kind, field)])
    return known


def checked_settings(
    kind: Kind,
    config: JsonObject,
    *,
    by: Principal,
    previous: StoredSettings = NO_SETTINGS,
    patch: bool = False,
) -> StoredSettings:
    """Return the settings that the principal stores or tries, as `configuration.build` does. Raises Invalid."""
    settings, errors = configuration.build(
        kind, config, previous=previous, patch=patch, path="config"
    )
    errors = errors or configuration.hidden_file_errors(by, kind, settings, previous, "config")
    if errors:
        raise Invalid(errors)
    return settings


def _lock_editable(org: Org, by: Principal, connector_id: UUID, match: Match) -> Connector:
    """Lock and return the connector, if the principal may edit it and it has not changed since the caller read it."""
    rows = connectors(org, by).select_related("domain")
    connector = find_object(rows, connector_id, lock=True)
    by.require(Permission.CONNECTORS_EDIT, domain_id=connector.domain_id)
    require_match(match, connector.version)
    return connector


def _in_use_error(by: Principal, error: ProtectedError) -> ConnectorInUse:
    """Return an error that names the pipelines that the principal can see, and counts the hidden pipelines."""
    protected: list[Any] = list(error.protected_objects)
    visible_pipelines = [
        {"id": str(row.pk), "name": str(row.name)}
        for row in protected
        if can_see(by, row.domain_id)
    ]
    visible_pipelines.sort(key=lambda row: row["name"])
    descriptions = (
        [", ".join(row["name"] for row in visible_pipelines[:5])] if visible_pipelines else []
    )
    if hidden_count := len(protected) - len(visible_pipelines):
        descriptions.append(
            f"{hidden_count} {'more ' if visible_pipelines else ''}that you cannot see"
        )
    return ConnectorInUse(
        f"Pipelines use this connector: {' and '.join(descriptions)}.", pipelines=visible_pipelines
    )


def _require_edit_in_domain(org: Org, by: Principal, domain_id: UUID | None) -> None:
    require_placement(
        org=org, principal=by, permission=Permission.CONNECTORS_EDIT, domain_id=domain_id
    )


def _set_settings(org: Org, connector: Connector, settings: StoredSettings) -> None:
    connector.config = settings.visible
    connector.ends = settings.ends
    connector.secret_hints = settings.hints
    connector.sealed = (
        vault.seal(org, SEAL_KIND, connector.pk, settings.secrets) if settings.secrets else ""
    )


def _save(connector: Connector, *, new: bool) -> None:
    with refused_as(ConnectorNameTaken, "connectors_connector_name"):
        connector.save(force_insert=new)


def _call_settings_watchers(org: Org, by: Principal, connector: Connector) -> None:
    _import_registrations()
    if errors := [error for watcher in _settings_watchers for error in watcher(org, by, connector)]:
        raise Invalid(errors)


def _audited_fields(connector: Connector) -> JsonObject:
    return {
        "name": connector.name,
        "description": connector.description,
        "domain_id": str(connector.domain_id) if connector.domain_id else None,
        "config": masked_config(connector),
    }
