"""The settings of channels and follow-ups: validated by their kind, with the secrets stored encrypted and never shown again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from rest_framework import serializers

from apps.alerts.kinds.registry import KINDS
from apps.alerts.models import Channel
from apps.connectors import secrets
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject
from apps.orgs import vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org

SEAL_KIND = "alert_channel"
ENTER_AGAIN = "Enter it again, because the URL has changed."


class HasSettings(Protocol):
    """A channel or a follow-up."""

    pk: Any
    settings: Any
    sealed: Any
    secret_hints: Any


class HasForm(Protocol):
    """A kind of channel or of follow-up."""

    @property
    def secrets(self) -> frozenset[Pattern]: ...
    @property
    def form(self) -> type[serializers.Serializer[Any]]: ...
    @property
    def check(self) -> Callable[[JsonObject, Org], list[Error]]: ...


def set_settings(org: Org, channel: Channel, sent: JsonObject) -> None:
    """Set the settings of a channel, as `store_settings` does."""
    store_settings(org, channel, sent, kind=KINDS[channel.kind], seal_kind=SEAL_KIND)


def store_settings(
    org: Org, row: HasSettings, sent: JsonObject, *, kind: HasForm, seal_kind: str
) -> None:
    """Validate the settings of a channel or follow-up, and set its columns.

    Secrets that are left out are kept, unless the URL changes. Raises Invalid and ValidationError.
    """
    _refuse_kept_secret_at_another_url(row, sent, kind)
    stored = _stored_secrets(org, row, seal_kind)
    merged = secrets.merge(sent, stored, kind.secrets)
    form = kind.form(data=merged.config)
    unknown = [
        (f"settings.{name}", "This setting is not known.", "unknown")
        for name in sorted(set(merged.config) - set(form.fields))
    ]
    errors = [(f"settings.{path}", message, code) for path, message, code in merged.errors]
    if unknown or errors:
        raise Invalid([*unknown, *errors])
    if not form.is_valid():
        raise serializers.ValidationError({"settings": form.errors})
    if refused := kind.check(form.validated_data, org):
        raise Invalid([(f"settings.{path}", message, code) for path, message, code in refused])
    visible, secret_values = secrets.split(dict(form.validated_data), kind.secrets)
    row.settings = visible
    row.secret_hints = secrets.hints(secret_values)
    row.sealed = vault.seal(org, seal_kind, row.pk, secret_values) if secret_values else ""


def masked_settings(kind: str, visible: JsonObject, hints: secrets.Hints) -> JsonObject:
    """Return the settings with markers in place of the secrets."""
    return secrets.mask(visible, hints, KINDS[kind].secrets)


def unsealed_settings(org: Org, row: HasSettings, *, seal_kind: str = SEAL_KIND) -> JsonObject:
    """Return the settings with the secrets in plain text. Never show, log or store them."""
    return secrets.join(row.settings, _stored_secrets(org, row, seal_kind))


def _refuse_kept_secret_at_another_url(row: HasSettings, sent: JsonObject, kind: HasForm) -> None:
    """Raise Invalid if a stored secret would be used for a URL for which nobody has entered it."""
    if not row.sealed or sent.get("url") == row.settings.get("url") or ("url",) in kind.secrets:
        return
    kept = [str(name) for (name,) in kind.secrets if not isinstance(sent.get(str(name)), str)]
    if kept:
        raise Invalid([(f"settings.{name}", ENTER_AGAIN, "required") for name in kept])


def _stored_secrets(org: Org, row: HasSettings, seal_kind: str) -> JsonObject:
    if not row.sealed:
        return {}
    return cast(JsonObject, vault.unseal(org, seal_kind, row.pk, row.sealed))
