"""Actions on connectors, each in one transaction with one audit event.

Each takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks the
permission there.
"""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from apps.connectors import catalogue, configuration, secrets
from apps.connectors.catalogue import Kind
from apps.connectors.configuration import EMPTY, StoredSettings
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.exceptions import ConnectorInUse, ConnectorNameTaken
from apps.connectors.models import Connector, ConnectorQuerySet
from apps.json import JsonObject, JsonValue
from apps.orgs import audit, vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import can_see, find_object, require_placement, visible_objects
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match

SEALED_FOR = "connector"


class ConnectorChanges(TypedDict, total=False):
    """Changes of a connector; values that are left out are kept."""

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
    _place(org, by, domain_id)
    found = known_kind(org, role, kind)
    built = checked(found, config)
    connector = Connector(
        org=org,
        role=role,
        kind=kind,
        custom_source_id=custom_kinds.id_of(kind),
        name=name,
        description=description,
        domain_id=domain_id,
        created_by_id=by.user_id,
    )
    _hold(org, connector, built)
    _save(connector, new=True)
    audit.record(
        org=org,
        by=by,
        action="connector.create",
        object_kind="connector",
        object_id=connector.pk,
        object_label=name,
        changes={"config": [None, shown_config(connector)], "kind": [None, kind]},
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

    Stored secrets that `config` leaves out are kept, unless they would be sent to another place. Raises
    ChangedMeanwhile, Invalid and ConnectorNameTaken.
    """
    connector = _editable(org, by, connector_id, match)
    if changes.get("domain_id", connector.domain_id) != connector.domain_id:
        _place(org, by, changes["domain_id"])
    kind = known_kind(org, connector.role, connector.kind)
    before = _audited(connector)
    stored = stored_settings(org, connector)
    for name in ("name", "description", "domain_id"):
        if name in changes:
            setattr(connector, name, changes[name])
    replaced: set[str] = set()
    if "config" in changes:
        built = checked(kind, changes["config"], before=stored, patch=patch)
        replaced = {p for p, v in built.secrets.items() if stored.secrets.get(p) != v}
        if built != stored:
            _hold(org, connector, built)
            connector.checked_at, connector.check_ok = None, None
    changed: dict[str, JsonValue] = {
        k: [before[k], v] for k, v in _audited(connector).items() if before[k] != v
    }
    if replaced:
        changed["secrets_replaced"] = [None, sorted(replaced)]
    if not changed:
        return connector
    connector.version += 1
    _save(connector, new=False)
    audit.record(
        org=org,
        by=by,
        action="connector.update",
        object_kind="connector",
        object_id=connector.pk,
        object_label=connector.name,
        changes=changed,
    )
    return connector


def delete(*, org: Org, by: Principal, connector_id: UUID, match: Match = None) -> None:
    """Delete the connector. Raises ChangedMeanwhile, and ConnectorInUse naming the pipelines that `by` can see."""
    connector = _editable(org, by, connector_id, match)
    shown = shown_config(connector)
    try:
        connector.delete()
    except ProtectedError as error:
        raise _in_use(by, error) from None
    audit.record(
        org=org,
        by=by,
        action="connector.delete",
        object_kind="connector",
        object_id=connector_id,
        object_label=connector.name,
        changes={"config": [shown, None]},
    )


def connectors(org: Org, by: Principal) -> ConnectorQuerySet:
    """Return the connectors of the org that the principal can see."""
    return visible_objects(Connector.objects.for_org(org), by)


def readable(*, org: Org, by: Principal, connector_id: UUID) -> Connector:
    """Return the connector with its domain. Raises NotFound."""
    found: Connector = find_object(connectors(org, by).select_related("domain"), connector_id)
    return found


def note_check(*, org: Org, connector_id: UUID, version: int, ok: bool) -> None:
    """Store the result of a check of these settings, unless they have changed meanwhile."""
    Connector.objects.for_org(org).filter(pk=connector_id, version=version).update(
        checked_at=timezone.now(), check_ok=ok
    )


def resolve(org: Org, connector: Connector) -> tuple[str, dict[str, JsonValue]]:
    """Return (kind, plain settings with secrets). Never show, log or store them."""
    return connector.kind, stored_settings(org, connector).plain


def stored_settings(org: Org, connector: Connector) -> StoredSettings:
    if not connector.sealed:
        return StoredSettings(dict(connector.config))
    opened = vault.unseal(org, SEALED_FOR, connector.pk, connector.sealed)
    return StoredSettings(dict(connector.config), opened)


def shown_config(connector: Connector) -> dict[str, JsonValue]:
    """Return the settings with `{"set": true, "last4": …}` in place of each secret."""
    kind = catalogue.find(connector.role, connector.kind)
    patterns = kind.secrets if kind else frozenset()
    return secrets.mask(connector.config, connector.secret_hints, patterns)


def known_kind(org: Org, role: str, kind: str, field: str = "kind") -> Kind:
    found = custom_kinds.kinds(org, [kind]).find(role, kind)
    if found is None:
        raise Invalid([custom_kinds.unknown(role, kind, field)])
    return found


def checked(
    kind: Kind, config: JsonObject, *, before: StoredSettings = EMPTY, patch: bool = False
) -> StoredSettings:
    built, errors = configuration.build(kind, config, before=before, patch=patch, path="config")
    if errors:
        raise Invalid(errors)
    return built


def _editable(org: Org, by: Principal, connector_id: UUID, match: Match) -> Connector:
    """Lock and return the connector, if the principal may edit it and it has not changed since the caller read it."""
    rows = connectors(org, by).select_related("domain")
    found = find_object(rows, connector_id, lock=True)
    by.require(Permission.CONNECTORS_EDIT, domain_id=found.domain_id)
    require_match(match, found.version)
    return found


def _in_use(by: Principal, error: ProtectedError) -> ConnectorInUse:
    """Name the pipelines that the principal can see, and count the others."""
    pipelines: list[Any] = list(error.protected_objects)
    seen = [
        {"id": str(row.pk), "name": str(row.name)}
        for row in pipelines
        if can_see(by, row.domain_id)
    ]
    seen.sort(key=lambda row: row["name"])
    users = [", ".join(row["name"] for row in seen[:5])] if seen else []
    if hidden := len(pipelines) - len(seen):
        users.append(f"{hidden} {'more ' if seen else ''}that you cannot see")
    return ConnectorInUse(f"Pipelines use this connector: {' and '.join(users)}.", pipelines=seen)


def _place(org: Org, by: Principal, domain_id: UUID | None) -> None:
    require_placement(
        org=org, principal=by, permission=Permission.CONNECTORS_EDIT, domain_id=domain_id
    )


def _hold(org: Org, connector: Connector, built: StoredSettings) -> None:
    connector.config = built.shown
    connector.secret_hints = built.hints
    connector.sealed = (
        vault.seal(org, SEALED_FOR, connector.pk, built.secrets) if built.secrets else ""
    )


def _save(connector: Connector, *, new: bool) -> None:
    try:
        with transaction.atomic():
            connector.save(force_insert=new)
    except IntegrityError as error:
        if "connectors_connector_name" not in str(error):
            raise
        raise ConnectorNameTaken from None


def _audited(connector: Connector) -> JsonObject:
    return {
        "name": connector.name,
        "description": connector.description,
        "domain_id": str(connector.domain_id) if connector.domain_id else None,
        "config": shown_config(connector),
    }
