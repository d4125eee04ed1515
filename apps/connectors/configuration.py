"""Convert the settings of a request to stored settings: keep or replace secrets, validate, separate the secrets."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography import x509

from apps.connectors import places, schemas, secrets
from apps.connectors.catalogue import Kind
from apps.connectors.models import ConnectorRole
from apps.connectors.schemas import Error, Pattern, join_path
from apps.engine.file_patterns import is_address
from apps.json import JsonObject, JsonValue
from apps.orgs.principals import Principal

PEM_BEGIN = "-----BEGIN CERTIFICATE-----"
# Header and claims of a JSON Web Token begin with `{"` in base64. The claims are the group. It is searched only where such a part
# begins, and without going back, because the time would grow with the square of a text that begins a token at each place.
TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]++\.(eyJ[\w-]++)\.")
MAX_ENDS = 20  # that are stored of one connector
MAX_RENEWED_LIFETIME = 7 * 24 * 3600  # seconds; a program renews a token that ends so soon


@dataclass(frozen=True)
class StoredSettings:
    """Settings in the two parts that are stored separately: the visible settings, and the secrets by path.

    The secrets are not encrypted here.
    """

    visible: dict[str, JsonValue] = field(default_factory=dict)
    secrets: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def plain(self) -> dict[str, JsonValue]:
        """The complete settings, with the secrets in plain text."""
        return secrets.join(self.visible, self.secrets)

    def with_secrets_apart(self, patterns: frozenset[Pattern]) -> StoredSettings:
        """Return the settings with those secrets apart that were stored before their settings became secrets."""
        visible, found = secrets.split(self.visible, patterns)
        return StoredSettings(visible, {**found, **self.secrets}) if found else self

    @property
    def ends(self) -> list[JsonObject]:
        return ends_of([self.visible, self.secrets])

    @property
    def hints(self) -> dict[str, str]:
        return secrets.hints(self.secrets)


NO_SETTINGS = StoredSettings()
FILES_ARE_HIDDEN = (
    "An API key that is limited to a domain does not see the organization's files. Enter the web address of a file, or"
    " use a connector that somebody has saved."
)


def build(
    kind: Kind,
    sent_settings: JsonObject,
    *,
    previous: StoredSettings = NO_SETTINGS,
    patch: bool = False,
    path: str = "",
) -> tuple[StoredSettings, list[Error]]:
    """Return the new settings, and errors whose field names start with `path`.

    With `patch`, `sent_settings` is a JSON Merge Patch (RFC 7396): a missing setting keeps its value, null removes
    a setting, a list is replaced completely. Without `patch`, only missing secrets keep their values. A secret must
    be sent again if the place that receives it changes.
    """
    previous = previous.with_secrets_apart(kind.secrets)
    if patch:
        marked = secrets.with_markers(previous.visible, previous.secrets, kind.secrets)
        settings, inherited_paths = _apply_patch(marked, sent_settings)
    else:
        settings, inherited_paths = deepcopy(dict(sent_settings)), set()
    merged = secrets.merge(settings, previous.secrets, kind.secrets)
    errors = _validate_and_drop_leftovers(kind, merged, inherited_paths)
    visible, plain_secrets = secrets.split(merged.config, kind.secrets)
    errors += merged.errors
    new_settings = StoredSettings(visible, plain_secrets)
    merged.filled_paths &= plain_secrets.keys()
    errors += _moved_secret_errors(kind, previous, new_settings, merged)
    return new_settings, [(join_path(path, name), message, code) for name, message, code in errors]


def hidden_file_errors(
    by: Principal, kind: Kind, settings: StoredSettings, previous: StoredSettings, path: str
) -> list[Error]:
    """Return an error of the setting `path` below the field `path` if it names files that the principal does not see.

    A path that was stored before stays: somebody who sees the files has chosen it.
    """
    files = settings.visible.get("path")
    if by.only_domain is None or (kind.role, kind.name) != (ConnectorRole.SOURCE, "files"):
        return []
    if not isinstance(files, str) or is_address(files) or files == previous.visible.get("path"):
        return []
    return [(join_path(path, "path"), FILES_ARE_HIDDEN, "forbidden")]


def _apply_patch(previous: JsonObject, changes: JsonObject) -> tuple[dict[str, Any], set[str]]:
    """Return `previous` with a JSON Merge Patch applied, and the paths whose values come from `previous`."""
    inherited_paths: set[str] = set()

    def apply(old: Any, new: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        result = dict(old) if isinstance(old, dict) else {}
        inherited_paths.update(
            secrets.path_of((*path, name)) for name in result.keys() - new.keys()
        )
        for name, value in new.items():
            if isinstance(value, dict) and not secrets.is_marker(value):
                result[name] = apply(result.get(name), value, (*path, name))
            else:
                result[name] = value
        return result

    return deepcopy(apply(previous, changes, ())), inherited_paths


def _validate_and_drop_leftovers(
    kind: Kind, merged: secrets.MergedSettings, inherited_paths: set[str]
) -> list[Error]:
    """Drop kept settings that the kind no longer has, and return the errors of the settings."""
    _drop_nulls(merged.config, kind)
    kept_paths = inherited_paths | merged.omitted_paths
    errors = schemas.errors(kind.schema, merged.config)
    leftovers = {name for name, _, code in errors if code == "unknown" and name in kept_paths}
    if not leftovers:
        return errors
    for name in leftovers:
        secrets.remove(merged.config, name)
        merged.filled_paths.discard(name)
    return schemas.errors(kind.schema, merged.config)


def _drop_nulls(config: dict[str, Any], kind: Kind) -> None:
    """Remove nulls, which mean "not set". Then the schema's default applies, or an error for a required setting."""
    for name in [name for name, value in config.items() if value is None]:
        del config[name]
    for value in config.values():
        if isinstance(value, dict):
            _drop_nulls(value, kind)


