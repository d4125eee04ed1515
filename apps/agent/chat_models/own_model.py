"""The language model of an org: find, set and remove it."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict
from uuid import UUID

from django.conf import settings

from apps.agent.chat_models.connections import ModelConnection, Provider
from apps.agent.models import ModelSettings
from apps.orgs import audit, vault
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match, version_of_settings

SEAL_KIND = "agent_model"
HINT_LENGTH = 12  # shorter keys have no hint


class DraftFields(TypedDict):
    """How a model is reached. Without `key` the stored key is used."""

    provider: str
    model: str
    key: NotRequired[str]
    base_url: str
    temperature: float | None


class ModelFields(DraftFields):
    """The settings of a model. Without `key` the stored key does not change."""

    monthly_tokens: int | None
    values_allowed: bool


def find_model(org: Org) -> ModelSettings | None:
    return ModelSettings.objects.for_org(org).first()


def connection_of(org: Org, row: ModelSettings | None) -> ModelConnection | None:
    """Return the org's model with its key. `row` is what `find_model` returns: None if the org has not chosen one."""
    return _connection(row, _stored_key(org, row)) if row is not None else None


def connection_of_draft(org: Org, fields: DraftFields) -> ModelConnection:
    """Return a connection with settings that are not saved. Raises Invalid.

    The stored key is used only if the provider and the URL are those for which it was entered.
    """
    values: dict[str, Any] = {**fields}
    key = values.pop("key", None)
    row = find_model(org)
    old_values = {name: getattr(row, name) for name in values} if row else dict.fromkeys(values)
    _require_url(values)
    _require_key(values, old_values, key, had_key=row is not None and bool(row.sealed))
    draft = ModelSettings(org=org, **values)
    if key is None and row is not None:
        key = _stored_key(org, row)
    return _connection(draft, key or "")


def save_model(
    *, org: Org, by: Principal, fields: ModelFields, match: Match = None
) -> ModelSettings:
    """Set the org's language model. Raises ChangedMeanwhile, Invalid and PermissionMissing.

    The stored key is used for one provider and address only: if one of them changes, the key is required again.
    """
    by.require(Permission.SETTINGS_EDIT)
    values: dict[str, Any] = {**fields}
    key = values.pop("key", None)
    row = ModelSettings.objects.for_org(org).select_for_update().first()
    require_match(match, version_of_settings(row))
    old_values = {name: getattr(row, name) for name in values} if row else dict.fromkeys(values)
    had_key = row is not None and bool(row.sealed)
    if row is None:
        row = ModelSettings(org=org)
    _require_url(values)
    _require_key(values, old_values, key, had_key=had_key)
    for name, value in values.items():
        setattr(row, name, value)
    if key is not None:
        row.sealed = vault.seal(org, SEAL_KIND, row.pk, key) if key else ""
        row.key_last4 = key[-4:] if len(key) >= HINT_LENGTH else ""
    row.save()
    changes = {
        name: [old_values[name], value]
        for name, value in values.items()
        if old_values[name] != value
    }
    if key is not None:
        changes["key"] = ["set" if had_key else None, "set" if key else None]
    _record(org, by, "agent_model.save", row.pk, changes)
    saved: ModelSettings = row
    return saved


def remove_model(*, org: Org, by: Principal, match: Match) -> None:
    """Remove the org's model and its key. Raises NotFound, ChangedMeanwhile and PermissionMissing."""
    by.require(Permission.SETTINGS_EDIT)
    row = ModelSettings.objects.for_org(org).select_for_update().first()
    if row is None:
        raise NotFound
    require_match(match, version_of_settings(row))
    _record(org, by, "agent_model.remove", row.pk, {"model": [row.model, None]})
    row.delete()


def _stored_key(org: Org, row: ModelSettings) -> str:
    return vault.unseal(org, SEAL_KIND, row.pk, row.sealed) if row.sealed else ""


def _connection(row: ModelSettings, key: str) -> ModelConnection:
    return ModelConnection(
        provider=Provider(row.provider),
        model=row.model,
        key=key,
        base_url=row.base_url,
        temperature=row.temperature,
        allow_private=settings.ALLOW_PRIVATE_NETWORKS,
        timeout=settings.AGENT_MODEL_TIMEOUT,
    )


def _require_url(values: dict[str, Any]) -> None:
    if values["provider"] == Provider.OPENAI_COMPATIBLE and not values["base_url"]:
        raise Invalid([("base_url", "Enter the URL of the server.", "required")])


def _require_key(
    values: dict[str, Any], old_values: dict[str, Any], key: str | None, *, had_key: bool
) -> None:
    needs_key = values["provider"] != Provider.OPENAI_COMPATIBLE
    if needs_key and not key and not (key is None and had_key):
        raise Invalid([("key", "Enter a key.", "required")])
    moved = any(values[name] != old_values[name] for name in ("provider", "base_url"))
    if had_key and key is None and moved:
        message = "Enter the key again: it would be sent to another address."
        raise Invalid([("key", message, "required")])


def _record(
    org: Org, by: Principal, action: str, object_id: UUID, changes: dict[str, list[Any]]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="agent_model",
        object_id=object_id,
        object_label="language model",
        changes=changes,
    )
