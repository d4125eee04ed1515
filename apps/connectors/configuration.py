"""Convert settings from a request to stored ones: keep or replace secrets, validate, separate the secrets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from apps.connectors import places, schemas, secrets
from apps.connectors.catalogue import Kind
from apps.connectors.schemas import Error, joined
from apps.json import JsonObject, JsonValue


@dataclass(frozen=True)
class StoredSettings:
    """Settings as stored: the visible part, and separately the secrets by path."""

    shown: dict[str, JsonValue] = field(default_factory=dict)
    secrets: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def plain(self) -> dict[str, JsonValue]:
        return secrets.join(self.shown, self.secrets)

    @property
    def hints(self) -> dict[str, str]:
        return secrets.hints(self.secrets)


EMPTY = StoredSettings()


def build(
    kind: Kind,
    sent: JsonObject,
    *,
    before: StoredSettings = EMPTY,
    patch: bool = False,
    path: str = "",
) -> tuple[StoredSettings, list[Error]]:
    """Return the new settings, and errors whose field names start with `path`.

    With `patch`, settings that were not sent are kept (RFC 7396: null removes, lists are replaced whole);
    otherwise only secrets are kept. Secrets are required again if the place they are sent to changes.
    """
    wanted, inherited = _patched(before.shown, sent) if patch else (deepcopy(dict(sent)), set())
    merged = secrets.merge(wanted, before.secrets, kind.secrets)
    found = _without_leftovers(kind, merged, inherited)
    shown, plain_secrets = secrets.split(merged.config, kind.secrets)
    found += merged.errors
    found += _sent_elsewhere(kind, before, shown, merged.kept & plain_secrets.keys())
    built = StoredSettings(shown, plain_secrets)
    return built, [(joined(path, name), message, code) for name, message, code in found]


def _patched(before: JsonObject, sent: JsonObject) -> tuple[dict[str, Any], set[str]]:
    """Apply a JSON Merge Patch to `before`. Also return the paths that were kept from it."""
    inherited: set[str] = set()

    def apply(old: Any, new: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        result = dict(old) if isinstance(old, dict) else {}
        inherited.update(secrets.path_of((*path, name)) for name in result.keys() - new.keys())
        for name, value in new.items():
            if isinstance(value, dict) and not secrets.is_marker(value):
                result[name] = apply(result.get(name), value, (*path, name))
            else:
                result[name] = value
        return result

    return deepcopy(apply(before, sent, ())), inherited


def _without_leftovers(kind: Kind, merged: secrets.Merged, inherited: set[str]) -> list[Error]:
    """Validate. Drop settings that were kept from before and that the kind no longer has."""
    _drop_nulls(merged.config, kind)
    carried = inherited | merged.omitted
    found = schemas.errors(kind.schema, merged.config)
    leftover = {name for name, _, code in found if code == "unknown" and name in carried}
    if not leftover:
        return found
    for name in leftover:
        secrets.forget(merged.config, name)
        merged.kept.discard(name)
    return schemas.errors(kind.schema, merged.config)


def _drop_nulls(config: dict[str, Any], kind: Kind) -> None:
    """Remove nulls, which mean "not set": the schema's default applies, or its error if the setting is required."""
    for name in [name for name, value in config.items() if value is None]:
        del config[name]
    for value in config.values():
        if isinstance(value, dict):
            _drop_nulls(value, kind)


def _sent_elsewhere(
    kind: Kind, before: StoredSettings, shown: JsonObject, kept: set[str]
) -> list[Error]:
    if not kept:
        return []
    moved = places.changed(kind.schema, before.shown, shown)
    if not moved:
        return []
    message = f"Enter it again: it would be sent to another place, because {', '.join(moved[:3])} changed."
    return [(name, message, "secret_required") for name in sorted(kept)]