def _moved_secret_errors(
    kind: Kind, previous: StoredSettings, new: StoredSettings, merged: secrets.MergedSettings
) -> list[Error]:
    """Return an error for each kept secret if the new settings would send it to another place."""
    if not merged.filled_paths:
        return []
    before, after = _places(kind, previous), _places(kind, new)
    changed = places.changed_places(before, after)
    return [
        (path, _moved_secret_message(found), "secret_required")
        for path in sorted(merged.filled_paths)
        if (found := changed or _places_changed_by_move(path, before, after, merged))
    ]


def _places(kind: Kind, settings: StoredSettings) -> dict[str, Any]:
    """Return the places, including secrets whose names the user has chosen, such as the header `Host`."""
    named_by_user = secrets.with_named_by_user(settings.plain, kind.secrets)
    return places.places(kind.schema, named_by_user)


def _places_changed_by_move(
    path: str, before: JsonObject, after: JsonObject, merged: secrets.MergedSettings
) -> list[str]:
    """Return the places that differ between the entry of a list that had the secret and the one to which it was moved."""
    if path not in merged.stored_paths:
        return []
    entry, former_entry = secrets.entries_of_lists(path, merged.stored_paths[path])
    changed = places.changed_places(
        _places_below(former_entry, before), _places_below(entry, after)
    )
    return [f"{entry}.{name}" for name in changed]


def _places_below(entry: str, found: JsonObject) -> dict[str, Any]:
    prefix = f"{entry}."
    return {
        path.removeprefix(prefix): value for path, value in found.items() if path.startswith(prefix)
    }


def _moved_secret_message(changed: list[str]) -> str:
    names = ", ".join(changed[:3])
    return f"Enter this secret again: it would be sent to another place, because {names} changed."


def ends_of(settings: JsonValue) -> list[JsonObject]:
    """Return what ends in the future, {"what": "certificate" or "token", "at": seconds since 1970}, the first one first.

    A setting with several certificates (PEM) works until the last of them ends, as while a root certificate is replaced. JSON Web
    Tokens (RFC 7519) that were issued for at most a week are left out, because a program renews them.
    """
    ends: set[tuple[int, str]] = set()
    for text in _texts(settings):
        if certificates := _ends_of_pem(text):
            ends.add((int(max(certificates).timestamp()), "certificate"))
        tokens = filter(None, map(_end_of_token, TOKEN.findall(text)))
        ends.update((int(ends_at.timestamp()), "token") for ends_at in tokens)
    now = datetime.now(UTC).timestamp()
    future = [(at, what) for at, what in sorted(ends) if at > now]
    return [{"what": what, "at": at} for at, what in future[:MAX_ENDS]]


def _texts(settings: JsonValue) -> Iterator[str]:
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict | list):
        for value in settings.values() if isinstance(settings, dict) else settings:
            yield from _texts(value)


def _ends_of_pem(text: str) -> list[datetime]:
    if PEM_BEGIN not in text:
        return []
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        return [each.not_valid_after_utc for each in found]
    except (ValueError, x509.InvalidVersion):
        return []


def _end_of_token(claims: str) -> datetime | None:
    """Return the time of `exp`, or None if a program renews the token. The signature is not verified: this only tells the token's owner when it ends."""
    try:
        found = orjson.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        ends_at = datetime.fromtimestamp(found["exp"], UTC)
        issued_at = found.get("iat")
        is_known = isinstance(issued_at, int | float)
        is_renewed = is_known and found["exp"] - issued_at <= MAX_RENEWED_LIFETIME
        return None if is_renewed else ends_at
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
