"""The settings of channels: validated by their kind, with the secrets stored encrypted and never shown again."""

from __future__ import annotations

from typing import cast

from rest_framework import serializers

from apps.alerts.kinds.registry import KINDS
from apps.alerts.models import Channel
from apps.connectors import secrets
from apps.json import JsonObject
from apps.orgs import vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org

SEAL_KIND = "alert_channel"


def set_settings(org: Org, channel: Channel, sent: JsonObject) -> None:
    """Validate the settings, and set the channel's columns. Secrets that are left out are kept.

    Raises Invalid and ValidationError.
    """
    kind = KINDS[channel.kind]
    stored = _stored_secrets(org, channel)
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
    channel.settings = visible
    channel.secret_hints = secrets.hints(secret_values)
    channel.sealed = vault.seal(org, SEAL_KIND, channel.pk, secret_values) if secret_values else ""


def masked_settings(kind: str, visible: JsonObject, hints: secrets.Hints) -> JsonObject:
    """Return the settings with markers in place of the secrets."""
    return secrets.mask(visible, hints, KINDS[kind].secrets)


def unsealed_settings(org: Org, channel: Channel) -> JsonObject:
    """Return the settings with the secrets in plain text. Never show, log or store them."""
    return secrets.join(channel.settings, _stored_secrets(org, channel))


def _stored_secrets(org: Org, channel: Channel) -> JsonObject:
    if not channel.sealed:
        return {}
    return cast(JsonObject, vault.unseal(org, SEAL_KIND, channel.pk, channel.sealed))
