"""The settings of channels and follow-ups: validated by their kind, with the secrets stored encrypted and never shown again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from rest_framework import serializers

from apps.connectors import secrets
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject
from apps.orgs import vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org

ENTER_AGAIN = "Enter it again, because the URL has changed."


class HasSettings(Protocol):
    """A channel or a follow-up."""

    pk: Any
    kind: Any
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


@dataclass(frozen=True, slots=True)
class SettingsOf:
    """Stores and shows the settings of channels, or of follow-ups."""

    seal_kind: str
    kinds: Mapping[str, HasForm]

    def store(self, org: Org, row: HasSettings, sent: JsonObject) -> dict[str, list[JsonObject]]:
        """Validate the settings, set the columns of the row, and return the change for the audit log.

        Secrets that are left out are kept, unless the URL changes. Raises Invalid and ValidationError.
        """
        kind, before = self.kinds[row.kind], self.masked(row.kind, row.settings, row.secret_hints)
        _refuse_kept_secret_at_another_url(row, sent, kind)
        merged = secrets.merge(sent, self._stored_secrets(org, row), kind.secrets)
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
        row.settings, values = secrets.split(dict(form.validated_data), kind.secrets)
        row.secret_hints = secrets.hints(values)
        row.sealed = vault.seal(org, self.seal_kind, row.pk, values) if values else ""
        after = self.masked(row.kind, row.settings, row.secret_hints)
        return {"settings": [before, after]} if after != before else {}

    def masked(self, kind: str, visible: JsonObject, hints: secrets.Hints) -> JsonObject:
        """Return the settings with markers in place of the secrets."""
        return secrets.mask(visible, hints, self.kinds[kind].secrets)

    def unsealed(self, org: Org, row: HasSettings) -> JsonObject:
        """Return the settings with the secrets in plain text. Never show, log or store them."""
        return secrets.join(row.settings, self._stored_secrets(org, row))

    def _stored_secrets(self, org: Org, row: HasSettings) -> JsonObject:
        if not row.sealed:
            return {}
        return cast(JsonObject, vault.unseal(org, self.seal_kind, row.pk, row.sealed))


def _refuse_kept_secret_at_another_url(row: HasSettings, sent: JsonObject, kind: HasForm) -> None:
    """Raise Invalid if a stored secret would be used for a URL for which nobody has entered it."""
    if not row.sealed or sent.get("url") == row.settings.get("url") or ("url",) in kind.secrets:
        return
    kept = [str(name) for (name,) in kind.secrets if not isinstance(sent.get(str(name)), str)]
    if kept:
        raise Invalid([(f"settings.{name}", ENTER_AGAIN, "required") for name in kept])
